"""Recovery: the walk from the head, entry by entry, and what is made of all that can stand where one should.

Before the stored tail, which is behind entries that were durable, anything but a valid entry is damage. Behind it
anything but a valid entry is the end: what a power loss left of the last batch, or of earlier times.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from zlib import crc32

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import Steps, request
from dmtable.io.device import BlockDevice
from dmtable.replog.format import BUFFER_SECTOR, FORMAT, HEADER_SECTORS, OPS, BufferHeader, EntryHeader
from dmtable.replog.log import MAX_ENTRY_SECTORS, Damage, Entry, RecoveryReport
from dmtable.replog.members import MemberTable
from dmtable.replog.ring import Ring, data_sectors
from dmtable.runtime.runtime import Completion
from dmtable.units import SECTOR_SHIFT

WINDOW_SECTORS = 4096
"""What is read at a time: twice the largest entry."""


class Look(Enum):
    """What can stand where the header of an entry should, the first that applies."""

    MISSING = "there is no header of an entry"
    FOREIGN = "the header is the original's, where it must be ours"
    ROTTEN = "the header is torn or rotten"
    UNKNOWN_FORMAT = "the header is of an unknown format"
    OTHER_LOG = "the entry is another log's"
    MISPLACED = "the header belongs elsewhere"
    OLDER_LAP = "the entry is of an earlier lap"
    OLDER_GENERATION = "the entry is of an abandoned tail"
    AHEAD = "the entry is a later one"
    NOT_VALID = "the entry is marked as not valid"
    IMPOSSIBLE = "the fields of the header do not fit each other or the ring"
    DATA_ROTTEN = "the data is torn or rotten"
    VALID = "valid"


class Place(Enum):
    """Where the entry should be."""

    BEFORE_TAIL = "before the stored tail"
    BEHIND_TAIL = "behind the stored tail"


class Verdict(Enum):
    """What recovery does."""

    TAKE = "take"
    END = "end"
    DAMAGE = "damage"


VERDICTS: dict[tuple[Look, Place], Verdict] = {
    (Look.MISSING, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.MISSING, Place.BEHIND_TAIL): Verdict.END,
    (Look.FOREIGN, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.FOREIGN, Place.BEHIND_TAIL): Verdict.END,
    (Look.ROTTEN, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.ROTTEN, Place.BEHIND_TAIL): Verdict.END,
    (Look.UNKNOWN_FORMAT, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.UNKNOWN_FORMAT, Place.BEHIND_TAIL): Verdict.END,
    (Look.OTHER_LOG, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.OTHER_LOG, Place.BEHIND_TAIL): Verdict.END,
    (Look.MISPLACED, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.MISPLACED, Place.BEHIND_TAIL): Verdict.END,
    (Look.OLDER_LAP, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.OLDER_LAP, Place.BEHIND_TAIL): Verdict.END,
    (Look.OLDER_GENERATION, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.OLDER_GENERATION, Place.BEHIND_TAIL): Verdict.END,
    (Look.AHEAD, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.AHEAD, Place.BEHIND_TAIL): Verdict.END,
    (Look.NOT_VALID, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.NOT_VALID, Place.BEHIND_TAIL): Verdict.END,
    (Look.IMPOSSIBLE, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.IMPOSSIBLE, Place.BEHIND_TAIL): Verdict.END,
    (Look.DATA_ROTTEN, Place.BEFORE_TAIL): Verdict.DAMAGE,
    (Look.DATA_ROTTEN, Place.BEHIND_TAIL): Verdict.END,
    (Look.VALID, Place.BEFORE_TAIL): Verdict.TAKE,
    (Look.VALID, Place.BEHIND_TAIL): Verdict.TAKE,
}

SIGHTINGS = {
    Look.OLDER_LAP: "stale lap",
    Look.OLDER_GENERATION: "abandoned tail",
    Look.ROTTEN: "torn entry",
    Look.DATA_ROTTEN: "torn entry",
}
"""How the states worth reaching are called."""

_OP_COUNT = len(OPS)


class Slot:
    """Where an entry is, and what its header on the device says or may say."""

    __slots__ = ("checksum", "generation", "place", "stored", "void")

    def __init__(self, place: tuple[int, int, int], stored: int) -> None:
        self.place = place
        """(sector of the header, sector of the data, Wrap)."""
        self.stored = stored
        """The sites that would be owed the entry if the power failed now; where two answers are possible, both."""
        self.checksum = 0
        self.generation = 0
        self.void = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What the next entry must be."""

    buffer: BufferHeader
    ring: Ring
    number: int
    at: int

    @property
    def foreign(self) -> bool:
        """Whether it may be the original's, without anything of ours."""
        return self.buffer.id is None or self.number < self.buffer.ours_from


