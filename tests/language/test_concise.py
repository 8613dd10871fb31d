"""The concise form, against what dmsetup created from it, printed in it and refused."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.errors import DmsetupError
from dmtable.language.concise import ConciseDevice, ConciseError, read_concise, write_concise
from dmtable.language.dmsetup_text import DmsetupLine, read_dmsetup_text
from dmtable.language.mangling import UUID, MangleMode, mangle
from tests.language.recorded import Step, cases

RECORDED = cases("concise.json")
COLUMNS = ("info", "-c", "--noheadings", "-o", "name,uuid,minor,attr,segments")

# Cases of their own: one create of empty ground, its devices, the table and the concise table.
SINGLE = {name: steps for name, steps in RECORDED.items() if steps[1:] and steps[1].words == COLUMNS}


def spec_of(step: Step) -> str:
    """The concise text of a `dmsetup create --concise`."""
    return step.stdin if step.stdin is not None else step.words[step.words.index("--concise") + 1]


def create(text: str) -> tuple[list[tuple[ConciseDevice, list[DmsetupLine]]], str]:
    """What dmsetup would create of the text, in order, and why it would stop before the end."""
    created = []
    try:
        for device in read_concise(text):
            mangle(device.name, MangleMode.AUTO)
            mangle(device.uuid, MangleMode.AUTO, UUID)
            created.append((device, read_dmsetup_text(device.table)))
    except DmsetupError as refused:
        return created, str(refused)
    return created, ""


def refused_elsewhere(refusal: str) -> bool:
    """Whether the kernel refused, or dmsetup for what is in no text: a slash in a name."""
    return refusal.startswith("device-mapper:") or 'It contains "/"' in refusal


def shown(device: ConciseDevice, lines: list[DmsetupLine], minor: int) -> str:
    """The device in the columns that were recorded; a UUID and a name that auto mode takes are shown unmangled."""
    attributes = f"{'L' if lines else '-'}--{'r' if device.read_only else 'w'}"
    return f"{device.name}:{device.uuid}:{minor}:{attributes}:{len(lines)}\n".replace("\\x20", " ")


@pytest.mark.parametrize("name", SINGLE)
def test_a_recorded_text_makes_the_same_devices(name: str) -> None:
    made, devices, _table, concise = SINGLE[name]
    created, refusal = create(spec_of(made))
    if not refused_elsewhere(made.refusal):
        assert refusal == made.refusal
        taken = {device.minor % 2**20 for device, _lines in created if device.minor is not None}
        free = (minor for minor in count() if minor not in taken)
        minors = [next(free) if device.minor is None else device.minor % 2**20 for device, _lines in created]
        expected = [shown(device, lines, minor) for (device, lines), minor in zip(created, minors, strict=True)]
        assert "".join(expected) == devices.out.replace("No devices found\n", "")
        if created and not any("\\" in device.name for device, _lines in created):
            printed = [
                ConciseDevice(device.name, device.uuid, minor, device.read_only, "\n".join(map(as_printed, lines)))
                for (device, lines), minor in zip(created, minors, strict=True)
            ]
            assert write_concise(printed) == concise.out


def as_printed(line: DmsetupLine) -> str:
    """A line as `dmsetup table` prints it, for the words of these cases."""
    return f"{line.start} {line.length} {line.target} {' '.join(line.params.split())}"


def test_the_recordings_hold_every_refusal() -> None:
    """So that the test above cannot pass by playing nothing."""
    texts = [steps[0].refusal for steps in SINGLE.values()]
    assert len(texts) > 80
    assert sum(not text for text in texts) > 35
    for reason in (
        "Backslash must",
        "Five comma",
        "Incomplete entry",
        "Invalid flags",
        "Invalid format",
        "Target type",
    ):
        assert any(text.startswith(reason) for text in texts), reason


@pytest.mark.parametrize("step", [step for step in RECORDED["concise"] if "create" in step.words])
def test_the_first_recording_is_refused_alike(step: Step) -> None:
    created, refusal = create(spec_of(step))
    assert refusal == ("" if refused_elsewhere(step.refusal) else step.refusal)
    assert created or refusal


@pytest.mark.parametrize("step", RECORDED["concise-order"])
def test_flags_are_judged_before_names_and_tables(step: Step) -> None:
    refusal = create(spec_of(step))[1]
    assert refusal == step.refusal or refused_elsewhere(step.refusal)


def minors() -> list[tuple[str, Step, Step]]:
    steps = RECORDED["concise-minors"]
    return [(spec_of(made), made, info) for made, info in pairwise(steps) if made.words[:2] == ("create", "--concise")]


@pytest.mark.parametrize(("text", "made", "info"), minors())
def test_a_minor_is_read_as_c_would(text: str, made: Step, info: Step) -> None:
    """Minor 0 was taken before, so that `none` and 0 differ; the kernel's device number keeps 20 bits of a minor."""
    [device] = read_concise(text)
    if device.minor is None:
        assert info.out == "a:1\nzero:0\n"
    elif device.minor % 2**20 == 0:
        assert made.refusal.startswith(f"device-mapper: create ioctl on a (253:{device.minor}) failed")
    else:
        assert info.out == f"a:{device.minor % 2**20}\nzero:0\n"


