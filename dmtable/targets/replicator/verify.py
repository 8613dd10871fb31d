"""Comparing a group's copies with the local devices, region by region, while it is at work.

A region is compared where nothing is owed for it: no entry, and no copy. Reads are no snapshot, so a difference
counts only when it is certain that no entry came in between; equal is equal, whatever came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import carry_out, request
from dmtable.io.device import BlockDevice
from dmtable.replog.log import MAX_ENTRY_SECTORS, Entry
from dmtable.runtime.runtime import Runtime
from dmtable.slink.link import SiteDevice
from dmtable.targets.replicator.group import Group, GroupDevice
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.site import Site
from dmtable.units import SECTOR_SHIFT

_BLOCK_SECTORS = 8
"""A difference is looked at again in pieces so small that hardly anything comes in between."""
_TRIES = 100


class Outcome(Enum):
    """What became of a region."""

    EQUAL = "equal"
    DIFFERS = "differs though nothing is owed"
    OWED = "entries are owed, or the region is out of sync"
    BUSY = "written all the time while it was compared"
    UNREADABLE = "cannot be read"


@dataclass(frozen=True, slots=True)
class RegionCheck:
    """A region of a device at a site, `sectors` from sector `first` on; `runs` are the differing (first, count),
    in sectors; `why` says what could not be read."""

    site: int
    device: int
    region: int
    first: int
    sectors: int
    outcome: Outcome
    runs: tuple[tuple[int, int], ...] = ()
    why: str = ""


def verify(running: RunningGroup) -> Iterator[RegionCheck]:
    """Compares every region of every device at every remote site. Blocks; I/O of the group goes on."""
    group = running.group
    with group.lock:
        todo = [
            (device, site, at)
            for _, device in sorted(group.devices.items())
            for site in device.sites
            if site.number and (at := site.link.devices.get(device.number)) is not None
        ]
    entries = _Entries(group)
    for device, site, at in todo:
        yield from _Comparison(group, entries, device, site, at).regions()


class _Entries:
    """The log's entries by place, so that not all must be looked at for each region. The group's lock is held."""

    def __init__(self, group: Group) -> None:
        self._log = group.log
        self._seen = 0
        self._by_place: dict[tuple[int, int], list[Entry]] = {}

    def touching(self, device: int, first: int, sectors: int) -> list[Entry]:
        """Those that wrote to these sectors and are in the log."""
        self._take_up()
        end = first + sectors
        found = []
        for place in range(first // MAX_ENTRY_SECTORS, (end - 1) // MAX_ENTRY_SECTORS + 1):
            entries = self._by_place.get((device, place), [])
            entries[:] = [entry for entry in entries if entry.number >= self._log.head]
            found += [entry for entry in entries if entry.sector < end and first < entry.sector + entry.sectors]
        return found

    def _take_up(self) -> None:
        for number in range(max(self._seen + 1, self._log.head), self._log.last + 1):
            entry = self._log.entries[number]
            end = entry.sector + entry.sectors
            for place in range(entry.sector // MAX_ENTRY_SECTORS, (end - 1) // MAX_ENTRY_SECTORS + 1):
                self._by_place.setdefault((entry.device, place), []).append(entry)
        self._seen = self._log.last


class _Comparison:
    """A device at a remote site, against the local one."""

    def __init__(self, group: Group, entries: _Entries, device: GroupDevice, site: Site, at: SiteDevice) -> None:
        self._group = group
        self._entries = entries
        self._device = device
        self._site = site
        self._at = at

    def regions(self) -> Iterator[RegionCheck]:
        log = self._at.dirty_log
        size = log.region_size if log is not None else MAX_ENTRY_SECTORS
        for region in range(-(-self._device.length // size)):
            first = region * size
            yield self._region(region, first, min(size, self._device.length - first))

    def _region(self, region: int, first: int, sectors: int) -> RegionCheck:
        runs: list[tuple[int, int]] = []
        outcome, why = Outcome.EQUAL, ""
        try:
            for at in range(first, first + sectors, MAX_ENTRY_SECTORS):
                count = min(MAX_ENTRY_SECTORS, first + sectors - at)
                for block in self._suspects(region, at, count):
                    found = self._block(region, *block)
                    if found is Outcome.DIFFERS:
                        _append(runs, *block)
                    elif found is not Outcome.EQUAL:
                        outcome = found
        except _OwedError:
            outcome = Outcome.OWED
        except OSError as error:
            outcome, why = Outcome.UNREADABLE, str(error)
        if runs:
            outcome = Outcome.DIFFERS
        return RegionCheck(self._site.number, self._device.number, region, first, sectors, outcome, tuple(runs), why)

    def _suspects(self, region: int, first: int, sectors: int) -> Iterator[tuple[int, int]]:
        """The blocks that were not equal when they were read."""
        self._newest(region, first, sectors)
        local, remote = self._read(first, sectors)
        if local == remote:
            return
        for at in range(0, sectors, _BLOCK_SECTORS):
            part = slice(at << SECTOR_SHIFT, (at + _BLOCK_SECTORS) << SECTOR_SHIFT)
            if local[part] != remote[part]:
                yield first + at, min(_BLOCK_SECTORS, sectors - at)

    def _block(self, region: int, first: int, sectors: int) -> Outcome:
        """Reads a block until it is equal, or certainly is not."""
        for _ in range(_TRIES):
            newest = self._newest(region, first, sectors)
            local, remote = self._read(first, sectors)
            if local == remote:
                return Outcome.EQUAL
            if self._newest(region, first, sectors, since=newest) == newest:
                return Outcome.DIFFERS
        return Outcome.BUSY

    def _newest(self, region: int, first: int, sectors: int, *, since: int | None = None) -> int:
        """The newest entry in the log. With `since` the same number, if no entry behind it came to these sectors.

        Raises _OwedError where something is owed for them.
        """
        group, site = self._group, self._site
        with group.lock:
            log, copy = self._at.dirty_log, site.copy
            copied = copy is not None and (copy.at, copy.region) == (self._at, region)
            pending = (self._device.number, region) in site.awaiting
            if copied or pending or (log is not None and not log.in_sync(region)):
                raise _OwedError
            entries = self._entries.touching(self._device.number, first, sectors)
            both = 1 | 1 << site.number
            if any(entry.owed & both for entry in entries):
                raise _OwedError
            if since is None:
                return group.log.last
            # What came and went is not in the log any more: then nobody knows.
            known = group.log.head <= since + 1
            return since if known and all(entry.number <= since for entry in entries) else group.log.last

    def _read(self, first: int, sectors: int) -> tuple[bytes, bytes]:
        local = self._device.local
        if local is None:
            raise OSError("the local device is not open")
        if self._site.link.errors:
            raise OSError(f"site {self._site.number} failed and is being tested")
        remote = self._site.link.opened(self._device.number)
        runtime = self._group.runtime
        return _pread(local, first, sectors, runtime), _pread(remote, first, sectors, runtime)


class _OwedError(Exception):
    """Something is owed: nothing to be compared."""


def _pread(device: BlockDevice, first: int, sectors: int, runtime: Runtime) -> bytes:
    """Raises OSError."""
    data = bytearray(sectors << SECTOR_SHIFT)
    carry_out(request(device, Bio(Op.READ, first, sectors, memoryview(data))), runtime)
    return bytes(data)


def _append(runs: list[tuple[int, int]], first: int, sectors: int) -> None:
    """Adds sectors to the runs, to the last one if they are its neighbours."""
    if runs and sum(runs[-1]) == first:
        runs[-1] = (runs[-1][0], runs[-1][1] + sectors)
    else:
        runs.append((first, sectors))
