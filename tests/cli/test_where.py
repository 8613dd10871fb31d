"""`dmtable where`: the way down, and up."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtable.cli.main import main
from tests.cli.stacks import STACK, disks, written

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("place", "way"),
    [
        (["top", "123"], "top 123 -> linear -> lv 131 -> striped, leg 0 -> /dev/sda sector 67 (byte 34304)"),
        (["lv", "16"], "lv 16 -> striped, leg 1 -> /dev/sdb sector 128 (byte 65536)"),
        (["lv", "8193b"], "lv 16 -> striped, leg 1 -> /dev/sdb sector 128 (byte 65537)"),
        (["top", "1024"], "top 1024 -> zero"),
        (["top", "1040"], "top 1040 -> crypt -> somewhere on /dev/sda"),
    ],
)
def test_the_way_down(tmp_path: Path, capsys: Capture, place: list[str], way: str) -> None:
    assert main(["where", *written(tmp_path, STACK), *place]) == 0
    assert capsys.readouterr() == (f"{way}\n", "")


def test_files_below_a_root_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    disks(tmp_path / "disks", sda=4096, sdb=4096)
    files = written(tmp_path, STACK)
    monkeypatch.chdir(tmp_path)
    assert main(["where", "--root", "disks", *files, "top", "139"]) == 0
    way = "top 139 -> linear -> lv 147 -> striped, leg 1 -> /dev/sdb sector 195 (disks/dev/sdb, byte 99840)\n"
    assert capsys.readouterr().out == way


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (["/dev/sdb", "200"], ["lv 152", "top 144"]),
        (["/dev/sda", "70"], ["lv 134", "top 126", "top 1032-1131 (one of these, perhaps)"]),
        (["lv", "70"], ["top 62"]),
        (["/dev/mapper/lv", "36k"], ["top 64"]),
    ],
)
def test_the_way_up(tmp_path: Path, capsys: Capture, place: list[str], found: list[str]) -> None:
    assert main(["where", "--reverse", *written(tmp_path, STACK), *place]) == 0
    assert capsys.readouterr().out.splitlines() == found


def test_nothing_stands_there(tmp_path: Path, capsys: Capture) -> None:
    assert main(["where", "--reverse", *written(tmp_path, STACK), "/dev/sdb", "5"]) == 1
    assert capsys.readouterr() == ("", "nothing stands on /dev/sdb sector 5\n")


def test_a_concise_text_is_a_stack(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "all").write_text("top,,,,0 8 linear 253:4 8;low,,4,,0 64 linear 8:0 100")
    assert main(["where", "--concise", str(tmp_path / "all"), "top", "3"]) == 0
    assert capsys.readouterr().out == "top 3 -> linear -> low 11 -> linear -> 8:0 sector 111 (byte 56832)\n"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (["top", "1132"], "top has 1132 sectors, so the last is 1131"),
        (["/dev/sda", "1"], "/dev/sda is none of the tables; with --reverse you see what stands on it"),
        (["/dev/sdx", "1"], "no table is called /dev/sdx or names it; there are lv, top, /dev/sda, /dev/sdb"),
        (["x", "1"], "no table is called x or names it; there are lv, top, /dev/sda, /dev/sdb"),
        (["top", "1q"], "'1q' is no amount: write sectors (8), or bytes with a unit (4k, 1m, 2g, 512b)"),
    ],
)
def test_usage(tmp_path: Path, capsys: Capture, place: list[str], said: str) -> None:
    assert main(["where", *written(tmp_path, STACK), *place]) == 2
    assert capsys.readouterr() == ("", f"dmtable where: {said}\n")


def test_a_table_that_the_kernel_refuses_is_1(tmp_path: Path, capsys: Capture) -> None:
    assert main(["where", *written(tmp_path, {"top": "0 8 zero x"}), "top", "1"]) == 1
    assert capsys.readouterr().out == ""
