"""The two devices that hold no data: what `zero` and `error` map to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from dmtable.io.device import BlockDevice, Buffer

_ENDLESS = 1 << 63


class ZeroDevice(BlockDevice):
    """Reads as zeroes, and forgets what is written (kernel: the zero target)."""

    @property
    def size_bytes(self) -> int:
        return _ENDLESS

    def pread(self, length: int, offset: int) -> bytes:
        return bytes(length)

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        view = memoryview(buffer).cast("B")
        view[:] = bytes(len(view))
        return len(view)

    def pwrite(self, data: Buffer, offset: int) -> int:
        return memoryview(data).nbytes

    def flush(self) -> None:
        pass

    def discard(self, offset: int, length: int) -> None:
        pass

    def write_zeroes(self, offset: int, length: int) -> None:
        pass

    def data_ranges(self, offset: int, length: int) -> Iterable[tuple[int, int]]:
        return ()

    def close(self) -> None:
        pass


class ErrorDevice(BlockDevice):
    """Fails everything with EIO but a flush (kernel: the error target, which is sent none)."""

    @property
    def size_bytes(self) -> int:
        return _ENDLESS

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        raise _io_error()

    def pwrite(self, data: Buffer, offset: int) -> int:
        raise _io_error()

    def flush(self) -> None:
        pass

    def discard(self, offset: int, length: int) -> None:
        raise _io_error()

    def write_zeroes(self, offset: int, length: int) -> None:
        raise _io_error()

    def close(self) -> None:
        pass


def _io_error() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


ZERO = ZeroDevice()
ERROR = ErrorDevice()
