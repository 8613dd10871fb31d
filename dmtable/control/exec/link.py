"""The supervisor's connections to the daemon."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Callable

from dmtable.control import wire
from dmtable.control.calls import Call

_LOOK_MS = 50


class MachineLink:
    """A connection for each ioctl, as one may wait for long; one kept open for what is asked all the time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept = wire.SocketTransport(path)

    def close(self) -> None:
        with self._lock:
            self._kept.close()

    def block_devices(self) -> bytes:
        """The machine's block devices, as JSON. Raises OSError where no daemon answers."""
        with self._lock:
            try:
                number, reply = self._kept(Call.BLOCK_DEVICES.request, b"")
            except ConnectionError:
                # The daemon that we knew has ended; there may be another.
                number, reply = self._kept(Call.BLOCK_DEVICES.request, b"")
        if number:
            raise OSError(number, os.strerror(number))
        return reply

    def exchange(self, command: int, buffer: bytes, given_up: Callable[[], bool]) -> tuple[int, bytes]:
        """Sends an ioctl: (errno, what to write back). Raises InterruptedError where the caller gave up meanwhile."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(self._path)
                wire.send(connection, command, buffer)
                poll = select.poll()
                poll.register(connection, select.POLLIN)
                while not poll.poll(_LOOK_MS):
                    if given_up():
                        raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
                reply = wire.receive(connection)
            except InterruptedError:
                raise
            except OSError as error:
                raise _no_driver() from error
        if reply is None:
            raise _no_driver()
        return reply


def _no_driver() -> OSError:
    """As where the kernel has no device-mapper."""
    return OSError(errno.ENODEV, os.strerror(errno.ENODEV))
