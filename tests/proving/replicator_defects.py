"""The production replicator, spoilt in one way after the other: by what stands in place of a piece of it.

The defects are those of the original (flush and head, bits, laps, resync …), and each rule of ours left out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from dmtable.core.bio import Bio
from dmtable.core.copy_jobs import CopyResult
from dmtable.core.steps import DONE, Steps
from dmtable.dirtylog.bitmaps import BitmapLog
from dmtable.dirtylog.disk import DiskLog
from dmtable.replog import recovery, ring
from dmtable.replog.log import Entry, Membership
from dmtable.replog.recovery import Look, Walk
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.sim import replicator as groups
from dmtable.sim.breach import Breach
from dmtable.sim.choices import Seeded
from dmtable.sim.explorer import Explorer, Flawed
from dmtable.sim.replicator import Replicator, disks_of
from dmtable.sim.script import Script
from dmtable.sim.workload import Workload, Write, any_workload
from dmtable.slink.link import SiteLink
from dmtable.targets.replicator import group as group_module
from dmtable.targets.replicator.footprint import Footprint
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.reads import Reads
from dmtable.targets.replicator.resync import Resync
from dmtable.targets.replicator.sender import Sender
from dmtable.targets.replicator.site import Site
from dmtable.targets.replicator.takeover import Takeover
from tests.proving.storms import storm


@dataclass(frozen=True, slots=True)
class Small:
    """Found by all orders of turns with so many departures, and all power losses, of one workload."""

    workload: Workload
    departures: int = 0


@dataclass(frozen=True, slots=True)
class Weather:
    """Found by seeds from this one on, in which links and disks fail: at once, unless the replicator has changed."""

    seed: int


Patch = tuple[object, str, object]


@dataclass(frozen=True, slots=True)
class Storm:
    """Found by a storm, of seeds from this one on."""

    seed: int


_MOST_SEEDS = 20
_MOST_IMAGES = 16
"""Of a moment in weather."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong, the script that shows it, and how many crash states came before."""

    breach: Breach
    script: Script | None
    """None of a storm, which only its seed shows again."""
    covered: int


@contextmanager
def planted(patches: Sequence[Patch]) -> Iterator[None]:
    """The production code has the defect until this ends."""
    with ExitStack() as stack:
        for owner, attribute, new in patches:
            stack.enter_context(patch.object(owner, attribute, new))
        yield


@dataclass(frozen=True, slots=True)
class Defect:
    """What is done wrong, by which patches, in which group, and how it is found."""

    name: str
    patches: tuple[Patch, ...]
    search: Small | Weather | Storm
    subject: type[Replicator] = Replicator

    def __str__(self) -> str:
        return self.name

    def hunt(self) -> Found | None:
        """Plants it and searches; None where nobody notices."""
        with planted(self.patches):
            if isinstance(self.search, Small):
                return self._explored(self.search)
            for seed in range(self.search.seed, self.search.seed + _MOST_SEEDS):
                found = self._tortured(seed) if isinstance(self.search, Weather) else self._in_storm(seed)
                if found:
                    return found
        return None

    def _explored(self, search: Small) -> Found | None:
        explorer = Explorer(self.subject())
        try:
            explorer.explore(search.workload, departures=search.departures)
        except Flawed as flawed:
            return Found(flawed.breach, flawed.script, explorer.statistics.covered)
        return None

    def _tortured(self, seed: int) -> Found | None:
        subject = self.subject()
        workload = any_workload(subject.device_sectors, Seeded(seed), boundary_sectors=subject.boundary_sectors)
        explorer = Explorer(subject, crashes=1, most_images=_MOST_IMAGES, seed=seed)
        try:
            explorer.run(workload, Seeded(seed, "weather"), weather=True)
        except Flawed as flawed:
            return Found(flawed.breach, flawed.script, explorer.statistics.covered)
        return None

    def _in_storm(self, seed: int) -> Found | None:
        breach = storm(self.subject(), seed)
        return None if breach is None else Found(breach, None, 0)


def _nothing(*_: Any, **__: Any) -> Steps:
    return iter(())


def _never(*_: Any) -> bool:
    return False


# The log.


class Laps(Replicator):
    """A ring that is a multiple of its entries, so that those of a lap stand where those of the last stood."""

    disks = disks_of((2, 2), groups.log_sectors(3) - ring.KEPT_SECTORS)


