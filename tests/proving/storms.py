"""Worse weather than the explorer's, judged less: no recoveries, but at every moment each remote site as it stands.

So a storm takes milliseconds, and finds what comes to pass only where a copy, an outage and late entries meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from unittest.mock import patch

from dmtable.sim import weather
from dmtable.sim.breach import Breach
from dmtable.sim.cache import Image, State, shown
from dmtable.sim.choices import Seeded
from dmtable.sim.life import Life, Moment, created
from dmtable.sim.order import History
from dmtable.sim.subject import Subject
from dmtable.sim.verdict import at_rest, judged, standing
from dmtable.sim.workload import Client, Workload, any_workload
from dmtable.targets.replicator import sender

_CHANGES = 24
_SHORTEST_SECONDS = 0.02
_SECONDS = (0.001, 0.01)
"""What a call to a disk here, and there, takes: so requests are in flight side by side."""
_CLIENTS = 2
_PARTS = 4
"""So many drawn workloads behind one another make a long one."""


def workload(subject: Subject, seed: int) -> Workload:
    """Long, of two clients."""
    clients: list[Client] = []
    for client in range(_CLIENTS):
        operations: Client = ()
        for part in range(_PARTS):
            drawn = any_workload(
                subject.device_sectors,
                Seeded(seed, f"client {client}, part {part}"),
                boundary_sectors=subject.boundary_sectors,
            )
            operations += sum(drawn, ())
        clients.append(operations)
    return tuple(clients)


def storm(subject: Subject, seed: int) -> Breach | None:
    """One life in a storm; the first thing that is wrong in it, or at rest behind it."""
    history = History(subject.device_sectors)
    life = Life(subject, _created(type(subject)), history, choices=Seeded(seed, "storm"), weather=True, watched=True)
    for disk in life.world.disks.values():
        disk.latency_seconds = _SECONDS[disk.machine != ""]
    with (
        patch.object(weather, "_MOST_CHANGES", _CHANGES),
        patch.object(weather, "_SHORTEST_SECONDS", _SHORTEST_SECONDS),
        patch.object(sender, "_BATCH", 1),
    ):
        breach = life.live(workload(subject, seed))
    images, names = life.images(), list(life.world.disks)
    life.close()
    histories: dict[int, History] = {}
    for moment in life.moments:
        if moment.entered not in histories:
            histories[moment.entered] = History(subject.device_sectors, history.entries[: moment.entered])
        if found := _standing(subject, histories[moment.entered], names, moment):
            return found
    verdicts = [judged(subject, site, history, images) for site in range(len(subject.sites))]
    return breach or at_rest(subject, verdicts, images, len(history.entries))


def _standing(subject: Subject, history: History, names: list[str], moment: Moment) -> Breach | None:
    """Of what all disks have durably, and of what they show."""
    left: tuple[Mapping[str, Image], ...] = (
        {name: state[0] for name, state in zip(names, moment.disks, strict=True)},
        {name: shown(state) for name, state in zip(names, moment.disks, strict=True)},
    )
    for images in left:
        remote = [judged(subject, site, history, images) for site in range(1, len(subject.sites))]
        for breach in standing(subject, remote, moment.acknowledged, moment.unordered):
            return breach
    return None


@cache
def _created(subject: type[Subject]) -> Mapping[str, State]:
    return created(subject())
