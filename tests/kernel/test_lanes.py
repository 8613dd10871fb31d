"""The recorded cases once more, over the daemon's socket and by the stock dmsetup.

Every sixth of them; `DMTABLE_LANES=1` plays all, as `make lanes` does.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.lanes import LANES
from tests.kernel.play import answers

FOLDER = Path(__file__).parents[2] / "fixtures" / "kernel"
FILES = ("valid", "broken", "mirrors", "broken_mirror", "mirror_fault", "stacked", "control")
EVERY = 1 if os.environ.get("DMTABLE_LANES") else 6

pytestmark = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened")


@cache
def recording(file: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FOLDER / f"{file}.json").read_text())["cases"]
    return cases


def some_cases() -> Iterator[Any]:
    for file in FILES:
        for number, case in enumerate(recording(file)):
            if number % EVERY == 0:
                yield pytest.param(case, id=f"{file}:{case['id']}")


@pytest.mark.parametrize("lane", [lane for lane in LANES if lane != "verbs"])
@pytest.mark.parametrize("case", list(some_cases()))
def test_the_answers_are_the_kernels(case: dict[str, Any], lane: str) -> None:
    if lane == "stock" and not shutil.which("dmsetup", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        pytest.skip("the stock dmsetup is not installed: apt-get install dmsetup")
    played = answers(case, LANES[lane])
    for step, expected, answer in zip(case["steps"], case["answers"], played, strict=True):
        assert answer == expected, step
