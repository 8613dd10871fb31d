"""The mds by what they are called: name, UUID and number (kernel: the hash cells of dm-ioctl.c, and _minor_idr)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import count

from dmtable.core.kernel_log import KernelLog
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.numbers import DM_MAJOR, MAX_MINOR, Number
from dmtable.errors import IoctlError

MAX_NAME, MAX_UUID = 127, 128


class Names:
    """Each md once under each of its names. Whoever changes them holds a lock; looking up needs none.

    What the kernel would refuse raises IoctlError, and is logged as there.
    """

    def __init__(self, log: KernelLog) -> None:
        self._log = log
        self._by_name: dict[str, MappedDevice] = {}
        self._by_uuid: dict[str, MappedDevice] = {}
        self._by_number: dict[Number, MappedDevice] = {}

    def __contains__(self, md: MappedDevice) -> bool:
        return self._by_number.get(md.number) is md

    def __iter__(self) -> Iterator[MappedDevice]:
        """By name, in the order of bytes."""
        return iter(sorted(self._by_name.values(), key=lambda md: os.fsencode(md.name)))

    def __len__(self) -> int:
        return len(self._by_name)

    def by_name(self, name: str) -> MappedDevice | None:
        return self._by_name.get(name)

    def by_uuid(self, uuid: str) -> MappedDevice | None:
        return self._by_uuid.get(uuid)

    def by_number(self, number: Number) -> MappedDevice | None:
        return self._by_number.get(number)

    def check_new(self, name: str, uuid: str) -> None:
        """EINVAL where no md to come can be called so."""
        if not name:
            raise self._log.refusal(errno.EINVAL, "ioctl: name not supplied when creating device")
        self._check_name(name)
        if _length_bytes(name) > MAX_NAME or _length_bytes(uuid) > MAX_UUID:
            raise IoctlError(errno.EINVAL, f"a name has at most {MAX_NAME} bytes and a uuid {MAX_UUID}")

    def check_renamed(self, new: str, *, is_uuid: bool) -> None:
        """EINVAL where no md can be given such a name or UUID."""
        if not 0 < _length_bytes(new) <= (MAX_UUID if is_uuid else MAX_NAME):
            raise self._log.refusal(errno.EINVAL, "ioctl: Invalid new mapped device name or uuid string supplied.")
        if not is_uuid:
            self._check_name(new)

    def number_for_new(self, name: str, uuid: str, minor: int | None) -> Number:
        """The number of an md to come: the lowest that is free unless told. EBUSY where a name is taken, ENXIO
        where the minor is."""
        if minor is None:
            minor = next(minor for minor in count() if (DM_MAJOR, minor) not in self._by_number)
        elif (DM_MAJOR, minor) in self._by_number or not 0 <= minor <= MAX_MINOR:
            raise IoctlError(errno.ENXIO, f"minor {minor} is taken or out of range")
        if name in self._by_name or uuid in self._by_uuid:
            raise IoctlError(errno.EBUSY, f"a device with the name {name!r} or the uuid {uuid!r} exists")
        return DM_MAJOR, minor

    def add(self, md: MappedDevice) -> None:
        self._by_number[md.number] = md
        self._by_name[md.name] = md
        if md.uuid:
            self._by_uuid[md.uuid] = md

    def remove(self, md: MappedDevice) -> None:
        del self._by_number[md.number]
        del self._by_name[md.name]
        if md.uuid:
            del self._by_uuid[md.uuid]

    def rename(self, old: str, name: str) -> MappedDevice:
        """Gives an md another name (kernel: dm_hash_rename)."""
        if name in self._by_name:
            text = f"Unable to change name on mapped device {old} to one that already exists: {name}"
            raise self._log.refusal(errno.EBUSY, f"ioctl: {text}")
        md = self._renamed(old, name)
        self._by_name[name] = md
        del self._by_name[old]
        md.name = name
        return md

    def set_uuid(self, name: str, uuid: str) -> MappedDevice:
        """Gives an md its UUID, once (kernel: dm_hash_rename)."""
        if uuid in self._by_uuid:
            text = f"Unable to change uuid on mapped device {name} to one that already exists: {uuid}"
            raise self._log.refusal(errno.EBUSY, f"ioctl: {text}")
        md = self._renamed(name, f"uuid {uuid}")
        if md.uuid:
            text = f"Unable to change uuid of mapped device {name} to {uuid} because uuid is already set to {md.uuid}"
            raise self._log.refusal(errno.EINVAL, f"ioctl: {text}")
        self._by_uuid[uuid] = md
        md.uuid = uuid
        return md

    def _renamed(self, name: str, to: str) -> MappedDevice:
        md = self._by_name.get(name)
        if md is None:
            raise self._log.refusal(errno.ENXIO, f"ioctl: Unable to rename non-existent device, {name} to {to}")
        return md

    def _check_name(self, name: str) -> None:
        if "/" in name:
            raise self._log.refusal(errno.EINVAL, "ioctl: invalid device name")


def _length_bytes(text: str) -> int:
    try:
        return len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise IoctlError(errno.EINVAL, f"{text!r} has no form in bytes") from error