def test_a_minor_of_any_length_is_read() -> None:
    """Python's own int() gives up at 4,300 digits."""
    assert [device.minor for device in read_concise(f"a,,{'0' * 5000}7,,x;b,,{'9' * 5000},,x")] == [7, None]


def test_each_device_comes_as_soon_as_it_is_read() -> None:
    devices = read_concise("a,,,,0 8 zero;b,,,?,0 8 zero")
    assert next(devices).name == "a"
    with pytest.raises(ConciseError, match="Invalid flags parameter"):
        next(devices)


def test_what_dmsetup_prints_quotes_three_characters() -> None:
    printed = next(step for step in RECORDED["concise-write"] if step.words == ("table", "--concise"))
    tables = {5: "0 8 error ", 0: "0 8 zero ", 1: "0 8 linear 7:0 0\n8 8 error \n", 2: "0 8 striped 1 8 7:0 0"}
    names = [("é", "", 5), ("a,b", "u;v\\w", 0), ("c;d", "", 1), ("e\\f", "x y", 2), ("g h", "", 3), ("i,j", "", 4)]
    devices = [
        ConciseDevice(name, uuid, minor, name == "c;d", tables.get(minor, ""))
        for name, uuid, minor in [*names, ("k#", "U,", 6)]
    ]
    assert write_concise(devices) == printed.out


words = st.text(st.sampled_from("ab,;\\ é#/"), max_size=6)
named = words.filter(lambda text: not text.startswith(" "))
devices = st.builds(
    ConciseDevice,
    name=named,
    uuid=named,
    minor=st.none() | st.integers(0, 2**31 - 1),
    read_only=st.booleans(),
    table=st.lists(words.map("x".__add__), min_size=1).map("\n".join),
)


@given(st.lists(devices, min_size=1))
def test_what_is_written_is_read_back(written: list[ConciseDevice]) -> None:
    assert list(read_concise(write_concise(written).removesuffix("\n"))) == written


@given(st.text(st.sampled_from("ab,,,,;\\ \n\0")))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused = None
    try:
        assert len(list(read_concise(text))) <= text.count(";") + 1
    except ConciseError as error:
        refused = str(error)
    assert refused is None or refused.startswith(("Backslash", "Incomplete", "Five", "Invalid flags"))


def test_a_long_table_is_read_in_time_that_grows_with_its_length() -> None:
    """A million lines; a reader that copies what it has at each comma would take hours."""
    [device] = read_concise("a,,,," + "0 8 zero," * 1_000_000 + "8 8 error")
    assert device.table.count("\n") == 1_000_000
