"""A small NBD server over any device: what it must do wrong, no real server would.

Protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, fixed newstyle, simple replies.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading

from dmtable.core.bio import Bio, Op, submit
from dmtable.io.device import BlockDevice

_OPTION_MAGIC = int.from_bytes(b"IHAVEOPT")
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_EXPORT_NAME, _INFO, _GO = 1, 6, 7
_ACK, _INFO_REPLY, _UNSUPPORTED = 1, 3, 0x80000001
_HAS_FLAGS, _READ_ONLY, _FLUSHES, _KNOWS_FUA, _TRIMS, _ZEROES = 1, 2, 4, 8, 32, 64
_READ, _WRITE, _DISCONNECT, _FLUSH, _TRIM, _WRITE_ZEROES = 0, 1, 2, 3, 4, 6
_OPS = {_READ: Op.READ, _WRITE: Op.WRITE, _FLUSH: Op.FLUSH, _TRIM: Op.DISCARD, _WRITE_ZEROES: Op.WRITE_ZEROES}


class NbdServer:
    """Serves the device at a Unix socket. `plain` offers nothing but READ, WRITE and FLUSH."""

    def __init__(
        self, device: BlockDevice, path: str, *, plain: bool = False, flushes: bool = True, most_bytes: int = 0
    ) -> None:
        self.device = device
        self.path = path
        self.seen: list[tuple[Op, int, int, bool]] = []
        """Each request: (what, offset, length, whether with FUA)."""
        self.silent = False
        """It takes requests and answers none."""
        self._most_bytes = most_bytes
        self._flags = _HAS_FLAGS | (_FLUSHES if flushes else 0)
        self._flags |= 0 if plain else _KNOWS_FUA | _TRIMS | _ZEROES
        self._flags |= _READ_ONLY if device.read_only else 0
        self._connections: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stop(self) -> None:
        """Ends the server and all its connections."""
        for each in [self._listening, *self._connections]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            self._shake_hands(connection)
            while self._answer(connection):
                pass

    def _shake_hands(self, connection: socket.socket) -> None:
        connection.sendall(struct.pack(">8sQH", b"NBDMAGIC", _OPTION_MAGIC, _FIXED_NEWSTYLE | _NO_ZEROES))
        _receive(connection, 4)
        while True:
            _, option, length = struct.unpack(">QII", _receive(connection, 16))
            _receive(connection, length)
            export = struct.pack(">QH", self.device.size_bytes, self._flags)
            if option == _EXPORT_NAME:
                connection.sendall(export)
                return
            if option in (_INFO, _GO):
                _reply(connection, option, _INFO_REPLY, struct.pack(">H", 0) + export)
                if self._most_bytes:
                    sizes = struct.pack(">HIII", 3, self.device.logical_block_size, 4096, self._most_bytes)
                    _reply(connection, option, _INFO_REPLY, sizes)
                _reply(connection, option, _ACK, b"")
                if option == _GO:
                    return
            else:
                _reply(connection, option, _UNSUPPORTED, b"")

    def _answer(self, connection: socket.socket) -> bool:
        """Serves one request; says whether there may be another."""
        _, flags, command, cookie, offset, length = struct.unpack(">IHHQQI", _receive(connection, 28))
        if command == _DISCONNECT:
            return False
        op = _OPS[command]
        data = bytearray(_receive(connection, length) if op is Op.WRITE else length if op is Op.READ else 0)
        if self._most_bytes and len(data) > self._most_bytes:
            return False
        self.seen.append((op, offset, length, bool(flags & 1)))
        if self.silent:
            return True
        bio = Bio(op, offset >> 9, length >> 9, memoryview(data), fua=bool(flags & 1))
        submit(self.device, bio)
        error = bio.error if bio.error in (0, errno.EPERM, errno.ENOSPC, errno.EINVAL) else errno.EIO
        connection.sendall(
            struct.pack(">IIQ", 0x67446698, error, cookie) + (data if op is Op.READ and not error else b"")
        )
        return True


def _reply(connection: socket.socket, option: int, kind: int, data: bytes) -> None:
    connection.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return received
