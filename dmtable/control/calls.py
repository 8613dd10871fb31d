"""What a machine answers beside the kernel's ioctls: its disks, its log, its own life. JSON in, JSON out.

The type byte of these requests is `m`. A failure has its errno, and its text in place of the reply.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from dmtable.core.numbers import Number
from dmtable.errors import ErrnoError

if TYPE_CHECKING:
    from dmtable.control.ioctl import Transport

CALL_TYPE = ord("m")


class Call(IntEnum):
    """The numbers of the requests."""

    BLOCK_DEVICES = 0
    ATTACH = 1
    DETACH = 2
    KLOG = 3
    STATUS = 4
    STOP = 5
    EVENT_NUMBER = 6
    WAIT_ANY_EVENT = 7
    BLOCK_DEVICE = 8
    SET_READ_AHEAD = 9

    @property
    def request(self) -> int:
        return CALL_TYPE << 8 | self


@dataclass(frozen=True, slots=True)
class BlockDeviceInfo:
    """What sysfs would show of a device. `path` is a disk's image file, None where there is none."""

    number: Number
    kernel_name: str
    path: str | None
    size_bytes: int
    read_only: bool
    dm_name: str | None
    dm_uuid: str | None
    suspended: bool
    holders: tuple[str, ...]
    """The kernel names of the mds whose tables use it, live or not; who has any is claimed."""
    slaves: tuple[str, ...]
    """Of an md, those that its tables use."""
    read_ahead_sectors: int


class CallError(ErrnoError):
    """The machine could not do what it was asked for."""


class Calls:
    """The machine behind a transport. Every call raises CallError with what stood in its way."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def block_devices(self) -> list[BlockDeviceInfo]:
        """All devices by number: disks, and mds that ever had a table."""
        return [_info(entry) for entry in self._call(Call.BLOCK_DEVICES)]

    def block_device(self, number: Number) -> BlockDeviceInfo | None:
        """The device with a number, None where `block_devices` would not tell of it."""
        entry = self._call(Call.BLOCK_DEVICE, number=number)
        return None if entry is None else _info(entry)

    def set_read_ahead(self, number: Number, sectors: int) -> None:
        """Sets how far the kernel reads ahead on an md, until its next table."""
        self._call(Call.SET_READ_AHEAD, number=number, sectors=sectors)

    def attach(self, path: str, *, read_only: bool = False) -> BlockDeviceInfo:
        """Makes an image file a disk, /dev/loopN; one that is a disk already stays as it is."""
        return _info(self._call(Call.ATTACH, path=os.path.abspath(path), read_only=read_only))

    def detach(self, number: Number) -> None:
        """Forgets a disk: EBUSY where a table uses it, ENXIO where there is none."""
        self._call(Call.DETACH, number=number)

    def klog(self, since: int = 0) -> tuple[list[str], int]:
        """(the lines of the kernel's log after the first `since`, how many there are now)."""
        reply = self._call(Call.KLOG, since=since)
        return reply["lines"], reply["written"]

    def status(self) -> dict[str, Any]:
        """What the machine's process says of itself."""
        status: dict[str, Any] = self._call(Call.STATUS)
        return status

    def stop(self) -> None:
        """Tells the machine to end, which it does a little later."""
        self._call(Call.STOP)

    def event_number(self) -> int:
        return int(self._call(Call.EVENT_NUMBER))

    def wait_any_event(self, number: int) -> None:
        self._call(Call.WAIT_ANY_EVENT, number=number)

    def _call(self, call: Call, **words: object) -> Any:
        import json

        number, reply = self._transport(call.request, json.dumps(words).encode())
        if number:
            raise CallError(number, reply.decode("utf-8", "replace") or os.strerror(number))
        return json.loads(reply)


def _info(entry: Mapping[str, Any]) -> BlockDeviceInfo:
    number = entry["number"]
    known = {**entry, "number": (number[0], number[1])}
    return BlockDeviceInfo(**{**known, "holders": tuple(entry["holders"]), "slaves": tuple(entry["slaves"])})
