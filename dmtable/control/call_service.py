"""Answers what a machine is asked beside the kernel's ioctls, in the process where the machine is."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from dmtable.control.calls import BlockDeviceInfo, Call, CallError
from dmtable.control.ioctl import Answer
from dmtable.control.read_ahead import DEFAULT_SECTORS, ReadAhead
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.devices import DmDev
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.numbers import DM_MAJOR, Number
from dmtable.errors import DeviceLookupError, ErrnoError


class CallService:
    """Answers the calls for a machine. `about` is what it says of its process, `stop` tells that to end."""

    def __init__(
        self, mapper: DeviceMapper, about: Callable[[], Mapping[str, object]], stop: Callable[[], object]
    ) -> None:
        self._mapper = mapper
        self._read_ahead = ReadAhead(mapper)
        self._about = about
        self._stop = stop
        self._calls: dict[int, Callable[[_Words], object]] = {
            Call.BLOCK_DEVICES: self._block_devices,
            Call.BLOCK_DEVICE: self._block_device,
            Call.SET_READ_AHEAD: self._set_read_ahead,
            Call.ATTACH: self._attach,
            Call.DETACH: self._detach,
            Call.KLOG: self._klog,
            Call.STATUS: lambda _: dict(self._about()),
            Call.STOP: self._stop_later,
            Call.EVENT_NUMBER: lambda _: self._mapper.events.number,
            Call.WAIT_ANY_EVENT: lambda words: self._mapper.events.wait(words.number("number")),
        }

    def answer(self, command: int, buffer: bytes) -> Answer:
        """errno and text, or 0 and JSON."""
        call = self._calls.get(command & 0xFF)
        if call is None:
            return errno.ENOTTY, b"the machine knows no such call"
        try:
            return 0, json.dumps(call(_Words.read(buffer))).encode()
        except ErrnoError as error:
            return error.errno, error.text.encode("utf-8", "replace")
        except OSError as error:
            return error.errno or errno.EIO, str(error).encode("utf-8", "replace")

    def _block_devices(self, words: _Words) -> object:
        mapper = self._mapper
        mds = [md for md in mapper if md.limits_known]
        holders: dict[Number, list[str]] = {}
        for md in mapper:
            for number in list(md.opened):
                holders.setdefault(number, []).append(md.dm_dev.kernel_name)
        infos = [_disk(dm_dev, holders) for dm_dev in mapper.disks()]
        infos += [self._md(md, holders) for md in sorted(mds, key=lambda md: md.number)]
        return [asdict(info) for info in infos]

    def _block_device(self, words: _Words) -> object:
        number = words.device("number")
        holders = {number: [md.dm_dev.kernel_name for md in self._mapper.holders(number)]}
        if number[0] == DM_MAJOR:
            md = self._mapper.by_number(number)
            return asdict(self._md(md, holders)) if md is not None and md.limits_known else None
        try:
            return asdict(_disk(self._mapper.lookup(f"{number[0]}:{number[1]}"), holders))
        except DeviceLookupError:
            return None

    def _attach(self, words: _Words) -> object:
        dm_dev = self._mapper.attach(words.text("path"), read_only=words.flag("read_only"))
        holders = [md.dm_dev.kernel_name for md in self._mapper.holders(dm_dev.number)]
        return asdict(_disk(dm_dev, {dm_dev.number: holders}))

    def _detach(self, words: _Words) -> object:
        self._mapper.detach(words.device("number"))
        return None

    def _klog(self, words: _Words) -> object:
        lines, written = self._mapper.log.since(words.number("since"))
        return {"lines": lines, "written": written}

    def _set_read_ahead(self, words: _Words) -> object:
        self._read_ahead.tell(words.device("number"), words.number("sectors"))
        return None

    def _stop_later(self, words: _Words) -> object:
        self._stop()
        return None

    def _md(self, md: MappedDevice, holders: Mapping[Number, list[str]]) -> BlockDeviceInfo:
        return BlockDeviceInfo(
            number=md.number,
            kernel_name=md.dm_dev.kernel_name,
            path=None,
            size_bytes=md.size_bytes,
            read_only=md.read_only,
            dm_name=md.name,
            dm_uuid=md.uuid,
            suspended=md.suspended,
            holders=tuple(holders.get(md.number, ())),
            slaves=tuple(dm_dev.kernel_name for dm_dev, _tables in list(md.opened.values())),
            read_ahead_sectors=self._read_ahead.of(md.number),
        )


def _disk(dm_dev: DmDev, holders: Mapping[Number, list[str]]) -> BlockDeviceInfo:
    return BlockDeviceInfo(
        number=dm_dev.number,
        kernel_name=dm_dev.kernel_name,
        path=getattr(dm_dev.device, "path", None),
        size_bytes=dm_dev.device.size_bytes,
        read_only=dm_dev.device.read_only,
        dm_name=None,
        dm_uuid=None,
        suspended=False,
        holders=tuple(holders.get(dm_dev.number, ())),
        slaves=(),
        read_ahead_sectors=DEFAULT_SECTORS,
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """What a call was told. Each is looked at before it is used: EINVAL where it is not what it should be."""

    values: Mapping[str, object]

    @classmethod
    def read(cls, buffer: bytes) -> _Words:
        try:
            values = json.loads(buffer or b"{}")
        except (ValueError, RecursionError) as error:
            raise CallError(errno.EINVAL, f"no JSON: {error}") from error
        if not isinstance(values, dict):
            raise CallError(errno.EINVAL, "a call's words are one JSON object")
        return cls(values)

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
            raise CallError(errno.EINVAL, f"{key} is to be an absolute path")
        try:
            os.fsencode(value)
        except UnicodeEncodeError as error:
            raise CallError(errno.EINVAL, f"{key} has no form in bytes") from error
        return value

    def number(self, key: str) -> int:
        value = self.values.get(key)
        if type(value) is not int or not 0 <= value < 1 << 64:
            raise CallError(errno.EINVAL, f"{key} is to be a number")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise CallError(errno.EINVAL, f"{key} is to be true or false")
        return value

    def device(self, key: str) -> Number:
        value = self.values.get(key)
        if not isinstance(value, list) or [type(part) for part in value] != [int, int]:
            raise CallError(errno.EINVAL, f"{key} is to be [major, minor]")
        return value[0], value[1]
