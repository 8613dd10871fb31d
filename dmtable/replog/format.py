"""The layout of a ring-buffer log: the original's (dm-replicator of 2009) byte for byte, ours in its fillers.

All numbers are little endian, positions are bytes of the whole device. From sector S on, where the log begins:

    S             log header
    S+1 … S+7     table of members                    ours: the original never touches these sectors
    S+8           buffer header
    S+16          the ring, up to S+size: entries, each a header of 8 sectors and data rounded up to 8 sectors

Of each header's 8 sectors only the first is used. Log header:

    byte     0   16s   magic `dm-replicatorHJM`
            16   u32   crc of the magic's first 8 bytes, as if in C: a constant
            20   u16   version, three numbers: 0.0.1, or 0.1.1 where entries without data may be in the ring
            26   u64   size of the whole log in sectors
            34   u64   sector of the buffer header
            42   16s   `ringbuffer`
            64   u32   ours: crc32 of these 512 bytes, this field taken as 0; also below
            68   4s    ours: `dmtb`; also below
            72   u16   ours: format, 1; also below
            74   u8    ours: State
            80   16s   ours: log id, random; also below

Buffer header:

             0   16s   magic `dm-replbufferHJM`
            16   u32   crc, a constant
            20   u64   the ring's first byte
            28   u64   head: the oldest entry's header
            36   u64   tail: behind the newest entry. Ours: behind one that was durable when this was written
            44   u64   flags of the original's run time; bit 6: full
            64         crc32, mark, format, id at 80 as above
            74   u8    1: a recovery found damage, and nobody said yet that it is dealt with
            96   u64   generation: how often the log was opened
           104   u64   since: entries from this number on are of this generation
           112   u64   number of the entry at the head
           120   u64   number of the entry at the tail
           128   u64   entries from this number on carry ours; those before are perhaps the original's

Header of an entry:

             0   16s   magic `dm-replicdataHJM`
            16   u32   crc, a constant
            24   u64   device number
            32   u64   offset on the device in bytes
            40   u64   size in bytes, not rounded
            48   u64   position of this header
            56   u64   position of the data
            64   u8    valid: 1
            65   u8    Wrap
            66   u8    barrier: 0
            68   u32   ours: crc32 of these 512 bytes, this field taken as 0
            72   4s    ours: `dmtb`
            76   u16   ours: format, 1
            78   u8    ours: 0 write, 1 discard, 2 write_zeroes; the last two have no data
            79   u8    ours: bit 0: given up for all sites
            80   16s   ours: log id
            96   u64   ours: generation
           104   u64   ours: number
           112   u32   ours: sectors
           116   u32   ours: crc32 of the data
           120   f64   ours: seconds since 1970
           256   256s  site n is owed the entry: bit n % 8 of byte n // 8

Sector of the table of members:

             0   u32   crc32 of these 512 bytes, this field taken as 0
             4   4s    `dmtb`
             8   u16   format, 1
            10   u16   how many members follow, at most 80
            16   16s   log id
            32   u16   site; bit 15 where a resync is owed, bit 14 where a dirty log on a device says what is lacking
            34   u32   device number; and so on, 6 bytes for each
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from dmtable.core.bio import Op
from dmtable.errors import CorruptLogError
from dmtable.replog.log import Member, Membership
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

HEADER_SECTORS = 8
MEMBER_SECTORS = 7
BUFFER_SECTOR = 8
RING_SECTOR = 16
"""The sectors of the parts, from the log's first on."""
SITES = 2048
ID_BYTES = 16
FORMAT = 1
MARK = b"dmtb"
PLAIN_VERSION = (0, 0, 1)
DATALESS_VERSION = (0, 1, 1)
"""Says that entries without data may be there, which the original would take for others; it refuses this version."""

LOG_MAGIC = b"dm-replicatorHJM"
BUFFER_MAGIC = b"dm-replbufferHJM"
DATA_MAGIC = b"dm-replicdataHJM"
HANDLER = b"ringbuffer".ljust(16, b"\0")
LOG_CRC = DATA_CRC = 0xB9129483
BUFFER_CRC = 0x2EC04D0B
CRC_OF_32_BITS = 0xB4D1523B
"""What the original wrote on machines of 32 bits, in every header."""
FULL_FLAG = 1 << 6

