"""The slides' own tables: what is off about them is found, nothing else is, and all of it can be mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtable.checks import check
from dmtable.language.diagnostics import Severity, apply_fixes

FOLDER = Path(__file__).parents[2] / "fixtures" / "seed"

OFF = {
    "linear-striped": [("DM010", 1)],
    "zero-error": [],
    "mirror": [],
    "replicator-first": [("DM452", 3), ("DM452", 6)],
    "replicator-second": [("DM006", 3), ("DM007", 7), ("DM451", 2), ("DM452", 3), ("DM452", 7)],
}
NOTES = {
    "replicator-first": ["DM308", "DM455", "DM512"],
    "replicator-second": ["DM308", "DM308", "DM455", "DM512"],
}


def _table(name: str) -> str:
    return (FOLDER / f"{name}.dm").read_text(encoding="utf-8")


def test_every_table_of_the_slides_is_here() -> None:
    assert {path.name.partition(".")[0] for path in FOLDER.glob("*.dm")} == set(OFF)


@pytest.mark.parametrize("name", OFF)
def test_what_the_slides_have_wrong_is_found_in_one_pass(name: str) -> None:
    found = check(_table(name))
    off = sorted((each.code, each.span.line) for each in found if each.severity is not Severity.NOTE)
    assert off == OFF[name]
    assert sorted(each.code for each in found if each.severity is Severity.NOTE) == NOTES.get(name, [])


@pytest.mark.parametrize("name", [name for name, off in OFF.items() if off])
def test_mending_gives_the_table_that_was_meant(name: str) -> None:
    text = _table(name)
    mended, applied = apply_fixes(text, check(text))
    assert [each.code for each in applied] == [each.code for each in check(text) if each.severity is not Severity.NOTE]
    assert mended == _table(f"{name}.fixed")
    assert [each.code for each in check(mended) if each.severity is not Severity.NOTE] == []


def test_the_words_of_the_slides_stand_as_printed() -> None:
    assert _table("linear-striped") == (
        "0 1024 linear /dev/sda1 40 1024 2048 striped 2 64 /dev/sda1 1064 /dev/sdb1 0\n"
    )
    assert _table("zero-error") == "0 1024 zero\n 1024 1000 error\n"
    assert _table("replicator-second").splitlines()[2:6] == [
        "\\local 2 0 async ios=0 \\",
        "2 1 /dev/local_vg/lvol1 \\",
        "- 0",
        "\\",
    ]
