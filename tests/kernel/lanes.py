"""Three ways to play a recorded case: our verbs in this process, our verbs over a socket, and the stock dmsetup.

The first runs on a simulated clock. The others run on a served machine as a daemon has it, with real threads,
and reach the mds by their nodes.
"""

from __future__ import annotations

import io
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from errno import ENOENT, ENXIO
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

from dmtable.cli.dmsetup import main
from dmtable.control.exec.supervisor import Supervisor
from dmtable.control.folder import MachineFolder
from dmtable.control.machine import FolderTransport, Machine, folder_machine, local_machine
from dmtable.control.server import Server
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.md_file import MdFile
from dmtable.core.registry import Registry
from dmtable.core.target import Target
from dmtable.errors import IoctlError
from dmtable.nodes.nodes import Nodes
from dmtable.sim.runtime import SimRuntime
from tests.kernel.disks import Disks

Answer = dict[str, Any]
PATIENCE_SECONDS = 4.0
"""How long the recording waited for an answer before it called a step blocked."""


_LOG_SECONDS = 0.02
"""How long the recording waited for what the kernel's log had to say of a step."""


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


class _RecordedKernel(Registry):
    """The targets of the kernel that answered, as it listed them, whether they run here or not."""

    _TARGETS: ClassVar = {
        "switch": (1, 1, 0),
        "crypt": (1, 24, 0),
        "raid": (1, 15, 1),
        "thin-pool": (1, 22, 0),
        "thin": (1, 22, 0),
        "multipath": (1, 14, 0),
        "log-writes": (1, 1, 0),
        "flakey": (1, 5, 0),
        "delay": (1, 3, 0),
        "zero": (1, 1, 0),
        "snapshot-merge": (1, 5, 0),
        "snapshot-origin": (1, 9, 0),
        "snapshot": (1, 16, 0),
        "mirror": (1, 14, 0),
        "striped": (1, 6, 0),
        "linear": (1, 4, 0),
        "error": (1, 5, 0),
    }

    def runnable(self, name: str) -> type[Target] | None:
        if name not in self._TARGETS:
            return None
        return super().runnable(name) or type("OfKernel", (Target,), {"name": name, "version": self._TARGETS[name]})

    def listed(self) -> list[type[Target]]:
        return [target for name in self._TARGETS if (target := self.runnable(name)) is not None]


class VerbsLane(Lane):
    """Our verbs on a simulated machine."""

    def __init__(self, disks: Disks, folder: Path) -> None:
        self._runtime = SimRuntime()
        self.mapper = DeviceMapper(runtime=self._runtime, registry=_RecordedKernel())
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
    code = main(words, machine, io.StringIO(stdin), out, err, environ={})
    return {"rc": code, "out": out.getvalue(), "err": err.getvalue()}


class ServedLane(Lane):
    """A machine as the daemon serves it: a socket, nodes, threads and real time."""

    def __init__(self, disks: Disks, folder: Path) -> None:
        self._folder = MachineFolder(str(folder / "machine"))
        self._folder.make()
        self._killed = threading.Event()
        with ExitStack() as ends:
            self.mapper = ends.enter_context(DeviceMapper(registry=_RecordedKernel()))
            disks.add_to(self.mapper)
            ends.enter_context(Nodes(self.mapper, Path(self._folder.mapper)))
            ends.enter_context(Server(self.mapper, self._folder.socket))
            self._ends = ends.pop_all()

    @contextmanager
    def opened(self, name: str, *, for_writing: bool) -> Iterator[BlockFile]:
        with self._machine() as machine:
            dev = machine.dev.nodes.get(name)
        if dev is None:
            raise OSError(ENOENT, os.strerror(ENOENT), f"/dev/mapper/{name}")
        md = self.mapper.by_number(dev)
        if md is None or not md.limits_known:
            raise OSError(ENXIO, os.strerror(ENXIO), f"/dev/mapper/{name}")
        if md.live is None:
            # There is no file for a device without a size.
            with md.open() as nothing:
                yield nothing
            return
        mode = "r+" if for_writing else "r"
        with io.FileIO(f"{self._folder.mapper}/{md.name}", mode) as file:
            yield _Node(file, self._killed)

    @contextmanager
    def _machine(self) -> Iterator[Machine]:
        """A client of its own: whoever waits keeps his connection."""
        with FolderTransport(self._folder) as transport:
            yield folder_machine(transport)

    def attempt(self, step: Callable[[], Answer], *, killed: bool) -> Answer | None:
        answers: list[Answer] = []

        def answer() -> None:
            with suppress(_Killed):
                answers.append(step())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        thread.join(PATIENCE_SECONDS)
        time.sleep(_LOG_SECONDS)
        if answers:
            return answers[0]
        if killed:
            self._killed.set()
            self._killed = threading.Event()
        return None

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        for md in (*self.mapper, *self.mapper):
            if md.live is not None and md.suspended:
                _resume(self.mapper, md)
        self._ends.close()


class SocketLane(ServedLane):
    """Our verbs over the socket."""

    def dmsetup(self, words: Sequence[str], stdin: str) -> Answer:
        with self._machine() as machine:
            return _our_verbs(words, machine, stdin)


class StockLane(ServedLane):
    """The stock dmsetup, its system calls answered."""

    def __init__(self, disks: Disks, folder: Path) -> None:
        super().__init__(disks, folder)
        self._supervisor = Supervisor(self._folder)
        self._ends.callback(self._supervisor.close)

    def dmsetup(self, words: Sequence[str], stdin: str) -> Answer:
        done = self._supervisor.run(["dmsetup", *words], stdin=stdin, environ=_BARE)
        return {"rc": done.returncode, "out": done.stdout, "err": done.stderr}


class _Killed(BaseException):
    """Ends a step that was killed."""


class _Node:
    """An open node. Whoever uses it ends when he is killed, though not before the I/O that he is in."""

    def __init__(self, file: io.FileIO, killed: threading.Event) -> None:
        self._file = file
        self._killed = killed

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            # Not by lseek(2): for a file, FUSE holds that up while somebody else writes.
            offset += os.fstat(self._file.fileno()).st_size
        return self._file.seek(offset)

    def readinto(self, buffer: bytearray) -> int | None:
        try:
            return self._file.readinto(buffer)
        finally:
            self._end_if_killed()

    def write(self, data: bytes) -> int | None:
        try:
            return self._file.write(data)
        finally:
            self._end_if_killed()

    def fsync(self) -> None:
        os.fsync(self._file.fileno())
        self._end_if_killed()

    def _end_if_killed(self) -> None:
        if self._killed.is_set():
            raise _Killed


_BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


LANES: Mapping[str, Callable[[Disks, Path], Lane]] = {"verbs": VerbsLane, "socket": SocketLane, "stock": StockLane}
