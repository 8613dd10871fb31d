"""What is tortured where nothing else is named: the production replicator, on a log in which few entries have room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from dmtable.core.bio import Bio
from dmtable.core.devices import DmDev
from dmtable.dirtylog.core import CoreParams
from dmtable.dirtylog.disk import DiskParams
from dmtable.dirtylog.words import Sync
from dmtable.errors import DmtableError
from dmtable.io.device import BlockDevice
from dmtable.replog.ring import data_sectors
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.sim.faults import Call, FaultRates, Ill
from dmtable.sim.link import LinkedDevice
from dmtable.sim.runtime import SimRuntime
from dmtable.sim.subject import Entered, Subject
from dmtable.sim.world import World
from dmtable.slink.blockdev import BlockdevLink
from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.targets.replicator.member import Member
from dmtable.targets.replicator.parts import NO_DIRTY_LOG, CopyWords, DirtyLogWords
from dmtable.targets.replicator.running import RunningGroup

_LOG = "log"
_HEADERS_SECTORS, _KEPT_SECTORS = 16, 8
_DIRTY_LOG_SECTORS = 3
"""A header, what is unused behind it, and one sector of bits."""


def log_sectors(entries: int, sectors: int = 1) -> int:
    """The size of a log in which so many entries of so many sectors have room."""
    return _HEADERS_SECTORS + entries * (8 + data_sectors(sectors)) + _KEPT_SECTORS


def device_name(site: int, device: int) -> str:
    """The disk of a device at a site."""
    return f"site {site} device {device}"


def dirty_log_name(site: int, device: int) -> str:
    """The disk of the dirty log of a device at a remote site; it stands at the local one."""
    return f"dirty log {site} {device}"


def disks_of(device_sectors: Sequence[int], log: int, *, sites: int = 2, dirty_logs: bool = True) -> Mapping[str, int]:
    """The sizes of the disks of a group in sectors, by name."""
    disks = {_LOG: log}
    for site in range(sites):
        disks |= {device_name(site, device): sectors for device, sectors in enumerate(device_sectors)}
        if site and dirty_logs:
            disks |= {dirty_log_name(site, device): _DIRTY_LOG_SECTORS for device in range(len(device_sectors))}
    return disks


def sites_of(devices: int, sites: int = 2) -> Sequence[Sequence[str]]:
    """The names of the disks at each site."""
    return [[device_name(site, device) for device in range(devices)] for site in range(sites)]


class _Tables:
    """What the group sees of a device-mapper: every line of its tables has this context."""

    def __init__(self, runtime: SimRuntime, devices: Mapping[str, BlockDevice]) -> None:
        self.runtime = runtime
        self.owner = object()
        self.shared: dict[object, Any] = {}
        self._devices = {
            name: DmDev((7, number), name, device) for number, (name, device) in enumerate(devices.items())
        }

    def get_device(self, word: str) -> DmDev:
        return self._devices[word]

    def event(self) -> None:
        """Nobody waits for events here."""

    def log(self, text: str) -> None:
        self.runtime.note("kernel log", text)

    def log_limited(self, form: str, *values: object) -> None:
        self.log(form.format(*values))


class OpenGroup:
    """A group in use, with all its devices."""

    def __init__(self, subject: Replicator, world: World, entered: Entered | None) -> None:
        runtime = world.runtime
        devices: dict[str, BlockDevice] = dict(world.disks)
        for site, names in enumerate(subject.sites):
            if site:
                link = world.link(f"site {site}")
                devices |= {name: LinkedDevice(world.disks[name], link) for name in names}
        tables = _Tables(runtime, devices)
        lock = runtime.condition()
        log = RingBufferLog.open(tables, lock, devices[_LOG], 0)
        if log is None:
            raise DmtableError("there is no log any more")
        self.running = RunningGroup(runtime, lock, log, tables.log)
        self.running.group.on_entered = entered
        for site in range(len(subject.sites)):
            link_of = BlockdevLink(site, subject.policy if site else Policy(), subject.limit if site else None)
            self.running.add_site(link_of, tables)
        self.members = [
            Member(tables, self.running, number, sectors, subject.copies(number))
            for number, sectors in enumerate(subject.device_sectors)
        ]
        for change in (Member.preresume, Member.resume):
            for member in self.members:
                change(member)
        if log.report.damage and not subject.may_be_damaged:
            raise DmtableError(f"the log is damaged: {log.report.damage[0].what}")

    def submit(self, device: int, bio: Bio) -> None:
        self.members[device].submit(bio)

    def close(self) -> None:
        """An orderly end: what is under way is ended first."""
        for change in (Member.postsuspend, Member.dtr):
            for member in self.members:
                change(member)
        self.running.close()


class Replicator(Subject):
    """Two devices at two sites; the second is asynchronous and reached over a link.

    Other groups are subclasses: `policy`, `limit` and the kind of `dirty_log` are the remote sites'.
    """

    device_sectors: ClassVar[Sequence[int]] = (2, 2)
    boundary_sectors: ClassVar[int] = 2
    disks: ClassVar[Mapping[str, int]] = disks_of((2, 2), log_sectors(3))
    sites: ClassVar[Sequence[Sequence[str]]] = sites_of(2)
    policy: ClassVar[Policy] = Policy()
    limit: ClassVar[FallBehind | None] = None
    dirty_log: ClassVar[str] = "disk"
    region_sectors: ClassVar[int] = 2
    spared: ClassVar[frozenset[str]] = frozenset({_LOG})
    may_be_damaged: ClassVar[bool] = False
    """Whether the log's disk may have lost more than a power loss takes."""

    def create(self, world: World) -> None:
        """Makes the log, and opens the group once: its devices are equal, and known to be."""
        lock = world.runtime.condition()
        RingBufferLog.create(_Tables(world.runtime, world.disks), lock, world.disks[_LOG], 0, self.disks[_LOG])
        OpenGroup(self, world, None).close()

    def open(self, world: World, entered: Entered) -> OpenGroup:
        return OpenGroup(self, world, entered)

    def copies(self, device: int) -> Sequence[tuple[int, CopyWords]]:
        """Where a device is, as a table says it."""
        return [
            (site, CopyWords(device, device_name(site, device), self._dirty_log(site, device)))
            for site in range(len(self.sites))
        ]

    def _dirty_log(self, site: int, device: int) -> DirtyLogWords:
        if not site:
            return DirtyLogWords(NO_DIRTY_LOG[0])
        if self.dirty_log == "core":
            return DirtyLogWords("core", CoreParams(self.region_sectors, Sync.ALL))
        return DirtyLogWords("disk", DiskParams(dirty_log_name(site, device), self.region_sectors, Sync.ALL))

    def unordered(self, group: OpenGroup) -> frozenset[int]:
        return frozenset(number for number, site in group.running.group.sites.items() if not site.ordered)


