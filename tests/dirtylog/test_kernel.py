"""Dirty logs against recordings of a real kernel: words, states, and bytes on the log device."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dmtable.core.devices import DmDev
from dmtable.core.target import StatusKind
from dmtable.dirtylog import kinds
from dmtable.dirtylog.format import read_clean
from dmtable.dirtylog.log import DirtyLog, Place
from dmtable.errors import DeviceLookupError
from dmtable.io.memory import MemoryDevice
from tests.dirtylog.logs import MIRROR_REFUSES, Host, loop_disk
from tests.dirtylog.made import REGION_SECTORS, made_logs

FOLDER = Path(__file__).parents[2] / "fixtures" / "kernel"
_LOG_LINE = "device-mapper: dirty region log: "
_TABLE = re.compile(r"0 (\d+) mirror (\S+ \d+ .*?) 2 \{d0\}")
_STATUS = re.compile(r".* (\d+)/(\d+) 1 [AS]+ (.*)\n")


@cache
def cases(file: str) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in json.loads((FOLDER / f"{file}.json").read_text())["cases"]}


def answers(case: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [answer for step, answer in zip(case["steps"], case["answers"], strict=True) if kind in step[:2]]


# Words


def lookup(word: str) -> DmDev:
    """The disks of the cases about words."""
    sizes = {"7:0": 1024, "7:1": 1024, "7:2": 2, "7:3": 3}
    number = {"/dev/loop3": "7:3", "703": "7:3"}.get(word, word)
    if number not in sizes:
        raise DeviceLookupError(6, f"{word} does not exist")
    return DmDev((7, int(number[2:])), f"loop{number[2:]}", MemoryDevice(sizes[number] * 512))


@pytest.mark.parametrize("case", cases("dirtylog_words"))
def test_words_are_judged_as_the_kernel_did(case: str) -> None:
    if case in ("disk-all-wrong", "disk-no-number"):
        pytest.skip("the loop and md drivers invent a device for any number that they are asked for")
    recorded = cases("dirtylog_words")[case]
    text = recorded["steps"][0][4].replace("{path:d3}", "/dev/loop3")
    length, kind, count, rest = re.fullmatch(r"0 (\d+) mirror (\S+) (\d+) (.*)", text).groups()  # type: ignore[union-attr]
    words = re.sub(r"\{d(\d)\}", r"7:\1", rest).split()[: int(count)]
    params, findings = kinds.inspect(kind, words, Place(int(length), 2, MIRROR_REFUSES, lookup))
    first = next((finding.refusal for finding in findings if finding.refusal), None)
    if recorded["answers"][0]["rc"]:
        said = [line for line in recorded["answers"][0]["klog"] if line.startswith(_LOG_LINE)]
        assert params is None
        assert first is not None
        assert [f"device-mapper: {line}" for line in first.log] == said
        assert (first.errno, first.text) == (MIRROR_REFUSES.errno, MIRROR_REFUSES.text)
    else:
        assert first is None
        assert params is not None
        table = recorded["answers"][1]["out"]
        assert f" mirror {kind} {len(params.words())} " in table
        log_class = kinds.KINDS.find(kind)
        assert log_class is not None
        host = Host(lookup("7:3").device)
        host.get_device = lookup  # type: ignore[method-assign]
        log = log_class.construct(host, int(length), params)
        assert f" mirror {log.status(StatusKind.TABLE)}2 7:0" in table


# States and bytes


class Machine(Host):
    """A mirror that has a log and nothing else: regions whose second leg is good recover at once."""

    def __init__(self, case: dict[str, Any]) -> None:
        super().__init__(loop_disk("d3", case["disks"]["d3"]))
        self.good_regions = 0
        self.loaded: tuple[str, int] | None = None
        self.live: DirtyLog | None = None

    def play(self, step: list[Any]) -> dict[str, Any] | None:
        """The log's part of an answer; None where it has none."""
        kind, *words = step
        if kind == "poke":
            self.disk.pwrite(bytes.fromhex(words[2]), words[1] * 512)
        elif kind == "dump":
            return {"hex": self.disk.pread(words[2] * 512, words[1] * 512).hex()}
        elif kind == "dmsetup":
            return getattr(self, f"_{words[0]}", lambda *_: None)(*words[1:])
        return None

    def _create(self, name: str, _option: str, table: str) -> dict[str, Any] | None:
        if name == "bad":
            linear = re.match(r"0 (\d+) linear", table)
            self.good_regions = int(linear[1]) if linear else 0
            return None
        self._load(name, _option, table)
        return self._resume(name)

    def _load(self, _name: str, _option: str, table: str) -> None:
        length, words = _TABLE.match(table).groups()  # type: ignore[union-attr]
        self.loaded = words.replace("{d3}", "7:3"), int(length)
        if "{d1} 0" in table:
            self.good_regions = int(length)

    def _suspend(self, _name: str) -> None:
        assert self.live is not None
        self.live.postsuspend()

    def _remove(self, name: str) -> None:
        self._suspend(name)

    def _resume(self, _name: str) -> dict[str, Any]:
        begin = len(self.lines)
        if self.loaded is not None:
            self.live, self.loaded = self.construct(*self.loaded), None
        assert self.live is not None
        self.live.resume()
        said = [f"device-mapper: {line}" for line in self.lines[begin:]]
        for region in iter(self.live.get_resync_work, None):
            good = (region + 1) * self.live.region_size <= self.good_regions
            self.live.set_region_sync(region, good)
            if good:
                self.live.clear_region(region)
        self.live.flush()
        return {"klog": said}

    def _status(self, _name: str) -> dict[str, Any]:
        assert self.live is not None
        return {"counts": (self.live.sync_count, self.live.region_count), "log": self.live.status(StatusKind.INFO)}


_REPLAYED = [case for case in cases("dirtylog") if not case.startswith(("dirty", "log-"))]


@pytest.mark.parametrize("case", _REPLAYED)
def test_a_log_says_and_writes_what_the_kernels_did(case: str) -> None:
    recorded = cases("dirtylog")[case]
    machine = Machine(recorded)
    for step, answer in zip(recorded["steps"], recorded["answers"], strict=True):
        ours = machine.play(step)
        if ours is None:
            continue
        if "hex" in ours:
            assert ours["hex"] == answer["hex"], step
        elif "klog" in ours:
            assert ours["klog"] == [line for line in answer.get("klog", []) if line.startswith(_LOG_LINE)], step
        else:
            in_sync, regions, info = _STATUS.fullmatch(answer["out"]).groups()  # type: ignore[union-attr]
            assert (ours["counts"], ours["log"]) == ((int(in_sync), int(regions)), info), step


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


# And the reverse


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