OPS = (Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES)
"""By their numbers in the header of an entry."""
OP_NUMBERS = {op: number for number, op in enumerate(OPS)}

_LOG = struct.Struct("<16sI3HQQ16s6xI4sHB5x16s416x")
_BUFFER = struct.Struct("<16sIQQQQ12xI4sHB5x16sQQQQQ376x")
_ENTRY = struct.Struct("<16sI4xQQQQQBBBxI4sHBB16sQQIId128x256s")
ENTRY_PART = struct.Struct("<QQQQQBBBxI4sHBB16sQQIId128xQ")
"""What of the header of an entry differs between two: all between the original's crc and the bitmap's first word."""
_MEMBERS = struct.Struct("<I4sHH4x16s")
_MEMBER = struct.Struct("<HI")
U32 = struct.Struct("<I")
_HEADER_CRC_AT = 64
ENTRY_CRC_AT = 68
ENTRY_PART_AT = 24
OWED_AT = 256
_OWED_BYTES = SITES // 8
_RESYNC_BIT, _STORED_BIT = 1 << 15, 1 << 14
_MEMBERSHIP_BITS = {Membership.KNOWN: 0, Membership.STORED: _STORED_BIT, Membership.RESYNC_OWED: _RESYNC_BIT}
_MEMBERSHIPS = {bits: membership for membership, bits in _MEMBERSHIP_BITS.items()}
MEMBERS_PER_SECTOR = (SECTOR_BYTES - _MEMBERS.size) // _MEMBER.size
MOST_DEVICES = 1 << 32
"""Numbers of devices that are remembered are smaller."""

assert ENTRY_PART_AT + ENTRY_PART.size == OWED_AT + 8
assert OWED_AT + _OWED_BYTES == SECTOR_BYTES
assert _LOG.size == _BUFFER.size == _ENTRY.size == SECTOR_BYTES
assert _MEMBERS.size + 80 * _MEMBER.size == SECTOR_BYTES
assert MEMBERS_PER_SECTOR == 80
assert all(len(magic) == 16 for magic in (LOG_MAGIC, BUFFER_MAGIC, DATA_MAGIC, HANDLER))
assert crc32(LOG_MAGIC[:8]) ^ 0xFFFFFFFF == crc32(DATA_MAGIC[:8]) ^ 0xFFFFFFFF == LOG_CRC
assert crc32(BUFFER_MAGIC[:8]) ^ 0xFFFFFFFF == BUFFER_CRC
assert crc32(LOG_MAGIC[:4]) ^ 0xFFFFFFFF == CRC_OF_32_BITS


class State(IntEnum):
    """What a log of ours is to whoever opens it."""

    CREATING = 0
    """Not yet a log: what of the rest is written nobody knows."""
    ADOPTING = 1
    """A log of the original's that is about to become ours; its buffer header may be either's."""
    LIVE = 2
    RETIRED = 3
    """Another log took its place."""


class Wrap(IntEnum):
    """Where the ring goes back to its start."""

    NONE = 0
    DATA = 1
    """Behind this header: the data is at the start."""
    NEXT = 2
    """Behind this entry: the next one is at the start."""


@dataclass(frozen=True, slots=True)
class LogHeader:
    """Sector S. Without an id it is the original's, and live."""

    size: int
    buffer_sector: int
    version: tuple[int, int, int] = PLAIN_VERSION
    id: bytes | None = None
    state: State = State.LIVE

    def pack(self) -> bytes:
        ours = (0, MARK, FORMAT, self.state, self.id) if self.id else (0, bytes(4), 0, 0, bytes(ID_BYTES))
        theirs = (LOG_MAGIC, LOG_CRC, *self.version, self.size, self.buffer_sector, HANDLER)
        if self.state is State.CREATING:
            theirs = (bytes(16), 0, 0, 0, 0, self.size, self.buffer_sector, bytes(16))
        return _sealed(_LOG.pack(*theirs, *ours), _HEADER_CRC_AT, self.id)

    @classmethod
    def unpack(cls, sector: bytes, where: str) -> LogHeader | None:
        """None where nothing says that this was ever a log. Raises CorruptLogError for what cannot be one."""
        magic, crc, *version, size, buffer_sector, handler, _, mark, form, state, log_id = _LOG.unpack(sector)
        if mark == MARK:
            _check_seal(sector, _HEADER_CRC_AT, where, 0)
            _check_format(form, where, 72)
            if state not in list(State):
                raise CorruptLogError(where, 74, f"the state {state} is unknown")
        elif magic != LOG_MAGIC:
            return None
        creating = mark == MARK and state == State.CREATING
        found = (
            cls(size, buffer_sector, tuple(version), log_id, State(state))
            if mark == MARK
            else (cls(size, buffer_sector, tuple(version)))
        )
        if creating:
            return found
        if magic != LOG_MAGIC or crc not in (LOG_CRC, CRC_OF_32_BITS):
            raise CorruptLogError(where, 0, "the log header's magic or its crc is wrong")
        if handler != HANDLER:
            raise CorruptLogError(where, 42, f"a log of the kind {_text(handler)}, and not ringbuffer")
        if found.version not in ((PLAIN_VERSION, DATALESS_VERSION) if found.id else (PLAIN_VERSION,)):
            told = ".".join(map(str, version))
            raise CorruptLogError(where, 20, f"version {told} is unknown: known are 0.0.1 and, of dmtable, 0.1.1")
        return found


