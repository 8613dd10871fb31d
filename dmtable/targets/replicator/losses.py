"""What is lost when a site of a group takes over, and which sectors may differ between the sites then.

Both are read from what the old primary left: its replication log and its dirty logs. Where those cannot be read it
is said that nobody can know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bitarray import bitarray

from dmtable.core.devices import Lookup
from dmtable.dirtylog.disk import DiskParams
from dmtable.dirtylog.format import read_clean
from dmtable.errors import CorruptLogError, DeviceLookupError
from dmtable.replog.inspection import LogImage, inspect
from dmtable.replog.log import Damage, Entry, Membership
from dmtable.replog.ring_words import RingParams
from dmtable.runtime.runtime import Runtime
from dmtable.targets.replicator.paper import PaperDevice, PaperGroup

Area = tuple[int, int]
"""(first sector, sectors) of a device."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What the old primary left, as the site that takes over sees it.

    `writes` are not known to have got there; the first of them may have, for marks are durable a moment later than
    what they mark. `dropped` are areas by device whose
    entries the site lost when the log was full, nobody knows when. `differing` are the areas by device in which any
    two sites may differ; None is the whole device. `unknown` says why none of this can be known, or is empty.
    """

    site: int
    last: int = 0
    """The newest entry of the old log."""
    writes: tuple[Entry, ...] = ()
    dropped: Mapping[int, tuple[Area, ...] | None] = field(default_factory=dict)
    damage: tuple[Damage, ...] = ()
    differing: Mapping[int, tuple[Area, ...] | None] = field(default_factory=dict)
    unknown: str = ""

    @property
    def none(self) -> bool:
        """Whether the site is known to hold everything."""
        return not (self.unknown or self.writes or self.dropped or self.damage)

    @property
    def ordered(self) -> bool:
        """Whether the site holds a state that the group once was in, as far as is known."""
        return not self.dropped


class _Areas:
    """Areas by device, as they are found."""

    def __init__(self, devices: Iterable[int]) -> None:
        self._devices = tuple(devices)
        self._areas: dict[int, list[Area] | None] = {}

    def add(self, device: int, area: Area) -> None:
        areas = self._areas.setdefault(device, [])
        if areas is not None:
            areas.append(area)

    def add_whole(self, device: int) -> None:
        self._areas[device] = None

    def add_everything(self) -> None:
        for device in self._devices:
            self.add_whole(device)

    def found(self) -> dict[int, tuple[Area, ...] | None]:
        return {device: None if areas is None else tuple(areas) for device, areas in sorted(self._areas.items())}


def read_losses(group: PaperGroup, site: int, lookup: Lookup, runtime: Runtime) -> Losses:
    """What would be lost if the site took over now. Nobody may use the log meanwhile."""
    try:
        image = read_old_log(group, lookup, runtime)
    except (CorruptLogError, DeviceLookupError, OSError) as error:
        return Losses(site, unknown=str(error))
    differing, dropped = (_Areas(device.number for device in group.devices) for _ in range(2))
    for entry in image.owed:
        differing.add(entry.device, (entry.sector, entry.sectors))
    for damage in image.report.damage:
        if damage.device is None or damage.first is None or damage.sectors is None:
            differing.add_everything()
        else:
            differing.add(damage.device, (damage.first, damage.sectors))
    members = dict(image.members)
    for device in group.devices:
        for number in device.copies:
            if number:
                for area in _dirty(device, number, members.get((number, device.number)), lookup):
                    for areas in (differing, dropped) if number == site else (differing,):
                        areas.add_whole(device.number) if area is None else areas.add(device.number, area)
    return Losses(
        site,
        image.report.last,
        tuple(image.owed_to(site)),
        dropped.found(),
        image.report.damage,
        differing.found(),
    )


def read_old_log(group: PaperGroup, lookup: Lookup, runtime: Runtime) -> LogImage:
    """The log of the tables as it stands. Raises CorruptLogError, DeviceLookupError and OSError."""
    params = group.log.params
    if not isinstance(params, RingParams):
        raise CorruptLogError(group.log.kind, 0, "a log of this kind leaves nothing behind")
    return inspect(lookup(params.device).device, params.start, params.device, runtime)


def _dirty(device: PaperDevice, site: int, membership: Membership | None, lookup: Lookup) -> Iterator[Area | None]:
    """The areas that the site lacks beyond entries; None stands for all of the device."""
    params = device.copies[site].dirty_log.params
    if membership is None or membership is Membership.RESYNC_OWED:
        yield None
    elif isinstance(params, DiskParams):
        clean = stored_regions(device, params, lookup)
        if clean is None:
            yield None
        else:
            for region in clean.search(bitarray("0")):
                yield region * params.region_size, params.region_size
    elif membership is Membership.STORED:
        yield None


def stored_regions(device: PaperDevice, params: DiskParams, lookup: Lookup) -> bitarray | None:
    """The regions that a dirty log calls clean; None where it cannot be believed."""
    try:
        clean = read_clean(lookup(params.device).device, params.device)
    except (CorruptLogError, DeviceLookupError, OSError):
        return None
    return clean if len(clean) == -(-device.length // params.region_size) else None
