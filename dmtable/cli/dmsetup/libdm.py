"""What libdm does between a command and the ioctls: it finds devices, mangles names, words errors, keeps a log.

Source: libdm 1.02.185, as recorded in fixtures/kernel.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dmtable.cli.dmsetup.log import Log
from dmtable.cli.dmsetup.nodes import CONTROL, FOLDER, NodeOperations
from dmtable.cli.dmsetup.task import Device, Task
from dmtable.control.dev import Dev
from dmtable.control.interface import Control, DmIoctl
from dmtable.core.numbers import DM_MAJOR, Number
from dmtable.errors import DmsetupError, IoctlError
from dmtable.language.mangling import (
    NAME,
    UUID,
    Field,
    MangledTwice,
    MangleError,
    MangleMode,
    corrected,
    mangle,
    reverted,
    unmangle,
)

LIBRARY_VERSION = "1.02.185 (2022-05-18)"

_BUSY_RETRIES = 25
_RETRY_SECONDS = 0.2
_NO_FILE = os.strerror(errno.ENOENT)

T = TypeVar("T")


class IoctlFailed(DmsetupError):
    """A request that failed, as libdm reports it."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.errno = number


@dataclass(frozen=True, slots=True)
class Libdm:
    """A control interface with what libdm adds to it. `complain` takes lines for stderr."""

    control: Control
    dev: Dev
    mode: MangleMode
    nodes: NodeOperations
    log: Log
    complain: Callable[[str], object]
    sleep: Callable[[float], object]

    # Names.

    def by_name(self, operand: str, *, backtraces: int = 2) -> Device:
        """The device with this name or path. Raises DmsetupError; a name need not exist, a path must."""
        self.open()
        if "/" in operand:
            return Device(name=self._node_at(operand, backtraces))
        return Device(name=self._mangled(operand, NAME, "Device name", backtraces))

    def by_uuid(self, uuid: str) -> Device:
        """The device with this UUID. Raises DmsetupError; it need not exist."""
        self.open()
        return Device(uuid=self._mangled(uuid, UUID, "Device uuid", 2))

    def new_device(self, name: str, uuid: str = "") -> Device:
        """A device that shall be created. Raises DmsetupError."""
        self.open()
        if "/" in name:
            raise self.failed(f'Name "{name}" invalid. It contains "/".')
        return Device(self._mangled(name, NAME, "Device name"), self._mangled(uuid, UUID, "Device uuid"))

    def new_string(self, text: str, field: Field) -> str:
        """The mangled new name or UUID of a device. Raises DmsetupError."""
        return self._mangled(text, field, field.label.replace("new ", "New device ").replace("UUID", "uuid"))

    def shown_name(self, name: str) -> str:
        """A name as it is shown. Raises DmsetupError where it cannot be."""
        return self._unmangled(name, NAME)

    def shown_uuid(self, uuid: str) -> str:
        """A UUID as it is shown. Raises DmsetupError where it cannot be."""
        return self._unmangled(uuid, UUID)

    def mangled_again(self, shown: str, field: Field) -> str:
        """What is shown, as the kernel should have it. Raises DmsetupError where that cannot be said."""
        return mangle(shown, self.mode, field) if self.mode is MangleMode.HEX else corrected(shown, field)

    def unmangled_at_last(self, shown: str) -> str:
        """What is shown, without any mangling that the mode left in it."""
        return reverted(shown) if self.mode is MangleMode.NONE else shown

    def device_name(self, dev: Number) -> str | None:
        """The name of a device in sysfs: an md's as the kernel has it, another's like `loop0`; None without one."""
        if dev[0] != DM_MAJOR:
            return self.block_name(dev)
        entries = self.control.list_devices(DmIoctl()) if self.dev.block_name(dev) is not None else []
        name = next((entry.name for entry in entries if entry.dev == dev), None)
        if name is None:
            self.log.line(f"/sys/dev/block/{dev[0]}:{dev[1]}/dm/name: fopen failed: {_NO_FILE}")
            self.log.backtrace()
            return self.block_name(dev)
        return name

    def block_name(self, dev: Number) -> str | None:
        """The name of a block device, as `dm-0`; None where the kernel shows none."""
        name = self.dev.block_name(dev)
        if name is None:
            self.log.line(f"/sys/dev/block/{dev[0]}:{dev[1]}: readlink failed: {_NO_FILE}")
        return name

    def devices(self, *, checks: bool = False) -> list[tuple[str, Number]]:
        """(name as shown, number) of every device. Raises DmsetupError with all names that cannot be shown."""
        shown, odd = [], []
        for entry in self.run(Task("names", checks=checks), self.control.list_devices):
            try:
                shown.append((self.shown_name(entry.name), entry.dev))
            except MangleError as error:
                odd.append(str(error))
        if odd:
            raise self.failed("\n".join(odd))
        return shown

    def read_ahead(self, reply: DmIoctl) -> int | None:
        """Sectors; None, and a complaint, where nothing can tell.

        libdm looks for the name as it is shown, which is not the node's where that is mangled.
        """
        assert reply.dev is not None
        return self.nodes.current_read_ahead(self.shown_name(reply.name), reply.dev)

    # Requests.

    def open(self) -> None:
        """What libdm asks before anything else."""
        self.log.once(Task("version").log_line())

    def use_no_udev(self) -> None:
        """What libdm finds out before it makes a udev transaction."""
        self.log.once("Udev is not running. Not using udev synchronisation code.")

    def run(self, task: Task, ioctl: Callable[[DmIoctl], T]) -> T:
        """Sends a request. Raises IoctlFailed with libdm's message, DmsetupError for what libdm does not send."""
        self.open()
        try:
            return self._attempts(task, ioctl)
        except DmsetupError:
            self.log.backtrace(int(task.traced))
            raise

    def existing(self, task: Task, ioctl: Callable[[DmIoctl], T]) -> T | None:
        """Sends a request of those for which a device that is not there is no failed ioctl: then None."""
        self.open()
        try:
            return self._attempts(task, ioctl)
        except DmsetupError as error:
            if isinstance(error, IoctlFailed) and error.errno == errno.ENXIO:
                return None
            self.log.backtrace(int(task.traced))
            raise

    def failed(self, text: str, backtraces: int = 1) -> DmsetupError:
        """A failure that is no request's, with its traces in the log."""
        self.log.backtrace(backtraces)
        return DmsetupError(text)

    def _attempts(self, task: Task, ioctl: Callable[[DmIoctl], T]) -> T:
        request = task.request()
        attempt = 1
        while True:
            self.log.line(task.log_line(attempt))
            try:
                return ioctl(request)
            except IoctlError as error:
                if not task.retry or error.errno != errno.EBUSY or attempt == _BUSY_RETRIES:
                    raise IoctlFailed(task.failure(error.errno), error.errno) from error
            attempt += 1
            self.sleep(_RETRY_SECONDS)

    # Inside.

    def _node_at(self, path: str, backtraces: int) -> str:
        """The name of the node that is the same device as the file at a path, its own name first."""
        if os.path.normpath(path) == f"{FOLDER}/{CONTROL}":
            return CONTROL  # A node like any other to libdm, if only by its own name.
        dev = self.dev.number(path)
        if dev is None:
            raise self.failed(f"Device {path} not found", backtraces)
        name = path.rpartition("/")[2]
        nodes = self.dev.nodes
        if nodes.get(name) == dev:
            return name
        same = next((node for node, number in nodes.items() if number == dev), None)
        if same is None:
            raise self.failed(f"Device {name} not found", backtraces)
        return same

    def _mangled(self, text: str, field: Field, label: str, backtraces: int = 1) -> str:
        try:
            mangled = mangle(text, self.mode, field)
        except MangleError as error:
            self.log.backtrace(backtraces + isinstance(error, MangledTwice))
            raise
        if self.mode is MangleMode.NONE:
            # A UUID that is too long fills its place in the buffer; the kernel reads one byte less.
            return text.encode("utf-8", "surrogateescape")[: field.limit + 1].decode("utf-8", "surrogateescape")
        if mangled != text:
            self.log.line(f"{label} mangled [{self.mode}]: {text} --> {mangled}")
        return mangled

    def _unmangled(self, text: str, field: Field) -> str:
        try:
            return unmangle(text, self.mode, field)
        except MangleError as error:
            if isinstance(error, MangledTwice):
                self.log.backtrace()
            else:
                self.log.line(f'_do_dm_ioctl_unmangle_string: failed to unmangle {field.label} "{text}"')
            raise
