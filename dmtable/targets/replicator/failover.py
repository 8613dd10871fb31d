"""A site takes over: the tables of the new group, and what must be done to logs before they are loaded.

The roles are swapped: the site becomes site 0, with a log of its own, and the old primary gets its number. Where the
old primary left a log that can be read, it tells in which regions the sites may differ: they are marked in the dirty
logs of the new group, before it sends anything, and no others are copied. Where it left nothing, its devices get
names that do not exist, so that nobody can send to them before the old log was read; `Swap.returning` is the moment
when it can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bitarray import bitarray

from dmtable.core.devices import DmDev, Lookup
from dmtable.core.steps import carry_out
from dmtable.dirtylog.disk import DiskLog, DiskParams
from dmtable.dirtylog.format import write_clean
from dmtable.dirtylog.words import Sync
from dmtable.errors import CorruptLogError, DmtableError
from dmtable.replog.format import State
from dmtable.replog.opening import read_headers
from dmtable.replog.ring_words import RingParams
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.runtime.runtime import Runtime
from dmtable.targets.replicator.losses import Area, Losses, stored_regions
from dmtable.targets.replicator.paper import PaperDevice, PaperGroup
from dmtable.targets.replicator.parts import LOCAL_SITE, CopyWords, DirtyLogWords, LogWords, SiteWords
from dmtable.targets.replicator.reading import is_uri


@dataclass(frozen=True, slots=True)
class Swap:
    """What is wanted: site `to` takes over, with a new log.

    `renamed` are words of the old tables and what the same devices are called at the new primary. `dirty_logs` are
    the devices of the dirty logs for the old primary, by device number, where they are not those of the site before.
    `returning`: the swap was before, with the old primary lost; now it is back.
    """

    to: int
    log: RingParams
    renamed: Mapping[str, str] = field(default_factory=dict)
    dirty_logs: Mapping[int, str] = field(default_factory=dict)
    returning: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Regions of a dirty log that are to be out of sync: `clean` has a bit for each region, 0 for those."""

    site: int
    device: PaperDevice
    params: DiskParams
    clean: bitarray
    keep: bool
    """What the log calls dirty already stays so."""

    @property
    def regions(self) -> int:
        return self.clean.count(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """The new group, and the marks without which it must not be loaded."""

    group: PaperGroup
    marks: tuple[Mark, ...]
    whole: tuple[tuple[int, int], ...]
    """(site, device number) of what is copied whole, and no mark says so."""


def plan(old: PaperGroup, swap: Swap, losses: Losses) -> Plan:
    """The new group. Raises DmtableError where there can be none."""
    _check(old, swap, losses)
    swapped = [_device(device, swap, losses) for device in old.devices]
    devices = [device for device, _ in swapped]
    marks = [mark for _, its_marks in swapped for mark in its_marks]
    whole = [
        (number, device.number)
        for device in devices
        for number, copy in device.copies.items()
        if copy.dirty_log.words()[-1] == Sync.NONE
    ]
    sites = {number: _site(old, number, swap, devices) for number in sorted(old.sites)}
    log = LogWords(RingBufferLog.name, replace(swap.log, mode=None, size=None) if swap.returning else swap.log)
    control = old.control
    if control is not None:
        control = (*control[:2], swap.renamed.get(control[2], control[2]))
    return Plan(PaperGroup(log, sites, tuple(devices), control), tuple(marks), tuple(whole))


def tables(group: PaperGroup) -> Iterator[tuple[str, str]]:
    """(name, text) of the group's tables, in the order in which they are to be loaded. Only the first may make the
    log."""
    if group.control is not None:
        name, length, word = group.control
        words = [*group.log.words(), *(part for site in group.sites.values() for part in site.link_words())]
        yield name, f"0 {length} replicator {' '.join(words)}\n"
        for device in group.devices:
            words = [word, str(device.number)]
            for number, copy in sorted(device.copies.items()):
                words += [str(number), "1", copy.device, *copy.dirty_log.words()]
            yield device.table, f"0 {device.length} replicator-dev {' '.join(words)}\n"
        return
    log = group.log
    for device in group.devices:
        words = log.words()
        for number, copy in sorted(device.copies.items()):
            words += replace(group.sites[number], copy=copy, written=None).words()
        yield device.table, f"0 {device.length} replicator {' '.join(words)}\n"
        assert isinstance(log.params, RingParams)
        log = LogWords(log.kind, replace(log.params, mode=None, size=None))


def check_new_log(swap: Swap, lookup: Lookup) -> None:
    """Raises DmtableError where the new log says that this is not the moment: it is there before the swap, and the new
    group may be at work, whose dirty logs must not be written over; or it is not there when the old primary returns."""
    device, start = swap.log.device, swap.log.start
    try:
        headers = read_headers(lookup(device).device, start, device)
        live = headers is not None and headers.log.state is not State.RETIRED
    except CorruptLogError:
        live = False
    if live and not swap.returning:
        what = f"there is a log in use at sector {start} of {device}: the new group may be at work already"
        raise DmtableError(f"{what}; --return is for an old primary that is back")
    if swap.returning and not live:
        raise DmtableError(f"there is no log in use at sector {start} of {device}: the swap was not before")


def mark(marks: Mark, lookup: Lookup) -> int:
    """Writes the marks, durably: how many regions are out of sync then. Raises OSError and DeviceLookupError."""
    clean = marks.clean.copy()
    if marks.keep:
        stored = stored_regions(marks.device, marks.params, lookup)
        if stored is None:
            clean.setall(0)
        else:
            clean &= stored
    write_clean(lookup(marks.params.device).device, clean)
    return clean.count(0)


def retire(old: PaperGroup, lookup: Lookup, runtime: Runtime) -> None:
    """Makes the old log refuse to be opened, durably; nothing happens where it does. Raises DmtableError, OSError."""
    params = old.log.params
    assert isinstance(params, RingParams)
    device = lookup(params.device).device
    headers = read_headers(device, params.start, params.device)
    if headers is None:
        raise DmtableError(f"{params.device}: there is no log to be retired")
    if headers.log.state is State.RETIRED:
        return
    log = RingBufferLog(_Bare(runtime, lookup), runtime.lock(), device, params.start, headers)
    if headers.foreign:
        # The original has no word for it; the log becomes ours first.
        carry_out(log.recovering(), runtime)
    carry_out(log.retiring(), runtime)


# ---- the new group


def _check(old: PaperGroup, swap: Swap, losses: Losses) -> None:
    known = ", ".join(str(number) for number in sorted(old.sites) if number)
    if swap.to == LOCAL_SITE or swap.to not in old.sites:
        raise DmtableError(f"site {swap.to} cannot take over: remote sites are {known}")
    nameless = sorted(losses.differing.keys() - {device.number for device in old.devices})
    if nameless:
        told = ", ".join(map(str, nameless))
        raise DmtableError(f"the old log holds entries of device {told}, which no table names: give all of the group's")
    params = old.log.params
    if isinstance(params, RingParams) and (params.device, params.start) == (swap.log.device, swap.log.start):
        raise DmtableError(f"the new log at sector {params.start} of {params.device} would destroy the old one")
    for device in old.devices:
        if swap.to not in device.copies or LOCAL_SITE not in device.copies:
            raise DmtableError(f"device {device.number} is not at both sites, 0 and {swap.to}")
        before = device.copies[swap.to].dirty_log.params
        if not isinstance(before, DiskParams):
            if swap.returning or losses.unknown:
                hint = f"give --dirty-log {device.number}=DEVICE"
                if device.number not in swap.dirty_logs:
                    raise DmtableError(f"device {device.number} needs a dirty log on a disk; {hint}")
        elif (swap.returning or losses.unknown) and _dirty_word(device, swap) == before.device:
            hint = f"the old one is still needed; give --dirty-log {device.number}=DEVICE"
            raise DmtableError(f"device {device.number} needs a new dirty log at the new primary: {hint}")


def _device(device: PaperDevice, swap: Swap, losses: Losses) -> tuple[PaperDevice, list[Mark]]:
    """The device with its roles swapped, and its marks."""
    local = device.copies[swap.to].device
    copies = {LOCAL_SITE: CopyWords(device.number, swap.renamed.get(local, local), device.copies[LOCAL_SITE].dirty_log)}
    marks: list[Mark] = []
    for number in sorted(device.copies.keys() - {LOCAL_SITE}):
        source = device.copies[LOCAL_SITE if number == swap.to else number].device
        word = swap.renamed.get(source, source)
        if losses.unknown and number == swap.to and not swap.returning:
            word = f"/lost/site{number}/device{device.number}"
        params: Any = _dirty_params(device, number, swap)
        first, regions = _first_state(device, number, params, swap, losses)
        if regions is not None:
            marks.append(Mark(number, device, params, regions, swap.returning))
        kind = DiskLog.name if isinstance(params, DiskParams) else device.copies[number].dirty_log.kind
        copies[number] = CopyWords(device.number, word, DirtyLogWords(kind, params.beginning(first.value)))
    return replace(device, copies=copies), marks


def _first_state(
    device: PaperDevice, site: int, params: object, swap: Swap, losses: Losses
) -> tuple[Sync, bitarray | None]:
    """What the dirty log of a remote copy begins with, and the regions that it must call clean by then."""
    differing = None if losses.unknown else losses.differing.get(device.number, ())
    if swap.returning:
        # The others have been with the new group since the swap.
        if site == swap.to and isinstance(params, DiskParams):
            return Sync.STORED, _clean(device, params.region_size, differing)
        return Sync.STORED, None
    if losses.unknown:
        # Of the old primary nothing can be known yet, and nobody can reach it: what comes from now on is noted.
        return (Sync.ALL if site == swap.to else Sync.NONE), None
    if differing == ():
        return Sync.ALL, None
    if isinstance(params, DiskParams):
        return Sync.STORED, _clean(device, params.region_size, differing)
    return Sync.NONE, None


def _dirty_word(device: PaperDevice, swap: Swap) -> str | None:
    """The device of the dirty log for the old primary, where it is a disk's."""
    given = swap.dirty_logs.get(device.number)
    params = device.copies[swap.to].dirty_log.params
    if given is not None or not isinstance(params, DiskParams):
        return given
    return swap.renamed.get(params.device, params.device)


def _dirty_params(device: PaperDevice, site: int, swap: Swap) -> object:
    dirty_log = device.copies[site].dirty_log
    word = _dirty_word(device, swap) if site == swap.to else None
    size = dirty_log.region_sectors
    if word is not None and size is not None:
        return DiskParams(word, size)
    if isinstance(dirty_log.params, DiskParams):
        return replace(dirty_log.params, device=swap.renamed.get(dirty_log.params.device, dirty_log.params.device))
    return dirty_log.params


def _clean(device: PaperDevice, region_sectors: int, areas: tuple[Area, ...] | None) -> bitarray:
    """A bit for each region, 0 for those that the areas touch; all for None."""
    clean = bitarray(-(-device.length // region_sectors), endian="little")
    clean.setall(areas is not None)
    for first, sectors in areas or ():
        clean[first // region_sectors : (first + sectors - 1) // region_sectors + 1] = 0
    return clean


def _site(old: PaperGroup, number: int, swap: Swap, devices: list[PaperDevice]) -> SiteWords:
    """A site link with the policy of its number, and of the kind that its devices need."""
    site = old.sites[number]
    words = [device.copies[number].device for device in devices if number in device.copies]
    remote = any(is_uri(word) for word in words)
    kind = site.kind
    if remote != (kind == "nbd") and number in (LOCAL_SITE, swap.to):
        kind = "nbd" if remote else old.sites[LOCAL_SITE].kind
    copy = next((device.copies[number] for device in devices if number in device.copies), None)
    return replace(site, kind=kind, copy=copy if site.copy is not None else None, written=None)


class _Bare:
    """The context of a log that no table uses."""

    def __init__(self, runtime: Runtime, lookup: Lookup) -> None:
        self._runtime = runtime
        self._lookup = lookup

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def owner(self) -> object:
        return self

    @property
    def shared(self) -> dict[object, Any]:
        return {}

    def get_device(self, word: str) -> DmDev:
        return self._lookup(word)

    def event(self) -> None:
        return

    def log(self, text: str) -> None:
        return

    def log_limited(self, form: str, *values: object) -> None:
        return
