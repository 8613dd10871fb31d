"""`dmtable diff`: what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtable.cli.main import main
from tests.cli.stacks import STACK, disks, written

Capture = pytest.CaptureFixture[str]


def pair(tmp_path: Path, one: str, other: str) -> list[str]:
    (a,) = written(tmp_path / "a", {"vol": one})
    (b,) = written(tmp_path / "b", {"vol": other})
    return [a, b]


def test_the_same_in_other_words(tmp_path: Path, capsys: Capture) -> None:
    files = pair(tmp_path, "0 64 linear /dev/sda 8\n", "# cut\n0 8 linear /dev/sda 8\n8 56 linear //dev/sda 16\n")
    assert main(["diff", *files]) == 0
    assert capsys.readouterr() == ("same\n", "")


def test_each_difference_is_a_range_with_its_places(tmp_path: Path, capsys: Capture) -> None:
    one = "0 64 linear /dev/sda 8\n64 1 zero\n65 7 zero\n"
    other = "0 60 linear /dev/sda 8\n60 4 linear /dev/sdb 0\n64 1 error\n65 7 zero\n"
    a, b = pair(tmp_path, one, other)
    assert main(["diff", a, b]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"sectors 60-63 of vol: /dev/sda from 68 in {a}, /dev/sdb from 0 in {b}",
        f"sector 64 of vol: zero in {a}, error in {b}",
    ]


def test_a_size_is_a_difference(tmp_path: Path, capsys: Capture) -> None:
    a, b = pair(tmp_path, "0 64 zero", "0 65 zero")
    assert main(["diff", a, b]) == 1
    assert capsys.readouterr().out == f"vol has 64 sectors in {a}, 65 in {b}\n"


def test_tables_with_names_of_their_own(tmp_path: Path, capsys: Capture) -> None:
    a, b = written(tmp_path, {"one": "0 8 zero", "two": "0 9 error"})
    assert main(["diff", a, b]) == 1
    out = f"the table has 8 sectors in {a}, 9 in {b}\nsectors 0-7: zero from 0 in {a}, error from 0 in {b}\n"
    assert capsys.readouterr().out == out.replace(" from 0", "")


def test_sets_are_compared_by_name_through_their_layers(tmp_path: Path, capsys: Capture) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    written(tmp_path / "old", {**STACK, "gone": "0 8 zero"})
    written(tmp_path / "new", {**STACK, "lv": "0 4096 striped 2 16 /dev/sda 0 /dev/sdc 128\n", "here": "0 8 zero"})
    (tmp_path / "new" / ".hidden").write_text("no table")
    assert main(["diff", "--limit", "1", old, new]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"gone is only in {old}",
        f"sectors 16-31 of lv: /dev/sdb from 128 in {old}, /dev/sdc from 128 in {new}",
        "more differences of lv follow; --limit 0 shows all",
        f"sectors 8-23 of top: /dev/sdb from 128 in {old}, /dev/sdc from 128 in {new}",
        "more differences of top follow; --limit 0 shows all",
        f"here is only in {new}",
    ]


def test_no_limit(tmp_path: Path, capsys: Capture) -> None:
    files = pair(tmp_path, "0 4096 striped 2 16 /dev/sda 0 /dev/sdb 0", "0 4096 striped 2 16 /dev/sda 0 /dev/sdb 1")
    assert main(["diff", "--limit", "0", *files]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 4096 // 32


def test_concise_texts_are_sets(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a").write_text("top,,0,rw,0 8 linear 253:1 0;low,,1,rw,0 8 linear 8:0 4")
    (tmp_path / "b").write_text("low,,,,0 8 linear 8:0 4;top,,,,0 4 linear 8:0 4,4 4 linear 8:0 8")
    assert main(["diff", "--concise", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out == "same\n"


def test_words_of_an_opaque_line_are_compared_and_never_shown(tmp_path: Path, capsys: Capture) -> None:
    a, b = pair(tmp_path, "0 8 crypt aes SECRET 0 /dev/sda 0", "0 8 crypt aes secret 0 /dev/sda 0")
    assert main(["diff", a, b]) == 1
    place = "crypt on /dev/sda, from 0"
    assert (
        capsys.readouterr().out
        == f"sectors 0-7 of vol: {place} in {a}, {place} in {b} (the lines differ in their words)\n"
    )


def test_names_below_a_root_may_differ(tmp_path: Path, capsys: Capture) -> None:
    root = disks(tmp_path / "root", sda=64)
    (root / "dev/link").symlink_to("sda")
    files = pair(tmp_path, "0 8 linear /dev/sda 0", "0 8 linear /dev/link 0")
    assert main(["diff", *files]) == 1
    assert main(["diff", "--root", str(root), *files]) == 0


@pytest.mark.parametrize(
    "arguments", [["a/vol.table"], ["a/vol.table", "nosuch"], ["a/vol.table", "b/vol.table"], ["a", "a/vol.table"]]
)
def test_trouble_is_2_and_never_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, arguments: list[str]
) -> None:
    pair(tmp_path, "0 8 zero", "0 8 linear")
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(["diff", *arguments])
    except SystemExit as error:
        status = error.code
    assert status == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "dmtable diff: " in captured.err
