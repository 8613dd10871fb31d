"""An export of an NBD server as a block device, through libnbd."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

from dmtable.io import libnbd
from dmtable.io.device import BlockDevice, Buffer
from dmtable.runtime.runtime import Runtime
from dmtable.units import SECTOR_BYTES

_MOST_BYTES = 4 << 20
"""No command moves more, so that every server takes it and silence means what it should."""
_POLL_SECONDS = 1.0
"""As long as the library may wait in one go: signals are seen only between two calls."""


class NbdDevice(BlockDevice):
    """One export, over one connection, one command at a time.

    A server that is silent for `silence_seconds` is gone, as is one that closes the connection: that call and all
    later ones raise OSError, until `reconnect`. Errors that the server reports leave the connection as it is.
    """

    def __init__(self, uri: str, runtime: Runtime, *, silence_seconds: float = 10.0) -> None:
        """Connects. Raises OSError where there is nobody, and EOPNOTSUPP where nothing could be made durable;
        UsageError where there is no libnbd."""
        self.uri = uri
        self.silence_seconds = silence_seconds
        self.can_fua = False
        """Whether the server makes single writes durable."""
        self._runtime = runtime
        self._library = libnbd.load()
        self._lock = runtime.lock()
        self._handle: int | None = None
        self._size_bytes = 0
        self._most_bytes = _MOST_BYTES
        self._can_flush = self._can_trim = self._can_zero = False
        self.reconnect()

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as anybody noticed."""
        return self._handle is not None

    def reconnect(self) -> None:
        """Connects anew. What was written and not flushed before may be lost. Raises OSError.

        A host's name is looked up by the C library, with a patience of its own.
        """
        with self._lock:
            self._let_go()
            self._handle = self._library.nbd_create()
            if not self._handle:
                raise libnbd.last_error(self.uri)
            try:
                self._connect(self._handle)
            except BaseException:
                self._let_go()
                raise

    # The device.

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        import ctypes

        view = memoryview(buffer).cast("B")
        self._check_range(offset, len(view))
        for at, count in self._pieces(len(view)):
            memory = (ctypes.c_char * count).from_buffer(view, at)
            self._command("pread", ctypes.addressof(memory), count, offset + at)
        return len(view)

    def pwrite(self, data: Buffer, offset: int, *, fua: bool = False) -> int:
        """With `fua`, which needs `can_fua`, durable when it returns."""
        view = memoryview(data).cast("B")
        self._check_writable(offset, len(view))
        for at, count in self._pieces(len(view)):
            # A copy, which the library may read for as long as it likes, whatever becomes of the caller's memory.
            self._command("pwrite", bytes(view[at : at + count]), count, offset + at, fua=fua)
        return len(view)

    def flush(self) -> None:
        if not self.read_only:
            self._command("flush")

    def discard(self, offset: int, length: int) -> None:
        self._check_writable(offset, length)
        for at, count in self._pieces(length) if self._can_trim else ():
            self._command("trim", count, offset + at)

    def write_zeroes(self, offset: int, length: int, *, fua: bool = False) -> None:
        """With `fua`, which needs `can_fua`, durable when it returns."""
        self._check_writable(offset, length)
        for at, count in self._pieces(length):
            if self._can_zero:
                self._command("zero", count, offset + at, fua=fua)
            else:
                self._command("pwrite", bytes(count), count, offset + at, fua=fua)

    def close(self) -> None:
        with self._lock:
            self._let_go()

    # Ranges.

    def _check_range(self, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self._size_bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO), self.uri)
        # Servers differ in what they make of it, so none is asked.
        if (offset | length) % self.logical_block_size:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.uri)

    def _check_writable(self, offset: int, length: int) -> None:
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), self.uri)
        self._check_range(offset, length)

    def _pieces(self, length: int) -> Iterator[tuple[int, int]]:
        for at in range(0, length, self._most_bytes):
            yield at, min(self._most_bytes, length - at)

    # The connection. The caller holds the lock.

    def _connect(self, handle: int) -> None:
        library = self._library
        # Simple replies have one form, and end.
        library.nbd_set_request_structured_replies(handle, False)
        library.nbd_set_pread_initialize(handle, False)
        if library.nbd_aio_connect_uri(handle, _as_c(self.uri)) < 0:
            raise libnbd.last_error(self.uri)
        self._wait_for(handle, lambda: bool(library.nbd_aio_is_ready(handle)))
        self._size_bytes = max(library.nbd_get_size(handle), 0) & -SECTOR_BYTES
        self.logical_block_size = max(library.nbd_get_block_size(handle, libnbd.SMALLEST_BLOCK), SECTOR_BYTES)
        largest = library.nbd_get_block_size(handle, libnbd.LARGEST_BLOCK)
        self._most_bytes = min(largest, _MOST_BYTES) if largest > 0 else _MOST_BYTES
        self.read_only = library.nbd_is_read_only(handle) > 0
        self.can_fua = library.nbd_can_fua(handle) > 0
        self._can_trim = library.nbd_can_trim(handle) > 0
        self._can_zero = library.nbd_can_zero(handle) > 0
        if not self.read_only and library.nbd_can_flush(handle) <= 0:
            raise OSError(errno.EOPNOTSUPP, f"{self.uri}: the server cannot flush, and nothing would be durable")

    def _command(self, name: str, *arguments: Any, fua: bool = False) -> None:
        """Sends one command and waits for its end."""
        library = self._library
        failed: OSError | None = None

        def answered() -> bool:
            nonlocal failed
            completed = library.nbd_aio_command_completed(handle, cookie)
            if completed < 0:
                failed = libnbd.last_error(self.uri)
            return bool(completed)

        with self._lock:
            handle = self._handle
            if handle is None:
                raise OSError(errno.ENOTCONN, f"{self.uri}: the connection is lost")
            try:
                flags = libnbd.FUA if fua else 0
                cookie = getattr(library, f"nbd_aio_{name}")(handle, *arguments, library.nobody, flags)
                if cookie < 0:
                    raise libnbd.last_error(self.uri)
                self._wait_for(handle, answered)
            except BaseException:
                # The command may be under way, and its memory in use.
                self._let_go()
                raise
            if failed is not None:
                if library.nbd_aio_is_ready(handle) <= 0:
                    self._let_go()
                raise failed

    def _wait_for(self, handle: int, happened: Callable[[], bool]) -> None:
        """Lets the library send and receive. Raises OSError where the connection ends, or nothing moves any more."""
        now = self._runtime.now
        give_up = now() + self.silence_seconds
        while not happened():
            left = give_up - now()
            if left <= 0:
                raise OSError(errno.ETIMEDOUT, f"{self.uri}: no answer in {self.silence_seconds:g} seconds")
            moved = self._library.nbd_poll(handle, int(min(left, _POLL_SECONDS) * 1000) + 1)
            if moved < 0:
                raise libnbd.last_error(self.uri)
            if moved:
                give_up = now() + self.silence_seconds

    def _let_go(self) -> None:
        """Ends the connection; the library has nobody's memory any more."""
        handle, self._handle = self._handle, None
        if handle is not None:
            if self._library.nbd_aio_is_ready(handle) > 0:
                self._library.nbd_aio_disconnect(handle, 0)
            self._library.nbd_close(handle)


def _as_c(uri: str) -> bytes:
    """A URI as the library takes it. Raises OSError where it can be none."""
    try:
        text = os.fsencode(uri)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"{uri!r} is no URI") from error
    if 0 in text:
        raise OSError(errno.EINVAL, f"{uri!r} is no URI")
    return text
