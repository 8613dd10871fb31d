"""Three ways to play a recorded case: our verbs in this process, our verbs over a socket, and the stock dmsetup.

The first runs on a simulated clock. The others run on a served machine as a daemon has it, with real threads,
and reach the mds by their nodes.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from errno import ENOENT, ENXIO
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from dmtable.cli.dmsetup import run
from dmtable.control.machine import Machine, local_machine
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.md_file import MdFile
from dmtable.errors import IoctlError
from dmtable.sim.runtime import SimRuntime
from tests.kernel.disks import Disks

Answer = dict[str, Any]
PATIENCE_SECONDS = 4.0
"""How long the recording waited for an answer before it called a step blocked."""


class BlockFile(Protocol):
    """An open node."""

    def seek(self, offset: int, whence: int = 0) -> int: ...
    def readinto(self, buffer: bytearray) -> int | None: ...
    def write(self, data: bytes) -> int | None: ...
    def fsync(self) -> None: ...


class Lane(ABC):
    """A machine of its own for one case."""

    mapper: DeviceMapper

    @abstractmethod
    def dmsetup(self, words: Sequence[str], stdin: str) -> Answer: ...

    @abstractmethod
    def opened(self, name: str, *, for_writing: bool) -> AbstractContextManager[BlockFile]:
        """The node of an md, open. Raises OSError as open() would."""

    @abstractmethod
    def attempt(self, step: Callable[[], Answer], *, killed: bool) -> Answer | None:
        """What a step answers; None where there is no answer in time. Then it goes on, or is `killed`."""

    @abstractmethod
    def sleep(self, seconds: float) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class VerbsLane(Lane):
    """Our verbs on a simulated machine."""

    def __init__(self, disks: Disks, folder: Path) -> None:
        self._runtime = SimRuntime()
        self.mapper = DeviceMapper(runtime=self._runtime)
        self._machine = local_machine(self.mapper)
        disks.add_to(self.mapper)

    def dmsetup(self, words: Sequence[str], stdin: str) -> Answer:
        return _our_verbs(words, self._machine, stdin)

    @contextmanager
    def opened(self, name: str, *, for_writing: bool) -> Iterator[MdFile]:
        path = f"/dev/mapper/{name}"
        dev = self._machine.dev.nodes.get(name)
        if dev is None:
            raise OSError(ENOENT, os.strerror(ENOENT), path)
        md = self.mapper.by_number(dev)
        if md is None or self._machine.dev.block_name(dev) is None:
            raise OSError(ENXIO, os.strerror(ENXIO), path)
        with md.open() as file:
            yield file

    def attempt(self, step: Callable[[], Answer], *, killed: bool) -> Answer | None:
        process = self._runtime.spawn(step)
        self._runtime.pass_time(PATIENCE_SECONDS, until=lambda: process.done)
        if process.done:
            outcome: Answer = process.result()
            return outcome
        process.killed = killed
        return None

    def sleep(self, seconds: float) -> None:
        self._runtime.pass_time(seconds)

    def close(self) -> None:
        # What waits for a suspended device must end before the devices do. Twice: the first resume of a
        # device may fail, with a table that does not fit.
        for md in (*self.mapper, *self.mapper):
            if md.live is not None:
                self._runtime.spawn(partial(_resume, self.mapper, md))
        self._runtime.settle()
        self.mapper.close()


def _resume(mapper: DeviceMapper, md: MappedDevice) -> None:
    with suppress(OSError, IoctlError):
        mapper.resume(md)


def _our_verbs(words: Sequence[str], machine: Machine, stdin: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    code = run(words, machine, io.StringIO(stdin), out, err, environ={})
    return {"rc": code, "out": out.getvalue(), "err": err.getvalue()}


LANES: Mapping[str, Callable[[Disks, Path], Lane]] = {"verbs": VerbsLane}
