"""Files and block devices as block devices."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from dmtable.io.device import BlockDevice, Buffer
from dmtable.units import SECTOR_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

_BLKSSZGET, _BLKDISCARD, _BLKZEROOUT = 0x1268, 0x1277, 0x127F
_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 0x01, 0x02, 0x10
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EINVAL)
_ZERO_CHUNK = bytes(1 << 20)
_HOLE_GRAIN = 64 << 10


class FileDevice(BlockDevice):
    """An image file or a block device.

    A file's last partial sector is not part of the device, as with a loop device. `direct` opens it
    past the page cache (O_DIRECT). Raises OSError where the path cannot be opened, and ENOTBLK where it
    is neither file nor block device.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False, direct: bool = False) -> None:
        self.path = os.fspath(path)
        self.read_only = read_only
        self.direct = direct
        self._claims = 0
        flags = (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC | (os.O_DIRECT if direct else 0)
        self._fd = os.open(self.path, flags)
        try:
            mode = os.fstat(self._fd).st_mode
            self.is_block = stat.S_ISBLK(mode)
            if not self.is_block and not stat.S_ISREG(mode):
                raise OSError(errno.ENOTBLK, os.strerror(errno.ENOTBLK), self.path)
            self.logical_block_size = self._probe_block_size()
        except OSError:
            os.close(self._fd)
            raise

    @property
    def size_bytes(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_END) & -SECTOR_BYTES

    def fileno(self) -> int | None:
        return None if self.direct or self.read_only else self._fd

    @property
    def claimed(self) -> bool:
        """Whether any mapped device uses it."""
        return self._claims > 0

    def is_at(self, path: str) -> bool:
        """Whether a path leads to this very file."""
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._fd))
        except OSError:
            return False

    def claim(self) -> None:
        """As long as there are claims an image file is locked, shared: who has it for himself alone locks it whole.

        Such a lock is a node's that is open with O_EXCL; it ends with the last close of that node.
        """
        if not self._claims and not self.is_block:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), self.path) from error
        self._claims += 1

    def release(self) -> None:
        self._claims -= 1
        if not self._claims and not self.is_block and self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        view = memoryview(buffer).cast("B")
        into = memoryview(mmap.mmap(-1, max(len(view), 1)))[: len(view)] if self.direct else view
        done = 0
        while done < len(view):
            count = os.preadv(self._fd, [into[done:]], offset + done)
            if count == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO), self.path)
            done += count
        if self.direct:
            view[:] = into
        return done

    def pwrite(self, data: Buffer, offset: int) -> int:
        view = memoryview(data).cast("B")
        self._check_writable(offset, len(view))
        if self.direct:
            # The kernel wants memory aligned to the block size, which a page is.
            aligned = mmap.mmap(-1, max(len(view), 1))
            aligned[: len(view)] = bytes(view)
            view = memoryview(aligned)[: len(view)]
        done = 0
        while done < len(view):
            done += os.pwrite(self._fd, view[done:], offset + done)
        return done

    def flush(self) -> None:
        os.fdatasync(self._fd)

    def discard(self, offset: int, length: int) -> None:
        self._check_writable(offset, length)
        if length == 0 or self._range_ioctl(_BLKDISCARD, offset, length):
            return
        self._fallocate(_PUNCH_HOLE | _KEEP_SIZE, offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        self._check_writable(offset, length)
        if length == 0 or self._range_ioctl(_BLKZEROOUT, offset, length):
            return
        # A hole first, as the loop device does: zeroes take no space.
        for mode in (_PUNCH_HOLE | _KEEP_SIZE, _ZERO_RANGE | _KEEP_SIZE):
            if self._fallocate(mode, offset, length):
                return
        for at in range(offset, offset + length, len(_ZERO_CHUNK)):
            self.pwrite(_ZERO_CHUNK[: offset + length - at], at)

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The file's own holes; a file system without any, and a block device, say that all is data.

        What is behind data in the same 64 KiB counts as data. SEEK_HOLE would tell more, but looks at every page
        up to the next hole, be it at the end of the file; SEEK_DATA in data is answered at once.
        """
        if not length:
            return
        at, end = offset, offset + length
        status = os.fstat(self._fd)
        if self.is_block or status.st_blocks * SECTOR_BYTES >= status.st_size:
            yield offset, length
            return
        # Behind its end a file seems to be a hole, where a read fails.
        if end > status.st_size:
            raise OSError(errno.EIO, os.strerror(errno.EIO), self.path)
        data_from = at
        while at < end:
            found = self._next_data(at, end)
            if found > at:
                if at > data_from:
                    yield data_from, at - data_from
                data_from = found
            at = min(found + _HOLE_GRAIN - found % _HOLE_GRAIN, end)
        if end > data_from:
            yield data_from, end - data_from

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _check_writable(self, offset: int, length: int) -> None:
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), self.path)
        # A file would grow.
        if offset < 0 or offset + length > self.size_bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO), self.path)

    def _next_data(self, at: int, end: int) -> int:
        try:
            return min(os.lseek(self._fd, at, os.SEEK_DATA) & -SECTOR_BYTES, end)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return end
            if error.errno in _UNSUPPORTED:
                return at
            raise

    def _probe_block_size(self) -> int:
        if not self.is_block:
            return SECTOR_BYTES
        answer = fcntl.ioctl(self._fd, _BLKSSZGET, bytes(4))
        return int(struct.unpack("i", answer)[0])

    def _range_ioctl(self, request: int, offset: int, length: int) -> bool:
        """Whether the block device did it; False where this is a file, or the device does not know how."""
        if not self.is_block:
            return False
        try:
            fcntl.ioctl(self._fd, request, struct.pack("QQ", offset, length))
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            return request == _BLKDISCARD
        return True

    def _fallocate(self, mode: int, offset: int, length: int) -> bool:
        """Whether the file system did it; False where it does not know how."""
        failed = _libc_fallocate()(self._fd, mode, offset, length)
        if failed in (0, errno.EOPNOTSUPP, errno.ENOSYS):
            return failed == 0
        raise OSError(failed, os.strerror(failed), self.path)


@cache
def _libc_fallocate() -> Callable[[int, int, int, int], int]:
    """The C library's fallocate as a function that returns an errno; Python's own cannot punch holes."""
    import ctypes

    libc: Any = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

    def fallocate(fd: int, mode: int, offset: int, length: int) -> int:
        while libc.fallocate(fd, mode, offset, length) != 0:
            failed = ctypes.get_errno()
            if failed != errno.EINTR:
                return failed
        return 0

    return fallocate
