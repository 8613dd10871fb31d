"""Requests on a stream socket: a number and a length of 32 bits each, then the bytes; replies the same, with the errno.

request   command · length · buffer         reply   errno · length · bytes to copy back
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

_HEAD = struct.Struct("<II")
MOST_BYTES = 128 << 20
"""Of one buffer: a table of a million lines is half of that."""
_MOST_ADDRESS_BYTES = 107
"""The kernel's sun_path has room for so many, and a NUL."""


class BrokenFrame(OSError):
    """The other side ended within a frame, or said that it is longer than any can be (EPROTO)."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EPROTO, text)


@contextmanager
def within_reach(path: str) -> Iterator[str]:
    """A name for the socket at a path that is short enough for an address, however long the path is."""
    if len(os.fsencode(path)) <= _MOST_ADDRESS_BYTES:
        yield path
        return
    folder, name = os.path.split(path)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def send(connection: socket.socket, number: int, data: bytes) -> None:
    """Sends one frame. Raises OSError."""
    head = _HEAD.pack(number, len(data))
    if len(data) < 1 << 16:
        connection.sendall(head + data)
    else:
        connection.sendall(head)
        connection.sendall(data)


def receive(connection: socket.socket) -> tuple[int, bytes] | None:
    """One frame, None where the other side ended before it. Raises OSError, BrokenFrame among others."""
    head = _received(connection, _HEAD.size)
    if not head:
        return None
    number, length = _unpacked(head)
    if length > MOST_BYTES:
        raise BrokenFrame(f"a frame of {length} bytes is longer than {MOST_BYTES}")
    data = _received(connection, length)
    if len(data) < length:
        raise BrokenFrame(f"{len(data)} bytes of {length}")
    return number, data


def _unpacked(head: bytes) -> tuple[int, int]:
    if len(head) < _HEAD.size:
        raise BrokenFrame(f"{len(head)} bytes of {_HEAD.size}")
    number, length = _HEAD.unpack(head)
    return number, length


def _received(connection: socket.socket, length: int) -> bytes:
    """As many bytes, or fewer where the other side ended. Memory is taken as they come, whatever was announced."""
    data = connection.recv(min(length, 1 << 20)) if length else b""
    if len(data) == length or not data:
        return data
    parts = bytearray(data)
    while len(parts) < length and (data := connection.recv(min(length - len(parts), 1 << 20))):
        parts += data
    return bytes(parts)


class SocketTransport:
    """Requests over a machine's socket, on one connection that the first of them makes.

    For one thread at a time: whoever waits keeps the connection, so another thread needs a transport of its own.
    Raises OSError where nobody answers, or for longer than the patience; the next request tries again with a new
    connection.
    """

    def __init__(self, path: str, patience_seconds: float | None = None) -> None:
        self._path = path
        self._patience_seconds = patience_seconds
        self._connection: socket.socket | None = None

    def __enter__(self) -> SocketTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, command: int, buffer: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connected()
        try:
            send(self._connection, command, buffer)
            reply = receive(self._connection)
        except BaseException:
            # In the middle of a frame nobody knows any more what the next bytes are.
            self.close()
            raise
        if reply is None:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return reply

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._patience_seconds)
        try:
            with within_reach(self._path) as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection
