"""The control interface over a DeviceMapper in this process: look-ups, checks and replies in the kernel's order.

Source: dm-ioctl.c of Linux 6.1 (__find_device_hash_cell, __dev_status, and the function of each ioctl).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import replace

from dmtable.control.codec import encode_dev
from dmtable.control.interface import (
    CLEARED_ON_ENTRY,
    DRIVER_VERSION,
    Control,
    DmIoctl,
    Flag,
    NameEntry,
    TargetLine,
    TargetVersion,
)
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.numbers import Number
from dmtable.core.table import LiveTable, TargetSpec
from dmtable.core.target import StatusKind
from dmtable.errors import IoctlError
from dmtable.language.kernel_words import split_args
from dmtable.language.numbers import U64

_GEOMETRY = re.compile(rb"[ \t\n\v\f\r\xa0]*([0-9]+)" + 3 * rb"[ \t\n\v\f\r\xa0]+([0-9]+)")
_SET_BY_STATUS = Flag.SUSPEND | Flag.READONLY | Flag.ACTIVE_PRESENT | Flag.INTERNAL_SUSPEND


class LocalControl(Control):
    """Serves the control interface from a DeviceMapper; safe for threads as that is."""

    def __init__(self, mapper: DeviceMapper) -> None:
        self._mapper = mapper

    def version(self) -> tuple[int, int, int]:
        return DRIVER_VERSION

    def list_devices(self, request: DmIoctl) -> list[NameEntry]:
        with_uuid = Flag.UUID in request.flags
        return [
            NameEntry(md.number, md.name, md.event_nr, md.uuid if with_uuid else None)
            for md in self._mapper
            if md.name.startswith(request.name) and md.uuid.startswith(request.uuid)
        ]

    def dev_create(self, request: DmIoctl) -> DmIoctl:
        minor = None
        if Flag.PERSISTENT_DEV in request.flags:
            minor = request.dev[1] if request.dev is not None else 0
        md = self._mapper.create_device(request.name, request.uuid, minor)
        entered = _entered(request)
        return _status(md, replace(entered, flags=entered.flags.without(Flag.INACTIVE_PRESENT)))

    def dev_remove(self, request: DmIoctl) -> DmIoctl:
        md, reply = self._find(request)
        deferred = Flag.DEFERRED_REMOVE in request.flags
        self._mapper.remove(md, deferred=deferred)
        return reply if md.deferred_remove else replace(reply, flags=reply.flags.without(Flag.DEFERRED_REMOVE))

    def dev_suspend(self, request: DmIoctl) -> DmIoctl:
        md, reply = self._find(request)
        noflush = Flag.NOFLUSH in request.flags
        if Flag.SUSPEND in request.flags:
            self._mapper.suspend(md, noflush=noflush)
        else:
            self._mapper.resume(md, noflush=noflush)
            reply = replace(reply, flags=reply.flags.without(Flag.INACTIVE_PRESENT))
        return _status(md, reply)

    def dev_status(self, request: DmIoctl) -> DmIoctl:
        md, reply = self._find(request)
        return _status(md, reply)

    def table_load(self, request: DmIoctl, lines: Iterable[TargetLine]) -> DmIoctl:
        md, reply = self._find(request)
        specs = (TargetSpec(line.start, line.length, line.target, tuple(split_args(line.params))) for line in lines)
        self._mapper.load(md, specs, read_only=Flag.READONLY in request.flags)
        return _status(md, replace(reply, flags=reply.flags | Flag.INACTIVE_PRESENT))

    def table_clear(self, request: DmIoctl) -> DmIoctl:
        md, reply = self._find(request)
        self._mapper.clear(md)
        return _status(md, replace(reply, flags=reply.flags.without(Flag.INACTIVE_PRESENT)))

    def table_deps(self, request: DmIoctl) -> tuple[DmIoctl, list[Number]]:
        md, reply = self._find(request)
        table = _queried_table(md, request)
        return _status(md, reply), [dm_dev.number for dm_dev in reversed(table.devices())] if table is not None else []

    def table_status(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        md, reply = self._find(request)
        return _status(md, reply), _lines(md, request)

    def dev_wait(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        md, reply = self._find(request)
        # A removal ends the wait too, and then the md is seen once more as it was.
        with md.held():
            md.wait_event(request.event_nr)
            return _status(md, reply), _lines(md, request)

    def target_message(self, request: DmIoctl, sector: int, message: str) -> tuple[DmIoctl, str | None]:
        md, reply = self._find(request)
        answer = self._mapper.message(md, sector, split_args(message))
        if answer:
            reply = replace(reply, flags=reply.flags | Flag.DATA_OUT)
        return _status(md, reply), answer or None

    def list_versions(self) -> list[TargetVersion]:
        return [TargetVersion(target.name, target.version) for target in self._mapper.registry.listed()]

    def target_version(self, request: DmIoctl) -> TargetVersion:
        target = self._mapper.registry.runnable(request.name)
        if target is None:
            raise IoctlError(errno.EINVAL, f"no target is called {request.name!r}")
        return TargetVersion(target.name, target.version)

    def remove_all(self, request: DmIoctl) -> None:
        self._mapper.remove_all(deferred=Flag.DEFERRED_REMOVE in request.flags)

    def dev_rename(self, request: DmIoctl, new: str) -> DmIoctl:
        if request.name and request.uuid:
            raise _both_names()
        md = self._mapper.rename(request.name, new, uuid=Flag.UUID in request.flags)
        return _status(md, _entered(request))

    def set_geometry(self, request: DmIoctl, geometry: str) -> None:
        self._find(request)
        words = _GEOMETRY.fullmatch(geometry.encode("utf-8", "surrogateescape"))
        if words is None:
            raise self._mapper.log.refusal(errno.EINVAL, "ioctl: Unable to interpret geometry settings.")
        cylinders, heads, sectors, start = (int(word) % U64 for word in words.groups())
        if cylinders > 0xFFFF or heads > 0xFF or sectors > 0xFF:
            raise self._mapper.log.refusal(errno.EINVAL, "ioctl: Geometry exceeds range limits.")
        if start > cylinders * heads * sectors:
            raise self._mapper.log.refusal(errno.EINVAL, "core: Start sector is beyond the geometry limits.")

    def event_number(self) -> int:
        return self._mapper.events.number

    def wait_any_event(self, number: int) -> None:
        self._mapper.events.wait(number)

    def _find(self, request: DmIoctl) -> tuple[MappedDevice, DmIoctl]:
        """The device that a request names, and the reply as far as every request has it.

        EINVAL where both name and UUID are given, ENXIO where there is no such device.
        """
        if request.name and request.uuid:
            raise _both_names()
        if request.dev and (request.name or request.uuid):
            named = f"name {request.name}" if request.name else f"uuid {request.uuid}, name "
            text = f"ioctl: Invalid ioctl structure: {named}, dev {encode_dev(request.dev):x}"
            raise self._mapper.log.refusal(errno.ENXIO, text)
        if request.uuid:
            md = self._mapper.by_uuid(request.uuid)
        elif request.name in self._mapper:
            md = self._mapper[request.name]
        else:
            md = self._mapper.by_number(request.dev) if request.dev else None
        if md is None:
            raise IoctlError(errno.ENXIO, "no such mapped device")
        reply = replace(_entered(request), name=md.name, uuid=md.uuid)
        flags = reply.flags.without(Flag.INACTIVE_PRESENT)
        return md, replace(reply, flags=flags | Flag.INACTIVE_PRESENT if md.inactive is not None else flags)


def _entered(request: DmIoctl) -> DmIoctl:
    return replace(request, flags=request.flags.without(CLEARED_ON_ENTRY))


def _status(md: MappedDevice, reply: DmIoctl) -> DmIoctl:
    """The reply with the md's state filled in (__dev_status)."""
    flags = reply.flags.without(_SET_BY_STATUS)
    if md.suspended:
        flags |= Flag.SUSPEND
    if md.deferred_remove:
        flags |= Flag.DEFERRED_REMOVE
    if md.live is not None:
        flags |= Flag.ACTIVE_PRESENT
    table = _queried_table(md, reply)
    if table is not None and table.read_only:
        flags |= Flag.READONLY
    return replace(
        reply,
        dev=md.number,
        flags=flags,
        open_count=md.open_count,
        event_nr=md.event_nr,
        target_count=len(table) if table is not None else 0,
    )


def _lines(md: MappedDevice, request: DmIoctl) -> list[TargetLine]:
    """What the targets of the table that is asked for say of themselves (retrieve_status)."""
    table = _queried_table(md, request)
    kind = StatusKind.TABLE if Flag.STATUS_TABLE in request.flags else StatusKind.INFO
    measured = kind is StatusKind.INFO and Flag.IMA_MEASUREMENT in request.flags
    targets = table.targets() if table is not None else ()
    return [
        TargetLine(target.begin, target.length, target.name, target.measurement() if measured else target.status(kind))
        for target in targets
    ]


def _both_names() -> IoctlError:
    return IoctlError(errno.EINVAL, "a device is named by its name or by its uuid, not by both")


def _queried_table(md: MappedDevice, request: DmIoctl) -> LiveTable | None:
    return md.inactive if Flag.QUERY_INACTIVE_TABLE in request.flags else md.live
