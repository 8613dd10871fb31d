"""memory: a replication log that is nowhere. A power loss loses it; otherwise it is as the others are."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

from dmtable.core.bio import Op
from dmtable.core.steps import Steps
from dmtable.core.target import Context, StatusKind
from dmtable.errors import CorruptLogError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding
from dmtable.language.numbers import scan_sector
from dmtable.replog.log import (
    Entry,
    LogFullError,
    LogPlace,
    Member,
    Membership,
    RecoveryReport,
    ReplicationLog,
    ReplogParams,
)
from dmtable.runtime.runtime import Completion

MIN_SECTORS = 4096
"""As of the ring: the largest entry fits with room to spare."""
_HEADER_SECTORS = 8


@dataclass(frozen=True, slots=True)
class MemoryParams(ReplogParams):
    """`SECTORS`: what the entries of the log may take, headers included."""

    sectors: int

    @classmethod
    def inspect(cls, words: Sequence[str], place: LogPlace) -> tuple[Self | None, list[Finding]]:
        if len(words) != 1:
            what = f"a log in memory takes one word, its size in sectors, and not {len(words)}"
            return None, [Finding(rules.REPLICATOR_LOG_COUNT, what, place.at - 1, refusal=place.refusal)]
        size = scan_sector(words[0])
        if size is None or size < MIN_SECTORS:
            what = f"{words[0]!r} is no size of a log: write a number of sectors of at least {MIN_SECTORS}"
            return None, [Finding(rules.REPLICATOR_SHAPE, what, place.at, refusal=place.refusal)]
        return cls(size), []

    def words(self) -> list[str]:
        return [str(self.sectors)]

    def key(self, context: Context) -> object:
        return "memory", context.owner


class MemoryLog(ReplicationLog):
    """All that is committed holds as long as the process does."""

    name = "memory"
    params = MemoryParams

    def __init__(self, context: Context, lock: AbstractContextManager[object], sectors: int) -> None:
        super().__init__(context, lock)
        self._sectors = sectors
        self._used = 0
        self._stored: dict[int, int] = {}
        """Which sites each entry would be owed if the log were read again, by number; all whose space is in use."""
        self._cost: dict[int, int] = {}
        self._contents: dict[int, bytes] = {}
        self._changed: dict[int, Entry] = {}

    @classmethod
    def construct(cls, context: Context, params: MemoryParams, lock: AbstractContextManager[object]) -> Self:
        return cls(context, lock, params.sectors)

    def recovering(self) -> Steps:
        return iter(())

    @property
    def report(self) -> RecoveryReport:
        return RecoveryReport(1, 0, 1, "a log in memory begins empty")

    def retiring(self) -> Steps:
        return iter(())

    def append(self, entry: Entry) -> None:
        cost = self.cost_sectors(entry.op, entry.sectors)
        if self._used + cost > self._sectors:
            self.context.runtime.sometimes("log full")
            raise LogFullError
        self._used += cost
        self.last += 1
        entry.number = self.last
        self.entries[self.last] = entry
        self._stored[self.last] = entry.owed
        self._cost[self.last] = cost
        if entry.data is not None:
            self._contents[self.last] = entry.data

    def committing(self, *, marks: bool = False) -> Steps:
        with self.lock:
            if marks:
                for number, entry in self._changed.items():
                    self._stored[number] = entry.owed
                self._changed.clear()
            self.committed = self.last
            self._advance()
            for number in [number for number in self._stored if number < self.head]:
                del self._stored[number]
                self._used -= self._cost.pop(number)
                self._contents.pop(number, None)
        yield from ()

    def reading(self, entry: Entry) -> Generator[Completion, None, bytes]:
        yield from ()
        content = self._contents.get(entry.number)
        if content is None:
            raise CorruptLogError("memory log", 0, f"the log does not hold {entry} any more")
        return content

    def mark_done(self, site: int, entry: Entry) -> None:
        self._owe(entry, entry.owed & ~(1 << site))

    def void(self, entry: Entry) -> None:
        self._owe(entry, 0)

    def settled(self, site: int) -> int:
        owed = (number for number, sites in self._stored.items() if sites >> site & 1)
        return min(next(owed, self.committed + 1) - 1, self.committed)

    @property
    def marks_pending(self) -> bool:
        return bool(self._changed)

    @property
    def commit_pending(self) -> bool:
        return self.last > self.committed or next(iter(self._stored), self.head) < self.head

    def remember(self, member: Member, membership: Membership | None) -> None:
        if membership is None:
            self.members.pop(member, None)
        else:
            self.members[member] = membership

    @property
    def size_sectors(self) -> int:
        return self._sectors

    @property
    def free_sectors(self) -> int:
        return self._sectors - self._used

    def cost_sectors(self, op: Op, sectors: int) -> int:
        return _HEADER_SECTORS + ((sectors + 7) & ~7 if op is Op.WRITE else 0)

    def status(self, kind: StatusKind) -> str:
        return "" if kind is StatusKind.INFO else f"{self.name} 1 {self._sectors} "

    def _owe(self, entry: Entry, owed: int) -> None:
        if owed != entry.owed:
            entry.owed = owed
            if entry.number in self.entries:
                self._changed[entry.number] = entry
                self._advance()

    def _advance(self) -> None:
        """Moves the head over entries that are owed to nobody."""
        while self.head <= self.committed and not self.entries[self.head].owed:
            del self.entries[self.head]
            self._changed.pop(self.head, None)
            self.head += 1
