"""What a replication log is: parameters that judge and hold its words, and the entries of a group in their order.

A log knows neither how devices are reached nor when sites are served. It keeps entries, says which sites are still
owed them, and makes both outlive a power loss. Source: slides of 2008 (dm-replicator architecture); the operations
follow struct dm_repl_log_type of 2009.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Self

from dmtable.core.bio import Op
from dmtable.core.devices import Lookup
from dmtable.core.steps import Steps
from dmtable.core.target import Area, Context, StatusKind
from dmtable.errors import IoctlError
from dmtable.language.diagnostics import Finding, Refusal
from dmtable.runtime.runtime import Completion

MAX_ENTRY_SECTORS = 2048
"""No entry is longer: 1 MiB (kernel: BIO_MAX_SECTORS)."""


class Entry:
    """One write, discard or write_zeroes of one device of the group.

    `number` counts the group's entries from 1 on, in their order; the log gives it. `device` is the device's number
    in the group; `sector` and `sectors` count from the target's begin. `owed` has bit s set while site s is owed the
    entry. `data` is the content of a WRITE while it is kept in memory; the log reads it again where it is not.
    `time` is in seconds since 1970. `slot` belongs to the log, `after` to the group: an earlier entry that wrote to
    the same place, the newest, or a newer one in its neighbourhood.
    """

    __slots__ = ("after", "data", "device", "number", "op", "owed", "sector", "sectors", "slot", "time")

    def __init__(
        self, device: int, op: Op, sector: int, sectors: int, data: bytes | None, owed: int, time: float = 0.0
    ) -> None:
        self.number = 0
        self.device = device
        self.op = op
        self.sector = sector
        self.sectors = sectors
        self.data = data
        self.owed = owed
        self.time = time
        self.slot: Any = None
        self.after = 0

    def __repr__(self) -> str:
        return f"<entry {self.number}: {self.op.name} of device {self.device}, {self.sectors} at {self.sector}>"


class LogFullError(Exception):
    """There is no space for the entry before older ones are owed to nobody. Nothing was changed."""


class Membership(Enum):
    """What a log remembers of a device at a site beyond all entries."""

    KNOWN = auto()
    """It has been here before, and lacks nothing: what words say of a first state is of no account."""
    STORED = auto()
    """It has been here before, and what it lacks stands in a dirty log that outlives a power loss."""
    RESYNC_OWED = auto()
    """All of it must be copied anew, and no dirty log says so durably."""


Member = tuple[int, int]
"""(site, device number)."""
UNLISTED: Member = (0, 0)
"""Stands for all copies that the log does not remember: what it lost may have been theirs."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that should be in the log and cannot be trusted.

    `number` is the entry's, 0 where what is lost is not one entry; `sector` is the log device's, where it stands.
    `what` says in words what is wrong. `device`, `first` and `sectors` say what the entry wrote, or are None where
    nobody can know.
    """

    number: int
    sector: int
    what: str
    device: int | None = None
    first: int | None = None
    sectors: int | None = None

    @property
    def area_known(self) -> bool:
        return self.device is not None


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What a recovery found: entries `first` to `last` hold (none, if first > last), and why it ended there.

    The entries of `damage` are lost: a site holds what they wrote only if it was sent them before. Where one of
    them does not tell what it wrote, `everything_suspect`: any sector of the group may differ between the sites.
    """

    first: int
    last: int
    generation: int
    end: str
    damage: tuple[Damage, ...] = ()

    @property
    def everything_suspect(self) -> bool:
        return any(not damage.area_known for damage in self.damage)