class OneBehind(Replicator):
    """The site may lack one acknowledged write."""

    limit = FallBehind(Measure.IOS, 1, 1)
    lacking: ClassVar[Mapping[int, int]] = {1: 1}


class OneSectorBehind(Replicator):
    """The site may lack one sector of acknowledged writes."""

    limit = FallBehind(Measure.SIZE, 1, 1, "s")
    lacking: ClassVar[Mapping[int, int]] = {1: 1}


class SecondBehind(Replicator):
    """Nothing is acknowledged while the site lacks a write that is older than a second."""

    limit = FallBehind(Measure.TIMEOUT, 1000, 1, "s")


class Synchronous(Replicator):
    """What is acknowledged stands at the other site."""

    policy = Policy(synchronous=True)
    synchronous = frozenset({1})


class Stalling(Replicator):
    """Where the log is full writers wait."""

    policy = Policy(stall=True)


class Forgetful(Replicator):
    """Its dirty logs are in memory, so the replication log must remember in their place."""

    dirty_log = "core"
    disks = disks_of((2, 2), log_sectors(3), dirty_logs=False)


class Epochs(Replicator):
    """The site is flushed only where the application flushes."""

    policy = Policy(epoch=True)
    epochs = frozenset({1})


class ThreeDevices(Replicator):
    """Three devices at three sites."""

    device_sectors = (2, 2, 2)
    disks = disks_of((2, 2, 2), log_sectors(3), sites=3)
    sites = sites_of(3, 3)


class Larger(Replicator):
    """Larger requests, devices of several regions, and disks that fail."""

    device_sectors = (10, 4)
    boundary_sectors = 4
    region_sectors = 4
    disks = disks_of((10, 4), log_sectors(3, 4))
    survives = FaultRates(
        (
            (Call.READ, Ill.ERROR, 60),
            (Call.WRITE, Ill.ERROR, 60),
            (Call.WRITE, Ill.HALF, 60),
            (Call.FLUSH, Ill.ERROR, 60),
            (Call.WRITE, Ill.SLOW, 60),
        ),
        lasting_one_in=4,
    )
    sometimes = (
        "log full",
        "wrap",
        "stale lap",
        "torn entry",
        "abandoned tail",
        "group commit",
        "recovery with one site ahead",
        "replay over a later entry",
        "replicator: an entry waits for its device",
        "replicator: an entry waits for marks",
        "replicator: a site falls behind",
        "replicator: link down",
        "replicator: a site comes back",
        "replicator: entries are dropped",
        "replicator: a site loses its order",
        "replicator: a region is copied",
        "replicator: a site regains its order",
    )


replicator = Larger()
