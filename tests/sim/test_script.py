"""Scripts of runs: written down, read again, told, and made simpler."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.errors import UsageError
from dmtable.sim.script import Act, Script, shortened
from dmtable.sim.workload import Flush, Operation, Write, Zero

numbers = st.integers(0, 1 << 40)
operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Write, numbers, numbers, numbers, st.booleans()),
    st.builds(Zero, numbers, numbers, numbers, st.booleans()),
    st.builds(Flush, numbers),
)
acts = st.builds(
    Act,
    st.lists(st.lists(operations, max_size=3).map(tuple), max_size=3).map(tuple),
    st.lists(st.integers(0, 5), max_size=6).map(tuple),
    st.none() | st.integers(1, 1 << 40),
    st.dictionaries(st.text(max_size=5), st.dictionaries(numbers, st.integers(1, 9), max_size=3), max_size=3),
    st.booleans(),
)
scripts = st.lists(acts, max_size=4).map(tuple).map(Script)
SCRIPT = Script(
    (
        Act(
            ((Write(0, 0, 2), Flush(0)), (Zero(1, 3, discard=True),)), (0, 2, 0), 7, {"log": {1: 1, 2: 3}, "there": {}}
        ),
        Act(((Write(1, 0, fua=True), Zero(0, 1, 2)),), weather=True),
        Act(power_fails_before=4),
    )
)


def ordinary_end_cut(script: Script) -> Script:
    """The same without the zeroes behind the last departure, which say nothing."""
    return Script(
        tuple(
            Act(
                act.workload,
                act.schedule[: max((at + 1 for at, number in enumerate(act.schedule) if number), default=0)],
                act.power_fails_before,
                act.survivors,
                act.weather,
            )
            for act in script.acts
        )
    )


@given(scripts)
def test_what_is_written_is_read_again(script: Script) -> None:
    text = script.dumps()
    assert "\n" not in text
    assert Script.loads(text) == ordinary_end_cut(script)
    assert Script.loads(text).dumps() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "5",
        "{}",
        '{"acts": 5}',
        '{"acts": [5]}',
        '{"acts": [null]}',
        '{"acts": [{"workload": 5}]}',
        '{"acts": [{"workload": ["write"]}]}',
        '{"acts": [{"workload": [[{}]]}]}',
        '{"acts": [{"workload": [[{"op": "read", "device": 0}]]}]}',
        '{"acts": [{"workload": [[{"op": ["write"], "device": 0, "sector": 0}]]}]}',
        '{"acts": [{"workload": [[{"op": "write"}]]}]}',
        '{"acts": [{"workload": [[{"op": "write", "device": "0", "sector": 0}]]}]}',
        '{"acts": [{"workload": [[{"op": "write", "device": 0, "sector": -1}]]}]}',
        '{"acts": [{"workload": [[{"op": "flush", "device": 0, "colour": 1}]]}]}',
        '{"acts": [{"schedule": ["x"]}]}',
        '{"acts": [{"schedule": [Infinity]}]}',
        '{"acts": [{"power_fails_before": "soon"}]}',
        '{"acts": [{"survivors": 5}]}',
        '{"acts": [{"survivors": {"log": 5}}]}',
        '{"acts": [{"survivors": {"log": {"x": 1}}}]}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
def test_what_is_no_script_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="this is no script of a run"):
        Script.loads(text)


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3), st.lists)


@given(JSON)
def test_any_json_is_read_or_refused(told: object) -> None:
    for place in ("schedule", "workload", "power_fails_before", "survivors"):
        try:
            Script.loads(json.dumps({"acts": [{place: told}]}))
        except UsageError:
            continue


def test_a_script_reads_as_a_story() -> None:
    assert SCRIPT.story().splitlines() == [
        "the group is created and opened",
        "  client 0: write device 0, sector 0-1",
        "  client 0: flush device 0",
        "  client 1: discard device 1, sector 3",
        "  order of turns: 0 2 0",
        "  the power fails before call 7",
        "    log keeps of what was not flushed: 1 (version 1), 2 (version 3)",
        "    there keeps of what was not flushed: ",
        "the power is back, the group is opened",
        "  client 0: write device 1, sector 0, durably (FUA)",
        "  client 0: zero device 0, sector 1-2",
        "  links and disks fail now and then",
        "the power is back, the group is opened",
        "  the power fails before call 4",
    ]


def test_the_length_counts_what_a_reader_must_follow() -> None:
    # Three requests, one departure, a power loss, two survivors; two requests and the weather; a power loss.
    assert len(SCRIPT) == 7 + 3 + 1


@given(scripts)
def test_each_step_makes_a_script_simpler(script: Script) -> None:
    """Simpler: no longer, and told in fewer words unless it only forgets zeroes."""
    for simpler in shortened(script):
        assert len(simpler) <= len(script)
        assert simpler != script


def test_everything_in_a_script_can_go() -> None:
    simpler = shortened(SCRIPT)
    for number in (0, 1):
        assert Script((*SCRIPT.acts[:number], *SCRIPT.acts[number + 1 :])) in simpler
    kept = [one.acts[0] for one in simpler]
    assert any(act.workload == ((Write(0, 0, 2), Flush(0)),) for act in kept)
    assert any(act.workload == ((Flush(0),), (Zero(1, 3, discard=True),)) for act in kept)
    assert any(act.schedule == () for act in kept)
    assert any(act.survivors == {"log": {2: 3}, "there": {}} for act in kept)
    assert any(act.survivors == {} for act in kept)
    assert any(not act.weather for act in [one.acts[1] for one in simpler])
