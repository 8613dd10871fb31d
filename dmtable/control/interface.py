"""The control interface of device-mapper: a call for each ioctl, and values for what its buffers hold.

Whoever manages mds talks to this interface and does not see what is behind it. Source: struct dm_ioctl
and its payloads (linux/dm-ioctl.h), version 4.47.0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag

from dmtable.core.numbers import Number

DRIVER_VERSION = (4, 47, 0)
"""What Linux 6.1 reports; clients choose by it what they may ask for."""


class Flag(IntFlag):
    """The bits of `dm_ioctl.flags` (DM_*_FLAG)."""

    READONLY = 1 << 0
    SUSPEND = 1 << 1
    EXISTS = 1 << 2
    """Set by libdm on every request; the kernel knows nothing of it and gives it back."""
    PERSISTENT_DEV = 1 << 3
    STATUS_TABLE = 1 << 4
    ACTIVE_PRESENT = 1 << 5
    INACTIVE_PRESENT = 1 << 6
    BUFFER_FULL = 1 << 8
    SKIP_BDGET = 1 << 9
    SKIP_LOCKFS = 1 << 10
    NOFLUSH = 1 << 11
    QUERY_INACTIVE_TABLE = 1 << 12
    UEVENT_GENERATED = 1 << 13
    UUID = 1 << 14
    SECURE_DATA = 1 << 15
    DATA_OUT = 1 << 16
    DEFERRED_REMOVE = 1 << 17
    INTERNAL_SUSPEND = 1 << 18
    IMA_MEASUREMENT = 1 << 19

    def without(self, flags: Flag) -> Flag:
        """These flags but for some; bits that have no name stay, as they would not with `& ~flags`."""
        return Flag(int(self) & ~int(flags))


NO_FLAGS = Flag(0)
CLEARED_ON_ENTRY = Flag.BUFFER_FULL | Flag.UEVENT_GENERATED | Flag.SECURE_DATA | Flag.DATA_OUT
"""Of these, what a request has never comes back."""


@dataclass(frozen=True, slots=True)
class DmIoctl:
    """The fields of struct dm_ioctl, of a request and of its reply.

    A request names its device by one of `name`, `uuid` and `dev`; empty means not given. A reply tells
    all three. Names and UUIDs are as the kernel has them, with bytes that are no UTF-8 as surrogates.
    """

    name: str = ""
    uuid: str = ""
    dev: Number | None = None
    flags: Flag = NO_FLAGS
    open_count: int = 0
    event_nr: int = 0
    target_count: int = 0


@dataclass(frozen=True, slots=True)
class TargetLine:
    """struct dm_target_spec with its parameters; of a request, they are still to be split into words."""

    start: int
    length: int
    target: str
    params: str


@dataclass(frozen=True, slots=True)
class NameEntry:
    """One device of the list (struct dm_name_list). `uuid` is None unless the request asked for UUIDs."""

    dev: Number
    name: str
    event_nr: int
    uuid: str | None


@dataclass(frozen=True, slots=True)
class TargetVersion:
    """One of the targets that the kernel knows (struct dm_target_versions)."""

    name: str
    version: tuple[int, int, int]


class Control(ABC):
    """/dev/mapper/control. Every call raises IoctlError where the ioctl would fail.

    Flags of a request that mean nothing to a call come back in its reply, as the kernel leaves them.
    """

    @abstractmethod
    def version(self) -> tuple[int, int, int]:
        """The driver's version (DM_VERSION)."""

    @abstractmethod
    def list_devices(self, request: DmIoctl) -> list[NameEntry]:
        """All devices by name, in the order of bytes (DM_LIST_DEVICES); a name or UUID asks for those that begin so."""

    @abstractmethod
    def dev_create(self, request: DmIoctl) -> DmIoctl:
        """Makes a device without a table (DM_DEV_CREATE). `dev` asks for its minor, with PERSISTENT_DEV."""

    @abstractmethod
    def dev_remove(self, request: DmIoctl) -> DmIoctl:
        """Removes a device (DM_DEV_REMOVE); with DEFERRED_REMOVE once its last user closes it."""

    @abstractmethod
    def dev_suspend(self, request: DmIoctl) -> DmIoctl:
        """Suspends with the flag SUSPEND; without it resumes, with the inactive table if any (DM_DEV_SUSPEND)."""

    @abstractmethod
    def dev_status(self, request: DmIoctl) -> DmIoctl:
        """What there is to say of a device (DM_DEV_STATUS)."""

    @abstractmethod
    def table_load(self, request: DmIoctl, lines: Iterable[TargetLine]) -> DmIoctl:
        """Loads a table into the inactive slot (DM_TABLE_LOAD); with READONLY for reading only.

        Each line is judged before the next is asked for.
        """

    @abstractmethod
    def table_clear(self, request: DmIoctl) -> DmIoctl:
        """Empties the inactive slot (DM_TABLE_CLEAR)."""

    @abstractmethod
    def table_deps(self, request: DmIoctl) -> tuple[DmIoctl, list[Number]]:
        """The devices that the table uses, the last one first (DM_TABLE_DEPS)."""

    @abstractmethod
    def table_status(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        """The table's lines with each target's status, or its parameters with STATUS_TABLE (DM_TABLE_STATUS)."""

    @abstractmethod
    def remove_all(self, request: DmIoctl) -> None:
        """Removes every device that nobody uses (DM_REMOVE_ALL); with DEFERRED_REMOVE marks the others."""

    @abstractmethod
    def dev_rename(self, request: DmIoctl, new: str) -> DmIoctl:
        """Gives the device `request.name` a new name, or its first UUID with the flag UUID (DM_DEV_RENAME)."""

    @abstractmethod
    def dev_wait(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        """Waits until the event counter differs from `request.event_nr`, then as `table_status` (DM_DEV_WAIT)."""

    @abstractmethod
    def target_message(self, request: DmIoctl, sector: int, message: str) -> tuple[DmIoctl, str | None]:
        """Sends words, still to be split, to the target at a sector; its answer or None (DM_TARGET_MSG)."""

    @abstractmethod
    def list_versions(self) -> list[TargetVersion]:
        """The targets that the kernel knows, in its order (DM_LIST_VERSIONS)."""

    @abstractmethod
    def target_version(self, request: DmIoctl) -> TargetVersion:
        """The version of the target `request.name` (DM_GET_TARGET_VERSION)."""

    @abstractmethod
    def set_geometry(self, request: DmIoctl, geometry: str) -> None:
        """Sets "cylinders heads sectors start" (DM_DEV_SET_GEOMETRY), which only a BIOS asks for."""

    @abstractmethod
    def event_number(self) -> int:
        """How many events there were on all devices together, and changes of their list (dm_global_event_nr)."""

    @abstractmethod
    def wait_any_event(self, number: int) -> None:
        """Returns when `event_number()` differs from `number` (DM_DEV_ARM_POLL and poll())."""
