"""The bytes of the control interface: struct dm_ioctl, and what follows it in each request and reply.

    0  version[3] · 12 data_size · 16 data_start · 20 target_count · 24 open_count · 28 flags · 32 event_nr
    40 dev (u64) · 48 name[128] · 176 uuid[129] · 305 data[7]

Numbers are little-endian and of 32 bits unless said otherwise. The kernel's payloads begin at byte 312 and their
records at multiples of 8 from there. Source: linux/dm-ioctl.h, version 4.47.0; what replies hold where they do not
fit is what dm-ioctl.c of Linux 6.1 was seen to answer. Text is bytes with surrogates for what is no UTF-8.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dmtable.control.interface import DmIoctl, Flag, NameEntry, TargetLine, TargetVersion
from dmtable.core.numbers import MAX_MINOR, Number
from dmtable.errors import IoctlError

Version = tuple[int, int, int]

IOCTL_TYPE = 0xFD
HEADER_BYTES = 312
LEAST_BYTES = 305
"""A reply without a payload, and the least that a request may have."""
_MAX_TARGETS = 1 << 20

_VERSION = struct.Struct("<3I")
_HEADER = struct.Struct("<3I I I I i I I I Q 128s 129s 7s")
_SIZES = struct.Struct("<II")
_COUNTERS = struct.Struct("<I i I I")
_DEV = struct.Struct("<Q")
_DATA_SIZE, _COUNTERS_AT, _FLAGS, _DEV_AT, _NAME, _UUID, _DATA = 12, 20, 28, 40, 48, 176, 305
_SPEC = struct.Struct("<QQiI16s")
_SPEC_TYPE = 24
_LIST_ENTRY = struct.Struct("<QI")
_LIST_TAIL = struct.Struct("<II")
_HAS_UUID, _HAS_NO_UUID = 1, 2
_DEPS = struct.Struct("<II")
_VERSIONS_ENTRY = struct.Struct("<I3I")
_MESSAGE = struct.Struct("<Q")


class Command(IntEnum):
    """The numbers of the ioctls (DM_*_CMD)."""

    VERSION = 0
    REMOVE_ALL = 1
    LIST_DEVICES = 2
    DEV_CREATE = 3
    DEV_REMOVE = 4
    DEV_RENAME = 5
    DEV_SUSPEND = 6
    DEV_STATUS = 7
    DEV_WAIT = 8
    TABLE_LOAD = 9
    TABLE_CLEAR = 10
    TABLE_DEPS = 11
    TABLE_STATUS = 12
    LIST_VERSIONS = 13
    TARGET_MSG = 14
    DEV_SET_GEOMETRY = 15
    DEV_ARM_POLL = 16
    GET_TARGET_VERSION = 17

    @property
    def request(self) -> int:
        """The request number of ioctl(2)."""
        return 3 << 30 | HEADER_BYTES << 16 | IOCTL_TYPE << 8 | self


# Both ways: text, device numbers, and the header.


def text_of(buffer: bytes | bytearray, at: int) -> str | None:
    """The string that begins at a byte, None where no NUL ends it."""
    end = buffer.find(0, at) if at <= len(buffer) else -1
    return None if end < 0 else bytes(buffer[at:end]).decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The string with its NUL. Raises IoctlError (EINVAL) where it has one within."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise IoctlError(errno.EINVAL, f"{text!r} has no form in bytes") from error
    if b"\0" in data:
        raise IoctlError(errno.EINVAL, f"{text!r} has a NUL")
    return data + b"\0"


def encode_dev(dev: Number | None) -> int:
    """A device number in 64 bits (huge_encode_dev), 0 for none."""
    if dev is None:
        return 0
    major, minor = dev
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def decode_dev(encoded: int) -> Number | None:
    """The number in 64 bits of which the kernel looks at 32 (huge_decode_dev)."""
    return ((encoded & 0xFFF00) >> 8, (encoded & 0xFF) | ((encoded >> 12) & 0xFFF00)) if encoded else None


def version_bytes(version: Version) -> bytes:
    return _VERSION.pack(*version)


def version_of(buffer: bytes | bytearray) -> Version:
    first, second, third = _VERSION.unpack_from(buffer)
    return first, second, third


def sizes_of(buffer: bytes | bytearray) -> tuple[int, int]:
    """(data_size, data_start)."""
    size, start = _SIZES.unpack_from(buffer, _DATA_SIZE)
    return size, start


def decode_header(buffer: bytes | bytearray) -> DmIoctl:
    """The fields of a header. A name that nothing ends goes on in what follows, as it does in the kernel."""
    count, opens, flags, event_nr = _COUNTERS.unpack_from(buffer, _COUNTERS_AT)
    return DmIoctl(
        name=text_of(buffer, _NAME) or "",
        uuid=text_of(buffer, _UUID) or "",
        dev=decode_dev(_DEV.unpack_from(buffer, _DEV_AT)[0]),
        flags=Flag(flags),
        open_count=opens,
        event_nr=event_nr,
        target_count=count,
    )


# Requests: a client's side.


def encode_request(request: DmIoctl, version: Version, payload: bytes = b"", room: int = 0) -> bytes:
    """A buffer with a payload, or zeros, of at least `room` bytes behind the header. Raises IoctlError."""
    name, uuid = bytes_of(request.name), bytes_of(request.uuid)
    if len(name) > 128 or len(uuid) > 129:
        raise IoctlError(errno.EINVAL, "a name has at most 127 bytes and a uuid 128")
    if request.dev is not None and not (request.dev[0] <= 0xFFF and 0 <= request.dev[1] <= MAX_MINOR):
        raise IoctlError(errno.ENXIO, f"no device has the number {request.dev[0]}:{request.dev[1]}")
    payload = payload.ljust(room, b"\0")
    header = _HEADER.pack(
        *version,
        HEADER_BYTES + len(payload),
        HEADER_BYTES,
        request.target_count,
        request.open_count,
        request.flags,
        request.event_nr,
        0,
        encode_dev(request.dev),
        name,
        uuid,
        b"",
    )
    return header + payload


def encode_lines(lines: Iterable[TargetLine]) -> tuple[int, bytes]:
    """(target_count, the specs of a table to load). Each has the way to the next, from its own begin."""
    count, parts = 0, []
    for line in lines:
        target, params = bytes_of(line.target), bytes_of(line.params)
        if len(target) > 16:
            raise IoctlError(errno.EINVAL, f"{line.target!r} is no name of a target: it has more than 15 bytes")
        if not (0 <= line.start < 1 << 64 and 0 <= line.length < 1 << 64):
            raise IoctlError(errno.EINVAL, "start and length are numbers of 64 bits")
        length = _aligned(_SPEC.size + len(params))
        parts.append((_SPEC.pack(line.start, line.length, 0, length, target) + params).ljust(length, b"\0"))
        count += 1
    return count, b"".join(parts)


def encode_message(sector: int, message: str) -> bytes:
    if not 0 <= sector < 1 << 64:
        raise IoctlError(errno.EINVAL, "a sector is a number of 64 bits")
    return _MESSAGE.pack(sector) + bytes_of(message)


# Requests: the kernel's side.


def entered(buffer: bytes, size: int, version: Version, cleared: Flag) -> bytearray:
    """A request as the kernel goes on with it: `size` bytes, its own version, and no flags that only replies have."""
    param = bytearray(buffer[:size])
    _VERSION.pack_into(param, 0, *version)
    struct.pack_into("<I", param, _DATA_SIZE, LEAST_BYTES)
    flags = struct.unpack_from("<I", param, _FLAGS)[0]
    struct.pack_into("<I", param, _FLAGS, flags & ~int(cleared))
    return param


def has_name(param: bytearray) -> bool:
    return param[_NAME] != 0


def has_uuid(param: bytearray) -> bool:
    return param[_UUID] != 0


def end_names(param: bytearray) -> None:
    """Cuts a name and a UUID that nothing ends."""
    param[_UUID - 1] = param[_DATA - 1] = 0


def text_payload(param: bytearray) -> str | None:
    """The string of a rename or of a geometry; None where it begins too early or has no end."""
    start = sizes_of(param)[1]
    return text_of(param, start) if start >= LEAST_BYTES else None


def message_payload(param: bytearray) -> tuple[int, str] | None:
    """(sector, words) of a message; None where it begins too early or has no end."""
    start = sizes_of(param)[1]
    words = text_of(param, start + _MESSAGE.size) if start >= LEAST_BYTES else None
    return None if words is None else (_MESSAGE.unpack_from(param, start)[0], words)


def decode_lines(param: bytearray, count: int) -> Iterator[TargetLine]:
    """The lines of a table to load, one at a time: the kernel looks at each when those before it stand.

    Raises IoctlError at the first that cannot be: EINVAL, or EOVERFLOW where there are far too many.
    """
    if count > _MAX_TARGETS:
        raise IoctlError(errno.EOVERFLOW, f"a table has at most {_MAX_TARGETS} targets")
    at, step = 0, sizes_of(param)[1]
    for _ in range(count):
        at += step
        # Not even the first may lie over where the one before would be, which is the header.
        params = text_of(param, at + _SPEC.size) if step >= _SPEC.size else None
        if params is None:
            raise IoctlError(errno.EINVAL, "unable to find target")
        start, length, _status, step, _type = _SPEC.unpack_from(param, at)
        yield TargetLine(start, length, text_of(param, at + _SPEC_TYPE) or "", params)


# Replies: the kernel's side. Each payload says what it needs; whether that is there, the buffer knows.


@dataclass(frozen=True, slots=True)
class Payload:
    """What goes behind the header, None where nothing does after all; `full` where there was more to say."""

    data: bytes | None
    full: bool = False


def encode_reply(param: bytearray, reply: DmIoctl, payload: Payload | None = None) -> bytes:
    """The bytes that the kernel copies back. `payload` is None for ioctls that never have one."""
    asked = decode_header(param)
    flags = reply.flags | Flag.BUFFER_FULL if payload is not None and payload.full else reply.flags
    _COUNTERS.pack_into(param, _COUNTERS_AT, reply.target_count, reply.open_count, flags, reply.event_nr)
    if reply != asked:
        _DEV.pack_into(param, _DEV_AT, encode_dev(reply.dev))
    for at, text, before in ((_NAME, reply.name, asked.name), (_UUID, reply.uuid, asked.uuid)):
        if text != before:
            data = bytes_of(text)
            param[at : at + len(data)] = data
    if payload is None:
        return bytes(param[:LEAST_BYTES])
    size = LEAST_BYTES if payload.data is None else HEADER_BYTES + len(payload.data)
    _SIZES.pack_into(param, _DATA_SIZE, size, min(HEADER_BYTES, len(param)))
    if payload.data is None:
        return bytes(param[:LEAST_BYTES])
    return bytes(param[:HEADER_BYTES]) + payload.data


def encode_names(entries: Sequence[NameEntry]) -> bytes:
    parts: list[bytes] = []
    for number, entry in enumerate(entries, 1):
        name = bytes_of(entry.name)
        known = 0 if entry.uuid is None else _HAS_UUID if entry.uuid else _HAS_NO_UUID
        uuid = _padded(bytes_of(entry.uuid)) if entry.uuid else b""
        tail = _LIST_TAIL.pack(entry.event_nr, known) + uuid
        length = _aligned(_LIST_ENTRY.size + len(name)) + len(tail)
        step = 0 if number == len(entries) else length
        parts += _padded(_LIST_ENTRY.pack(encode_dev(entry.dev), step) + name), tail
    return b"".join(parts)


def encode_deps(devs: Sequence[Number]) -> bytes:
    return _DEPS.pack(len(devs), 0) + b"".join(_DEV.pack(encode_dev(dev)) for dev in devs)


def encode_versions(versions: Sequence[TargetVersion]) -> bytes:
    """As long as the kernel counts before it looks where records end: 7 bytes too many for each."""
    parts: list[bytes] = []
    needed = 0
    for number, entry in enumerate(versions, 1):
        name = bytes_of(entry.name)
        length = _VERSIONS_ENTRY.size + len(name)
        needed += length + 7
        step = 0 if number == len(versions) else _aligned(length)
        parts.append(_padded(_VERSIONS_ENTRY.pack(step, *entry.version) + name))
    return b"".join(parts)[:needed].ljust(needed, b"\0")


def encode_status(lines: Iterable[TargetLine], room: int) -> Payload:
    """As much as the room has. Each record has the way to the next, from the first."""
    data = bytearray()
    used = 0
    for line in lines:
        text = bytes_of(line.params)
        at = len(data)
        if room - at <= _SPEC.size or len(text) >= room - at - _SPEC.size:
            return Payload(bytes(data[:used]) or None, full=True)
        used = at + _SPEC.size + len(text)
        end = _aligned(used)
        fits = end <= room
        data += _SPEC.pack(line.start, line.length, 0, end if fits else 0, bytes_of(line.target)[:16]) + text
        if not fits:
            return Payload(bytes(data), full=True)
        data += bytes(end - used)
    return Payload(bytes(data[:used]))


# Replies: a client's side.


def decode_reply(buffer: bytes) -> DmIoctl:
    """The fields of a reply. Raises IoctlError (EIO) where it is none."""
    if len(buffer) < LEAST_BYTES:
        raise _broken()
    return decode_header(buffer)


def decode_names(buffer: bytes) -> list[NameEntry]:
    entries: list[NameEntry] = []
    size, at = sizes_of(buffer)
    while at < size:
        dev, step = _unpacked(_LIST_ENTRY, buffer, at)
        name = _text(buffer, at + _LIST_ENTRY.size)
        tail = at + _aligned(_LIST_ENTRY.size + len(bytes_of(name)))
        event_nr, known = _unpacked(_LIST_TAIL, buffer, tail)
        uuid = _text(buffer, tail + _LIST_TAIL.size) if known & _HAS_UUID else "" if known else None
        entries.append(NameEntry(decode_dev(dev) or (0, 0), name, event_nr, uuid))
        if not step:
            break
        at += step
    return entries


def decode_deps(buffer: bytes) -> list[Number]:
    size, start = sizes_of(buffer)
    if size <= LEAST_BYTES:
        return []
    count, _ = _unpacked(_DEPS, buffer, start)
    devs = (_unpacked(_DEV, buffer, start + _DEPS.size + _DEV.size * number)[0] for number in range(count))
    return [decode_dev(dev) or (0, 0) for dev in devs]


def decode_versions(buffer: bytes) -> list[TargetVersion]:
    versions: list[TargetVersion] = []
    size, at = sizes_of(buffer)
    while at < size:
        step, first, second, third = _unpacked(_VERSIONS_ENTRY, buffer, at)
        versions.append(TargetVersion(_text(buffer, at + _VERSIONS_ENTRY.size), (first, second, third)))
        if not step:
            break
        at += step
    return versions


def decode_status(buffer: bytes, count: int) -> list[TargetLine]:
    lines: list[TargetLine] = []
    size, start = sizes_of(buffer)
    step = 0
    for _ in range(count if size > LEAST_BYTES else 0):
        at = start + step
        begin, length, _status, step, _type = _unpacked(_SPEC, buffer, at)
        target = bytes(_type).split(b"\0")[0].decode("utf-8", "surrogateescape")
        lines.append(TargetLine(begin, length, target, _text(buffer, at + _SPEC.size)))
    return lines


def decode_answer(buffer: bytes) -> str:
    """The text that answers a message."""
    return _text(buffer, sizes_of(buffer)[1])


def _unpacked(layout: struct.Struct, buffer: bytes, at: int) -> tuple[int, ...]:
    if at + layout.size > len(buffer):
        raise _broken()
    return layout.unpack_from(buffer, at)


def _text(buffer: bytes, at: int) -> str:
    text = text_of(buffer, at)
    if text is None:
        raise _broken()
    return text


def _broken() -> IoctlError:
    return IoctlError(errno.EIO, "the reply is shorter than what it is said to hold")


def _aligned(length: int) -> int:
    return (length + 7) & ~7


def _padded(data: bytes) -> bytes:
    return data.ljust(_aligned(len(data)), b"\0")
