"""check and the loader say no to the same tables, for the same reason; and so did the real kernel."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmtable.checks import check, first_refusal
from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import IoctlError
from dmtable.io.memory import MemoryDevice
from dmtable.language.diagnostics import Diagnostic, Severity, TableError
from dmtable.units import SECTOR_BYTES
from tests.language.recorded import Step, cases

_DISKS = {"/dev/a": (4096, 512), "/dev/b": (100, 512), "/dev/c": (4096, 4096), "/dev/e": (0, 512)}
_SIZES = {path: (sectors, block) for path, (sectors, block) in _DISKS.items()}


def _mapper() -> DeviceMapper:
    dm = DeviceMapper()
    for path, (sectors, block) in _DISKS.items():
        dm.add(MemoryDevice(sectors * SECTOR_BYTES, logical_block_size=block), path)
    dm.create("notable")
    return dm


# Tables: lines that adjoin, and with each of their words a chance of being another one.

_DEVICES = st.sampled_from(["/dev/a", "/dev/a", "/dev/a", "/dev//b", "/dev/b", "/dev/c", "/dev/c", "/dev/e", "7:0"])
_ODD_DEVICES = st.sampled_from(["/dev/x", "7:9", "4096:0", "700", "a", "/dev/mapper/notable", "7:0x", "dev"])
_OFFSETS = st.sampled_from(["0", "8", "16", "1024", "4", "96"])
_ODD_OFFSETS = st.sampled_from(["4095", "99999", "0x10", "x", "+8", "18446744073709551624", "-1", "1048576"])
_LENGTHS = st.sampled_from([8, 16, 24, 32, 64, 8, 16, 4, 96])
_ODD_LENGTHS = st.sampled_from([0, 1, 65, 18014398509481984, 18446744073709551615])
_ODD_TARGETS = st.sampled_from(["linaer", "LINEAR", "nosuch", "/dev/a", "snapshot", "crypt", "replicator", "verity"])


@st.composite
def _words(draw: st.DrawFn) -> str:
    def word(usual: st.SearchStrategy[str], odd: st.SearchStrategy[str]) -> str:
        return draw(odd if draw(st.integers(0, 19)) == 0 else usual)

    def pairs(count: int) -> str:
        return " ".join(f"{word(_DEVICES, _ODD_DEVICES)} {word(_OFFSETS, _ODD_OFFSETS)}" for _ in range(count))

    target = word(st.sampled_from(["linear", "linear", "striped", "zero", "error"]), _ODD_TARGETS)
    if target == "striped":
        count = draw(st.integers(1, 3))
        chunk = word(st.sampled_from(["8", "4"]), st.sampled_from(["0", "x", "+8", "3"]))
        text = f"striped {word(st.just(str(count)), st.sampled_from(['0', '4', 'x', '-1']))} {chunk} {pairs(count)}"
    else:
        text = f"{target} {pairs(1)}" if target == "linear" else target
    surplus = st.sampled_from([" 1", " 1 2 AA", " 8 8 zero", " 2 7:0 7:1 1 AA", " 3/8"])
    return text + word(st.just(""), surplus)


@st.composite
def _tables(draw: st.DrawFn) -> str:
    lines: list[str] = []
    at = 0
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.integers(0, 3)) == 0:
            # A run that is long enough to be read as columns.
            words = f"linear {draw(_DEVICES)} {draw(_OFFSETS)}"
            length = draw(_LENGTHS)
            lines += [f"{at + row * length} {length} {words}" for row in range(9)]
            at += 9 * length
            continue
        length = draw(_ODD_LENGTHS if draw(st.integers(0, 19)) == 0 else _LENGTHS)
        start = at + draw(st.sampled_from([0] * 20 + [8, -8 if at else 8]))
        lines.append(f"{start} {length} {draw(_words())}")
        at = start + length
    if draw(st.integers(0, 19)) == 0:
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(lines)))
    return "\n".join(lines)


@given(_tables())
@example("0 8 error 8 8 zero\n16 8 zero\n")
@example("0 8 linear /dev/c 4\n8 8 linear /dev/b 96\n16 4 zero\n")
@example("0 4 linear /dev/a 0\n4 8 linear /dev/c 8\n12 8 linear /dev/b 200\n")
@example("0 64 striped 2 7:0 7:1 1 AA\n")
def test_the_first_refusal_is_what_the_loader_says(table: str) -> None:
    with _mapper() as dm:
        found = check(table, dm)
        said = first_refusal(found)
        try:
            answer = _loaded(dm, table)
        except TableError:
            # Text that does not read: dmsetup and the kernel may read another table.
            assert any(each.severity is Severity.ERROR for each in found)
        else:
            if answer and answer[0] == errno.EOPNOTSUPP:
                # Not the kernel's word, but dmtable's own, on a target that it does not run.
                assert "DM107" in [each.code for each in found]
            else:
                assert answer == (said and (said.errno, said.text))


def _loaded(dm: DeviceMapper, table: str) -> tuple[int, str] | None:
    """The errno and the text with which a table is refused, None where it is loaded."""
    try:
        dm.create("t", table)
    except IoctlError as error:
        return error.errno, re.sub(r"^device-mapper: (?:table: \d+:\d+|ioctl): ", "", error.log[0])
    return None


@given(_tables())
def test_sizes_alone_find_the_same_as_the_devices_themselves(table: str) -> None:
    with _mapper() as dm:
        for word, known in (("7:0", "/dev/a"), ("7:1", "/dev/b"), ("700", "/dev/a"), ("/dev/mapper/notable", "/dev/x")):
            table = table.replace(word, known)
        assert _told(check(table, _SIZES)) == _told(check(table, dm))


def _told(found: Sequence[Diagnostic]) -> list[str]:
    # Devices of a mapping have no number, so that the kernel's name for them is not that of a loop device.
    return [re.sub(r"\bloop(\d)\b", lambda match: "abce"[int(match[1])], repr(each)) for each in found]


# The real kernel's own words. Its loop devices exist whether or not anything stands behind them.

_RECORDED_SIZES = {"7:0": 4096, "7:1": 4096, "7:2": 2048, "7:3": 1024, "7:5": 0, "7:99": 0}
_NOT_TOLD = {
    "text-nul-first": "the first line is not there for dmsetup; that is what is found, not the gap that it leaves",
}


def _recorded() -> list[tuple[str, str, Step]]:
    """(case, table, step) of every table that was created on its own."""
    rows = []
    for file in ("words.json", "broken.json", "text.json", "heads.json"):
        for name, steps in cases(file).items():
            for step in steps:
                table = step.stdin
                if table is None and "--table" in step.words:
                    table = step.words[step.words.index("--table") + 1]
                if step.words[:2] == ("create", "t") and len(steps) < 8 and table is not None:
                    rows.append((name, table, step))
    return rows


@pytest.mark.parametrize(("name", "table", "step"), _recorded())
def test_what_the_kernel_said_is_found(name: str, table: str, step: Step) -> None:
    found = check(table, _RECORDED_SIZES)
    said = [each.kernel_text for each in found if each.kernel_text]
    logged = [_printed(line) for line in step.kernel_log if line.startswith("device-mapper: table: ")]
    if name in _NOT_TOLD:
        assert logged
        assert not set(logged) & set(map(_escaped, said))
    elif logged:
        assert logged[-1] in map(_escaped, said)
        refusal = first_refusal(found)
        assert refusal is not None
        assert _escaped(refusal.text) == logged[-1]
    elif step.status == 0:
        assert said in ([], ["populate_table: no targets specified"])
    else:
        assert any(each.severity is not Severity.WARNING for each in found), "dmsetup refused it, and nothing was found"


def _printed(line: str) -> str:
    return re.sub(r"^device-mapper: table: \d+:\d+: ", "", line)


def _escaped(text: str) -> str:
    """A text as the kernel's log shows it: odd bytes and backslashes in hexadecimal."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data)
