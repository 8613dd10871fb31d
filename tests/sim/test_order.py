"""The order checker against every prefix tried one by one, and the proofs that it gives."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from dmtable.sim.order import Entry, History, Prefix, Violation


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to seven writes, one in three of zeroes, to up to three devices of up to four sectors."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    history = History(sizes)
    for tag in range(1, draw(st.integers(2, 8))):
        device = draw(st.integers(0, len(sizes) - 1))
        sector = draw(st.integers(0, sizes[device] - 1))
        sectors = draw(st.integers(1, sizes[device] - sector))
        history.enter(device, sector, sectors, draw(st.sampled_from([tag, tag, 0])))
    return history


@st.composite
def torn(draw: st.DrawFn) -> tuple[History, list[int]]:
    """A history, and an image between two neighbouring prefixes, or with sectors of any."""
    history = draw(histories())
    entries = len(history.entries)
    if draw(st.booleans()):
        first = draw(st.integers(0, entries - 1))
        choices = [history.image(first), history.image(first + 1)]
    else:
        choices = [history.image(number) for number in range(entries + 1)]
    shown = [draw(st.sampled_from([image[at] for image in choices])) for at in range(len(history.image(0)))]
    if draw(st.integers(0, 3)) == 0:
        shown[draw(st.integers(0, len(shown) - 1))] = draw(st.sampled_from([0, *range(1, entries + 2)]))
    return history, shown


def spans(history: History) -> list[range]:
    """The sectors of each entry, counted over all devices."""
    begins = [sum(history.device_sectors[:device]) for device in range(len(history.device_sectors))]
    return [
        range(begins[entry.device] + entry.sector, begins[entry.device] + entry.sector + entry.sectors)
        for entry in history.entries
    ]


def naive(history: History, shown: list[int], loose: int = 1) -> int | None:
    """The longest prefix that fits, all tried; up to `loose` entries behind it may be partly there."""
    best = None
    for whole in range(len(history.entries) + 1):
        wanted = history.image(whole)
        behind = list(zip(history.entries[whole : whole + loose], spans(history)[whole:], strict=False))
        if all(
            tag == wanted[at] or any(at in span and tag == entry.tag for entry, span in behind)
            for at, tag in enumerate(shown)
        ):
            best = whole
    return best


@given(torn())
def test_the_longest_prefix_is_found_and_only_where_there_is_one(case: tuple[History, list[int]]) -> None:
    history, shown = case
    verdict = history.judge(shown)
    best = naive(history, shown)
    if best is None:
        assert isinstance(verdict, Violation)
    else:
        assert isinstance(verdict, Prefix)
        assert verdict.whole == best


@given(torn(), st.integers(0, 7))
def test_behind_a_loose_end_entries_may_mix(case: tuple[History, list[int]], after: int) -> None:
    """What is judged loosely is right where it is strictly, and where any mixture behind `after` explains it."""
    history, shown = case
    strict, loose = history.judge(shown), history.judge(shown, loose_after=after)
    if isinstance(strict, Prefix):
        assert loose == strict
        return
    newest = max((numbers(history)[tag] for tag in shown if tag in known(history)), default=0)
    before = history.image(min(after, len(history.entries)))
    mixed = all(
        tag == before[at]
        or any(
            at in span and tag == entry.tag
            for entry, span in zip(history.entries[after:newest], spans(history)[after:], strict=False)
        )
        for at, tag in enumerate(shown)
    ) and set(shown) <= known(history)
    zeroes_behind = any(not entry.tag for entry in history.entries[newest:])
    if not zeroes_behind:
        assert isinstance(loose, Prefix) == mixed


def numbers(history: History) -> dict[int, int]:
    return {0: 0} | {entry.tag: entry.number for entry in history.entries if entry.tag}


def known(history: History) -> set[int]:
    return {0, *(entry.tag for entry in history.entries)}


@given(torn())
@example((History([1, 1], [Entry(1, 0, 0, 1, 1), Entry(2, 1, 0, 1, 2)]), [0, 2]))
def test_a_proof_holds(case: tuple[History, list[int]]) -> None:
    """Each proof can be followed by hand: it needs the place, the two entries, and nothing else."""
    history, shown = case
    proof = history.judge(shown)
    if not isinstance(proof, Violation):
        return
    at = sum(history.device_sectors[: proof.device]) + proof.sector
    assert shown[at] == proof.tag
    if proof.visible is None:
        assert proof.tag not in known(history)
        return
    assert proof.visible.tag in shown
    if proof.missing is None:
        assert proof.visible.tag == proof.tag
        assert at not in spans(history)[proof.visible.number - 1]
        return
    assert proof.missing.number < proof.visible.number
    assert at in spans(history)[proof.missing.number - 1]
    # The place shows nothing that came after the missing entry and could have hidden it.
    later = [
        entry
        for entry, span in zip(history.entries, spans(history), strict=True)
        if proof.missing.number <= entry.number <= max(numbers(history)[tag] for tag in shown) and at in span
    ]
    assert proof.tag not in {entry.tag for entry in later}


def test_a_proof_reads_as_one() -> None:
    history = History([4, 4])
    history.enter(0, 1, 2, 11)
    history.enter(1, 3, 1, 12)
    shown = [0, 11, 0, 0, 0, 0, 0, 12]
    assert str(history.judge(shown)) == (
        "entry 2 (device 1, sector 3) is visible, but the earlier entry 1 (device 0, sector 1-2)"
        " is missing at device 0, sector 2"
    )
    assert str(history.judge([11, 0, 0, 0, 0, 0, 0, 0])) == (
        "device 0, sector 0 shows entry 1 (device 0, sector 1-2), which was never written there"
    )
    assert str(history.judge([0, 0, 0, 0, 13, 0, 0, 0])) == (
        "device 1, sector 0 shows a write with the tag 13, which is not in the history"
    )


def test_of_several_missing_entries_the_first_is_told() -> None:
    history = History([3], [Entry(number, 0, number - 1, 1, number) for number in (1, 2, 3)])
    proof = history.judge([0, 0, 3])
    assert isinstance(proof, Violation)
    assert proof.missing == history.entries[0]
    assert proof.visible == history.entries[2]


def test_long_histories_are_not_remembered_whole() -> None:
    history = History([1 << 15])
    for tag in range(1, 40):
        history.enter(0, tag, 1, tag)
    for number in range(40):
        assert history.judge(list(history.image(number))) == Prefix(number, number)
