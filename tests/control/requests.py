"""Buffers for /dev/mapper/control, laid out by hand: what the kernel's header says, and nothing of the codec."""

from __future__ import annotations

import struct

HEADER = struct.Struct("<3I I I I i I I I Q 128s 129s 7s")
"""version[3] data_size data_start target_count open_count flags event_nr padding dev name uuid data."""
SPEC = struct.Struct("<QQiI16s")
EXISTS = 4


def ioctl_number(nr: int) -> int:
    """_IOWR(0xfd, nr, struct dm_ioctl)."""
    return 0xC138FD00 | nr


def request(
    name: bytes = b"",
    payload: bytes = b"",
    *,
    uuid: bytes = b"",
    dev: int = 0,
    flags: int = EXISTS,
    count: int = 0,
    event_nr: int = 0,
    start: int = 312,
    size: int | None = None,
    version: tuple[int, int, int] = (4, 0, 0),
    room: int = 2048,
) -> bytes:
    """A buffer of at least `room` bytes; `size` is what it claims to have, where that is not the truth."""
    length = max(room, HEADER.size + len(payload))
    claimed = length if size is None else size
    header = HEADER.pack(*version, claimed, start, count, 0, flags, event_nr, 0, dev, name, uuid, b"")
    return (header + payload).ljust(length, b"\0")


def spec(start: int, length: int, target: bytes, params: bytes, step: int | None = None) -> bytes:
    """struct dm_target_spec with its parameters, NUL and padding; `step` is where it says that the next begins."""
    size = (SPEC.size + len(params) + 8) & ~7
    return (SPEC.pack(start, length, 0, size if step is None else step, target) + params).ljust(size, b"\0")


class Fields:
    """The header of a reply, and what follows it."""

    def __init__(self, reply: bytes) -> None:
        fields = HEADER.unpack(reply[: HEADER.size].ljust(HEADER.size, b"\0"))
        self.version = fields[:3]
        self.data_size, self.data_start, self.target_count, self.open_count = fields[3:7]
        self.flags, self.event_nr, _padding, self.dev = fields[7:11]
        self.name, self.uuid = fields[11].split(b"\0")[0], fields[12].split(b"\0")[0]
        self.payload = reply[HEADER.size :]
