"""The fast path: an extent map compiled into closures that read and write with one system call.

Each closure enters the gate, *then* tests that its map is alive, does the I/O and leaves. Whoever
changes a table kills the map, *then* waits until the gate is empty. Either the I/O saw the map dead and
turned away, or the change waits for it: there is no lock on the way (a Dekker handshake; adding a token
to a list and deleting one are single steps of the interpreter).

A token is added and deleted by operators and not by calls, because only at a call does the interpreter
look for signals: a Ctrl-C between entering and `try` would leave a token behind, and nobody could ever
suspend the md again.

What a closure does not do itself (odd sizes, the end of the device, sectors that are not static, a
dead map) it hands to the md's own slow way, with the gate left first: the slow way may block.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from dmtable.core.extents import Backend, ExtentMap, Piece, Shortcut
from dmtable.io.device import BlockDevice, Buffer
from dmtable.runtime.runtime import Condition
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_ODD = SECTOR_BYTES - 1
_TOKEN = (None,)

Pread = Callable[[int, int], bytes]
Pwrite = Callable[[Buffer, int], int]
PreadInto = Callable[[bytearray | memoryview, int], int]
OnRange = Callable[[int, int], None]
OnPiece = Callable[[BlockDevice, int, slice], object]
"""Acts on a device at a byte offset, for the bytes of the request that the slice names."""


@dataclass(frozen=True, slots=True)
class SlowWay:
    """What to call where the fast path does not serve. The same signatures, always right, never quick."""

    pread: Pread
    pread_into: PreadInto
    pwrite: Pwrite
    flush: Callable[[], None]
    discard: OnRange
    write_zeroes: OnRange


@dataclass(frozen=True, slots=True, eq=False)
class CompiledIo:
    """A map at work. `kill` turns all comers away; `wait_empty` returns when the last one inside has left."""

    map: ExtentMap
    pread: Pread
    pread_into: PreadInto
    pwrite: Pwrite
    flush: Callable[[], None]
    discard: OnRange
    write_zeroes: OnRange
    kill: Callable[[], None]
    wait_empty: Callable[[], None]


def compile_io(extents: ExtentMap, slow: SlowWay, drained: Condition, *, read_only: bool) -> CompiledIo:
    """Closures over everything they need; `drained` is notified when the last I/O leaves a dead map."""
    tokens: list[None] = []
    alive = True
    size = extents.size << SECTOR_SHIFT
    starts, deltas, slots = extents.starts, extents.deltas, extents.slots
    buckets, shift = extents.buckets, extents.shift + SECTOR_SHIFT
    # What moves fewer bytes than asked, as these do where a row leads to no plain device, goes on in pieces.
    calls = [_calls(backend) for backend in extents.backends]
    readers, writers = [read for read, _ in calls], [write for _, write in calls]
    only = extents.backends[0] if len(extents) == 1 else None
    fileno = only.fileno() if isinstance(only, BlockDevice) else None
    fd = -1 if fileno is None else fileno
    delta = deltas[0] << SECTOR_SHIFT
    os_pread, os_pwrite = os.pread, os.pwrite

    def kill() -> None:
        nonlocal alive
        alive = False

    def wait_empty() -> None:
        with drained:
            while tokens:
                drained.wait()

    def left_dead() -> None:
        with drained:
            drained.notify_all()

    def read_pieces(view: memoryview, offset: int) -> bool:
        """Fills the view piece by piece; False where one of them is not static."""
        return _on_pieces(extents.pieces, offset, len(view), lambda device, at, part: device.pread_into(view[part], at))

    def write_pieces(view: memoryview, offset: int) -> bool:
        """Writes the view piece by piece; False, and nothing written, where one of them is not static."""
        return _on_pieces(extents.pieces, offset, len(view), lambda device, at, part: device.pwrite(view[part], at))

    def each_leaf(_sector: int, _count: int) -> Iterable[Piece]:
        return ((device, 0, 0) for device in extents.leaves)

    def pread_file(length: int, offset: int) -> bytes:
        nonlocal tokens
        tokens += _TOKEN
        try:
            if alive and 0 <= offset < offset + length <= size and not (offset | length) & _ODD:
                data = os_pread(fd, length, offset + delta)
                if len(data) == length:
                    return data
                buffer = bytearray(length)
                if read_pieces(memoryview(buffer), offset):
                    return bytes(buffer)
        finally:
            del tokens[-1]
            if not alive:
                left_dead()
        return slow.pread(length, offset)

    def pwrite_file(data: Buffer, offset: int) -> int:
        nonlocal tokens
        if data.__class__ is not bytes:
            data = memoryview(data).cast("B")
        length = len(data)
        tokens += _TOKEN
        try:
            if alive and 0 <= offset < offset + length <= size and not (offset | length) & _ODD:
                if os_pwrite(fd, data, offset + delta) == length:
                    return length
                if write_pieces(memoryview(data), offset):
                    return length
        finally:
            del tokens[-1]
            if not alive:
                left_dead()
        return slow.pwrite(data, offset)

    def pread(length: int, offset: int) -> bytes:
        nonlocal tokens
        tokens += _TOKEN
        try:
            if alive and 0 <= offset < (until := offset + length) <= size and not (offset | length) & _ODD:
                row = buckets[offset >> shift]
                end = starts[row + 1] << SECTOR_SHIFT
                if end <= offset:
                    row = bisect_right(starts, offset >> SECTOR_SHIFT, row, buckets[(offset >> shift) + 1] + 1) - 1
                    end = starts[row + 1] << SECTOR_SHIFT
                if until <= end:
                    data = readers[slots[row]](length, offset + (deltas[row] << SECTOR_SHIFT))
                    if len(data) == length:
                        return data
                buffer = bytearray(length)
                if read_pieces(memoryview(buffer), offset):
                    return bytes(buffer)
        finally:
            del tokens[-1]
            if not alive:
                left_dead()
        return slow.pread(length, offset)

    def pwrite(data: Buffer, offset: int) -> int:
        nonlocal tokens
        if data.__class__ is not bytes:
            data = memoryview(data).cast("B")
        length = len(data)
        tokens += _TOKEN
        try:
            if alive and 0 <= offset < (until := offset + length) <= size and not (offset | length) & _ODD:
                row = buckets[offset >> shift]
                end = starts[row + 1] << SECTOR_SHIFT
                if end <= offset:
                    row = bisect_right(starts, offset >> SECTOR_SHIFT, row, buckets[(offset >> shift) + 1] + 1) - 1
                    end = starts[row + 1] << SECTOR_SHIFT
                whole = until <= end
                if whole and writers[slots[row]](data, offset + (deltas[row] << SECTOR_SHIFT)) == length:
                    return length
                if write_pieces(memoryview(data), offset):
                    return length
        finally:
            del tokens[-1]
            if not alive:
                left_dead()
        return slow.pwrite(data, offset)

    def pread_into(buffer: bytearray | memoryview, offset: int) -> int:
        nonlocal tokens
        view = memoryview(buffer).cast("B")
        length = len(view)
        tokens += _TOKEN
        try:
            ours = alive and 0 <= offset < offset + length <= size and not (offset | length) & _ODD
            if ours and read_pieces(view, offset):
                return length
        finally:
            del tokens[-1]
            if not alive:
                left_dead()
        return slow.pread_into(view, offset)

    def flush() -> None:
        nonlocal tokens
        tokens += _TOKEN
        try:
            if alive and _on_pieces(each_leaf, 0, 0, lambda device, _at, _part: device.flush()):
                return
        finally:
            del tokens[-1]
            if not alive:
                left_dead()
        slow.flush()

    def on_range(act: OnPiece, otherwise: OnRange) -> OnRange:
        def call(offset: int, length: int) -> None:
            nonlocal tokens
            tokens += _TOKEN
            try:
                ours = alive and 0 <= offset < offset + length <= size and not (offset | length) & _ODD
                if ours and _on_pieces(extents.ranges, offset, length, act):
                    return
            finally:
                del tokens[-1]
                if not alive:
                    left_dead()
            otherwise(offset, length)

        return call

    discard = on_range(lambda device, at, part: device.discard(at, part.stop - part.start), slow.discard)
    write_zeroes = on_range(lambda device, at, part: device.write_zeroes(at, part.stop - part.start), slow.write_zeroes)
    is_file = fileno is not None
    return CompiledIo(
        map=extents,
        pread=pread_file if is_file else pread,
        pread_into=pread_into,
        pwrite=slow.pwrite if read_only else pwrite_file if is_file else pwrite,
        flush=flush,
        discard=slow.discard if read_only else discard,
        write_zeroes=slow.write_zeroes if read_only else write_zeroes,
        kill=kill,
        wait_empty=wait_empty,
    )


def _on_pieces(cut: Callable[[int, int], Iterable[Piece]], offset: int, length: int, act: OnPiece) -> bool:
    """Acts on each piece of a range; False, and nothing done, where one of them is not static.

    One that fails does not keep the others from being done, as bios do not either; the last error is raised.
    """
    pieces = list(cut(offset >> SECTOR_SHIFT, length >> SECTOR_SHIFT))
    if any(device is None for device, _, _ in pieces):
        return False
    at = 0
    failed: OSError | None = None
    for device, sector, count in pieces:
        assert device is not None
        end = at + (count << SECTOR_SHIFT)
        try:
            act(device, sector << SECTOR_SHIFT, slice(at, end))
        except OSError as error:
            failed = error
        at = end
    if failed is not None:
        raise failed
    return True


def _calls(backend: Backend) -> tuple[Pread, Pwrite]:
    if isinstance(backend, Shortcut):
        return backend.pread, backend.pwrite
    if not isinstance(backend, BlockDevice):
        return _reads_nothing, _writes_nothing
    fd = backend.fileno()
    return (backend.pread, backend.pwrite) if fd is None else (partial(os.pread, fd), partial(os.pwrite, fd))


def _reads_nothing(_length: int, _offset: int) -> bytes:
    return b""


def _writes_nothing(_data: Buffer, _offset: int) -> int:
    return 0
