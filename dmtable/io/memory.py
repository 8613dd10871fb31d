"""A device in memory, which takes space only where something was written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from dmtable.io.device import BlockDevice, Buffer
from dmtable.units import SECTOR_BYTES

_PAGE_BYTES = 64 << 10


class MemoryDevice(BlockDevice):
    """A sparse disk of `size_bytes` zeroes. Threads may share it; a request is not atomic against another."""

    def __init__(self, size_bytes: int, *, logical_block_size: int = SECTOR_BYTES, read_only: bool = False) -> None:
        self._size_bytes = size_bytes
        self.logical_block_size = logical_block_size
        self.read_only = read_only
        self._pages: dict[int, bytearray] = {}

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        view = memoryview(buffer).cast("B")
        self._bound(offset, len(view))
        done = 0
        while done < len(view):
            number, at = divmod(offset + done, _PAGE_BYTES)
            count = min(_PAGE_BYTES - at, len(view) - done)
            page = self._pages.get(number)
            view[done : done + count] = bytes(count) if page is None else page[at : at + count]
            done += count
        return done

    def pwrite(self, data: Buffer, offset: int) -> int:
        self._writable()
        view = memoryview(data).cast("B")
        self._bound(offset, len(view))
        done = 0
        while done < len(view):
            number, at = divmod(offset + done, _PAGE_BYTES)
            count = min(_PAGE_BYTES - at, len(view) - done)
            page = self._pages.get(number)
            if page is None:
                page = self._pages.setdefault(number, bytearray(_PAGE_BYTES))
            page[at : at + count] = view[done : done + count]
            done += count
        return done

    def flush(self) -> None:
        pass

    def discard(self, offset: int, length: int) -> None:
        self.write_zeroes(offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        self._writable()
        self._bound(offset, length)
        end = offset + length
        while offset < end:
            number, at = divmod(offset, _PAGE_BYTES)
            count = min(_PAGE_BYTES - at, end - offset)
            if count == _PAGE_BYTES:
                self._pages.pop(number, None)
            elif (page := self._pages.get(number)) is not None:
                page[at : at + count] = bytes(count)
            offset += count

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        self._bound(offset, length)
        if not length:
            return
        end = offset + length
        begin: int | None = None
        for number in range(offset // _PAGE_BYTES, -(-end // _PAGE_BYTES)):
            at = max(number * _PAGE_BYTES, offset)
            if number in self._pages:
                begin = at if begin is None else begin
            elif begin is not None:
                yield begin, at - begin
                begin = None
        if begin is not None:
            yield begin, end - begin

    def close(self) -> None:
        self._pages.clear()

    def _bound(self, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self._size_bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _writable(self) -> None:
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
