"""The legs of a mirror: which one is read, and what is known of their failures (kernel: fail_mirror and around)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum

from dmtable.core.bio import Bio, Op
from dmtable.core.devices import DmDev
from dmtable.core.regions import Region
from dmtable.core.steps import Steps, request


class LegError(Enum):
    """What a leg failed at, by the letter of the status; the first that happened in this order is shown."""

    FLUSH = "F"
    WRITE = "D"
    SYNC = "S"
    READ = "R"


class Leg:
    """One copy of the mirror's sectors, from sector `offset` of a device on."""

    __slots__ = ("dm_dev", "errors", "offset")

    def __init__(self, dm_dev: DmDev, offset: int) -> None:
        self.dm_dev = dm_dev
        self.offset = offset
        self.errors: set[LegError] = set()

    def region(self, sector: int, sectors: int) -> Region:
        """Sectors of the mirror, counted from its begin, as they lie here."""
        return Region(self.dm_dev.device, self.offset + sector, sectors)

    @property
    def letter(self) -> str:
        return next((error.value for error in LegError if error in self.errors), "A")


class Legs:
    """All legs, and the default one, from which the others are recovered."""

    def __init__(
        self,
        legs: Sequence[Leg],
        *,
        handle_errors: bool,
        keep_log: bool,
        lock: AbstractContextManager[object],
        log: Callable[[str], None],
        raise_event: Callable[[], None],
    ) -> None:
        """`log` writes to the kernel's log; `raise_event` has the md's event raised, and never blocks."""
        self.handle_errors = handle_errors
        self.keep_log = keep_log
        self.in_sync = False
        """Whether all regions were in sync, and no write has failed since."""
        self.any_failed = False
        """Whether any leg failed since all regions were in sync."""
        self._legs = tuple(legs)
        self._default = self._legs[0]
        self._lock = lock
        self._log = log
        self._raise_event = raise_event

    def __iter__(self) -> Iterator[Leg]:
        return iter(self._legs)

    def __len__(self) -> int:
        return len(self._legs)

    @property
    def default(self) -> Leg:
        return self._default

    def to_recover(self) -> tuple[Leg, list[Leg]]:
        """The default leg and all others, as of one moment: another may become the default one at any time."""
        default = self._default
        return default, [leg for leg in self._legs if leg is not default]

    @property
    def letters(self) -> str:
        return "".join(leg.letter for leg in self._legs)

    def intact(self) -> Leg | None:
        """The first leg that never failed."""
        return next((leg for leg in self._legs if not leg.errors), None)

    def choose(self) -> Leg | None:
        """Where a region in sync is read: the default leg, or the next lower one, going round, that never failed."""
        if not self._default.errors:
            return self._default
        first = self._legs.index(self._default)
        return next((leg for at in range(len(self._legs)) if not (leg := self._legs[first - at]).errors), None)

    def regions(self, sector: int, sectors: int) -> list[Region]:
        """The same sectors of every leg."""
        return [leg.region(sector, sectors) for leg in self._legs]

    def fail(self, leg: Leg, error: LegError) -> None:
        """A leg failed. The first failure of a kind may make another leg the default one. Never blocks."""
        with self._lock:
            self.any_failed = True
            known = error in leg.errors
            leg.errors.add(error)
            if known or not self.handle_errors:
                return
            if leg is self._default:
                self._change_default(leg)
        self._raise_event()

    def forgive(self) -> None:
        """All regions are in sync: what failed before is mended."""
        with self._lock:
            self.in_sync = True
            self.any_failed = False
            for leg in self._legs:
                leg.errors.clear()

    def flushing(self) -> Steps:
        """The log is about to call regions clean: what was written to them must be durable (kernel: mirror_flush)."""
        failed: OSError | None = None
        for leg in self._legs:
            try:
                yield from request(leg.dm_dev.device, Bio(Op.FLUSH, 0, 0))
            except OSError as error:
                self.fail(leg, LegError.FLUSH)
                failed = error
        if failed is not None:
            raise failed

    def _change_default(self, failed: Leg) -> None:
        if not self.in_sync and not self.keep_log:
            # Rather the same failing device than data that may be old.
            self._log(f"raid1: Primary mirror ({failed.dm_dev.name}) failed while out-of-sync: Reads may fail.")
            return
        intact = self.intact()
        if intact is None:
            self._log("raid1: All sides of mirror have failed.")
        else:
            self._default = intact
