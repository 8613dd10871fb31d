"""What libdm does between a command and the ioctls: it finds devices, mangles names, keeps nodes, words errors.

Source: libdm 1.02.185, as recorded in fixtures/kernel.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dmtable.control.dev import READ_AHEAD_SECTORS, Dev
from dmtable.control.interface import NO_FLAGS, Control, DmIoctl, Flag
from dmtable.core.devices import MAX_MAJOR, MAX_MINOR, Number
from dmtable.errors import DmsetupError, IoctlError
from dmtable.language.mangling import NAME, UUID, MangleError, MangleMode, mangle, unmangle

LIBRARY_VERSION = "1.02.185 (2022-05-18)"

_NODES = "/dev/mapper"
_NOT_DEVICES = (".", "..", "control")
"""What stands in the folder of the nodes before there is any."""

T = TypeVar("T")


class IoctlFailed(DmsetupError):
    """A request that failed, as libdm reports it."""

    def __init__(self, task: str, device: Device, number: int) -> None:
        super().__init__(f"device-mapper: {task} ioctl on {device} failed: {os.strerror(number)}")
        self.errno = number


@dataclass(frozen=True, slots=True)
class Device:
    """How a command names its device: by name or UUID, mangled, or by number; a number of -1 is none."""

    name: str = ""
    uuid: str = ""
    major: int = -1
    minor: int = -1

    def __str__(self) -> str:
        number = f"({self.major}:{self.minor if self.minor >= 0 else ''})" if self.major > 0 else ""
        return f"{self.name} {self.uuid}{number}"

    @property
    def dev(self) -> Number | None:
        """The number as the kernel decodes what libdm encodes. Raises DmsetupError without a major."""
        if self.minor < 0:
            return None
        if self.major <= 0:
            raise DmsetupError("Missing major number for persistent device.\nCouldn't create ioctl argument.")
        return self.major & MAX_MAJOR, self.minor & MAX_MINOR

    def request(self, flags: Flag = NO_FLAGS) -> DmIoctl:
        """A request for this device."""
        dev = self.dev
        flags |= Flag.EXISTS | (Flag.PERSISTENT_DEV if dev else NO_FLAGS)
        return DmIoctl(self.name, self.uuid, dev, flags)


@dataclass(frozen=True, slots=True)
class Libdm:
    """A control interface with what libdm adds to it. `complain` takes lines for stderr."""

    control: Control
    dev: Dev
    mode: MangleMode
    complain: Callable[[str], object]

    # Names.

    def by_name(self, operand: str) -> Device:
        """The device with this name or path. Raises DmsetupError; a name need not exist, a path must."""
        if "/" not in operand:
            return Device(name=mangle(operand, self.mode, NAME))
        dev = self.dev.number(operand)
        if dev is None:
            raise DmsetupError(f"Device {operand} not found")
        name = operand.rpartition("/")[2]
        nodes = self.dev.nodes
        if nodes.get(name) != dev:
            same = [node for node, number in nodes.items() if number == dev]
            if not same:
                raise DmsetupError(f"Device {name} not found")
            name = same[0]
        return Device(name=mangle(name, self.mode, NAME))

    def new_name(self, name: str) -> str:
        """The mangled name of a device that shall be created. Raises DmsetupError."""
        if "/" in name:
            raise DmsetupError(f'Name "{name}" invalid. It contains "/".')
        return mangle(name, self.mode, NAME)

    def uuid(self, uuid: str) -> str:
        """The mangled UUID. Raises DmsetupError."""
        return mangle(uuid, self.mode, UUID)

    def shown_name(self, name: str) -> str:
        """A name as it is shown. Raises DmsetupError where it cannot be."""
        return unmangle(name, self.mode, NAME)

    def shown_uuid(self, uuid: str) -> str:
        """A UUID as it is shown. Raises DmsetupError where it cannot be."""
        return unmangle(uuid, self.mode, UUID)

    def device_name(self, dev: Number) -> str | None:
        """The name of a device in sysfs: an md's as the kernel has it, another's like `loop0`; None without one."""
        block_name = self.dev.block_name(dev)
        if block_name is None:
            return None
        return next((entry.name for entry in self.control.list_devices(DmIoctl()) if entry.dev == dev), block_name)

    def devices(self) -> list[tuple[str, Number]]:
        """(name as shown, number) of every device. Raises DmsetupError with all names that cannot be shown."""
        shown, odd = [], []
        for entry in self.control.list_devices(DmIoctl(flags=Flag.EXISTS)):
            try:
                shown.append((self.shown_name(entry.name), entry.dev))
            except MangleError as error:
                odd.append(str(error))
        if odd:
            raise DmsetupError("\n".join(odd))
        return shown

    # Requests.

    def run(self, task: str, device: Device, ioctl: Callable[[DmIoctl], T], flags: Flag = NO_FLAGS) -> T:
        """Sends a request for a device. Raises IoctlFailed with libdm's message, which names the task."""
        return self.send(task, device, lambda: ioctl(device.request(flags)))

    def send(self, task: str, device: Device, ioctl: Callable[[], T]) -> T:
        """Sends any request; the device is only what the message shows."""
        try:
            return ioctl()
        except IoctlError as error:
            raise IoctlFailed(task, device, error.errno) from error

    def existing(self, task: str, device: Device, ioctl: Callable[[DmIoctl], T], flags: Flag = NO_FLAGS) -> T:
        """Sends a request of those for which a device that is not there is no failed ioctl, but an answer."""
        try:
            return self.run(task, device, ioctl, flags)
        except IoctlFailed as error:
            if error.errno == errno.ENXIO:
                raise DmsetupError("Device does not exist.") from error
            raise

    # Nodes.

    def add_node(self, name: str, dev: Number) -> None:
        """Makes the node of a device; that this fails does not fail a command."""
        if name in _NOT_DEVICES:
            self.complain(f"A non-block device file at '{_NODES}/{name}' is already present")
        else:
            self.dev.nodes[name] = dev

    def remove_node(self, name: str) -> None:
        """Takes the node of a device away; that this fails does not fail a command."""
        if name in _NOT_DEVICES[:2]:
            self.complain(f"Unable to unlink device node for '{name}'")
        self.dev.nodes.pop(name, None)

    def read_ahead(self, reply: DmIoctl) -> int | None:
        """Sectors; None, and a complaint, where neither sysfs nor the node can tell."""
        assert reply.dev is not None
        if self.dev.block_name(reply.dev):
            return READ_AHEAD_SECTORS
        # libdm looks for the name as it is shown, which is not the node's where that is mangled.
        name = self.shown_name(reply.name)
        number = errno.ENXIO if name in self.dev.nodes else errno.ENOENT
        self.complain(f"{_NODES}/{name}: open failed: {os.strerror(number)}")
        return None
