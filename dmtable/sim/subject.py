"""What the explorer proves: a replicated group, described by its disks, its sites and how it is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from dmtable.core.bio import Bio
from dmtable.errors import UsageError
from dmtable.sim.cache import Image, blank
from dmtable.sim.faults import FaultRates
from dmtable.sim.world import World

Entered = Callable[[int, Bio], None]
"""To be called with the device's number and the bio, when it takes its place in the group's order of writes."""


class Group(Protocol):
    """A group at work. What would be threads of it are Workers of the world's runtime."""

    def submit(self, device: int, bio: Bio) -> None:
        """Takes a request for a device of the group. Never blocks; the outcome is in the bio."""


class Subject(ABC):
    """A replicator under proof.

    Opened on the same disks, it must always do the same: what it decides may depend on nothing but its disks, the
    requests, and the world's runtime. States worth reaching are told by `runtime.sometimes`.
    """

    device_sectors: ClassVar[Sequence[int]]
    """The size of each device of the group."""
    boundary_sectors: ClassVar[int] = 2048
    """No request crosses a multiple of this: one request is one entry."""
    disks: ClassVar[Mapping[str, int]]
    """The size in sectors of each disk, by name."""
    sites: ClassVar[Sequence[Sequence[str]]]
    """For each site the disks that hold the group's devices, in their order. Site 0 is the local one."""
    ordered: ClassVar[bool] = True
    """False: it promises, as a plain disk, that what was flushed is there, and nothing of the order of writes. A
    flush of any device flushes the group all the same; what FUA promises of a single write is not judged."""
    synchronous: ClassVar[frozenset[int]] = frozenset()
    """Sites that hold every acknowledged write as they stand, without any recovery."""
    lacking: ClassVar[Mapping[int, int]] = {}
    """Sites that as they stand lack at most so many acknowledged writes."""
    epochs: ClassVar[frozenset[int]] = frozenset()
    """Sites that keep the order only from one flush of the application to the next: a write that it sent when a flush
    had ended is there only where everything is that the flush made durable."""
    sometimes: ClassVar[Sequence[str]] = ()
    """The states that a campaign must have reached, or it proves less than it seems to."""
    survives: ClassVar[FaultRates | None] = None
    """The faults of disks, and how often they are drawn, that it promises to live with; None is none."""
    spared: ClassVar[frozenset[str]] = frozenset()
    """The disks that no fault strikes; where one is placed there, the group need not live on with it, but keeps what
    it promised until it is opened again."""
    patience_seconds: ClassVar[float] = 600.0
    """So much simulated time, the weather's included, and all sites are equal."""

    def create(self, world: World) -> None:
        """Formats the disks, which are blank. No power is lost meanwhile. Nothing to do by default."""
        return

    @abstractmethod
    def open(self, world: World, entered: Entered) -> Group:
        """Opens the group on what its disks hold: formatted, in use until a power loss, or recovered halfway.

        The disks of a remote site are reached over `LinkedDevice(world.disks[name], world.link("site 1"))` where
        its link and its machine shall fail in bad weather; without that, nothing ever goes wrong on the way.
        """

    def unordered(self, group: Any) -> frozenset[int]:
        """The remote sites that the group, as `open` made it, shows as resynchronising now: what they hold as they
        stand is not judged. Until `open` returns the group's last word counts. None may be left at rest."""
        return frozenset()

    def devices(self, site: int, images: Mapping[str, Image]) -> Sequence[Image]:
        """What the group's devices show at a site, from the images of that site's disks."""
        return [images[name] for name in self.sites[site]]


def examine(subject: Subject) -> None:
    """Raises UsageError where what a subject says of itself does not fit together."""
    name = type(subject).__name__
    for needed in ("device_sectors", "disks", "sites"):
        if not getattr(subject, needed, None):
            raise UsageError(f"{name}.{needed} is missing or empty; see dmtable.sim.Subject")
    for site, disks in enumerate(subject.sites):
        if unknown := [disk for disk in disks if disk not in subject.disks]:
            raise UsageError(f"{name}: site {site} has a disk {unknown[0]!r} that is not among {name}.disks")
    if strange := [site for site in subject.synchronous if not 0 <= site < len(subject.sites)]:
        raise UsageError(f"{name}: there is no site {strange[0]} that could be synchronous")
    blank_images = {disk: blank(sectors) for disk, sectors in subject.disks.items()}
    for site in range(len(subject.sites)):
        sizes = [len(image) for image in subject.devices(site, blank_images)]
        if sizes != list(subject.device_sectors):
            raise UsageError(f"{name}: the devices have {list(subject.device_sectors)} sectors, at site {site} {sizes}")