class Roomy(Replicator):
    """A log in which a site may be several entries behind, and which fills all the same."""

    device_sectors = (2, 2, 2)
    disks = disks_of((2, 2, 2), groups.log_sectors(7))
    sites = groups.sites_of(3)


def _taken_for_valid(look: Look) -> Patch:
    """Recovery does not see that an entry is not the one that it must be."""
    look_at = recovery.look_at

    def blind(*args: Any) -> Look:
        seen = look_at(*args)
        return Look.VALID if seen is look else seen

    return recovery, "look_at", blind


def _bits_as_they_are() -> Patch:
    take = Walk._take

    def bare(self: Walk, at: int) -> bool:
        self._owed_before = 0
        return take(self, at)

    return Walk, "_take", bare


def _first_flush_left_out() -> Patch:
    recovering = RingBufferLog._recovering

    def hasty(self: RingBufferLog) -> Generator[Any, None, None]:
        flushing = self._flushing
        self._flushing = lambda: (vars(self).pop("_flushing"), iter(()))[1]  # type: ignore[method-assign]
        yield from recovering(self)
        assert self._flushing == flushing

    return RingBufferLog, "_recovering", hasty


def _done_by_all(self: Any, site: int, entries: Any, mark_all_done: Any = RingBufferLog.mark_all_done) -> None:
    mark_all_done(self, site, entries)
    if not site:
        mark_all_done(self, 1, entries)


def _space_used_at_once() -> Patch:
    advance = RingBufferLog._advance

    def early(self: RingBufferLog) -> None:
        advance(self)
        first = self.entries.get(self.head)
        self._ring.head = first.slot.place[0] if first else self._ring.next

    return RingBufferLog, "_advance", early


def _tail_too_far() -> Patch:
    header = RingBufferLog._buffer_header

    def far(self: RingBufferLog, committed: int, tail: int) -> Any:
        return header(self, self.last, self._ring.next)

    return RingBufferLog, "_buffer_header", far


def _failure_stored() -> tuple[Patch, ...]:
    """As the original's flags: an error bit is stored, and believed when the log is opened."""
    failing, open_log, mark = RingBufferLog._failing, RingBufferLog.open.__func__, b"failed"  # type: ignore[attr-defined]

    def storing(self: RingBufferLog, steps: Any) -> Any:
        try:
            return (yield from failing(self, steps))
        except OSError:
            yield DONE
            self._device.pwrite(mark.ljust(512, b"\0"), 15 << 9)
            yield DONE
            self._device.flush()
            raise

    def believing(cls: Any, context: Any, lock: Any, device: Any, start: int, words: Any = ()) -> Any:
        if device.pread(512, 15 << 9).startswith(mark):
            raise OSError(5, "the log failed once")
        return open_log(cls, context, lock, device, start, words)

    return (RingBufferLog, "_failing", storing), (RingBufferLog, "open", classmethod(believing))


# The sites.


def _without_flush(self: SiteLink, *args: Any, fua: bool = False, writing: Any = SiteLink.writing) -> Steps:
    return writing(self, *args, fua=False)  # type: ignore[no-any-return]


def _device_ignored(self: SiteLink, number: int, opened: Any = SiteLink.opened) -> Any:
    return opened(self, 0)


class _BlindFootprint(Footprint):
    def add(self, entry: Entry) -> int:
        super().add(entry)
        return 0


def _sent_uncommitted() -> Patch:
    take = Sender._take

    def hasty(self: Sender) -> list[Entry]:
        log = self._group.log
        committed, log.committed = log.committed, log.last
        try:
            return take(self)
        finally:
            log.committed = committed

    return Sender, "_take", hasty


def _newest_first(self: Sender, take: Any = Sender._take) -> list[Entry]:
    batch: list[Entry] = take(self)
    return batch[::-1]


def _unknown_dropped(self: Sender, entry: Entry, released: list[Bio], may_go: Any = Sender._may_go) -> bool:
    if entry.device not in self._group.devices:
        released += self._group.on_done(self._site, (entry,))
        return True
    return bool(may_go(self, entry, released))


