"""dmsetup's command line, where recordings do not reach: any options, any stack, odd names, what is not built."""

from __future__ import annotations

import getopt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dmtable.cli.dmsetup import NotBuilt, main, run
from dmtable.cli.dmsetup.options import CommandLineError, read_options
from dmtable.control.dev import LocalDev
from dmtable.control.dispatch import LocalControl
from dmtable.control.interface import DmIoctl, TargetLine
from dmtable.control.machine import Machine
from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


class Dmsetup:
    """dmsetup over an emulator with one disk, /dev/loop0."""

    def __init__(self) -> None:
        self.mapper = DeviceMapper()
        self.mapper.add(MemoryDevice(1 << 20), "/dev/loop0")
        self.slept: list[float] = []
        self.control = LocalControl(self.mapper)
        self.machine = Machine(self.control, LocalDev(self.mapper), self.slept.append)

    def __call__(self, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        code = main(words, self.machine, io.StringIO(stdin), out, err, environ=environ or {})
        return Answer(code, out.getvalue(), err.getvalue())


@pytest.fixture
def dmsetup() -> Dmsetup:
    return Dmsetup()


# What dmsetup can do and dmtable cannot yet.

LATER = (
    ["rename", "a", "b"],
    ["targets"],
    ["splitname", "a"],
    ["info", "-c", "--sort", "name"],
    ["info", "-c", "-o", "name,device_count"],
    ["info", "-c", "-o", "+"],
    ["table", "-S", "name=a"],
    ["create", "a", "--readahead", "8"],
    ["help", "-c"],
    ["ls", "-vv"],
)


@pytest.mark.parametrize("words", LATER)
def test_what_is_not_built_is_said_in_one_line_and_changes_nothing(dmsetup: Dmsetup, words: list[str]) -> None:
    answer = dmsetup(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("dmtable: ")
    assert answer.err.endswith(" is not built yet\n")
    assert answer.err.count("\n") == 1
    assert len(dmsetup.mapper) == 0
    with pytest.raises(NotBuilt):
        run(words, dmsetup.machine, io.StringIO(), io.StringIO(), io.StringIO(), environ={})


# Options.

LONG = ["inactive", "interval=", "noflush", "nolockfs", "notable", "table=", "target=", "tree", "uid=", "uuid="]
SHORT = "cCfnro:u:y"
WHOLE_NAMES = {
    "-c": "columns", "-C": "columns", "-f": "force", "-n": "notable", "-o": "options", "-r": "readonly", "-u": "uuid",
    "-y": "yes",
}  # fmt: skip
WORDS = """
    info a - -- 8 -8 -c -fry -cu -uX -ou -u -o -f-c --noflush --nolock --notab --notab= --inact --inactive=x --inter
    --inter=7 --targ=x --table --table=-c --tree --tree=1 --uuid --uu=U --uid= --in --no --ta=x --bogus --bogus=1 --=x
"""


@given(st.lists(st.sampled_from(["", *WORDS.split()]), max_size=6))
def test_options_are_read_as_getopt_reads_them(words: list[str]) -> None:
    try:
        options, operands = getopt.gnu_getopt(words, SHORT, LONG)
    except getopt.GetoptError:
        with pytest.raises(CommandLineError, match=r"^dmsetup: "):
            read_options(words)
        return
    expected = {WHOLE_NAMES.get(name, name.removeprefix("--")): value for name, value in options}
    if expected.keys() >= {"table", "notable"}:
        with pytest.raises(CommandLineError, match=r"^--table and --notable are incompatible\.$"):
            read_options(words)
    else:
        read = read_options(words)
        assert (dict(read.values), list(read.operands)) == (expected, operands)


def test_options_may_stand_anywhere(dmsetup: Dmsetup) -> None:
    table = ["--table", "0 8 zero"]
    for at in range(3):
        words = ["create", f"a{at}"]
        words[at:at] = table
        assert dmsetup(*words) == Answer(0, "", "")
    assert dmsetup("--noheadings", "a1", "-c").err.startswith("Unknown command.\n")
    assert dmsetup("table", "a0", "a1").out == "a0: 0 8 zero \na1: 0 8 zero \n"


# Trees.


def naive_tree(below: Mapping[str, Sequence[str]], name: str, indent: str = "") -> list[str]:
    """The lines below a device, drawn the obvious way."""
    lines = []
    for child in below[name]:
        is_last = child == below[name][-1]
        lines.append(f"{indent} {'`-' if is_last else '|-'}{child}")
        lines += naive_tree(below, child, indent + ("   " if is_last else " | "))
    return lines


@given(st.lists(st.sets(st.integers(0, 6), max_size=3), max_size=7))
def test_any_stack_is_drawn_as_it_stands(uses: list[set[int]]) -> None:
    dmsetup = Dmsetup()
    below: dict[str, list[str]] = {" (7:0)": []}
    names = [f"d{minor} (253:{minor})" for minor in range(len(uses))]
    for minor, used in enumerate(uses):
        numbers = [f"253:{other}" for other in sorted(used) if other < minor] or ["7:0"]
        lines = [f"{8 * at} 8 linear {number} 0" for at, number in enumerate(numbers)]
        assert dmsetup("create", f"d{minor}", "--table", "\n".join(lines)).code == 0
        children = [names[other] for other in sorted(used, reverse=True) if other < minor]
        below[names[minor]] = children or [" (7:0)"]
    used_names = {name for children in below.values() for name in children}
    roots = [name for name in names if name not in used_names]
    expected = [line for root in roots for line in (root, *naive_tree(below, root))]
    answer = dmsetup("ls", "--tree", "-o", "ascii,notrunc")
    assert answer == Answer(0, "".join(f"{line}\n" for line in expected or ["No devices found"]), "")


def test_a_tree_may_be_deeper_than_python_recurses(dmsetup: Dmsetup) -> None:
    depth = 1100
    for minor in range(depth):
        below = f"253:{minor - 1}" if minor else "7:0"
        dmsetup.control.dev_create(DmIoctl(f"d{minor}"))
        dmsetup.control.table_load(DmIoctl(f"d{minor}"), [TargetLine(0, 8, "linear", f"{below} 0")])
        dmsetup.control.dev_suspend(DmIoctl(f"d{minor}"))
    lines = dmsetup("ls", "--tree", "-o", "compact,notrunc").out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"d{depth - 1} (253:{depth - 1})---d{depth - 2} ")
    assert lines[0].endswith("---d0 (253:0)--- (7:0)")
    dmsetup.mapper.close()


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, " `- (7:0)"),
        ({"LANG": "C"}, " `- (7:0)"),
        ({"LANG": "en_GB.UTF-8"}, " └─ (7:0)"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, " `- (7:0)"),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, " └─ (7:0)"),
    ],
)
def test_a_tree_is_drawn_in_the_characters_of_the_locale(dmsetup: Dmsetup, environ: dict[str, str], line: str) -> None:
    dmsetup("create", "a", "--table", "0 8 linear 7:0 0")
    assert dmsetup("ls", "--tree", environ=environ).out == f"a (253:0)\n{line}\n"


