"""Mangling of names and UUIDs, against what dmsetup stored, showed and refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.language.mangling import NAME, NEW_NAME, NEW_UUID, UUID, Field, MangleError, MangleMode, mangle, unmangle
from tests.language.recorded import Step, cases

RECORDED = cases("mangling.json")
modes = st.sampled_from(MangleMode)
names = st.text(st.sampled_from("ab09x#+-.:=@_ \\,;é\udcff\0\n"), max_size=20)


def option(step: Step, *flags: str) -> str | None:
    """The word behind one of these flags."""
    return next((step.words[step.words.index(flag) + 1] for flag in flags if flag in step.words), None)


def mode_of(step: Step) -> MangleMode:
    return MangleMode(option(step, "--manglename") or "auto")


def name_of(step: Step) -> str:
    """The operand of a `dmsetup create`: the word that is no option and no option's value."""
    taking = ("--manglename", "-u", "--uuid", "--table")
    pairs = zip(step.words, ("", *step.words), strict=False)
    [name] = [word for word, before in pairs if word != "create" and before not in taking and not word.startswith("-")]
    return name


def is_create(step: Step) -> bool:
    """Whether this makes one device whose names libdm takes; a slash is refused before, a blank operand is a file."""
    return "create" in step.words and not {"bogus", " "} & {*step.words} and "/" not in name_of(step)


def creations() -> Iterator[tuple[Step, Step | None]]:
    """Every recorded create, with the listing of raw names behind it where there is one."""
    for steps in RECORDED.values():
        for create, after in zip(steps, [*steps[1:], None], strict=True):
            if is_create(create):
                yield create, after if after and after.words[:3] == ("--manglename", "none", "info") else None


def refused_by_libdm(step: Step) -> bool:
    return bool(step.refusal) and not step.refusal.startswith("device-mapper:")


CREATIONS = list(creations())


@pytest.mark.parametrize(("create", "raw"), CREATIONS, ids=lambda step: "" if step is None else repr(step.words[-1]))
def test_a_recorded_create_is_stored_or_refused_alike(create: Step, raw: Step | None) -> None:
    mode, name, uuid = mode_of(create), name_of(create), option(create, "-u", "--uuid")
    if refused_by_libdm(create):
        with pytest.raises(MangleError) as refused:
            print(mangle(name, mode), mangle(uuid or "", mode, UUID))
        assert str(refused.value) == create.refusal
        return
    stored = f"{mangle(name, mode)}:{mangle(uuid or '', mode, UUID)}\n"
    if raw is not None and create.status == 0:
        assert raw.out == stored


def listings() -> Iterator[tuple[str, MangleMode, Step]]:
    """Every recorded `ls` of one device that was stored under a name as it is: (name, mode of the ls, its answer)."""
    for case, steps in RECORDED.items():
        if case == "mangle-fix":  # there `dmsetup mangle` renames between create and ls
            continue
        stored = None
        for step in steps:
            if is_create(step):
                stored = name_of(step) if mode_of(step) is MangleMode.NONE and step.status == 0 else None
            elif step.words[-1] == "ls" and stored:
                yield stored, mode_of(step), step


# A `\x` at the very end makes libdm read a variable that it never set: what it shows then is chance.
LISTINGS = [listing for listing in listings() if not listing[0].endswith("\\x")]


@pytest.mark.parametrize(("stored", "mode", "answer"), LISTINGS)
def test_a_recorded_name_is_shown_or_refused_alike(stored: str, mode: MangleMode, answer: Step) -> None:
    if answer.status:
        with pytest.raises(MangleError) as refused:
            unmangle(stored, mode)
        assert str(refused.value) == answer.refusal
    else:
        assert f"{unmangle(stored, mode)}\t(253:0)\n" == answer.out


def test_the_recordings_hold_every_refusal() -> None:
    """So that the tests above cannot pass by playing nothing."""
    texts = " ".join(step.refusal for step, _raw in CREATIONS) + " ".join(step.refusal for *_, step in LISTINGS)
    reasons = (
        "mixed mangled",
        "more than once",
        "form of the name too long",
        "form of the UUID too long",
        "blacklisted",
    )
    assert all(reason in texts for reason in reasons)
    assert sum(raw is not None for _create, raw in CREATIONS) > 80
    assert len(LISTINGS) > 60


RENAMES = [
    step
    for case in ("mangle-lengths", "uuid-errors")
    for step in RECORDED[case]
    if step.words[0] == "rename" and refused_by_libdm(step) and "/" not in step.words[-1]
]


@pytest.mark.parametrize("rename", RENAMES, ids=lambda step: repr(step.words[-1]))
def test_a_recorded_rename_is_refused_alike(rename: Step) -> None:
    *_, old, new = rename.words
    field = NEW_UUID if "--setuuid" in rename.words else NEW_NAME
    with pytest.raises(MangleError) as refused:
        print(mangle(old, MangleMode.AUTO), mangle(new, MangleMode.AUTO, field))
    assert str(refused.value) == rename.refusal


def test_renames_were_recorded() -> None:
    assert len(RENAMES) == 9


def test_without_mangling_a_long_uuid_is_cut() -> None:
    create, raw = RECORDED["uuid-none-lengths"][3:5]
    assert create.words[-1] == "u" * 129
    assert raw.out == f"x:{mangle('u' * 129, MangleMode.NONE, UUID)}\n"


@pytest.mark.parametrize("name", ["nn" * 64, "n" * 128])
def test_a_name_too_long_is_refused_in_every_mode(name: str) -> None:
    for mode in MangleMode:
        with pytest.raises(MangleError, match=rf'^Name "{name}" too long\.$'):
            mangle(name, mode)


@given(names, st.sampled_from([NAME, UUID, NEW_NAME, NEW_UUID]))
def test_hex_is_undone(name: str, field: Field) -> None:
    mangled = mangle(name, MangleMode.HEX, field)
    assert mangled.isascii()
    assert unmangle(mangled, MangleMode.HEX, field) == name.partition("\0")[0]


@given(names)
def test_auto_does_nothing_to_what_it_made(name: str) -> None:
    try:
        mangled = mangle(name, MangleMode.AUTO)
        again = mangle(mangled, MangleMode.AUTO)
    except MangleError:
        assert "\\" in name
    else:
        assert again == mangled


@given(names, modes)
def test_any_name_is_shown_or_refused(name: str, mode: MangleMode) -> None:
    try:
        shown = unmangle(name, mode)
    except MangleError:
        assert mode is not MangleMode.NONE
    else:
        assert mode is MangleMode.NONE or "\0" not in shown