def look_at(header: EntryHeader, expected: Expected) -> Look:
    """What a header is, its data aside."""
    if not header.theirs:
        return Look.MISSING
    if expected.foreign and header.id != expected.buffer.id:
        return _look_at_foreign(header, expected)
    buffer = expected.buffer
    if not header.mark:
        return Look.FOREIGN
    if not header.sealed:
        return Look.ROTTEN
    if header.format != FORMAT:
        return Look.UNKNOWN_FORMAT
    if header.id != buffer.id:
        return Look.OTHER_LOG
    if header.at != expected.at:
        return Look.MISPLACED
    if header.number < expected.number:
        return Look.OLDER_LAP
    if header.number >= buffer.since and header.generation < buffer.generation:
        return Look.OLDER_GENERATION
    if header.number > expected.number:
        return Look.AHEAD
    if header.valid != 1:
        return Look.NOT_VALID
    current = header.generation == buffer.generation
    if current != (header.number >= buffer.since) or header.op >= _OP_COUNT or header.own_sectors != header.sectors:
        return Look.IMPOSSIBLE
    return Look.VALID if header.aligned and header_behind(header, expected.ring) is not None else Look.IMPOSSIBLE


def _look_at_foreign(header: EntryHeader, expected: Expected) -> Look:
    """By the rules of the original, which knows neither numbers nor operations."""
    if header.at != expected.at:
        return Look.MISPLACED
    if header.valid != 1:
        return Look.NOT_VALID
    fits = header.aligned and header.sectors and header_behind(header, expected.ring, foreign=True) is not None
    return Look.VALID if fits else Look.IMPOSSIBLE


def header_behind(header: EntryHeader, ring: Ring, *, foreign: bool = False) -> int | None:
    """The sector of the next header; None where this one cannot be in the ring."""
    data = data_sectors(header.sectors) if foreign or header.op == 0 else 0
    if not header.sectors or data > min(MAX_ENTRY_SECTORS, ring.end - ring.start):
        return None
    return ring.behind(header.at, header.wrap, header.data_at, data)


class Window:
    """A large piece of the device in memory, read when something in it is asked for."""

    def __init__(self, device: BlockDevice, ring: Ring) -> None:
        self._device = device
        self._end = ring.end
        self._first = self._count = 0
        self._data = memoryview(bytearray(min(WINDOW_SECTORS, ring.end - ring.start) << SECTOR_SHIFT))

    def holds(self, sector: int, count: int) -> bool:
        return self._first <= sector and sector + count <= self._first + self._count

    def moving(self, sector: int, count: int) -> Steps:
        """Reads so that it holds these sectors, and as many behind them as there is room for.

        One that cannot be read must not hinder those before it: then only what is needed is read. Raises OSError.
        """
        self._count = 0
        # In whole blocks, however large they are: positions in the ring are 8 sectors from one another.
        count = data_sectors(count)
        for wanted in (max(count, min(WINDOW_SECTORS, self._end - sector) & ~7), count):
            try:
                yield from request(self._device, Bio(Op.READ, sector, wanted, self._data[: wanted << SECTOR_SHIFT]))
            except OSError:
                if wanted == count:
                    raise
            else:
                self._first, self._count = sector, wanted
                return

    def view(self, sector: int, count: int) -> memoryview:
        at = (sector - self._first) << SECTOR_SHIFT
        return self._data[at : at + (count << SECTOR_SHIFT)]


