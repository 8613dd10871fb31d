"""An md as a Python file object."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from dmtable.io.device import BlockDevice

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class MdFile(io.RawIOBase):
    """A raw, unbuffered file over an md: positions and sizes are multiples of 512 bytes, else OSError EINVAL.

    `on_close` is called once, by `close`.
    """

    def __init__(self, md: BlockDevice, on_close: Callable[[], None]) -> None:
        super().__init__()
        self._md = md
        self._on_close = on_close
        self._at = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return not self._md.read_only

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._md.size_bytes}.get(whence)
        if base is None or base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._check_open()
        count = self._md.pread_into(memoryview(buffer).cast("B"), self._at)
        self._at += count
        return count

    def write(self, data: ReadableBuffer) -> int:
        self._check_open()
        count = self._md.pwrite(memoryview(data).cast("B"), self._at)
        self._at += count
        return count

    def fsync(self) -> None:
        """Returns when every write so far is durable."""
        self._check_open()
        self._md.flush()

    def close(self) -> None:
        if not self.closed:
            self._on_close()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
