"""What libdm asks the kernel: a device as a command names it, and a request about it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dmtable.control.interface import NO_FLAGS, DmIoctl, Flag
from dmtable.core.numbers import MAX_MAJOR, MAX_MINOR, Number
from dmtable.errors import DmsetupError
from dmtable.language.mangling import UUID

_SHOWN_FLAGS = ((Flag.READONLY, "readonly "), (Flag.SKIP_LOCKFS, "skiplockfs "))
_SHOWN_FLAGS_BEHIND = (
    (Flag.DEFERRED_REMOVE, "deferredremove "),
    (Flag.IMA_MEASUREMENT, "ima_measurement "),
    (Flag.QUERY_INACTIVE_TABLE, "inactive "),
)
_LEAST_BUFFER_BYTES = 16 * 1024
_HEAD_BYTES = 312
"""sizeof(struct dm_ioctl)."""


@dataclass(frozen=True, slots=True)
class Device:
    """How a command names its device: by name or UUID, mangled, or by number; a number of -1 is none."""

    name: str = ""
    uuid: str = ""
    major: int = -1
    minor: int = -1

    def __str__(self) -> str:
        return f"{self.name} {self.uuid}{self.number}"

    @property
    def number(self) -> str:
        """The number in brackets, nothing without a major."""
        return f"({self.major}:{self.minor if self.minor >= 0 else ''})" if self.major > 0 else ""

    @property
    def dev(self) -> Number | None:
        """The number as the kernel decodes what libdm encodes. Raises DmsetupError without a major."""
        if self.minor < 0:
            return None
        if self.major <= 0:
            raise DmsetupError("Missing major number for persistent device.\nCouldn't create ioctl argument.")
        return self.major & MAX_MAJOR, self.minor & MAX_MINOR


NO_DEVICE = Device()


@dataclass(frozen=True, slots=True)
class Task:
    """A request as libdm makes it. `name` is libdm's word for it."""

    name: str
    device: Device = NO_DEVICE
    flags: Flag = NO_FLAGS
    shown: Device | None = None
    """The device as a message shows it, where that is more than is sent."""
    checks: bool = False
    """`--checks`: libdm looks at its buffers twice."""
    retry: bool = False
    """Whether a removal is tried again while the device is in use."""
    new: str = ""
    """The new name or UUID."""
    event_nr: int = 0
    sector: int = 0
    message: str = ""
    payload_bytes: int = 0
    """How much of the buffer the request itself takes."""
    traced: bool = True
    """Whether dmsetup logs a backtrace where it fails."""

    def request(self) -> DmIoctl:
        """The request itself. Raises DmsetupError for a number that libdm does not send."""
        device, dev = self.device, self.device.dev
        flags = self.flags | Flag.EXISTS | (Flag.PERSISTENT_DEV if dev else NO_FLAGS)
        uuid = device.uuid.encode("utf-8", "surrogateescape")[: UUID.limit].decode("utf-8", "surrogateescape")
        return DmIoctl(device.name, uuid, dev, flags, event_nr=self.event_nr)

    def failure(self, number: int) -> str:
        """libdm's message where the kernel answers with an errno."""
        device = self.shown or self.device
        return f"device-mapper: {self.name} ioctl on {device} failed: {os.strerror(number)}"

    def log_line(self, attempt: int = 1) -> str:
        """The request in libdm's log. The buffer's size is that of the first attempt."""
        device, flags = self.device, self.flags
        words = "noopencount " if Flag.SKIP_BDGET in flags else "opencount "
        words += "noflush " if Flag.NOFLUSH in flags else "flush "
        words += "".join(word for flag, word in _SHOWN_FLAGS if flag in flags)
        words += "retryremove " if self.retry else ""
        words += "".join(word for flag, word in _SHOWN_FLAGS_BEHIND if flag in flags)
        words += "enablechecks " if self.checks else ""
        name = ("UUID " if Flag.UUID in flags else "") + device.name
        new = f" {self.new}" if self.new else ""
        number = f"{device.number} " if device.number else ""
        size = max(_LEAST_BUFFER_BYTES, _HEAD_BYTES + self.payload_bytes)
        sector = self.sector or ""
        named = f"{name} {device.uuid}{new} {number}"
        return f"dm {self.name} {named}[ {words}] {sector} {self.message} [{size}] (*{attempt})"