@dataclass(frozen=True, slots=True)
class BufferHeader:
    """Sector S+8, positions in sectors. Without an id it is the original's, and knows no numbers."""

    start: int
    head: int
    tail: int
    flags: int = 0
    id: bytes | None = None
    suspect: bool = False
    generation: int = 0
    since: int = 1
    head_number: int = 1
    tail_number: int = 1
    ours_from: int = 1

    def pack(self) -> bytes:
        positions = [at << SECTOR_SHIFT for at in (self.start, self.head, self.tail)]
        ours = (0, MARK, FORMAT, self.suspect, self.id) if self.id else (0, bytes(4), 0, 0, bytes(ID_BYTES))
        numbers = (self.generation, self.since, self.head_number, self.tail_number, self.ours_from)
        packed = _BUFFER.pack(
            BUFFER_MAGIC, BUFFER_CRC, *positions, self.flags, *ours, *(numbers if self.id else (0,) * 5)
        )
        return _sealed(packed, _HEADER_CRC_AT, self.id)

    @classmethod
    def unpack(cls, sector: bytes, where: str, log_id: bytes | None) -> BufferHeader:
        """The header of the log with this id, whose log header stands. Raises CorruptLogError.

        It is the original's only if neither mark nor id say that it is ours: the original, when it used a log
        that was made here, left neither.
        """
        magic, crc, start, head, tail, flags, _, mark, form, suspect, its_id, *numbers = _BUFFER.unpack(sector)
        offset = BUFFER_SECTOR << SECTOR_SHIFT
        ours = mark == MARK or (log_id is not None and its_id == log_id)
        if ours:
            _check_seal(sector, _HEADER_CRC_AT, where, offset)
            _check_format(form, where, offset + 72)
            if log_id is not None and its_id != log_id:
                raise CorruptLogError(where, offset + 80, "the buffer header is another log's")
        if magic != BUFFER_MAGIC or crc not in (BUFFER_CRC, CRC_OF_32_BITS):
            raise CorruptLogError(where, offset, "there is no buffer header: its magic or its crc is wrong")
        for at, position in ((20, start), (28, head), (36, tail)):
            if position % SECTOR_BYTES:
                raise CorruptLogError(where, offset + at, f"position {position} is not at the begin of a sector")
        positions = (start >> SECTOR_SHIFT, head >> SECTOR_SHIFT, tail >> SECTOR_SHIFT)
        return cls(*positions, flags, its_id, bool(suspect), *numbers) if ours else cls(*positions, flags)