def _dropped_early(self: Sender, entry: Entry, released: list[Bio], may_go: Any = Sender._may_go) -> bool:
    at = self._site.link.devices.get(entry.device)
    if at is not None and not self._site.covers(at, entry) and not self._group.is_copied(entry, self._site.number):
        released += self._group.on_done(self._site, (entry,))
        return True
    return bool(may_go(self, entry, released))


def _dropped_mid_copy(self: Sender, entry: Entry, released: list[Bio], may_go: Any = Sender._may_go) -> bool:
    if self._site.number and self._group.is_copied(entry, self._site.number):
        released += self._group.on_done(self._site, (entry,))
        return True
    return bool(may_go(self, entry, released))


def _inverted(self: Site, at: Any, entry: Entry, covers: Any = Site.covers) -> bool:
    log = at.dirty_log
    if log is None or log.sync_count == log.region_count:
        return True
    return not covers(self, at, entry)


def _never_forgiven(self: SiteLink, context: Any, testing: Any = SiteLink.testing) -> Steps:
    errors = dict(self.errors)
    yield from testing(self, context)
    self.errors.update(errors)


# Resync and takeover.


def _end_unheard(self: Resync, copy: Any, result: CopyResult, copied: Any = Resync._copied) -> None:
    if result.ok:
        copied(self, copy, result)


def _stays_recovering() -> Patch:
    set_region_sync = BitmapLog.set_region_sync

    def staying(self: BitmapLog, region: int, in_sync: bool) -> None:
        recovering = self._recovering[region]
        set_region_sync(self, region, in_sync)
        if not in_sync:
            self._recovering[region] = recovering

    return BitmapLog, "set_region_sync", staying


def _not_remembered(self: Any, member: Any, membership: Any, remember: Any = RingBufferLog.remember) -> None:
    remember(self, member, Membership.KNOWN if membership is Membership.RESYNC_OWED else membership)


class _NoBoundaries(set[int]):
    def add(self, number: int) -> None:
        """The application flushed, and nobody hears of it."""


def _epochs_endless() -> Patch:
    init = Group.__init__

    def endless(self: Group, *args: Any) -> None:
        init(self, *args)
        self.boundaries = _NoBoundaries()

    return Group, "__init__", endless


# What no search finds, since it issues no reads, or links always heal: a named test does.


def _of_any_device(self: Group, device: Any, sector: int, sectors: int, pending: Any = Group.pending) -> list[Entry]:
    found = [entry for each in self.devices.values() for entry in pending(self, each, sector, sectors)]
    return sorted(found, key=lambda entry: entry.number)


def _oldest_on_top(bio: Bio, layers: Any, lay_over: Any = Reads._lay_over) -> None:
    lay_over(bio, layers[::-1])


def _leaking() -> Patch:
    take_up = RingBufferLog._take_up

    def leaking(self: RingBufferLog, walk: Walk) -> None:
        take_up(self, walk)
        self._ring.end -= sum(entry.slot.place[2] != 0 for entry in walk.entries)

    return RingBufferLog, "_take_up", leaking


BY_NAMED_TESTS: dict[str, tuple[tuple[Patch, ...], str]] = {
    "reads ignore the device number": (((Group, "pending", _of_any_device),), "check_reads"),
    "where entries overlap a read sees the oldest": (
        ((Reads, "_lay_over", staticmethod(_oldest_on_top)),),
        "check_reads",
    ),
    "no entry is ever given up": (((Takeover, "_slow_sites", lambda self: []),), "check_no_site_stops_the_others"),
    "recovery loses space": ((_leaking(),), "check_space_is_found_again"),
    "a failure of the log is stored": (_failure_stored(), "check_failures_are_forgotten"),
}
"""The defect, and the test that finds it."""

ONE: Workload = ((Write(0, 0),),)
DURABLE: Workload = ((Write(0, 0, fua=True),),)
SIDE_BY_SIDE: Workload = ((Write(0, 0),), (Write(1, 0),))
SAME: Workload = ((Write(0, 0), Write(0, 0)),)
APART: Workload = ((Write(0, 0), Write(1, 0)),)
AGAIN: Workload = ((Write(0, 0), Write(0, 0), Write(1, 0)),)
FOUR: Workload = ((Write(0, 0), Write(1, 0), Write(0, 0), Write(1, 1)),)

