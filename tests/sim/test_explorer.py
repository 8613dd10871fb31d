"""The explorer on subjects that are small enough to see through: each flaw by its name, nothing else by any."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

import dmtable
from dmtable.core.bio import Bio, Op
from dmtable.runtime.runtime import Worker
from dmtable.sim.breach import Flaw
from dmtable.sim.choices import Ordinary, Seeded
from dmtable.sim.explorer import Explorer, Flawed, Statistics
from dmtable.sim.playback import replay
from dmtable.sim.script import Script
from dmtable.sim.subject import Entered, Subject
from dmtable.sim.workload import Flush, Workload, Write, Zero
from dmtable.sim.world import World
from dmtable.units import SECTOR_BYTES
from tests.sim import tiny
from tests.sim.tiny import Asynchronous, Tiny

ONE: Workload = ((Write(0, 0),),)
TWO: Workload = ((Write(0, 0), Write(0, 1)),)
LONG: Workload = ((Write(0, 0, 2),),)


def flaw_of(subject: Subject, workload: Workload, *, departures: int = 1) -> Flawed:
    with pytest.raises(Flawed) as caught:
        Explorer(subject).explore(workload, departures=departures)
    assert replay(subject, caught.value.script) == caught.value.breach
    return caught.value


@pytest.mark.parametrize(
    ("subject", "workload", "flaw", "text"),
    [
        (Tiny(tiny.Raises), ONE, Flaw.RAISED, "ValueError: no such luck"),
        (Tiny(tiny.Spins), ONE, Flaw.RAISED, "mirror"),
        (Tiny(tiny.Deadlocks), ONE, Flaw.RAISED, "Deadlock"),
        (Tiny(tiny.Blocks), ONE, Flaw.RAISED, "mirror must not block"),
        (Tiny(tiny.Forgets), ONE, Flaw.STUCK, "client 0 still waits for Write(device=0, sector=0"),
        (Tiny(tiny.Unentered), ONE, Flaw.RAISED, "`entered` was not called"),
        (Tiny(tiny.Corrupts), ONE, Flaw.CORRUPT, "device 0, sector 0 holds what no write can have left there"),
        (Tiny(tiny.Early), ONE, Flaw.LOST, "entry 1 was acknowledged, but site 1 as it stands holds 0 entries"),
        (Tiny(tiny.Lazy), ONE, Flaw.LOST, "entry 1 was acknowledged, but site 1 as it stands holds 0 entries"),
        (Asynchronous(tiny.Local), ONE, Flaw.DIVERGED, "at rest site 0 holds 1 entry, site 1 holds 0 entries"),
        (Tiny(), LONG, Flaw.TORN, "site 0 at rest has only some sectors of entry 1"),
        (Asynchronous(tiny.Lazy), TWO, Flaw.LOST, "at rest the group holds 0 entries, and must hold 1"),
    ],
    ids=lambda value: value.mirror.__name__ if isinstance(value, Tiny) else "",
)
def test_a_flaw_is_called_by_its_name(subject: Subject, workload: Workload, flaw: Flaw, text: str) -> None:
    flawed = flaw_of(subject, workload)
    assert flawed.breach.flaw is flaw
    assert text in flawed.breach.text


WORKLOADS: list[Workload] = [
    ONE,
    TWO,
    ((Write(0, 0), Zero(0, 0), Write(0, 1, fua=True)), (Flush(0),)),
    ((Write(0, 0),), (Write(0, 1),)),
]


@pytest.mark.parametrize("workload", WORKLOADS, ids=map(str, range(len(WORKLOADS))))
def test_a_sound_mirror_passes(workload: Workload) -> None:
    Explorer(Tiny()).explore(workload, departures=2)


def test_only_a_synchronous_site_must_have_what_was_acknowledged() -> None:
    Explorer(Asynchronous(tiny.Early)).explore(ONE, departures=2)
    assert flaw_of(Tiny(tiny.Early), ONE, departures=0).breach.flaw is Flaw.LOST


class Toggling(Worker):
    """While it works a flag goes up and down; it recovers from a lowered flag as if it wanted to lose everything."""

    name = "toggling"

    def __init__(self, world: World, entered: Entered) -> None:
        self.data, self.flag = world.disks["data"], world.disks["flag"]
        self.entered = entered
        self.bios: list[Bio] = []
        self.data.flush()
        self.flag.flush()
        if any(self.flag.pread(SECTOR_BYTES, 0)):
            self.flag.pwrite(bytes(SECTOR_BYTES), 0)
            self.flag.flush()
        elif any(kept := self.data.pread(SECTOR_BYTES, 0)):
            self.data.pwrite(bytes(SECTOR_BYTES), 0)
            self.data.flush()
            self.data.pwrite(kept, 0)
            self.data.flush()
        self._steps = self.steps()
        self.running = world.runtime.start(self)

    def submit(self, device: int, bio: Bio) -> None:
        if bio.op is not Op.FLUSH:
            self.entered(device, bio)
        self.bios.append(bio)
        self.running.wake()

    def step(self) -> bool:
        return next(self._steps)

    def steps(self) -> Iterator[bool]:
        while True:
            if not self.bios:
                yield False
                continue
            bio = self.bios.pop()
            if bio.op is Op.FLUSH:
                bio.complete()
                yield True
                continue
            assert bio.data is not None
            self.data.pwrite(bio.data, 0)
            self.data.flush()
            self.flag.pwrite(b"\1" * SECTOR_BYTES, 0)
            self.flag.flush()
            bio.complete()
            yield True
            self.flag.pwrite(bytes(SECTOR_BYTES), 0)
            self.flag.flush()
            yield True


class OfToggling(Subject):
    device_sectors = (1,)
    disks: ClassVar = {"data": 1, "flag": 1}
    sites = (("data",),)

    def open(self, world: World, entered: Entered) -> Toggling:
        return Toggling(world, entered)


def test_a_state_counts_as_explored_only_with_the_promises_and_power_losses_that_it_was() -> None:
    """The state after the write is visited with nothing promised and a power loss to come, and, recovered from a
    raised flag, with a promise and none to come. That it was never visited with both must not be forgotten."""
    flawed = flaw_of(OfToggling(), ((Write(0, 0, fua=True),),), departures=0)
    assert flawed.breach.flaw is Flaw.LOST
    assert sum(act.power_fails_before is not None for act in flawed.script.acts) == 2


class Wide(Tiny):
    """Its only request is a write of everything; what is not whole is rolled back."""

    device_sectors = (8,)
    disks: ClassVar = {"here": 8, "there": 8}

    def __init__(self) -> None:
        super().__init__(tiny.RollingBack)


def test_where_there_are_too_many_images_some_are_drawn() -> None:
    workload: Workload = ((Write(0, 0, 8),),)
    every, drawn = Explorer(Wide(), crashes=1), Explorer(Wide(), crashes=1, most_images=10)
    every.explore(workload, departures=0)
    drawn.explore(workload, departures=0)
    assert every.statistics.moments == drawn.statistics.moments
    assert every.statistics.visited > 2 * 255
    # Of each disk 10 images at most, and always those of which nothing or everything survives.
    assert 10 < drawn.statistics.visited <= 2 * 12
    again = Explorer(Wide(), crashes=1, most_images=10)
    again.explore(workload, departures=0)
    assert again.statistics == drawn.statistics


def test_more_power_losses_see_more() -> None:
    recoveries = []
    for crashes in (1, 2, 3):
        explorer = Explorer(Tiny(), crashes=crashes)
        explorer.explore(TWO, departures=0)
        recoveries.append(explorer.statistics.recoveries)
    assert recoveries[0] < recoveries[1] < recoveries[2]


def test_what_was_explored_is_not_visited_again() -> None:
    explorer = Explorer(Tiny())
    explorer.explore(TWO, departures=1)
    before = replace(explorer.statistics)
    explorer.explore(TWO, departures=1)
    after = explorer.statistics
    assert (after.visited, after.recoveries) == (before.visited, before.recoveries)
    assert after.runs == 2 * before.runs
    assert after.covered > before.covered


def test_statistics_add_up() -> None:
    one = Statistics(1, 2, 3, 4, 5, Counter(wrap=1))
    one.add(Statistics(10, 20, 30, 40, 50, Counter(wrap=1, full=2)))
    assert one == Statistics(11, 22, 33, 44, 55, Counter(wrap=2, full=2))


def test_a_run_in_the_weather_is_judged_too() -> None:
    explorer = Explorer(Tiny())
    for seed in range(10):
        explorer.run(TWO, Seeded(seed), weather=True)
    with pytest.raises(Flawed) as caught:
        Explorer(Tiny(tiny.Early)).run(TWO, Ordinary(), weather=True)
    assert caught.value.script.acts[0].weather
    assert replay(Tiny(tiny.Early), Script.loads(caught.value.script.dumps())) == caught.value.breach


PROGRAM = """
from dmtable.sim.explorer import Explorer, Flawed
from dmtable.sim.workload import Flush, Write
from tests.sim.tiny import Early, Tiny
explorer = Explorer(Tiny())
explorer.explore(((Write(0, 0), Write(0, 1)), (Flush(0),)), departures=1)
print(explorer.statistics)
try:
    Explorer(Tiny(Early)).explore(((Write(0, 0),), (Write(0, 1),)))
except Flawed as flawed:
    print(flawed, flawed.script.dumps())
"""


def test_the_same_exploration_is_the_same_in_every_process() -> None:
    home = str(Path(dmtable.__file__).parents[1])
    told = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": home},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert "Statistics(runs=" in told[0]
    assert "durability" in told[0]
