"""Disk logs that the kernel left behind are read here, and those made here were read by the kernel.

What a log says and writes within a mirror is compared where whole cases are played, in tests/kernel.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dmtable.dirtylog.format import read_clean
from dmtable.io.memory import MemoryDevice
from tests.dirtylog.logs import Host
from tests.dirtylog.made import REGION_SECTORS, made_logs

FOLDER = Path(__file__).parents[2] / "fixtures" / "kernel"
_STATUS = re.compile(r".* (\d+)/(\d+) 1 [AS]+ (.*)\n")


@cache
def cases(file: str) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in json.loads((FOLDER / f"{file}.json").read_text())["cases"]}


def answers(case: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [answer for step, answer in zip(case["steps"], case["answers"], strict=True) if kind in step[:2]]


@pytest.mark.parametrize("case", ["dirty-default", "dirty-nosync"])
def test_a_log_that_the_kernel_left_behind_names_the_regions_that_were_written(case: str) -> None:
    dirty = []
    for answer in answers(cases("dirtylog")[case], "dump"):
        disk = MemoryDevice(64 * 512)
        disk.pwrite(bytes.fromhex(answer["hex"]), 0)
        clean = read_clean(disk, "7:3")
        assert len(clean) == 40
        host = Host(disk)
        log = host.construct("disk 2 7:3 16", 640)
        log.resume()
        assert [log.in_sync(region) for region in range(40)] == list(map(bool, clean))
        dirty.append({region for region in range(40) if not clean[region]})
    assert dirty[:3] == [set(), {2}, {2, 12}], "regions are dirty while writes to them are held back"
    assert dirty[3:] == [set()] * len(dirty[3:])


def test_logs_made_here_are_those_that_the_kernel_was_given() -> None:
    assert {name: made.log.hex() for name, made in made_logs().items()} == {
        name: case["steps"][0][3] for name, case in cases("dirtylog_made").items()
    }


@pytest.mark.parametrize("case", cases("dirtylog_made"))
def test_the_kernel_takes_logs_made_here(case: str) -> None:
    made, recorded = made_logs()[case], cases("dirtylog_made")[case]
    assert f"0 {made.regions * REGION_SECTORS} mirror disk 2" in str(recorded["steps"])
    for status in answers(recorded, "status"):
        in_sync, regions, info = _STATUS.fullmatch(status["out"]).groups()  # type: ignore[union-attr]
        assert (int(in_sync), int(regions), info) == (made.clean, made.regions, "3 disk 7:3 A")
    assert not [line for answer in recorded["answers"] for line in answer.get("klog", []) if "dirty region" in line]
    assert answers(recorded, "dump")[0]["hex"] == made.log.hex(), "the kernel found nothing to change in it"
