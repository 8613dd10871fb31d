"""Plays recorded kernel cases on the emulator: `python -m tests.kernel.play [--lane LANE] IN.json OUT.json`.

OUT has the cases of IN with the emulator's answers in place of the kernel's, so that the two files can be
compared as they are. The format is described in fixtures/kernel/README.md; one answer is our own:
`{"unsupported": true}` for a step that dmtable cannot do yet. The lanes are those of lanes.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dmtable.errors import IoctlError
from tests.kernel.disks import Disks
from tests.kernel.lanes import LANES, Answer, BlockFile, Lane, VerbsLane
from tests.kernel.patterns import SECTOR_BYTES, Runs, origin, payload, substitute

UNSUPPORTED: Answer = {"unsupported": True}
_READ_SECTORS = 8
_MEMORY = "/dev/shm"
"""Where files cost least, if there is such a folder: each case writes its disks anew."""
_NOT_RUN = "dmtable does not run this target"
_ODD_IN_LOG = re.compile(r"[^ -\[\]-~]")
"""What /dev/kmsg, from which the log was recorded, writes in hexadecimal."""


def answers(case: dict[str, Any], lane: Callable[[Disks, Path], Lane] = VerbsLane) -> Iterator[Answer]:
    """The emulator's answers to the steps of a case, one by one."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.path.isdir(_MEMORY) else None) as folder:
        blank = all(step[0] == "dmsetup" for step in case["steps"])
        disks = Disks(case.get("disks", {}), Path(folder), blank=blank)
        machine = lane(disks, Path(folder))
        try:
            player = _Player(disks, machine)
            for step in case["steps"]:
                yield player.answer(step)
        finally:
            machine.close()
            disks.close()


class _Player:
    """A machine of its own for one case."""

    def __init__(self, disks: Disks, lane: Lane) -> None:
        self._disks = disks
        self._lane = lane
        self._steps: dict[str, Callable[..., Answer]] = {
            "dmsetup": self._dmsetup,
            "map": self._map,
            "write": self._write,
            "digest": self._digest,
            "dump": self._dump,
            "poke": self._poke,
        }

    def answer(self, step: list[Any]) -> Answer:
        """What the step answers, and what the kernel's log says meanwhile."""
        klog = self._lane.mapper.klog
        before = len(klog)
        answer = self._run(step)
        if log := list(klog)[before:]:
            if any(_NOT_RUN in line for line in log):
                return UNSUPPORTED
            answer = {**answer, "klog": [_ODD_IN_LOG.sub(_escaped, line) for line in log]}
        return answer

    def _run(self, step: list[Any]) -> Answer:
        kind, *words = step
        if kind == "sleep":
            self._lane.sleep(words[0])
            return {}
        # The recording killed the process that it had started. For dmsetup that was its own, and not dmsetup.
        answer = self._lane.attempt(partial(_outcome, self._steps[kind], words), killed=kind != "dmsetup")
        return {"blocked": True} if answer is None else answer

    def _dmsetup(self, *words: Any) -> Answer:
        stdin = ""
        if words and isinstance(words[-1], dict):
            stdin = substitute(words[-1]["stdin"])
            words = words[:-1]
        answer = self._lane.dmsetup([substitute(word) for word in words], stdin)
        for stream in ("out", "err"):
            # As the recording read them.
            answer[stream].encode("utf-8", "surrogateescape").decode()
        return answer

    def _map(self, name: str) -> Answer:
        with self._lane.opened(name, for_writing=False) as file:
            sectors = file.seek(0, os.SEEK_END) // SECTOR_BYTES
            runs = Runs()
            for at in range(0, sectors, _READ_SECTORS):
                for kind, where, count in _origins(file, at, min(_READ_SECTORS, sectors - at)):
                    runs.add(kind, where, count)
        return {"sectors": sectors, "runs": runs.runs}

    def _write(self, name: str, sector: int, count: int, seed: str) -> Answer:
        with self._lane.opened(name, for_writing=True) as file:
            try:
                file.seek(sector * SECTOR_BYTES)
                written = file.write(payload(seed, count * SECTOR_BYTES))
                file.fsync()
            except OSError as error:
                return {"errno": error.errno, "error": os.strerror(error.errno or 0)}
        return {"written": written}

    def _digest(self, disk: str) -> Answer:
        return {"sha256": hashlib.sha256(self._disks.path(disk).read_bytes()).hexdigest()}

    def _dump(self, disk: str, sector: int, count: int) -> Answer:
        begin = sector * SECTOR_BYTES
        return {"hex": self._disks.path(disk).read_bytes()[begin : begin + count * SECTOR_BYTES].hex()}

    def _poke(self, disk: str, sector: int, content: str) -> Answer:
        with open(self._disks.path(disk), "r+b") as file:
            file.seek(sector * SECTOR_BYTES)
            file.write(bytes.fromhex(content))
        return {}


def _origins(file: BlockFile, at: int, count: int) -> Iterator[tuple[str, int, int]]:
    """(origin, first sector there, number of sectors) of what one read brings."""
    buffer = bytearray(count * SECTOR_BYTES)
    try:
        file.seek(at * SECTOR_BYTES)
        file.readinto(buffer)
    except OSError:
        yield "error", 0, count
        return
    for begin in range(0, len(buffer), SECTOR_BYTES):
        yield *origin(bytes(buffer[begin : begin + SECTOR_BYTES])), 1


def _escaped(odd: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in odd[0].encode("utf-8", "surrogateescape"))


def _outcome(step: Callable[..., Answer], words: list[Any]) -> Answer:
    try:
        return step(*words)
    except (OSError, IoctlError, UnicodeDecodeError) as error:
        return {"exception": f"{type(error).__name__}: {error}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lane", choices=LANES, default="verbs")
    parser.add_argument("source", type=Path, metavar="IN.json")
    parser.add_argument("target", type=Path, metavar="OUT.json")
    args = parser.parse_args()
    recording = json.loads(args.source.read_text())
    for case in recording["cases"]:
        case["answers"] = list(answers(case, LANES[args.lane]))
    args.target.write_text(json.dumps(recording))


if __name__ == "__main__":
    main()