# The rest.


def test_a_removal_is_tried_again_until_nobody_uses_the_device(dmsetup: Dmsetup) -> None:
    dmsetup("create", "a", "--table", "0 8 zero")
    users = [dmsetup.mapper["a"].open() for _ in range(3)]
    assert dmsetup("remove", "--retry", "a").err.endswith("failed: Device or resource busy\nCommand failed.\n")
    assert dmsetup.slept == [0.2] * 24
    out, err = io.StringIO(), io.StringIO()
    words = ["remove", "--retry", "a"]
    machine = replace(dmsetup.machine, sleep=lambda _: users.pop().close())
    assert main(words, machine, io.StringIO(), out, err) == 0
    assert (users, out.getvalue(), err.getvalue()) == ([], "", "")


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0") | st.sampled_from("\udc80\udcff"), max_size=12))
def test_a_name_comes_back_as_it_was_given(name: str) -> None:
    dmsetup = Dmsetup()
    answer = dmsetup("create", "--", name)
    assume(answer.code == 0 and "\\x" not in name and name not in (".", ".."))
    assert dmsetup("ls").out == f"{name}\t(253:0)\n"
    assert dmsetup("info", "-c", "--noheadings", "-o", "name").out == f"{name}\n"
    assert dmsetup("remove", "--", name) == Answer(0, "", "")
    assert len(dmsetup.mapper) == 0


@given(st.dictionaries(st.text("ab é", min_size=1, max_size=24), st.integers(0, 1 << 20 - 1), max_size=5))
def test_columns_line_up_in_bytes(minors: dict[str, int]) -> None:
    dmsetup = Dmsetup()
    for name, minor in minors.items():
        dmsetup("create", name, "-u", name, "-j", "253", "-m", str(minor), "--table", "0 8 zero")
    for fields in ("name,uuid,minor", "devno,open,name", "attr,blkdevname,events"):
        lines = dmsetup("info", "-c", "-o", fields).out.splitlines()
        assert len({len(line.encode()) for line in lines}) == 1
        assert len(lines) == len(dmsetup.mapper) + 1


def test_a_table_is_read_from_a_file_or_standard_input(
    dmsetup: Dmsetup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tables") / "table"
    path.write_bytes(b"0 8 zero\n8 8 linear 7:0 0 # \xff\n")
    assert dmsetup("create", "a", str(path)) == Answer(0, "", "")
    assert dmsetup("create", "b", stdin=path.read_text(errors="surrogateescape")) == Answer(0, "", "")
    assert dmsetup("table", "a").out == dmsetup("table", "b").out == "0 8 zero \n8 8 linear 7:0 0\n"