class EntryHeader(NamedTuple):
    """The header of an entry, whatever it says; positions in sectors, rounded down."""

    theirs: bool
    """Magic and crc are right."""
    mark: bool
    """It says that ours is in it; `sealed` that its crc32 says so too."""
    sealed: bool
    aligned: bool
    """All positions and sizes are whole sectors."""
    device: int
    sector: int
    sectors: int
    at: int
    data_at: int
    valid: int
    wrap: int
    format: int
    op: int
    void: bool
    id: bytes
    generation: int
    number: int
    own_sectors: int
    data_crc: int
    time: float
    owed: int

    @classmethod
    def unpack(cls, sector: bytes | memoryview) -> EntryHeader:
        (
            magic, crc, device, offset, size, at, data_at, valid, wrap, _barrier,
            seal, mark, form, op, flags, log_id, generation, number, sectors, data_crc, time, owed,
        ) = _ENTRY.unpack(sector)  # fmt: skip
        return cls(
            magic == DATA_MAGIC and crc in (DATA_CRC, CRC_OF_32_BITS),
            mark == MARK,
            mark == MARK and seal == _seal(sector, ENTRY_CRC_AT),
            not (offset | size | at | data_at) & (SECTOR_BYTES - 1),
            device,
            offset >> SECTOR_SHIFT,
            size >> SECTOR_SHIFT,
            at >> SECTOR_SHIFT,
            data_at >> SECTOR_SHIFT,
            valid,
            wrap,
            form,
            op,
            bool(flags & 1),
            log_id,
            generation,
            number,
            sectors,
            data_crc,
            time,
            int.from_bytes(owed, "little"),
        )


def entry_template() -> bytes:
    """The header of an entry, without what ENTRY_PART says and the checksum covers."""
    return (DATA_MAGIC + U32.pack(DATA_CRC)).ljust(SECTOR_BYTES, b"\0")


def owed_bytes(owed: int) -> bytes:
    """The bitmap of the sites that are owed an entry."""
    return owed.to_bytes(_OWED_BYTES, "little")


class MemberSector(Enum):
    """What a sector of the table of members can be, if it cannot be read."""

    ROTTEN = "its crc is wrong"
    OTHER_LOG = "it is another log's"


def pack_members(log_id: bytes, members: Iterable[tuple[Member, Membership]]) -> bytes:
    """A sector of the table of members; at most MEMBERS_PER_SECTOR of them."""
    records = [_MEMBER.pack(site | _MEMBERSHIP_BITS[membership], device) for (site, device), membership in members]
    packed = _MEMBERS.pack(0, MARK, FORMAT, len(records), log_id) + b"".join(records)
    return _sealed(packed.ljust(SECTOR_BYTES, b"\0"), 0, log_id)


@lru_cache(maxsize=64)
def unpack_members(sector: bytes, log_id: bytes) -> Mapping[Member, Membership] | MemberSector:
    """The members in a sector, or why it cannot be read. Most sectors are alike: empty."""
    seal, mark, form, count, its_id = _MEMBERS.unpack_from(sector)
    if mark != MARK or form != FORMAT or seal != _seal(sector, 0) or count > MEMBERS_PER_SECTOR:
        return MemberSector.ROTTEN
    if its_id != log_id:
        return MemberSector.OTHER_LOG
    members: dict[Member, Membership] = {}
    for at in range(count):
        site, device = _MEMBER.unpack_from(sector, _MEMBERS.size + at * _MEMBER.size)
        bits = site & (_RESYNC_BIT | _STORED_BIT)
        members[site ^ bits, device] = _MEMBERSHIPS.get(bits, Membership.RESYNC_OWED)
    return members


def holds_buffer_magic(sector: bytes) -> bool:
    """Whether this looks like a buffer header, the original's or ours."""
    return sector[: len(BUFFER_MAGIC)] == BUFFER_MAGIC or sector[68:72] == MARK


def with_version(header: LogHeader, version: tuple[int, int, int]) -> LogHeader:
    return replace(header, version=version)


def _sealed(packed: bytes, at: int, log_id: bytes | None) -> bytes:
    return packed[:at] + U32.pack(crc32(packed)) + packed[at + 4 :] if log_id else packed


def _seal(sector: bytes | memoryview, at: int) -> int:
    """The crc32 of a sector with the 4 bytes there taken as 0."""
    return crc32(sector[at + 4 :], crc32(b"\0\0\0\0", crc32(sector[:at])))


def _check_seal(sector: bytes, at: int, where: str, offset: int) -> None:
    if U32.unpack_from(sector, at)[0] != _seal(sector, at):
        raise CorruptLogError(where, offset + at, "the crc32 of the header is wrong")


def _check_format(form: int, where: str, offset: int) -> None:
    if form != FORMAT:
        raise CorruptLogError(where, offset, f"format {form} of dmtable's part is unknown: known is {FORMAT}")


def _text(name: bytes) -> str:
    return repr(name.rstrip(b"\0").decode("ascii", "backslashreplace"))
