"""The bio: one request on its way through the stack, and how it travels without recursion.

A stack may be thousands of mds deep, so a submit inside a submit is queued and not called, as the
kernel does with current->bio_list; the same holds for completions.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from dmtable.io.device import BlockDevice
from dmtable.units import SECTOR_SHIFT


class Op(Enum):
    """What a bio asks for."""

    READ = auto()
    WRITE = auto()
    FLUSH = auto()
    DISCARD = auto()
    WRITE_ZEROES = auto()


class Bio:
    """One request. `sector` and `sectors` count 512 bytes and are rewritten by each target on the way down.

    `data` is the memory to fill or to write, exactly `sectors` long, None where there is none to move.
    `fua` asks that the write be durable when it completes. `error` is a positive errno once `done`.
    """

    __slots__ = ("_callbacks", "data", "device", "done", "error", "fua", "given_back", "op", "sector", "sectors")

    def __init__(self, op: Op, sector: int, sectors: int, data: memoryview | None = None, *, fua: bool = False) -> None:
        self.op = op
        self.sector = sector
        self.sectors = sectors
        self.data = data
        self.fua = fua
        self.device: BlockDevice | None = None
        self.error = 0
        self.done = False
        self.given_back = False
        self._callbacks: list[Callable[[], None]] = []

    def __str__(self) -> str:
        return f"{self.op.name} of {self.sectors} sectors at {self.sector}" if self.sectors else self.op.name

    def part(self, skip_sectors: int, sectors: int) -> Bio:
        """A bio for some sectors of this one; it shares the memory and completes on its own."""
        data = self.data
        if data is not None:
            data = data[skip_sectors << SECTOR_SHIFT : (skip_sectors + sectors) << SECTOR_SHIFT]
        return Bio(self.op, self.sector + skip_sectors, sectors, data, fua=self.fua)

    def on_done(self, callback: Callable[[], None]) -> None:
        """Calls back when the bio is done, at once where it is; the callback must not block."""
        self._callbacks.append(callback)
        if self.done:
            self._drain_callbacks()

    def complete(self, error: int = 0) -> None:
        """Ends the bio, once; `error` is a positive errno. Callbacks run before the outermost call returns."""
        self.error = error
        self.done = True
        run_flat(self._drain_callbacks)

    def give_back(self) -> None:
        """Ends a bio that its target cannot complete while the md suspends with noflush (DM_ENDIO_REQUEUE).

        The md keeps the whole request and maps it again when it resumes; at any other time it fails with EIO.
        """
        self.given_back = True
        self.complete()

    def _drain_callbacks(self) -> None:
        # Appending before the test of `done`, and popping after it was set, leaves each callback to exactly
        # one of the two threads that may be here.
        while self._callbacks:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:
                return
            callback()


class AcceptsBio(Protocol):
    """A device that takes bios itself, as an md does; others are served by plain calls."""

    def accept(self, bio: Bio) -> None: ...


class _Running(threading.local):
    steps: deque[Callable[[], None]] | None = None


_running = _Running()


def run_flat(step: Callable[[], None]) -> None:
    """Runs the step, or queues it where this thread is already inside one: depth of stacks, not of calls.

    A step that raises does not keep the others from running, for bios wait for them; the last error is raised.
    """
    steps = _running.steps
    if steps is not None:
        steps.append(step)
        return
    steps = _running.steps = deque((step,))
    failed: BaseException | None = None
    while steps:
        try:
            steps.popleft()()
        except BaseException as error:
            failed = error
    _running.steps = None
    if failed is not None:
        raise failed


def submit(device: BlockDevice, bio: Bio) -> None:
    """Sends a bio to a device. Never blocks on another bio; the outcome is in the bio."""
    bio.device = device
    accept: Callable[[Bio], None] | None = getattr(device, "accept", None)
    if accept is not None:
        run_flat(lambda: accept(bio))
    else:
        run_flat(lambda: serve(device, bio))


def serve(device: BlockDevice, bio: Bio) -> None:
    """Carries a bio out by plain calls to the device, and completes it."""
    offset, length = bio.sector << SECTOR_SHIFT, bio.sectors << SECTOR_SHIFT
    try:
        if bio.op is Op.READ:
            assert bio.data is not None
            device.pread_into(bio.data, offset)
        elif bio.op is Op.WRITE:
            assert bio.data is not None
            device.pwrite(bio.data, offset)
            if bio.fua:
                device.flush()
        elif bio.op is Op.FLUSH:
            device.flush()
        elif bio.op is Op.DISCARD:
            device.discard(offset, length)
        else:
            device.write_zeroes(offset, length)
    except OSError as error:
        bio.complete(error.errno or errno.EIO)
    except BaseException:
        # An interrupt, perhaps: the bio is over all the same, or no suspend could ever end.
        bio.complete(errno.EIO)
        raise
    else:
        bio.complete()
