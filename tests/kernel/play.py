"""Plays recorded kernel cases on the emulator: `python -m tests.kernel.play IN.json OUT.json`.

OUT has the cases of IN with the emulator's answers in place of the kernel's, so that the two files can be
compared as they are. The format is described in fixtures/kernel/README.md; one answer is our own:
`{"unsupported": true}` for a step that dmtable cannot do yet.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ENOENT, ENXIO
from functools import partial
from pathlib import Path
from typing import Any

from dmtable.cli.dmsetup import NotBuilt, run
from dmtable.control.machine import local_machine
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.md_file import MdFile
from dmtable.errors import IoctlError
from dmtable.sim.runtime import SimRuntime
from dmtable.units import SECTOR_BYTES
from tests.kernel.disks import Disks, origin, payload, substitute

Answer = dict[str, Any]

UNSUPPORTED: Answer = {"unsupported": True}
_PATIENCE_SECONDS = 4.0
"""How long the recording waited for an answer before it called a step blocked."""
_READ_SECTORS = 8
_MEMORY = "/dev/shm"
"""Where files cost least, if there is such a folder: each case writes its disks anew."""
_NOT_RUN = "dmtable does not run this target"
_ODD_IN_LOG = re.compile(r"[^ -\[\]-~]")
"""What /dev/kmsg, from which the log was recorded, writes in hexadecimal."""


def answers(case: dict[str, Any]) -> Iterator[Answer]:
    """The emulator's answers to the steps of a case, one by one."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.path.isdir(_MEMORY) else None) as folder:
        blank = all(step[0] == "dmsetup" for step in case["steps"])
        player = _Player(Disks(case.get("disks", {}), Path(folder), blank=blank))
        try:
            for step in case["steps"]:
                yield player.answer(step)
        finally:
            player.close()


class _Player:
    """A machine of its own for one case."""

    def __init__(self, disks: Disks) -> None:
        self._machine = SimRuntime()
        self._disks = disks
        self._mapper = DeviceMapper(runtime=self._machine)
        self._emulated = local_machine(self._mapper)
        self._disks.add_to(self._mapper)
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
        before = len(self._mapper.klog)
        answer = self._run(step)
        if log := list(self._mapper.klog)[before:]:
            if any(_NOT_RUN in line for line in log):
                return UNSUPPORTED
            answer = {**answer, "klog": [_ODD_IN_LOG.sub(_escaped, line) for line in log]}
        return answer

    def close(self) -> None:
        # What waits for a suspended device must end before the devices do. Twice: the first resume of a
        # device may fail, with a table that does not fit.
        for md in (*self._mapper, *self._mapper):
            if md.live is not None:
                self._machine.spawn(partial(_outcome, self._resume, [md]))
        self._machine.settle()
        self._mapper.close()
        self._disks.close()

    def _resume(self, md: MappedDevice) -> Answer:
        self._mapper.resume(md)
        return {}

    def _run(self, step: list[Any]) -> Answer:
        kind, *words = step
        if kind == "sleep":
            self._machine.pass_time(words[0])
            return {}
        process = self._machine.spawn(partial(_outcome, self._steps[kind], words))
        self._machine.pass_time(_PATIENCE_SECONDS, until=lambda: process.done)
        if process.done:
            outcome: Answer = process.result()
            return outcome
        # The recording killed the process that it had started. For dmsetup that was its own, and not dmsetup.
        process.killed = kind != "dmsetup"
        return {"blocked": True}

    def _dmsetup(self, *words: Any) -> Answer:
        stdin = ""
        if words and isinstance(words[-1], dict):
            stdin = substitute(words[-1]["stdin"])
            words = words[:-1]
        out, err = io.StringIO(), io.StringIO()
        code = run(
            [substitute(word) for word in words],
            self._emulated,
            io.StringIO(stdin),
            out,
            err,
            environ={},
        )
        return {"rc": code, "out": out.getvalue(), "err": err.getvalue()}

    def _map(self, name: str) -> Answer:
        with self._opened(name) as file:
            sectors = file.seek(0, os.SEEK_END) // SECTOR_BYTES
            runs: list[list[Any]] = []
            for at in range(0, sectors, _READ_SECTORS):
                count = min(_READ_SECTORS, sectors - at)
                for kind, where, length in _origins(file, at, count):
                    if runs and runs[-1][1] == kind and (kind in ("zero", "error") or sum(runs[-1][::2]) == where):
                        runs[-1][0] += length
                    else:
                        runs.append([length, kind, where])
        return {"sectors": sectors, "runs": runs}

    def _write(self, name: str, sector: int, count: int, seed: str) -> Answer:
        with self._opened(name) as file:
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

    @contextmanager
    def _opened(self, name: str) -> Iterator[MdFile]:
        """The node of an md, open. Raises OSError as open() would."""
        path = f"/dev/mapper/{name}"
        dev = self._emulated.dev.nodes.get(name)
        if dev is None:
            raise OSError(ENOENT, os.strerror(ENOENT), path)
        md = self._mapper.by_number(dev)
        if md is None or self._emulated.dev.block_name(dev) is None:
            raise OSError(ENXIO, os.strerror(ENXIO), path)
        with md.open() as file:
            yield file


def _origins(file: MdFile, at: int, count: int) -> Iterator[tuple[str, int, int]]:
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
    except NotBuilt:
        return UNSUPPORTED
    except (OSError, IoctlError) as error:
        return {"exception": f"{type(error).__name__}: {error}"}


def main(source: str, target: str) -> None:
    recording = json.loads(Path(source).read_text())
    for case in recording["cases"]:
        case["answers"] = list(answers(case))
    Path(target).write_text(json.dumps(recording))


if __name__ == "__main__":
    main(*sys.argv[1:])
