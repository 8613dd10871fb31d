"""A disk with a volatile cache: it takes time, it fails as its faults say, and it loses its cache with the power."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dmtable.core.bio import Bio, Op
from dmtable.io.device import BlockDevice, Buffer
from dmtable.sim.cache import ZERO_SECTOR, Cache, Covers, Image, State, blank, known_sector, split, turn_bit
from dmtable.sim.choices import Choices, Ordinary
from dmtable.sim.faults import Call, Fault, Faults, Ill
from dmtable.sim.power import Power
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

if TYPE_CHECKING:
    from dmtable.sim.runtime import SimRuntime

__all__ = ["Image", "SimDisk", "blank"]

_CALLS = {
    Op.READ: Call.READ,
    Op.WRITE: Call.WRITE,
    Op.FLUSH: Call.FLUSH,
    Op.DISCARD: Call.DISCARD,
    Op.WRITE_ZEROES: Call.WRITE,
}
_PLAIN_OPS = (Op.READ, Op.WRITE, Op.FLUSH)


class SimDisk(BlockDevice):
    """A disk of `image`; a write is durable after the next flush, and until then any of its sectors may be lost.

    A sector is all or nothing, a longer write is not. Of a sector that was written several times since the last
    flush, any version may survive, whatever survives of its neighbours. FUA makes just its own sectors durable.

    With a latency, every call takes that long. Bios are then in flight side by side, and at each due time one of
    them ends: which, `choices` decides. What is in flight may survive a power loss, and is seen by reads only when
    it ends. A flush covers what had ended when it was asked for. Plain calls make a process sleep first and then
    have their effect; in a Worker's step they have it at once, and the Worker is busy for so long.

    A power loss makes every call raise PowerLoss; what is in flight then never completes.
    """

    size_bytes: int = 0

    def __init__(
        self,
        name: str,
        image: Iterable[bytes],
        power: Power,
        *,
        faults: Faults | None = None,
        runtime: SimRuntime | None = None,
        choices: Choices | None = None,
        logical_block_size: int = SECTOR_BYTES,
        latency_seconds: float = 0.0,
        machine: str = "",
    ) -> None:
        """Without a runtime nothing takes time and nothing is traced."""
        self.name = name
        self.machine = machine
        """Where the disk stands: a remote machine, or here ("")."""
        self.logical_block_size = logical_block_size
        self.latency_seconds = latency_seconds
        self.faults = faults
        self.unreadable: set[int] = set()
        """Medium errors: sectors that fail to be read until they are written, at once and even if only in the cache."""
        self._power = power
        self._runtime = runtime
        self._choices = choices
        self._cache = Cache(image)
        self.size_bytes = len(self._cache.newest) << SECTOR_SHIFT
        self._in_flight: list[_Request] = []

    @property
    def image(self) -> Image:
        """What a read would see now."""
        return tuple(self._cache.newest)

    @property
    def durable(self) -> Image:
        """What a power loss leaves at least: every sector as of the last flush."""
        return self._cache.durable_image

    @property
    def unflushed(self) -> Mapping[int, Sequence[bytes]]:
        """The versions of each sector that were written since the last flush, oldest first, those in flight last;
        one of them, or the durable one, survives a power loss."""
        if not self._in_flight:
            return self._cache.unflushed
        versions = {at: [*written] for at, written in self._cache.unflushed.items()}
        for request in self._in_flight:
            for at, sector in request.lands():
                versions.setdefault(at, []).append(sector)
        return versions

    @property
    def state(self) -> State:
        """What `durable` and `unflushed` say, as one value."""
        if not self._in_flight:
            return self._cache.state
        return self.durable, tuple([(at, tuple(versions)) for at, versions in self.unflushed.items()])

    def survivors(self, choices: Choices) -> Image:
        """An image that a power loss now might leave."""
        image = [*self._cache.durable]
        for at, written in self.unflushed.items():
            versions = list(dict.fromkeys((image[at], *written)))
            image[at] = versions[choices.pick(len(versions), f"{self.name}: version of sector {at} that survives")]
        return tuple(image)

    def hold(self, state: State) -> None:
        """The disk has this on its medium and in its cache; nothing is in flight."""
        image, unflushed = state
        self.lose_cache(image)
        for at, versions in unflushed:
            for sector in versions:
                self._cache.put(at, sector)

    def lose_cache(self, image: Image) -> None:
        """The disk had a power loss of its own, and came back with this image. Nothing in flight ever completes."""
        self._cache = Cache(image)
        self._in_flight = []

    def take_over(self, disk: SimDisk, choices: Choices) -> None:
        """Goes on as the other disk, with its cache, but its user is gone: what was in flight there happened or not."""
        self._cache = disk._cache.copy()
        self.unreadable = {*disk.unreadable}
        for request in disk._in_flight:
            # What it would make durable need not be: a flush that nobody saw end promised nothing.
            if request.written and choices.pick(2, f"{self.name}: {request.call.value} in flight is carried out"):
                self._land(request)

    def abandon(self, bio: Bio, *, carried_out: bool) -> None:
        """Nobody waits for this bio any more: if in flight it never completes, and has its effect now or never."""
        for request in self._in_flight:
            if request.bio is bio:
                if carried_out and request.durable:
                    self._power.count()
                self._in_flight.remove(request)
                if carried_out:
                    self._carry_out(request)
                return

    # Plain calls. What no fault, latency or trace concerns is the inner loop of every search, and kept quick.

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = self.pread(len(view), offset)
        return len(view)

    def pread(self, length: int, offset: int) -> bytes:
        if not self._enter():
            return self._call(Call.READ, offset, length, ())
        self._power.need()
        if offset < 0 or offset + length > self.size_bytes or (offset | length) % self.logical_block_size:
            raise self._misplaced(Call.READ, offset, length)
        start = offset >> SECTOR_SHIFT
        newest = self._cache.newest
        return newest[start] if length == SECTOR_BYTES else b"".join(newest[start : start + (length >> SECTOR_SHIFT)])

    def pwrite(self, data: Buffer, offset: int) -> int:
        content = bytes(data)
        length = len(content)
        if not self._enter():
            self._call(Call.WRITE, offset, length, split(content))
            return length
        self._power.count()
        if offset < 0 or offset + length > self.size_bytes or (offset | length) % self.logical_block_size:
            raise self._misplaced(Call.WRITE, offset, length)
        if length == SECTOR_BYTES:
            self._cache.put(offset >> SECTOR_SHIFT, known_sector(content))
        else:
            for at, sector in enumerate(split(content), offset >> SECTOR_SHIFT):
                self._cache.put(at, sector)
        return length

    def flush(self) -> None:
        if self._enter():
            self._power.count()
            self._cache.flush()
        else:
            self._call(Call.FLUSH, 0, 0, ())

    def discard(self, offset: int, length: int) -> None:
        self._enter()
        self._call(Call.DISCARD, offset, length, (ZERO_SECTOR,) * (length >> SECTOR_SHIFT))

    def write_zeroes(self, offset: int, length: int) -> None:
        self._enter()
        self._call(Call.WRITE, offset, length, (ZERO_SECTOR,) * (length >> SECTOR_SHIFT))

    def close(self) -> None:
        pass

    # Bios.

    def accept(self, bio: Bio) -> None:
        """Takes a bio (core.bio.submit); serves it at once where it takes no time. Without power it never completes."""
        if bio.op in _PLAIN_OPS and not bio.fua and self._plain():
            self._serve(bio)
            return
        written: Sequence[bytes] = ()
        if bio.op is Op.WRITE:
            assert bio.data is not None
            written = split(bytes(bio.data))
        elif bio.op in (Op.DISCARD, Op.WRITE_ZEROES):
            written = (ZERO_SECTOR,) * bio.sectors
        offset, length = bio.sector << SECTOR_SHIFT, bio.sectors << SECTOR_SHIFT
        try:
            request = self._arrive(_CALLS[bio.op], offset, length, written, fua=bio.fua)
        except OSError as error:
            bio.complete(error.errno or errno.EIO)
            return
        request.bio = bio
        if request.seconds and self._runtime is not None:
            request.due_from = self._runtime.now() + request.seconds - self.latency_seconds
            self._in_flight.append(request)
            self._runtime.call_later(request.seconds, partial(self._one_is_due, self._in_flight))
        else:
            if bio.fua and request.durable:
                # Between its arrival and its effect the power may fail, and any of its sectors survive.
                self._in_flight.append(request)
                self._power.count()
                self._in_flight.remove(request)
            self._complete(request, bio)

    def _serve(self, bio: Bio) -> None:
        """A bio that is nothing but its plain effect."""
        error = 0
        try:
            if bio.op is Op.FLUSH:
                self.flush()
            elif bio.op is Op.READ:
                assert bio.data is not None
                self.pread_into(bio.data, bio.sector << SECTOR_SHIFT)
            else:
                assert bio.data is not None
                self.pwrite(bio.data, bio.sector << SECTOR_SHIFT)
        except OSError as failed:
            error = failed.errno or errno.EIO
        bio.complete(error)

    def _one_is_due(self, in_flight: list[_Request]) -> None:
        """One of the bios in flight ends; but nothing of those from before the disk lost its power."""
        if in_flight is not self._in_flight or not self._power.on or self._runtime is None:
            return
        now = self._runtime.now()
        due = [(request, bio) for request in in_flight if (bio := request.bio) and request.due_from <= now]
        if due:
            choices = self._choices or Ordinary()
            request, bio = due[choices.pick(len(due), f"{self.name}: which bio ends")]
            if request.durable:
                self._power.count()
            self._in_flight.remove(request)
            self._complete(request, bio)

    def _complete(self, request: _Request, bio: Bio) -> None:
        data = self._carry_out(request)
        if data and not request.error:
            assert bio.data is not None
            bio.data.cast("B")[:] = data
        bio.complete(request.error)

    # The course of a request: it arrives, it takes its time, it is carried out.

    def _enter(self) -> bool:
        """Others may have their turn before a call. Says whether it is a plain one."""
        if self._runtime is not None:
            self._runtime.checkpoint()
        return self._plain()

    def _plain(self) -> bool:
        """Whether a call is nothing but its effect: no fault, no time, no trace."""
        if self.faults is not None or self.latency_seconds or self._in_flight or self.unreadable:
            return False
        return self._runtime is None or self._runtime.trace is None

    def _call(self, call: Call, offset: int, length: int, written: Sequence[bytes]) -> bytes:
        request = self._arrive(call, offset, length, written)
        if request.seconds and self._runtime is not None:
            in_flight = self._in_flight
            in_flight.append(request)
            try:
                self._runtime.sleep(request.seconds)
                if request.durable:
                    self._power.count()
                else:
                    self._power.need()
            finally:
                # After a power loss it stays in flight: whoever looks at the disk must see that it may survive.
                if self._power.on and request in in_flight:
                    in_flight.remove(request)
            if in_flight is not self._in_flight:
                raise OSError(errno.EIO, f"{self.name}: lost its power during a {call.value}")
        data = self._carry_out(request)
        if request.error:
            raise OSError(request.error, f"{self.name}: {call.value}: {os.strerror(request.error)}")
        return data

    def _arrive(self, call: Call, offset: int, length: int, written: Sequence[bytes], *, fua: bool = False) -> _Request:
        """Raises PowerLoss, or OSError where there is no such place."""
        if call is Call.READ:
            self._power.need()
        else:
            self._power.count()
        if offset < 0 or offset + length > self.size_bytes or (offset | length) % self.logical_block_size:
            raise self._misplaced(call, offset, length)
        request = _Request(call, offset >> SECTOR_SHIFT, length >> SECTOR_SHIFT, written)
        request.seconds = self.latency_seconds
        request.durable = call is Call.FLUSH or (fua and call is not Call.READ)
        if self._runtime is not None and self._runtime.trace is not None:
            place = f" {request.start}+{request.count}" if request.count else ""
            self._runtime.note(self.name, f"{call.value}{place}{' fua' if fua else ''}")
        if self.faults is not None:
            self._meet(self.faults, request, call)
            if fua and request.durable:
                self._meet(self.faults, request, Call.FLUSH)
        if call is Call.FLUSH and request.durable:
            request.covers = self._cache.flush_begins()
        return request

    def _meet(self, faults: Faults, request: _Request, call: Call) -> None:
        """What goes wrong is decided as the request arrives."""
        fault = faults.strike(self.name, call)
        if fault is not None:
            if self._runtime is not None:
                self._runtime.note(self.name, str(fault))
            self._suffer(fault, request, of_flush=call is Call.FLUSH)

    def _suffer(self, fault: Fault, request: _Request, *, of_flush: bool) -> None:
        ill = fault.ill
        if ill is Ill.SLOW:
            request.seconds += fault.seconds
        elif ill in (Ill.ERROR, Ill.HALF):
            request.error = fault.errno
            request.durable = False
            if not of_flush:
                request.written = request.written[: len(request.written) // 2] if ill is Ill.HALF else ()
        elif of_flush:
            request.durable = request.durable and ill is not Ill.LOST
        elif ill is Ill.LOST:
            request.written = ()
            request.durable = False
        elif not request.count:
            return
        elif ill is Ill.MISDIRECTED:
            request.start = self._neighbour(request)
        elif ill is Ill.UNREADABLE:
            request.spoils = True
        elif request.written:
            request.written = (turn_bit(request.written[0]), *request.written[1:])
        else:
            self._cache.damage(request.start, turn_bit(self._cache.newest[request.start]))

    def _carry_out(self, request: _Request) -> bytes:
        """The request has its effect; returns what a read finds. Sets its error where the medium is bad."""
        self._land(request)
        if request.covers is not None:
            self._cache.flush_ends(request.covers)
        elif request.durable:
            for at, _ in request.lands():
                self._cache.settle(at)
        if request.call is not Call.READ or request.error:
            return b""
        end = request.start + request.count
        if self.unreadable and not self.unreadable.isdisjoint(range(request.start, end)):
            request.error = errno.EIO
        return b"".join(self._cache.newest[request.start : end])

    def _land(self, request: _Request) -> None:
        for at, sector in request.lands():
            self._cache.put(at, sector)
            self.unreadable.discard(at)
        if request.spoils:
            self.unreadable.add(request.start)

    def _misplaced(self, call: Call, offset: int, length: int) -> OSError:
        """The error of a request that is beyond the end, or not in whole blocks."""
        where = f"{self.name}: {call.value} of {length} bytes at {offset}"
        if offset < 0 or offset + length > self.size_bytes:
            return OSError(errno.EIO, f"{where} is beyond the end")
        return OSError(errno.EINVAL, f"{where} is not in whole blocks")

    def _neighbour(self, request: _Request) -> int:
        block = self.logical_block_size >> SECTOR_SHIFT
        if request.start + block + request.count <= self.size_bytes >> SECTOR_SHIFT:
            return request.start + block
        return max(request.start - block, 0)


class _Request:
    """What one call will do to the disk, its faults included."""

    __slots__ = ("bio", "call", "count", "covers", "due_from", "durable", "error", "seconds", "spoils", "start",
                 "written")  # fmt: skip

    def __init__(self, call: Call, start: int, count: int, written: Sequence[bytes]) -> None:
        self.call = call
        self.start = start
        self.count = count
        self.written = written
        """The sectors that it puts into the cache from `start` on."""
        self.durable = False
        """Whether it makes something durable: a flush all, a FUA write its own."""
        self.covers: Covers | None = None
        self.error = 0
        self.spoils = False
        """Its first sector is unreadable afterwards."""
        self.seconds = 0.0
        self.due_from = 0.0
        self.bio: Bio | None = None

    def lands(self) -> Iterable[tuple[int, bytes]]:
        """The sectors that it writes, and where."""
        return enumerate(self.written, self.start)
