"""The mapped device: a live and an inactive table, suspend and resume, and I/O on top.

I/O goes one of two ways. The quick one is the compiled map of `compiled.py`: static sectors, straight
to the devices at the bottom. The other carries bios from target to target as the kernel does, and is
always right: it serves targets that must see each bio, holds what comes while the md is suspended,
and words the errors.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Protocol

from dmtable.core.bio import Bio, Op, run_flat, submit
from dmtable.core.compiled import CompiledIo, SlowWay, compile_io
from dmtable.core.devices import DmDev
from dmtable.core.events import EventCounter
from dmtable.core.extents import ExtentMap
from dmtable.core.md_file import MdFile
from dmtable.core.numbers import Number
from dmtable.core.table import LiveTable, size_bytes
from dmtable.core.target import MapResult, Target
from dmtable.io.device import BlockDevice, Buffer
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

if TYPE_CHECKING:
    from dmtable.runtime.runtime import Condition, Runtime

_ODD = SECTOR_BYTES - 1


class Owner(Protocol):
    """What an md asks of the device-mapper that made it, which alone sees the whole stack."""

    @property
    def runtime(self) -> Runtime: ...

    def recompile(self, md: MappedDevice) -> None:
        """Compiles the md's map, where everything it needs is running."""

    @property
    def events(self) -> EventCounter: ...

    def last_close(self, md: MappedDevice) -> None:
        """Nobody has the md open any more."""


