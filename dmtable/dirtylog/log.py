"""What a dirty log is: parameters that judge and hold its words, and the states of the regions.

The operations are those of the kernel's struct dm_dirty_log_type, and mean what they mean in dm-log.c.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dmtable.core.devices import Lookup
from dmtable.core.steps import Steps, carry_out
from dmtable.core.target import Area, Context, StatusKind
from dmtable.language.diagnostics import Finding, Refusal


@dataclass(frozen=True, slots=True)
class Place:
    """Where the words of a dirty log stand: behind its name and its count, in the line of a target.

    `length` is the line's, in sectors; `at` the index of the log's first word among the target's words;
    `refusal` is how the target refuses a line whose log cannot be made.
    """

    length: int
    at: int
    refusal: Refusal
    lookup: Lookup | None = None

    def refused(self, reason: str) -> Refusal:
        """The target's refusal, with the log's own reason before it."""
        return replace(self.refusal, log=(f"dirty region log: {reason}",))


class LogParams(ABC):
    """The words of a dirty log behind its name and count, judged and typed. Subclasses are frozen dataclasses."""

    @classmethod
    @abstractmethod
    def inspect(cls, words: Sequence[str], place: Place) -> tuple[Self | None, list[Finding]]:
        """Everything wrong with the words, in the order in which the kernel would see it.

        The parameters come back where no finding has a refusal. A finding's word is counted as the place says.
        """

    @abstractmethod
    def words(self) -> list[str]:
        """The words again, as a writer puts them."""

    def beginning(self, sync: str) -> Self:
        """The same log, which calls all regions in sync when it resumes (`nosync`), none (`sync`), or those that it
        has stored (an empty word), whatever its own words say. The default is for kinds without such words."""
        return self

    def areas(self, length: int) -> Iterable[Area]:
        """The sectors of each device that the log of a target of this length uses; its words are counted from 0."""
        return ()


def nothing_to_flush() -> Steps:
    """No data devices, or such as need no flush."""
    return iter(())


class DirtyLog(ABC):
    """The states of the regions 0 to `region_count` - 1, of `region_size` sectors each; the last may be shorter.

    A region is *clean* unless a write to it may be under way: the log's memory for the time after a crash. It is
    *in sync* when its copies are known to be equal, and *recovering* while somebody makes them so. Each is one
    question to a region number; none does I/O. What `mark_region` says outlives a crash once `flush` returned.

    One Worker at a time may use a log.
    """

    name: ClassVar[str]
    params: ClassVar[type[LogParams]]
    persistent: ClassVar[bool] = True
    """Whether what it says of regions outlives its table."""

    def __init__(self, context: Context, length: int, region_size: int) -> None:
        """`length` is the target's, in sectors."""
        self.context = context
        self.region_size = region_size
        self.region_count = -(-length // region_size)

    @classmethod
    @abstractmethod
    def construct(
        cls, context: Context, length: int, params: Any, flush_data: Callable[[], Steps] = nothing_to_flush
    ) -> Self:
        """The kernel's ctr, behind `inspect`: `params` is an instance of `cls.params`.

        `flush_data` flushes the devices whose regions these are; the log asks for it before it writes that
        regions became clean (kernel: flush_callback_fn). Raises CtrError.
        """

    def dtr(self) -> None:
        """Gives up what the log holds; its devices are closed by the table."""
        return

    # Life. The blocking calls are for those that may block; a Worker goes through the steps.

    def presuspend(self) -> None:
        """The target is about to suspend: I/O is still coming."""
        return

    def postsuspend(self) -> None:
        """The target is suspended: no I/O is in flight. Raises OSError where something could not be stored."""
        return

    def resuming(self) -> Steps:
        """Reads what is stored, and begins the search for work anew. Where it fails, no region is called in sync
        that is not known to be."""
        return iter(())

    def flushing(self) -> Steps:
        """Stores what changed, if anything did. What changes from the first step on waits for the next flush."""
        return iter(())

    def resume(self) -> None:
        """`resuming`, to its end. Raises OSError; the log can be used all the same."""
        carry_out(self.resuming(), self.context.runtime)

    def flush(self) -> None:
        """`flushing`, to its end. Raises OSError; what could not be stored is tried again by the next."""
        carry_out(self.flushing(), self.context.runtime)

    # The regions.

    @abstractmethod
    def is_clean(self, region: int) -> bool:
        """Whether no write to the region can be under way."""

    @abstractmethod
    def in_sync(self, region: int) -> bool:
        """Whether the copies of the region are equal, writes under way aside."""

    @abstractmethod
    def mark_region(self, region: int) -> None:
        """A write to the region is about to begin: it is dirty. The write must wait for a `flush`."""

    @abstractmethod
    def clear_region(self, region: int) -> None:
        """All writes to the region are done everywhere: it is clean."""

    @abstractmethod
    def set_region_sync(self, region: int, in_sync: bool) -> None:
        """A recovery of the region ended, well or not, or its copies came to differ."""

    @abstractmethod
    def get_resync_work(self) -> int | None:
        """The next region that is neither in sync nor recovering; it is recovering from now on.

        The search goes on from where it was, and None is its end: what fell out of sync behind it waits for the
        next resume, or for `rewind`.
        """

    @abstractmethod
    def rewind(self, region: int) -> None:
        """Lets the search go back to this region, if it is beyond it. The kernel's logs never do."""

    @property
    @abstractmethod
    def sync_count(self) -> int:
        """How many regions are in sync."""

    @abstractmethod
    def status(self, kind: StatusKind) -> str:
        """The log's part of the target's status, byte for byte the kernel's: `1 core`, or `core 1 1024 `."""
