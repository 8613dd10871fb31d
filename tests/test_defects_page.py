"""The page on the defects of the original names tests and planted defects that exist."""

from __future__ import annotations

import re

from tests.documents import ROOT
from tests.proving.replicator_defects import BY_NAMED_TESTS, DEFECTS

PAGE = (ROOT / "docs" / "explanation" / "defects.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| original")]


def test_every_row_says_what_would_find_the_defect() -> None:
    assert not [row for row in ROWS if "planted: *" not in row and "`tests/" not in row]


def test_every_planted_defect_that_is_named_is_planted() -> None:
    named = {name for row in ROWS for name in re.findall(r"\*([^*]+)\*", row.rpartition(" | ")[2])}
    assert named
    assert named <= {defect.name for defect in DEFECTS} | {*BY_NAMED_TESTS}


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert named
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).exists(), f"{path}::{test}"
