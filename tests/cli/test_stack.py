"""How tables come from the command line: names, order, concise texts, and what is said of those that are wrong."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest

from dmtable.cli.stack import in_order, open_disks, paper_stack, read_folder, read_tables, running_stack
from dmtable.core.paper import Disks
from dmtable.errors import DmtableError, UsageError
from tests.cli.stacks import disks, written

CHAIN = {
    "top": "0 8 linear /dev/mapper/middle 0",
    "middle": "0 8 striped 2 4 /dev/mapper/low 0 /dev/sda 0",
    "low": "0 8 linear /dev/sda 8",
}


def test_names_are_given_or_the_files_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, {"vg-lv.1": "0 8 zero\n", "b": "0 8 zero\n"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0 8 error\n")))
    tables = read_tables(["vg-lv.1.table", "root=b.table", "./b.table", "-"])
    assert [(table.name, table.source) for table in tables] == [
        ("vg-lv.1", "vg-lv.1.table"),
        ("root", "b.table"),
        ("b", "./b.table"),
        ("stdin", "<stdin>"),
    ]


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    (path,) = written(tmp_path / "a=b", {"vol": "0 8 zero\n"})
    assert [table.name for table in read_tables([path])] == ["vol"]
    assert [table.name for table in read_folder(str(tmp_path / "a=b"))] == ["vol"]


@pytest.mark.parametrize("order", list(itertools.permutations(CHAIN)))
def test_tables_are_built_from_the_bottom_whatever_their_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    tables = read_tables(written(tmp_path, {name: CHAIN[name] for name in order}))
    assert [table.name for table in in_order(tables)] == ["low", "middle", "top"]
    assert list(paper_stack(tables, Disks()).layers) == ["low", "middle", "top"]


@pytest.mark.parametrize("word", ["low", "/dev/mapper/low", "/dev/dm-7", "253:7"])
def test_a_table_below_is_named_in_any_way(tmp_path: Path, word: str) -> None:
    concise = tmp_path / "all"
    concise.write_text(f"top,,,,0 8 linear {word} 0;low,U,7,ro,0 8 linear /dev/sda 3,8 8 zero")
    tables = in_order(read_tables([], [str(concise)]))
    assert [(t.name, t.uuid, t.minor, t.read_only) for t in tables] == [("low", "U", 7, True), ("top", "", None, False)]
    stack = paper_stack(tables, Disks())
    assert stack.layers["top"].map.leaves == (stack.lookup("/dev/sda").device,)


def test_a_word_that_is_no_device_makes_no_circle(tmp_path: Path) -> None:
    paths = written(tmp_path, {"core": "0 1024 mirror core 1 64 2 /dev/sda 0 /dev/sdb 0"})
    assert len(in_order(read_tables(paths))) == 1


@pytest.mark.parametrize(
    ("tables", "circle"),
    [
        ({"a": "0 8 linear /dev/mapper/a 0"}, "a -> a"),
        ({"a": "0 8 linear /dev/mapper/b 0", "b": "0 8 linear c 0", "c": "0 8 linear a 0"}, "a -> b -> c -> a"),
    ],
)
def test_a_circle_is_one_error_that_names_it(tmp_path: Path, tables: dict[str, str], circle: str) -> None:
    with pytest.raises(UsageError, match="circle: ") as raised:
        in_order(read_tables(written(tmp_path, tables)))
    shown = str(raised.value).partition("circle: ")[2].split(" -> ")
    assert shown[0] == shown[-1]
    names = circle.split(" -> ")[:-1]
    at = names.index(shown[0])
    assert shown[:-1] == names[at:] + names[:at]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "cannot read nosuch: No such file or directory"),
        (["=a.table"], "'=a.table' names no table; write NAME=FILE"),
        (["a.table", "a=b.table"], "a.table and b.table are both called a; give one another name: NAME=FILE"),
    ],
)
def test_what_cannot_be_read_or_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    written(tmp_path, {"a": "0 8 zero\n", "b": "0 8 zero\n"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        read_tables(arguments)
    assert str(raised.value) == said


def test_two_devices_with_one_number(tmp_path: Path) -> None:
    (tmp_path / "all").write_text("a,,1,,0 8 zero;b,,1,,0 8 zero")
    with pytest.raises(UsageError, match="a and b have the same minor number 1"):
        read_tables([], [str(tmp_path / "all")])


def test_a_concise_text_that_dmsetup_refuses(tmp_path: Path) -> None:
    (tmp_path / "all").write_text("a,,1")
    with pytest.raises(DmtableError, match=r"all: .*ive comma-separated fields"):
        read_tables([], [str(tmp_path / "all")])


def test_a_text_that_is_no_table_is_shown_with_its_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DmtableError, match=r"a\.table is no table that can be read"):
        read_tables(written(tmp_path, {"a": "hello there\n"}))
    assert "a.table:1:1: error[DM001]" in capsys.readouterr().err


def test_a_table_that_the_kernel_refuses_is_shown_with_its_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = read_tables(written(tmp_path, {"a": "0 8 zero\n9 8 linear /dev/sda 0\n"}))
    with pytest.raises(DmtableError, match=r"would refuse a: linear: Gap in table \(-EINVAL\)"):
        paper_stack(tables, Disks())
    assert "a.table:2:1: error" in capsys.readouterr().err


def test_a_root_that_is_no_folder() -> None:
    for build in (open_disks, lambda root: running_stack([], root)):
        with pytest.raises(UsageError, match="--root /nonexistent: not a folder"):
            build("/nonexistent")


def test_a_running_stack_has_the_numbers_that_were_asked_for(tmp_path: Path) -> None:
    root = disks(tmp_path / "root", sda=64)
    (tmp_path / "all").write_text("top,,0,,0 8 linear /dev/mapper/low 0;low,U,,ro,0 8 linear /dev/sda 8")
    with running_stack(read_tables([], [str(tmp_path / "all")]), str(root)) as mapper:
        assert [(md.name, md.number[1], md.uuid) for md in mapper] == [("low", 1, "U"), ("top", 0, "")]
        with pytest.raises(PermissionError):
            mapper["low"].pwrite(bytes(512), 0)


def test_a_table_too_large_for_its_disk_is_shown_with_its_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = read_tables(written(tmp_path, {"a": "0 8 zero\n8 8 linear /dev/sda 57\n"}))
    too_small = pytest.raises(DmtableError, match="too small for target: start=57, len=8, dev_size=64")
    with open_disks(str(disks(tmp_path / "root", sda=64))) as found, too_small:
        paper_stack(tables, found)
    assert "a.table:2:" in capsys.readouterr().err


def test_a_stack_that_cannot_run_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = read_tables(written(tmp_path, {"a": "0 8 linear /dev/sda 0\n"}))
    with pytest.raises(DmtableError, match=r"would refuse a: .*linear: Device lookup failed \(-ENODEV\)"):
        running_stack(tables, str(tmp_path))
    assert "a.table:1:12: error[DM201] /dev/sda cannot be opened" in capsys.readouterr().err