class ReplogParams(ABC):
    """The words of a log behind its name and count, judged and typed. Subclasses are frozen dataclasses."""

    @classmethod
    @abstractmethod
    def inspect(cls, words: Sequence[str], place: LogPlace) -> tuple[Self | None, list[Finding]]:
        """Everything wrong with the words; the parameters come back where no finding has a refusal.

        A finding's word is counted as the place says.
        """

    @abstractmethod
    def words(self) -> list[str]:
        """The words again, as a writer puts them."""

    @abstractmethod
    def key(self, context: Context) -> object:
        """What tells one log from another: tables with the same key share the log. Raises CtrError where the
        device cannot be found."""

    @property
    def creates(self) -> bool:
        """Whether the words ask for a new log, whatever is there."""
        return False

    def areas(self) -> Iterable[Area]:
        """The sectors of each device that the log uses, where the words tell; its words are counted from 0."""
        return ()


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where the words of a log stand: `at` is the index of the first among the target's words.

    `refusal` is how the target refuses a line whose log cannot be made.
    """

    at: int
    refusal: Refusal
    lookup: Lookup | None = None


class ReplicationLog(ABC):
    """The entries of a group from `head` to `last`, in their order, and what of them is durable.

    `append`, `mark_done` and the other plain methods touch memory only; their caller holds the `lock` given to
    `construct`. The steps do I/O; one Worker carries them out, one after the other, and they take the lock where
    they touch what the plain methods touch.

    Once a step has raised OSError the log has failed: `failed` is true, and only a new table makes a new one.
    """

    name: ClassVar[str]
    params: ClassVar[type[ReplogParams]]

    def __init__(self, context: Context, lock: AbstractContextManager[object]) -> None:
        self.context = context
        self.lock = lock
        self.entries: dict[int, Entry] = {}
        """By number: all from `head` to `last`, without holes."""
        self.members: dict[Member, Membership] = {}
        """What is remembered; `remember` changes it."""
        self.head = 1
        """The number of the oldest entry; `last` + 1 where there is none."""
        self.last = 0
        """The number of the newest entry, durable or not."""
        self.committed = 0
        """All entries up to this number are durable."""
        self.failed = False

    @classmethod
    @abstractmethod
    def construct(cls, context: Context, params: Any, lock: AbstractContextManager[object]) -> Self:
        """Creates or opens the log, as the words say; `params` is an instance of `cls.params`.

        May block, reads no entries. Raises CtrError, with a klog line that says what is wrong with a log that is
        there and cannot be used.
        """

    def dtr(self) -> None:
        """Gives up what the log holds; its devices are closed by the table."""
        return

    # Life.

    @abstractmethod
    def recovering(self) -> Steps:
        """Takes up the entries that the log holds, once, before anything else is asked of it.

        What it took is durable when it ends, and a new generation begins: nothing of what it did not take can come
        back. A site that is owed an entry is owed all behind it. `report` tells the rest.
        """

    @property
    @abstractmethod
    def report(self) -> RecoveryReport:
        """What `recovering` found."""

    def damage_handled(self) -> None:
        """Whatever the report's damage asks for is durable elsewhere, in dirty logs or as memberships.

        Until a commit behind this call every recovery reports damage of an unknown area: a power loss between a
        recovery and what comes of it must not hide what was lost.
        """
        return

    @abstractmethod
    def retiring(self) -> Steps:
        """Another log takes this one's place: it refuses to be opened from now on, durably."""

    # Entries.

    @abstractmethod
    def append(self, entry: Entry) -> None:
        """Gives the entry the next number and its space. Raises LogFullError.

        It is in memory until it is committed.
        """

    @abstractmethod
    def committing(self, *, marks: bool = False) -> Steps:
        """Makes durable, with one flush: the entries appended so far, where the head is, and what was remembered.

        With `marks` also which sites are owed which entries: then `settled` has caught up. Space that the head
        freed can be used when it ends.
        """

    @abstractmethod
    def reading(self, entry: Entry) -> Generator[Completion, None, bytes]:
        """Steps whose value is the content of a committed WRITE; any Worker may carry them out, at any time.

        `entry.data` stays as it is. Raises CorruptLogError where the log does not hold the content any more.
        """

    @abstractmethod
    def mark_done(self, site: int, entry: Entry) -> None:
        """The site is not owed the entry any more: it holds it durably, or its dirty log does."""

    def mark_all_done(self, site: int, entries: Iterable[Entry]) -> None:
        """The same of several."""
        for entry in entries:
            self.mark_done(site, entry)

    @abstractmethod
    def void(self, entry: Entry) -> None:
        """The entry is given up for all sites, durably with the next marks; it keeps its number."""

    @abstractmethod
    def settled(self, site: int) -> int:
        """No entry up to this number can come back as owed to the site, whenever the power goes."""

    @property
    @abstractmethod
    def marks_pending(self) -> bool:
        """Whether a commit with `marks` would make anything durable that one without would not."""

    @property
    def commit_pending(self) -> bool:
        """Whether a commit without `marks` has anything to do: entries, space to free, something to remember."""
        return self.last > self.committed

    # Beyond entries.

    @abstractmethod
    def remember(self, member: Member, membership: Membership | None) -> None:
        """Notes it, or forgets all about the member; durable with the next commit. Raises CtrError (ENOSPC)
        where no more can be remembered."""

    @property
    @abstractmethod
    def size_sectors(self) -> int:
        """The whole log's size, as status tells it."""

    @property
    @abstractmethod
    def free_sectors(self) -> int:
        """What new entries can use, headers included."""

    @abstractmethod
    def cost_sectors(self, op: Op, sectors: int) -> int:
        """What an entry takes at least. An empty log takes an entry of MAX_ENTRY_SECTORS."""

    def message(self, args: Sequence[str]) -> str:
        """Obeys what follows `replog` in a message, as `resize 8192`. Raises IoctlError (EINVAL) for what it does
        not know."""
        raise IoctlError(errno.EINVAL, f"the {self.name} log takes no message {' '.join(args)!r}")

    @abstractmethod
    def status(self, kind: StatusKind) -> str:
        """TABLE: the name, the count and the words, each followed by a blank. INFO: the log's statistics, each
        with a blank before it, or nothing while they are off."""