class Walk:
    """A recovery that only reads: what `reading` finds from the head on."""

    def __init__(self, device: BlockDevice, buffer: BufferHeader, ring: Ring) -> None:
        self.buffer = buffer
        self.ring = ring
        self.entries: list[Entry] = []
        """What is taken, in order; their data is not kept."""
        self.reowed: list[Entry] = []
        """Those of them that are owed to more sites than their headers say."""
        self.damage: list[Damage] = []
        self.end = ""
        """Why it ended there, in words."""
        self.last_look = Look.VALID
        self.next_at = buffer.head
        """Where the entry behind the last one taken belongs."""
        self._window = Window(device, ring)
        self._owed_before = 0
        self._spent = 0

    @property
    def next_number(self) -> int:
        return self.buffer.head_number + len(self.entries)

    def reading(self) -> Steps:
        """Takes entries up to the first that is not valid; where that is damage, lists all that is lost with it."""
        while True:
            at, number = self.next_at, self.next_number
            place = self._place(number, at)
            if place is Place.BEHIND_TAIL and self.buffer.id is None:
                self.end = "the tail that the original stored"
                return
            look = yield from self._looking(number, at)
            verdict = VERDICTS[look, place]
            if verdict is Verdict.TAKE and not self._take(at):
                look, verdict = Look.IMPOSSIBLE, VERDICTS[Look.IMPOSSIBLE, place]
            if verdict is not Verdict.TAKE:
                self.last_look = look
                self.end = f"entry {number} at sector {at}, {place.value}: {look.value}"
                if verdict is Verdict.DAMAGE:
                    yield from self._listing(number, at, look)
                return

    def _place(self, number: int, at: int) -> Place:
        buffer = self.buffer
        if buffer.id is not None:
            return Place.BEFORE_TAIL if number < buffer.tail_number else Place.BEHIND_TAIL
        return Place.BEFORE_TAIL if at != buffer.tail else Place.BEHIND_TAIL

    def _looking(self, number: int, at: int) -> Generator[Completion, None, Look]:
        """Reads an entry whole and says what it is; its header is in `_header` then."""
        if not self._window.holds(at, 1):
            yield from self._window.moving(at, 1)
        self._header = header = EntryHeader.unpack(self._window.view(at, 1))
        expected = Expected(self.buffer, self.ring, number, at)
        look = look_at(header, expected)
        if look is Look.VALID:
            self._ours = header.id == self.buffer.id
            self._checksum = header.data_crc
            if not self._ours or header.op == 0:
                if not self._window.holds(header.data_at, header.sectors):
                    yield from self._window.moving(header.data_at, header.sectors)
                self._checksum = crc32(self._window.view(header.data_at, header.sectors))
                if self._ours and self._checksum != header.data_crc:
                    look = Look.DATA_ROTTEN
        return look

    def _take(self, at: int) -> bool:
        """Takes up the entry that was looked at; False where it would lie over those before it."""
        header, ours = self._header, self._ours
        behind = header_behind(header, self.ring, foreign=not ours)
        assert behind is not None
        spent = (behind - at) % (self.ring.end - self.ring.start)
        if self._spent + spent >= self.ring.end - self.ring.start:
            return False
        self._spent += spent
        op = OPS[header.op] if ours else Op.WRITE
        entry = Entry(header.device, op, header.sector, header.sectors, None, header.owed, header.time if ours else 0.0)
        entry.number = self.next_number
        entry.slot = slot = Slot((at, header.data_at, header.wrap), header.owed)
        slot.checksum = self._checksum
        slot.generation = header.generation if ours else 0
        slot.void = ours and header.void
        # Whoever is owed an entry has none of those behind it, whatever their bits say: it may be sent the first
        # again, and would then hold old data where it held new.
        self._owed_before |= header.owed
        if not slot.void and entry.owed != self._owed_before:
            entry.owed = self._owed_before
            self.reowed.append(entry)
        self.entries.append(entry)
        self.next_at = behind
        return True

    # Damage.

    def _listing(self, number: int, at: int, look: Look) -> Steps:
        """Lists the damaged entry and all behind it, as far as headers can be found that can be trusted."""
        buffer = self.buffer
        if buffer.id is None:
            self.damage.append(Damage(number, at, look.value))
            return
        reason = look.value
        turns = (self.ring.end - self.ring.start) // HEADER_SECTORS
        while True:
            behind = None
            if look in (Look.VALID, Look.DATA_ROTTEN):
                behind = header_behind(self._header, self.ring)
                what = look.value if look is Look.DATA_ROTTEN else f"behind entry {self.next_number}: {reason}"
                self.damage.append(_known(self._header, number, at, what))
            if behind is None:
                if number >= buffer.tail_number:
                    return
                found = yield from self._searching(number, at, turns)
                unknown_to, behind = found if found else (buffer.tail_number, buffer.tail)
                self._unknown(number, unknown_to, at, look.value)
                number = unknown_to
            else:
                number += 1
            turns -= 1
            at = behind
            if turns < 0:
                return
            look = yield from self._looking(number, at)

    def _searching(self, number: int, at: int, turns: int) -> Generator[Completion, None, tuple[int, int] | None]:
        """The next header behind a damaged one that can be trusted: (its number, its sector)."""
        tail = self.buffer.tail
        for _ in range(turns):
            at += HEADER_SECTORS
            if not self.ring.holds_header(at):
                at = self.ring.start
            if at == tail:
                break
            if not self._window.holds(at, 1):
                yield from self._window.moving(at, 1)
            header = EntryHeader.unpack(self._window.view(at, 1))
            candidate = header.number
            if header.sealed and number < candidate < self.buffer.tail_number:
                look = look_at(header, Expected(self.buffer, self.ring, candidate, at))
                if look is Look.VALID:
                    return candidate, at
        return None

    def _unknown(self, first: int, behind: int, at: int, what: str) -> None:
        for number in range(first, behind):
            self.damage.append(Damage(number, at, what if number == first else "its header was not found"))


def _known(header: EntryHeader, number: int, at: int, what: str) -> Damage:
    """The damage of an entry whose header can be trusted."""
    return Damage(number, at, what, header.device, header.sector, header.sectors)


def report_of(walk: Walk, table: MemberTable, start: int) -> RecoveryReport:
    """What a recovery of the log at sector `start` says, whether it goes on from here or has only looked."""
    damage = [*walk.damage]
    if walk.buffer.suspect:
        damage.append(Damage(0, start + BUFFER_SECTOR, "an earlier recovery found damage, not dealt with"))
    for index, why in table.unreadable:
        damage.append(Damage(0, start + 1 + index, f"a sector of the table of members is lost: {why.value}"))
    buffer = walk.buffer
    return RecoveryReport(buffer.head_number, walk.next_number - 1, buffer.generation + 1, walk.end, tuple(damage))
