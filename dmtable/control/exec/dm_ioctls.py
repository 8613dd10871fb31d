"""The ioctls of /dev/mapper/control: from a program's memory to the daemon and back."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Callable

from dmtable.control.exec.memory import Memory

_HEADER_BYTES = 312
"""struct dm_ioctl."""
_MOST_BYTES = 1 << 24
"""More is not carried across; the daemon sees the size that it should have had, and refuses."""
_DATA_SIZE_AT = 12
_SIZE = struct.Struct("<I")
_REMOVE_ALL, _REMOVE, _SUSPEND, _WAIT = 1, 4, 6, 8
_PENDING_BLOCKED_CAUGHT = re.compile(
    rb"^SigPnd:\s*(\w+)\nShdPnd:\s*(\w+)\nSigBlk:\s*(\w+)\nSigIgn:\s*\w+\nSigCgt:\s*(\w+)$", re.MULTILINE
)

Exchange = Callable[[int, bytes, Callable[[], bool]], tuple[int, bytes]]
"""(command, buffer, whether the caller gave up) -> (errno, bytes). InterruptedError where it did."""


def answer(
    memory: Memory,
    command: int,
    address: int,
    exchange: Exchange,
    given_up: Callable[[], bool],
    releases_seen: Callable[[], None],
) -> None:
    """Carries one ioctl out. Raises OSError with the errno that the program gets."""
    request = _request(memory, address)
    number, reply = exchange(command, request, given_up)
    if (number == errno.EBUSY and command & 0xFF == _REMOVE) or command & 0xFF == _REMOVE_ALL:
        # What holds the device open may have been closed, and the daemon not been told yet.
        releases_seen()
        number, reply = exchange(command, request, given_up)
    if reply:
        memory.write(address, reply)
    if number:
        raise OSError(number, os.strerror(number))


def is_interruptible(command: int) -> bool:
    """Whether it waits in a way that signals end, and not only those that kill."""
    return command & 0xFF in (_WAIT, _SUSPEND)


def has_signal(tid: int) -> bool:
    """Whether a signal waits for a thread that has a handler for it: any other call would end with EINTR."""
    try:
        with open(f"/proc/{tid}/status", "rb", buffering=0) as file:
            match = _PENDING_BLOCKED_CAUGHT.search(file.read())
    except OSError:
        return False
    if match is None:
        return False
    pending, shared, blocked, caught = (int(mask, 16) for mask in match.groups())
    return bool((pending | shared) & ~blocked & caught)


def _request(memory: Memory, address: int) -> bytes:
    """As much of the buffer as there is: what is missing is the daemon's to refuse."""
    request = memory.read_some(address, _HEADER_BYTES)
    if len(request) < _DATA_SIZE_AT + _SIZE.size:
        return request
    size = _SIZE.unpack_from(request, _DATA_SIZE_AT)[0]
    return memory.read_some(address, size) if len(request) < size <= _MOST_BYTES else request
