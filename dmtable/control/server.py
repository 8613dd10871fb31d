"""The socket of an emulated machine: a thread for each connection, so that whoever waits blocks nobody else."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from dmtable.control import wire
from dmtable.control.call_service import CallService
from dmtable.control.calls import CALL_TYPE
from dmtable.control.dispatch import LocalControl
from dmtable.control.ioctl import Answer, Transport, answer
from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import UsageError
from dmtable.runtime.threads import Interruption, spawn

if TYPE_CHECKING:
    from threading import Thread

_PEER = struct.Struct("3i")
_MOST_CONNECTIONS = 400
"""Whoever comes then waits in the backlog until one ends; open files are not without end."""
_ENDING_SECONDS = 2.0
"""For all connections together."""
_RETRY_SECONDS = 1.0


def machine_transport(
    mapper: DeviceMapper,
    about: Callable[[], Mapping[str, object]] = dict,
    stop: Callable[[], object] = lambda: None,
) -> Transport:
    """All that a machine answers, without a socket: the kernel's ioctls, and its own calls."""
    control = LocalControl(mapper)
    calls = CallService(mapper, about, stop)

    def transport(command: int, buffer: bytes) -> Answer:
        if command >> 8 & 0xFF == CALL_TYPE:
            return calls.answer(command, buffer)
        return answer(control, mapper.log.write, command, buffer)

    return transport


class Server:
    """Serves a machine at a path that only its owner can reach, and only the owner and root are served.

    A client that goes away while it waits, waits no more: an ioctl that can be interrupted ends as if by a signal.
    `about` and `stop` are for the calls `status` and `stop`. Raises UsageError where the path cannot be served.
    """

    def __init__(
        self,
        mapper: DeviceMapper,
        path: str,
        about: Callable[[], Mapping[str, object]] = dict,
        stop: Callable[[], object] = lambda: None,
    ) -> None:
        self._transport = machine_transport(mapper, about, stop)
        self._path = path
        self._listener = _bound(path)
        self._connections: dict[int, _Connection] = {}
        self._ended, self._wake = socket.socketpair()
        self._ready = select.epoll()
        self._closing = False
        self._thread: Thread | None = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """From now on clients are answered."""
        self._listener.listen(128)
        self._ready.register(self._listener, select.EPOLLIN)
        self._ready.register(self._ended, select.EPOLLIN)
        self._thread = spawn("dmtable socket", self._run)

    def close(self) -> None:
        """Takes the socket away and ends every connection; what waits is interrupted, and replies under way are sent.

        I/O is not interrupted: a connection that waits for some ends when that does.
        """
        if self._closing:
            return
        self._closing = True
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        self._wake.send(b"\0")
        if self._thread is not None:
            self._thread.join()
        connections = list(self._connections.values())
        for connection in connections:
            connection.end()
        end = monotonic() + _ENDING_SECONDS
        for connection in connections:
            connection.join(max(end - monotonic(), 0))
        for each in (self._listener, self._ended, self._wake, self._ready):
            each.close()

    def _run(self) -> None:
        """Takes connections, and notices those that nobody is at the other end of any more."""
        ready = self._ready
        patience_seconds: float | None = None
        while not self._closing:
            events = {fd for fd, _ in ready.poll(patience_seconds)}
            # Before new ones are taken, which may get the numbers of those that ended.
            for fd in events & self._connections.keys():
                with suppress(OSError):
                    ready.unregister(fd)
                self._connections[fd].interrupt()
            if self._ended.fileno() in events:
                self._ended.recv(4096)
                self._connections = {fd: each for fd, each in self._connections.items() if not each.ended}
            elif self._listener.fileno() in events and not self._take():
                # Until somebody ends, or somebody else in this process gives up what was missing.
                ready.modify(self._listener, 0)
                patience_seconds = _RETRY_SECONDS
                continue
            if patience_seconds is not None and (not events or self._ended.fileno() in events):
                ready.modify(self._listener, select.EPOLLIN)
                patience_seconds = None

    def _take(self) -> bool:
        """Takes one connection; False where there are too many, or there is no file or thread for one more."""
        if len(self._connections) >= _MOST_CONNECTIONS:
            return False
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            return error.errno not in (errno.EMFILE, errno.ENFILE)
        if not _is_owner(client):
            client.close()
            return True
        fd = client.fileno()
        # Without a wish: that the other side is gone is always told.
        self._ready.register(fd, 0)
        try:
            self._connections[fd] = _Connection(client, self._transport, self._wake)
        except RuntimeError:
            client.close()
            return False
        return True


class _Connection:
    """One client, served until it ends or sends what is no frame."""

    def __init__(self, client: socket.socket, transport: Transport, wake: socket.socket) -> None:
        self._client = client
        self._transport = transport
        self._wake = wake
        self._interruption = Interruption()
        self.ended = False
        self._thread = spawn("dmtable client", self._run)

    def interrupt(self) -> None:
        self._interruption.interrupt()

    def end(self) -> None:
        """Takes no more requests."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RD)
        self.interrupt()

    def join(self, seconds: float) -> None:
        """Waits for it to end; then whoever does not read its reply loses it."""
        self._thread.join(seconds)
        if not self.ended:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with suppress(OSError), self._client:
            while (request := wire.receive(self._client)) is not None:
                wire.send(self._client, *self._answer(*request))
        self.ended = True
        # Where nobody listens any more, or is told already, it need not be said.
        with suppress(OSError):
            self._wake.send(b"\0", socket.MSG_DONTWAIT)

    def _answer(self, command: int, buffer: bytes) -> Answer:
        try:
            with self._interruption:
                return self._transport(command, buffer)
        except InterruptedError:
            return errno.EINTR, b""
        except Exception as error:
            # A defect, which is told; others rely on the machine meanwhile.
            told = (type(error), error, error.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(told))
            return errno.EIO, b""


def _bound(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with wire.within_reach(path) as address:
            _clear(address)
            listener.bind(address)
            # Nobody can connect before it listens.
            os.chmod(address, 0o600)
    except OSError as error:
        listener.close()
        raise UsageError(f"{path} cannot be served: {error}") from error
    return listener


def _clear(address: str) -> None:
    """Takes away what a server that was killed left. Raises OSError where one is alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if stat.S_ISSOCK(os.lstat(address).st_mode):
                os.unlink(address)
                return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), address)


def _is_owner(client: socket.socket) -> bool:
    _pid, uid, _gid = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return uid in (0, os.geteuid())
