"""The control interface by its bytes: what libdm does with /dev/mapper/control, over any transport."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dmtable.control import codec
from dmtable.control.calls import Calls
from dmtable.control.codec import Command, Version
from dmtable.control.interface import Control, DmIoctl, Flag, NameEntry, TargetLine, TargetVersion
from dmtable.core.numbers import Number
from dmtable.errors import IoctlError

if TYPE_CHECKING:
    from dmtable.control.ioctl import Transport

_ROOM_BYTES = 16 << 10
"""For a payload at first, as libdm has it."""
_OLDEST: Version = (4, 0, 0)
_SINCE: dict[Command, Version] = {
    Command.LIST_VERSIONS: (4, 1, 0),
    Command.TARGET_MSG: (4, 2, 0),
    Command.DEV_SET_GEOMETRY: (4, 6, 0),
    Command.GET_TARGET_VERSION: (4, 41, 0),
}
"""The version that a request is sent with: the first that had it."""


class IoctlControl(Control):
    """Asks through a transport; for as many threads as that is for.

    Where a reply does not fit, the request is sent again with a larger buffer, messages too, as libdm does it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._calls = Calls(transport)

    def version(self) -> tuple[int, int, int]:
        return codec.version_of(self._ask(Command.VERSION, DmIoctl()))

    def list_devices(self, request: DmIoctl) -> list[NameEntry]:
        return codec.decode_names(self._fetch(Command.LIST_DEVICES, request))

    def dev_create(self, request: DmIoctl) -> DmIoctl:
        return self._reply(Command.DEV_CREATE, request)

    def dev_remove(self, request: DmIoctl) -> DmIoctl:
        return self._reply(Command.DEV_REMOVE, request)

    def dev_suspend(self, request: DmIoctl) -> DmIoctl:
        return self._reply(Command.DEV_SUSPEND, request)

    def dev_status(self, request: DmIoctl) -> DmIoctl:
        return self._reply(Command.DEV_STATUS, request)

    def table_load(self, request: DmIoctl, lines: Iterable[TargetLine]) -> DmIoctl:
        count, specs = codec.encode_lines(lines)
        asked = DmIoctl(request.name, request.uuid, request.dev, request.flags, 0, request.event_nr, count)
        return self._reply(Command.TABLE_LOAD, asked, specs)

    def table_clear(self, request: DmIoctl) -> DmIoctl:
        return self._reply(Command.TABLE_CLEAR, request)

    def table_deps(self, request: DmIoctl) -> tuple[DmIoctl, list[Number]]:
        buffer = self._fetch(Command.TABLE_DEPS, request)
        return codec.decode_header(buffer), codec.decode_deps(buffer)

    def table_status(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        return self._status(Command.TABLE_STATUS, request)

    def remove_all(self, request: DmIoctl) -> None:
        self._ask(Command.REMOVE_ALL, request)

    def dev_rename(self, request: DmIoctl, new: str) -> DmIoctl:
        return self._reply(Command.DEV_RENAME, request, codec.bytes_of(new))

    def dev_wait(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        return self._status(Command.DEV_WAIT, request)

    def target_message(self, request: DmIoctl, sector: int, message: str) -> tuple[DmIoctl, str | None]:
        buffer = self._fetch(Command.TARGET_MSG, request, codec.encode_message(sector, message))
        reply = codec.decode_header(buffer)
        return reply, codec.decode_answer(buffer) if Flag.DATA_OUT in reply.flags else None

    def list_versions(self) -> list[TargetVersion]:
        return codec.decode_versions(self._fetch(Command.LIST_VERSIONS, DmIoctl()))

    def target_version(self, request: DmIoctl) -> TargetVersion:
        return codec.decode_versions(self._fetch(Command.GET_TARGET_VERSION, request))[0]

    def set_geometry(self, request: DmIoctl, geometry: str) -> None:
        self._ask(Command.DEV_SET_GEOMETRY, request, codec.bytes_of(geometry))

    def event_number(self) -> int:
        return self._calls.event_number()

    def wait_any_event(self, number: int) -> None:
        self._calls.wait_any_event(number)

    def _reply(self, command: Command, request: DmIoctl, payload: bytes = b"") -> DmIoctl:
        return codec.decode_reply(self._ask(command, request, payload))

    def _status(self, command: Command, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
        buffer = self._fetch(command, request)
        reply = codec.decode_header(buffer)
        return reply, codec.decode_status(buffer, reply.target_count)

    def _fetch(self, command: Command, request: DmIoctl, payload: bytes = b"") -> bytes:
        """The reply with its whole payload."""
        room = _ROOM_BYTES
        while True:
            buffer = self._ask(command, request, payload, room)
            if Flag.BUFFER_FULL not in codec.decode_reply(buffer).flags:
                return buffer
            room *= 2

    def _ask(self, command: Command, request: DmIoctl, payload: bytes = b"", room: int = 0) -> bytes:
        buffer = codec.encode_request(request, _SINCE.get(command, _OLDEST), payload, room)
        number, reply = self._transport(command.request, buffer)
        if number:
            raise IoctlError(number, os.strerror(number))
        if len(reply) < len(codec.version_bytes(_OLDEST)):
            raise IoctlError(errno.EIO, "a reply without a version")
        return reply