class MappedDevice(BlockDevice):
    """A device made of tables. Created, loaded and removed by a DeviceMapper; I/O is called on it directly.

    Offsets and lengths are bytes and multiples of 512, else OSError EINVAL. As at a device node, a read
    at the end comes back short, a write there short or with ENOSPC. A suspended md makes its callers
    wait. A removed one answers ENXIO.
    """

    def __init__(self, owner: Owner, number: Number, name: str, uuid: str) -> None:
        self._owner = owner
        self.number = number
        self.name = name
        self.uuid = uuid
        self.live: LiveTable | None = None
        self.inactive: LiveTable | None = None
        self.suspended = False
        self.event_nr = 0
        self.open_count = 0
        self._claims = 0
        self.ending = False
        """A removal is under way: it cannot be opened any more (kernel: DMF_DELETING)."""
        self.removed = False
        self._parting = False
        self.holders = 0
        """How many look at its tables and keep them from going with the md."""
        self.deferred_remove = False
        self.limits_known = False
        """Whether a table was ever accepted: only the first one's limits are judged when it is loaded."""
        self.compiled: CompiledIo | None = None
        self.built_over: dict[MappedDevice, None] = {}
        """The mds whose compiled maps stand on this one's table, in no order that matters."""
        self.opened: dict[Number, tuple[DmDev, int]] = {}
        """Each device that its tables use, those under construction too, and how many; it is opened once for all."""
        self.changing = owner.runtime.lock()
        """Held while the md suspends, resumes or swaps tables, as the kernel's suspend_lock."""
        self.loading = owner.runtime.lock()
        """Held while the inactive slot changes, which it may while the md waits to be suspended."""
        self._io: Condition = owner.runtime.condition(interruptible=True)
        self._blocked = False
        self.keeps_given_back = False
        """During a noflush suspend, and until the md resumes: bios that targets give back are kept."""
        self._in_flight = 0
        self._held: deque[Bio] = deque()

    @property
    def dm_dev(self) -> DmDev:
        """This md as a device that a table may use."""
        return DmDev(self.number, f"dm-{self.number[1]}", self)

    @property
    def size_bytes(self) -> int:
        return size_bytes(self.live)

    @property
    def running(self) -> bool:
        """Whether I/O passes: a live table, and no suspend in force or under way."""
        return self.live is not None and not self._blocked

    def __repr__(self) -> str:
        state = "removed" if self.removed else "suspended" if self.suspended else "active"
        return f"<md {self.name} {self.number[0]}:{self.number[1]} {state}>"

    def swap(self, table: LiveTable) -> LiveTable | None:
        """Makes a table the live one and returns the one that was (kernel: __bind)."""
        old, self.live = self.live, table
        self.read_only = table.read_only
        self.logical_block_size = table.block_sectors << SECTOR_SHIFT
        return old

    # I/O. A compiled map replaces these methods on the instance; they remain for what it does not serve.

    def pread(self, length: int, offset: int) -> bytes:
        length = self._inside(offset, length)
        buffer = bytearray(length)
        if length:
            self._transfer(Op.READ, offset, memoryview(buffer))
        return bytes(buffer)

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        view = memoryview(buffer).cast("B")
        length = self._inside(offset, len(view))
        if length:
            self._transfer(Op.READ, offset, view[:length])
        return length

    def pwrite(self, data: Buffer, offset: int) -> int:
        view = memoryview(data).cast("B")
        self._check_writable()
        length = self._inside(offset, len(view))
        if length:
            self._transfer(Op.WRITE, offset, view[:length])
        elif len(view):
            raise _os_error(errno.ENOSPC)
        return length

    def flush(self) -> None:
        self._prepare()
        self._wait_for(Bio(Op.FLUSH, 0, 0))

    def discard(self, offset: int, length: int) -> None:
        self._on_range(Op.DISCARD, offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        self._on_range(Op.WRITE_ZEROES, offset, length)

    def submit(self, bio: Bio) -> None:
        """Sends a bio; never blocks. `bio.on_done` tells when it is done, `bio.error` how."""
        submit(self, bio)

    def open(self) -> MdFile:
        """A file object on the md. While it is open the md counts as used, and cannot be removed."""
        self.opened_by(1)
        return MdFile(self, lambda: self.opened_by(-1))

    def close(self) -> None:
        """Nothing: an md ends when its DeviceMapper removes it."""

    # The bios' own way.

    def accept(self, bio: Bio) -> None:
        """Takes a bio, or keeps it until the md resumes (kernel: dm_submit_bio)."""
        with self._io:
            if self._blocked and not self.removed:
                self._held.append(bio)
                return
            self._in_flight += 1
            table = self.live
        if table is None:
            self._done(bio, errno.EIO)
        else:
            _Split(self, bio, table).start()

    def hold_io(self) -> None:
        """From now on bios are kept; returns at once."""
        with self._io:
            self._blocked = True

    def wait_idle(self) -> None:
        """Returns when no bio is in flight. Raises InterruptedError."""
        with self._io:
            while self._in_flight:
                self._io.wait()

    def release_io(self) -> None:
        """Bios pass again; those that were kept go first, in their order."""
        with self._io:
            self._blocked = self.keeps_given_back = False
            held, self._held = self._held, deque()

        def accept_all() -> None:
            for bio in held:
                run_flat(partial(self.accept, bio))

        # Inside one run: a callback of one bio that raises does not lose the others.
        run_flat(accept_all)

    def finish(self, bio: Bio, error: int, *, requeue: bool) -> None:
        """Ends a bio of this md, or keeps it for the next resume where its target asked for that."""
        with self._io:
            if requeue and self.keeps_given_back:
                self._held.append(bio)
                self._leave()
                return
        self._done(bio, errno.EIO if requeue else error)

    def event(self) -> None:
        """Something happened that `dmsetup wait` waits for (kernel: dm_table_event)."""
        with self._io:
            self.event_nr += 1
            self._io.notify_all()
        self._owner.events.happened()

    def wait_event(self, event_nr: int) -> None:
        """Returns when the event counter differs from `event_nr`, or the md is removed. Raises InterruptedError."""
        with self._io:
            while self.event_nr == event_nr and not self._parting:
                self._io.wait()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile a removal may begin, which ends what waits for events, but the tables stay (kernel: dm_get)."""
        with self._io:
            self.holders += 1
        try:
            yield
        finally:
            with self._io:
                self.holders -= 1
                self._io.notify_all()

    def part(self) -> None:
        """The md's names are gone: whoever waits for events is told so, and has seen its tables when this returns."""
        with self._io:
            self._parting = True
            self._io.notify_all()
            while self.holders:
                # It is too late to take a removal back.
                with suppress(InterruptedError):
                    self._io.wait()

    def end(self) -> None:
        """The md is gone: whoever waits is told so."""
        with self._io:
            self.ending = self.removed = self._parting = True
            self._io.notify_all()
        self.release_io()

    def _done(self, bio: Bio, error: int) -> None:
        with self._io:
            self._leave()
        bio.complete(error)

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._io.notify_all()

    # Blocking calls over bios.

    def _inside(self, offset: int, length: int) -> int:
        """How much of the range lies on the device. Raises OSError EINVAL where it is not of whole sectors."""
        if offset < 0 or length < 0 or (offset | length) & _ODD:
            raise _os_error(errno.EINVAL)
        self._prepare()
        return max(min(length, self.size_bytes - offset), 0)

    def _on_range(self, op: Op, offset: int, length: int) -> None:
        self._check_writable()
        if self._inside(offset, length) < length:
            raise _os_error(errno.EINVAL)
        if length:
            self._wait_for(Bio(op, offset >> SECTOR_SHIFT, length >> SECTOR_SHIFT))

    def _transfer(self, op: Op, offset: int, view: memoryview) -> None:
        self._wait_for(Bio(op, offset >> SECTOR_SHIFT, len(view) >> SECTOR_SHIFT, view))

    def _wait_for(self, bio: Bio) -> None:
        submit(self, bio)
        self._owner.runtime.wait(bio)
        if bio.error:
            raise _os_error(bio.error)

    def _check_writable(self) -> None:
        if self.read_only:
            raise _os_error(errno.EPERM)

    def _prepare(self) -> None:
        """Whoever comes here found no compiled map: the next one shall, where the md can have one."""
        if self.removed:
            raise _os_error(errno.ENXIO)
        if self.compiled is None and self.running:
            self._owner.recompile(self)

    def _slow_way(self) -> SlowWay:
        """The methods of the class, whatever the instance has in their place."""
        cls = MappedDevice
        return SlowWay(*(getattr(cls, field.name).__get__(self) for field in fields(SlowWay)))

    def compile(self, extents: ExtentMap) -> None:
        """I/O goes through this map, compiled, until it is killed."""
        compiled = compile_io(extents, self._slow_way(), self._io, read_only=self.read_only)
        self.compiled = compiled
        for field in fields(SlowWay):
            setattr(self, field.name, getattr(compiled, field.name))

    # Opens.

    def opened_by(self, count: int, *, alone: bool = False) -> None:
        """Counts an open (1) or a close (-1). An open raises OSError ENXIO where the md is being removed.

        With `alone` it is one for whoever wants no table and nobody like him beside himself (O_EXCL): else EBUSY.
        """
        self._count_open(count, -count if alone else 0)

    def claim(self) -> None:
        self._count_open(1, 1)

    def release(self) -> None:
        self._count_open(-1, -1)

    def _count_open(self, count: int, claims: int) -> None:
        """`claims` counts upwards for tables, which share the md, and downwards for who has it alone."""
        with self._io:
            if count > 0 and self.ending:
                raise _os_error(errno.ENXIO)
            if count > 0 and (self._claims < 0 < claims or (claims < 0 and self._claims)):
                raise _os_error(errno.EBUSY)
            self._claims += claims
            self.open_count += count
            last = self.open_count == 0
        if last and count < 0:
            self._owner.last_close(self)

    def end_unless_open(self) -> bool:
        """Whether nobody has it open; then nobody can open it any more (kernel: dm_lock_for_deletion)."""
        with self._io:
            self.ending = not self.open_count
            return self.ending

    def stay(self) -> None:
        """Takes a removal back that was interrupted."""
        self.ending = False
        if not self.suspended:
            self.release_io()


class _Split:
    """One bio of an md, cut into bios for its targets; done when the last of them is."""

    __slots__ = ("_bio", "_error", "_md", "_others", "_requeue", "_table")

    def __init__(self, md: MappedDevice, bio: Bio, table: LiveTable) -> None:
        self._md = md
        self._bio = bio
        self._table = table
        self._error = 0
        self._requeue = False
        self._others: list[None] = []

    def start(self) -> None:
        bio = self._bio
        if bio.op is not Op.FLUSH and not 0 <= bio.sector <= self._table.size - bio.sectors:
            self._md.finish(bio, errno.EIO, requeue=False)
            return
        parts = list(self._flushes() if bio.op is Op.FLUSH else self._parts())
        if not parts:
            self._md.finish(bio, 0, requeue=False)
            return
        # One token fewer than parts: popping is a single step, and whoever finds none is the last.
        self._others = [None] * (len(parts) - 1)
        for target, part in parts:
            part.on_done(partial(self._part_done, target, part))
            # A step of its own: a target that raises does not keep the other parts from being sent.
            run_flat(partial(self._send, target, part))

    def _parts(self) -> Iterator[tuple[Target | None, Bio]]:
        bio = self._bio
        skipped = 0
        while skipped < bio.sectors:
            sector = bio.sector + skipped
            target = self._table.target_at(sector)
            assert target is not None
            here = target.begin + target.length - sector
            if target.io_boundary:
                here = min(here, target.io_boundary - (sector - target.begin) % target.io_boundary)
            here = min(here, bio.sectors - skipped)
            yield target, bio.part(skipped, here)
            skipped += here

    def _flushes(self) -> Iterator[tuple[Target | None, Bio]]:
        static, dynamic = self._table.flush_plan()
        for device in static:
            part = Bio(Op.FLUSH, 0, 0)
            part.device = device
            yield None, part
        for target in dynamic:
            yield target, Bio(Op.FLUSH, target.begin, 0)

    def _send(self, target: Target | None, part: Bio) -> None:
        try:
            result = MapResult.REMAPPED if target is None else target.map(part)
        except BaseException:
            # No suspend may wait for ever for a bio that a target stumbled over.
            part.complete(errno.EIO)
            raise
        if result is MapResult.REMAPPED:
            assert part.device is not None
            submit(part.device, part)
        elif result is MapResult.KILL:
            part.complete(errno.EIO)
        elif result is MapResult.REQUEUE:
            part.give_back()

    def _part_done(self, target: Target | None, part: Bio) -> None:
        if target is not None:
            target.end_io(part)
        # Only ever set: parts complete on many threads, and one that went well must not undo another's error.
        if part.error:
            self._error = part.error
        if part.given_back:
            self._requeue = True
        try:
            self._others.pop()
        except IndexError:
            self._md.finish(self._bio, self._error, requeue=self._requeue)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