DEFECTS = (
    Defect("an exactly full log counts as empty", ((ring, "KEPT_SECTORS", 0),), Small(FOUR), Laps),
    Defect("a stale lap is replayed", (_taken_for_valid(Look.OLDER_LAP),), Small(FOUR), Laps),
    Defect("an abandoned tail is taken", (_taken_for_valid(Look.OLDER_GENERATION),), Small(APART)),
    Defect(
        "the checksum covers only the magic",
        (_taken_for_valid(Look.DATA_ROTTEN), (recovery, "crc32", lambda data: 0)),
        Small(ONE),
    ),
    Defect(
        "an entry is replayed over a later one whose bit was cleared",
        (_bits_as_they_are(), (group_module, "Footprint", _BlindFootprint)),
        Weather(3),
    ),
    Defect("recovery does not flush what it read", (_first_flush_left_out(),), Small(ONE)),
    Defect("the log is not flushed", ((RingBufferLog, "_flushing", _nothing),), Small(DURABLE)),
    Defect("the head moves when the local site is done", ((RingBufferLog, "mark_all_done", _done_by_all),), Weather(2)),
    Defect("space is used before the head is durable", (_space_used_at_once(),), Small(FOUR)),
    Defect("the stored tail is ahead", (_tail_too_far(),), Small(ONE)),
    Defect("entries are sent before they are durable", (_sent_uncommitted(),), Small(ONE)),
    Defect("entries are sent newest first", ((Sender, "_take", _newest_first),), Small(APART, 1)),
    Defect("entries of devices to come are dropped", ((Sender, "_may_go", _unknown_dropped),), Small(ONE)),
    Defect("the device number is ignored", ((SiteLink, "opened", _device_ignored),), Small(((Write(1, 0),),))),
    Defect("no flush before the next entry", ((SiteLink, "writing", _without_flush),), Small(APART)),
    Defect("the bit is cleared before the flush", ((SiteLink, "flushing", _nothing),), Small(ONE)),
    Defect("an overlapping entry does not wait", ((group_module, "Footprint", _BlindFootprint),), Small(AGAIN, 1)),
    Defect("a synchronous write does not wait", ((SiteLink, "must_wait", _never),), Small(ONE), groups.Synchronous),
    Defect("a site falls behind without limit", ((SiteLink, "must_wait", _never),), Small(SAME, 1), groups.OneBehind),
    Defect(
        "the end of an epoch is missed",
        (_epochs_endless(),),
        Small(((Write(0, 0, fua=True), Write(1, 0)),), 1),
        groups.Epochs,
    ),
    Defect("a failed device is not forgiven", ((SiteLink, "testing", _never_forgiven),), Weather(3)),
    Defect("the query for what is in sync is inverted", ((Site, "covers", _inverted),), Storm(3), groups.Larger),
    Defect("the dirty log is not stored", ((DiskLog, "flushing", _nothing),), Weather(5)),
    Defect("bits are cleared before the dirty log is durable", ((Takeover, "_storing", _nothing),), Weather(5)),
    Defect(
        "what no dirty log could store counts as stored", ((Site, "take_back", _nothing),), Weather(77), groups.Larger
    ),
    Defect(
        "a lost dirty log is not remembered",
        ((RingBufferLog, "remember", _not_remembered),),
        Weather(5),
        groups.Forgetful,
    ),
    Defect(
        "a region is copied while entries for it are sent", ((Group, "is_copied", _never),), Storm(5), groups.Larger
    ),
    Defect("a bit is dropped during the copy", ((Sender, "_may_go", _dropped_mid_copy),), Storm(5), groups.Larger),
    Defect(
        "a bit is dropped before the local device has the data",
        ((Sender, "_may_go", _dropped_early),),
        Storm(5),
        groups.Larger,
    ),
    Defect("failed chunks count as copied", ((CopyResult, "ok", True),), Weather(25), groups.Larger),
    Defect("a failed region stays recovering", (_stays_recovering(),), Weather(25), groups.Larger),
    Defect("the search for regions never goes back", ((BitmapLog, "rewind", _nothing),), Storm(1), groups.Larger),
    Defect(
        "nobody waits for what copies may hold",
        ((Site, "ripe", lambda self: list(self.awaiting)),),
        Storm(50),
        Roomy,
    ),
    Defect("a failed copy is never over", ((Resync, "_copied", _end_unheard),), Storm(1), groups.Larger),
)
