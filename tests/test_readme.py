"""The README begins with how to begin; what it shows is run as that of other pages is."""

from __future__ import annotations

from tests.documents import ROOT


def test_the_first_thing_said_is_how_to_begin() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert lines[2:4] == [line for line in lines if "    make " in line]
