"""Interrupts: who waits for a device can be killed, and is not disturbed by anything less.

As with a disk, a signal that its thread handles or ignores lets a read or write go on. Programs rely on that, and
the kernel sends an INTERRUPT for any signal, once for each request; so those that did not die are looked at again.
"""

from __future__ import annotations

import errno
import re
import signal

from dmtable.nodes.channel import Channel

_HARMLESS = (
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
)
"""What kills nobody, handled or not."""
_SETS = re.compile(rb"^(SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt):\s*([0-9a-f]+)$", re.MULTILINE)


class Interrupts:
    """The requests that an INTERRUPT came for and whose threads live on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.survivors: set[int] = set()

    def interrupt(self, unique: int) -> None:
        """Answers the request with EINTR if its thread is dying. One that is not waiting is left alone."""
        thread = self._channel.waiting.get(unique)
        if thread is None:
            return
        if is_dying(thread):
            self._channel.fail(unique, errno.EINTR)
        else:
            self.survivors.add(unique)

    def look(self) -> None:
        """Looks at all again."""
        for unique in list(self.survivors):
            self.survivors.discard(unique)
            self.interrupt(unique)


def is_dying(thread: int) -> bool:
    """Whether a signal is about to end the thread; also where it cannot be seen."""
    try:
        with open(f"/proc/{thread}/status", "rb") as file:
            return kills(file.read())
    except OSError:
        return True


def kills(status: bytes) -> bool:
    """Whether any of a thread's signals, as /proc tells them, is deadly to it."""
    sets = {name: int(mask, 16) for name, mask in _SETS.findall(status)}
    # What kills a process shows as a SIGKILL of each of its threads, where it leaves no core.
    pending = sets.get(b"SigPnd", 0) | sets.get(b"ShdPnd", 0)
    survived = sets.get(b"SigBlk", 0) | sets.get(b"SigIgn", 0) | sets.get(b"SigCgt", 0)
    return bool(pending & ~survived & ~sum(1 << (number - 1) for number in _HARMLESS))
