"""A world: one runtime, its disks, links and power, all driven by one source of choices."""

from __future__ import annotations

from collections import Counter

from dmtable.errors import UsageError
from dmtable.sim.cache import Image, blank
from dmtable.sim.choices import Choices, Ordinary
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Faults
from dmtable.sim.link import Link
from dmtable.sim.power import Power
from dmtable.sim.runtime import Event, SimRuntime
from dmtable.units import SECTOR_BYTES


class World:
    """A simulated machine, and what it reaches. The same choices make the same run.

    `preemptions` bounds how often a worker is interrupted that could go on; None is no bound. Without
    `traced` nothing is written down, which is faster.
    """

    def __init__(
        self,
        choices: Choices | None = None,
        *,
        preemptions: int | None = None,
        faults: Faults | None = None,
        traced: bool = True,
    ) -> None:
        self.choices = choices if choices is not None else Ordinary()
        self.runtime = SimRuntime(self.choices, preemptions=preemptions)
        if not traced:
            self.runtime.trace = None
        self.power = Power()
        self.faults = faults
        self.disks: dict[str, SimDisk] = {}
        self.links: dict[str, Link] = {}
        self._preemptions = preemptions

    def disk(
        self,
        name: str,
        sectors: int = 0,
        *,
        image: Image | None = None,
        latency_seconds: float = 0.0,
        logical_block_size: int = SECTOR_BYTES,
        machine: str = "",
    ) -> SimDisk:
        """A new disk: blank, or with the content of an image. It shares this world's faults.

        It stands on this machine, or on the remote one of that name: then a power loss here leaves it its cache.
        Calls come from here all the same, so that every one raises PowerLoss when this machine has no power.
        """
        disk = SimDisk(
            name,
            blank(sectors) if image is None else image,
            self.power,
            faults=self.faults,
            runtime=self.runtime,
            choices=self.choices,
            logical_block_size=logical_block_size,
            latency_seconds=latency_seconds,
            machine=machine,
        )
        self.disks[name] = disk
        return disk

    def link(self, name: str) -> Link:
        """A new link, which is up, to the machine of that name."""
        link = self.links[name] = Link(name, self.runtime, self.choices, self.power)
        return link

    @property
    def trace(self) -> list[Event] | None:
        """What happened; None where nothing is written down."""
        return self.runtime.trace

    @property
    def sightings(self) -> Counter[str]:
        """How often each state was reached that code under test calls `runtime.sometimes` for."""
        return self.runtime.sightings

    def remote_power_loss(self, machine: str) -> None:
        """A remote machine has a power loss: its link is cut until `heal`, and its disks keep what survives.

        What survives is taken from the choices. Raises UsageError where no disk stands there.
        """
        disks = [disk for disk in self.disks.values() if disk.machine == machine]
        if not machine or not disks:
            raise UsageError(f"no disk stands on a remote machine {machine!r}")
        if machine in self.links:
            self.links[machine].cut()
        for disk in disks:
            disk.lose_cache(disk.survivors(self.choices))

    def after_power_loss(self, choices: Choices | None = None, *, faults: Faults | None = None) -> World:
        """The world as it is when the power comes back: what survived is on the disks, nothing runs.

        What survives is taken from this world's choices, and the new world goes on with them where no others are
        given. Disks of other machines keep their caches; what was in flight there came to pass or not. Sectors that
        cannot be read stay so. Links are up. Nothing else that went wrong goes on, for a recovery is judged by
        what it makes of good disks; give the same `faults` where it shall, or others to strike the recovery.
        """
        after = World(
            choices if choices is not None else self.choices,
            preemptions=self._preemptions,
            faults=faults,
            traced=self.runtime.trace is not None,
        )
        for disk in self.disks.values():
            new = after.disk(
                disk.name,
                image=disk.durable if disk.machine else disk.survivors(self.choices),
                latency_seconds=disk.latency_seconds,
                logical_block_size=disk.logical_block_size,
                machine=disk.machine,
            )
            if disk.machine:
                new.take_over(disk, self.choices)
            new.unreadable = {*disk.unreadable}
        for name in self.links:
            after.link(name)
        self.close()
        return after

    def close(self) -> None:
        """Nothing runs any more."""
        self.power.cut()
        self.runtime.close()
