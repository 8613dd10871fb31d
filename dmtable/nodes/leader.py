"""The loop that takes requests one after the other, and answers what can be answered at once."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from dmtable.nodes.channel import Channel
from dmtable.nodes.node import Node
from dmtable.nodes.protocol import HEAD, MAX_BYTES, REQUEST, Opcode
from dmtable.nodes.requests import UNANSWERED, Requests

_READ, _WRITE = int(Opcode.READ), int(Opcode.WRITE)


class Leader:
    """A thread's term of leading: it alone receives, with the baton in hand, until another is put in its place."""

    def __init__(
        self, channel: Channel, requests: Requests, baton: threading.Lock, on_wake: Callable[[], object]
    ) -> None:
        self.deposed = False
        self.asleep = False
        self.turn = 0
        """Counts its requests."""
        self.node: Node | None = None
        """Whose call it makes."""
        self._channel = channel
        self._requests = requests
        self._baton = baton
        self._on_wake = on_wake

    def lead(self) -> bool:
        """Leads until it is deposed, or until there is nothing more to receive: then True."""
        channel, serve, files = self._channel, self._requests.serve, self._requests.files
        waiting, baton, unpack = channel.waiting, self._baton, REQUEST.unpack_from
        head, body, known = bytearray(REQUEST.size), memoryview(bytearray(MAX_BYTES)), REQUEST.size
        buffers: list[bytearray | memoryview] = [head, body]
        unique = 0
        try:
            while True:
                with baton:
                    if self.deposed:
                        return False
                    length = channel.receive(buffers, self._sleeps)
                    if not length:
                        return True
                    said, opcode, unique, inode, _, _, thread, _, fh, offset, size, _, _, flags, _ = unpack(head)
                    if length < HEAD.size or said != length:
                        continue
                    if opcode not in UNANSWERED:
                        waiting[unique] = thread
                    self.turn += 1
                if opcode not in (_READ, _WRITE):
                    rest = max(length - known, 0)
                    serve(opcode, unique, inode, memoryview(head[HEAD.size : length] + body[:rest]))
                    continue
                self.node = node = files.get(fh)
                try:
                    if size > MAX_BYTES or length != known + (size if opcode == _WRITE else 0):
                        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                    if node is None:
                        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                    if opcode == _READ:
                        node.read(unique, offset, size, body)
                    else:
                        node.write(unique, offset, body[:size], durable=flags & os.O_DSYNC != 0)
                except OSError as error:
                    channel.fail(unique, error.errno or errno.EIO)
                self.node = None
        except BaseException:
            # A defect; nobody shall wait for it.
            channel.fail(unique, errno.EIO)
            raise

    def _sleeps(self, asleep: bool) -> None:
        self.asleep = asleep
        if not asleep:
            self._on_wake()
