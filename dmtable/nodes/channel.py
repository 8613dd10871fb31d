"""The connection to the kernel: requests in, answers out, and who still waits for one."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from contextlib import suppress

from dmtable.nodes.protocol import ANSWER

_TRIES = 60
"""So often the next request is looked for before this thread sleeps: waking it costs more than most requests do."""
_pack, _ANSWER_BYTES = ANSWER.pack, ANSWER.size


class Channel:
    """Reads by one thread at a time; answers from any. The descriptor is this object's and not blocking.

    A request that waits for an answer stands in `waiting` with the thread that made it. Whoever takes it out gives
    the answer: there is one, whether by what was asked for or by an interrupt, and none after `close`.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._stopping = False
        self._wake_in, self._wake_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(self._wake_in, select.POLLIN)
        self.waiting: dict[int, int] = {}

    def __del__(self) -> None:
        for fd in (self._fd, self._wake_in, self._wake_out):
            with suppress(OSError):
                os.close(fd)

    def receive(self, buffers: list[bytearray | memoryview], asleep: Callable[[bool], None]) -> int:
        """Fills the buffers with the next request and returns its length; 0 where there will be none any more.

        `asleep` is told when this thread goes to sleep, and when it is awake again.
        """
        fd, readv, let_others = self._fd, os.readv, os.sched_yield
        tries = _TRIES
        while not self._stopping:
            try:
                return readv(fd, buffers)
            except BlockingIOError:
                tries -= 1
                let_others()
            except OSError as error:
                # The request was given up while it was handed over.
                if error.errno != errno.ENOENT:
                    return 0
            if not tries:
                asleep(True)
                self._poll.poll()
                asleep(False)
                tries = _TRIES
        return 0

    def answer(self, unique: int, body: bytes | memoryview = b"") -> bool:
        """What was asked for has been done; False where nobody gets to know."""
        return self.waiting.pop(unique, None) is not None and self._send(unique, 0, body)

    def fail(self, unique: int, number: int) -> None:
        """What was asked for has failed, with a positive errno."""
        if self.waiting.pop(unique, None) is not None:
            self._send(unique, -number, b"")

    def stop(self) -> None:
        """`receive` returns 0, now and from now on."""
        self._stopping = True
        os.write(self._wake_out, b"!")

    def close(self) -> None:
        """The kernel fails whatever still waits. Nobody may be in `receive`."""
        self.waiting.clear()
        # The number stays ours: somebody may be about to answer, and would write into whatever had it next.
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nowhere, self._fd, inheritable=False)
        os.close(nowhere)

    def _send(self, unique: int, status: int, body: bytes | memoryview) -> bool:
        try:
            os.writev(self._fd, (_pack(_ANSWER_BYTES + len(body), status, unique), body))
        except OSError:
            # The request is gone, and perhaps its file system too.
            return False
        return True
