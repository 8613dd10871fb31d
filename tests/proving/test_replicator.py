"""The production replicator in the proving ground: small groups whole, weather by seed, each fault, and reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.sim import replicator as groups
from dmtable.sim.cache import durable
from dmtable.sim.choices import Ordinary, Seeded, exhaustive
from dmtable.sim.explorer import Explorer, Flawed
from dmtable.sim.faults import Fault, Ill, every_call
from dmtable.sim.ink import stamp, tags_of_bytes
from dmtable.sim.life import Life, created
from dmtable.sim.order import History
from dmtable.sim.replicator import OpenGroup, Replicator
from dmtable.sim.workload import Flush, Workload, Write, Zero, any_workload, small_workloads
from dmtable.sim.world import World
from tests.proving.storms import storm

ALL = os.environ.get("DMTABLE_BRUTE") == "1"
GROUPS: tuple[type[Replicator], ...] = (
    groups.Replicator,
    groups.OneBehind,
    groups.OneSectorBehind,
    groups.SecondBehind,
    groups.Synchronous,
    groups.Stalling,
    groups.Forgetful,
    groups.Epochs,
    groups.ThreeDevices,
    groups.Larger,
)
each_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
TWO_CLIENTS: Workload = ((Write(0, 0), Write(1, 0, fua=True)), (Write(0, 0), Flush(0)))
LAPS: Workload = ((Write(0, 0), Write(1, 0), Write(0, 0), Write(1, 1), Flush(0)),)


@each_group
def test_small_groups_keep_their_promises(group: type[Replicator]) -> None:
    """All workloads of one write, those of two or four that meet at one place; power losses everywhere, twice."""
    explorer = Explorer(group())
    for workload in small_workloads((1,), 1):
        explorer.explore(workload, departures=2 if ALL else 0)
    if ALL:
        for workload in small_workloads(group.device_sectors, 2):
            explorer.explore(workload)
    else:
        explorer.explore(((Write(0, 0),), (Write(0, 0), Flush(0))), departures=0)
    assert explorer.statistics.covered > 1000


@pytest.mark.skipif(not ALL, reason="takes long: make brute")
@each_group
def test_four_writes_and_all_that_can_become_of_them(group: type[Replicator]) -> None:
    explorer = Explorer(group())
    for workload in small_workloads(group.device_sectors, 4):
        for choices in islice(exhaustive(2), 40):
            explorer.run(workload, choices)


@each_group
def test_in_weather_they_keep_them_too(group: type[Replicator]) -> None:
    """Links are cut, slow, and flap; remote machines lose their power; logs overflow; regions are copied."""
    for seed in range(1, 100 if ALL else 4):
        subject = group()
        workload = any_workload(subject.device_sectors, Seeded(seed), boundary_sectors=subject.boundary_sectors)
        explorer = Explorer(subject, crashes=1, most_images=4, seed=seed)
        explorer.run(workload, Seeded(seed, "weather"), weather=True)


@pytest.mark.parametrize("ill", [Ill.ERROR, Ill.HALF, Ill.SLOW], ids=lambda ill: ill.name)
@pytest.mark.parametrize("where", ["log", "site 0", "site 1", "dirty log"])
def test_each_call_may_go_wrong_once(where: str, ill: Ill) -> None:
    """The failing log ends the group, which is right again when it is opened; all others are tried again."""
    explorer = Explorer(Replicator(), crashes=1)
    fault = Fault(ill, seconds=0.01 if ill is Ill.SLOW else 0.0)
    runs = 0
    for faults in every_call(fault, lambda disk, call: disk == where or disk.startswith(f"{where} ")):
        explorer.run(TWO_CLIENTS, Ordinary(), faults=faults)
        runs += 1
    assert runs > 3


class Damaged(Replicator):
    """The log's disk does what no power loss does."""

    may_be_damaged = True


@pytest.mark.parametrize("ill", [Ill.LOST, Ill.MISDIRECTED, Ill.ROT], ids=lambda ill: ill.name)
def test_a_log_that_lies_costs_entries_but_never_equality(ill: Ill) -> None:
    """What it lost is known as damage, and copied: the sites are equal in the end, and say so."""
    subject = Damaged()
    disks = created(subject)
    for faults in every_call(Fault(ill), lambda disk, call: disk == "log"):
        life = Life(subject, disks, History(subject.device_sectors), faults=faults)
        life.live(LAPS)
        left = {name: durable(disk.durable) for name, disk in life.world.disks.items()}
        life.close()
        again = Life(subject, left, History(subject.device_sectors))
        breach = again.live()
        images = again.images()
        again.close()
        assert breach is None or "log" in breach.text, (faults.summary(), breach)
        if breach is None:
            for here, there in zip(subject.sites[0], subject.sites[1], strict=True):
                assert images[here] == images[there], faults.summary()


def check_reads() -> None:
    """A read sees every write that was acknowledged before, wherever it is by then, and nothing torn."""
    for seed in range(20):
        _check_reads(seed)


def _check_reads(seed: int) -> None:
    choices = Seeded(seed)
    subject = groups.Larger()
    world = World(choices, traced=False)
    for name, sectors in subject.disks.items():
        world.disk(name, sectors)
    subject.create(world)
    group = OpenGroup(subject, world, None)
    shown = [[0] * sectors for sectors in subject.device_sectors]
    for tag in range(1, 40):
        device = choices.pick(2, "")
        sectors = 1 + choices.pick(subject.boundary_sectors, "")
        block = choices.pick(subject.device_sectors[device] // sectors, "") * sectors
        at = min(block, subject.device_sectors[device] - sectors)
        sectors = min(sectors, subject.boundary_sectors - at % subject.boundary_sectors)
        if choices.pick(2, ""):
            bio = Bio(Op.WRITE, at, sectors, memoryview(stamp(tag, device, at, sectors)))
            group.submit(device, bio)
            while not bio.done:
                world.runtime.pass_time(0.1)
            shown[device][at : at + sectors] = [tag] * sectors
        else:
            data = bytearray(sectors << 9)
            read = Bio(Op.READ, at, sectors, memoryview(data))
            group.submit(device, read)
            if not read.done:
                world.runtime.settle()
            assert read.done
            assert not read.error
            assert tags_of_bytes(bytes(at << 9) + data, device)[at:] == shown[device][at : at + sectors]
        if not choices.pick(6, ""):
            world.runtime.settle()
    world.close()


def test_reads_see_what_was_acknowledged() -> None:
    check_reads()


def check_no_site_stops_the_others() -> None:
    """Its link stays cut: writers go on, it loses its order, and only when it is back it is what it was."""
    subject = Replicator()
    world = World(traced=False)
    for name, sectors in subject.disks.items():
        world.disk(name, sectors)
    subject.create(world)
    group = OpenGroup(subject, world, None)
    world.links["site 1"].cut()
    for tag in range(1, 12):
        bio = Bio(Op.WRITE, 0, 1, memoryview(stamp(tag, 0, 0, 1)))
        group.submit(0, bio)
        world.runtime.pass_time(5.0)
        assert bio.done, f"write {tag} waits for a site that does not come back"
        assert not bio.error
    assert subject.unordered(group) == {1}
    world.links["site 1"].heal()
    world.runtime.pass_time(60.0)
    assert not subject.unordered(group)
    assert world.disks["site 0 device 0"].image == world.disks["site 1 device 0"].image
    world.close()


def test_a_site_that_never_comes_back_stops_nobody() -> None:
    check_no_site_stops_the_others()


def check_space_is_found_again() -> None:
    """However often the log is opened, an empty one has as much room as at first, wherever it begins."""
    subject = Uneven()
    world = World(traced=False)
    for name, sectors in subject.disks.items():
        world.disk(name, sectors)
    subject.create(world)
    for tag in range(1, 9):
        group = OpenGroup(subject, world, None)
        world.links["site 1"].cut()
        empty = group.running.group.log.free_sectors
        assert empty == subject.disks["log"] - 24, f"opened {tag} times"
        for at in range(2):
            bio = Bio(Op.WRITE, 0, 1, memoryview(stamp(2 * tag + at, 0, 0, 1)))
            group.submit(0, bio)
            assert bio.done, "there is room for two"
        world.runtime.settle()
        world = world.after_power_loss()
        group = OpenGroup(subject, world, None)
        world.runtime.pass_time(10.0)
        assert group.running.group.log.free_sectors == empty, f"recovered {tag} times"
        world = world.after_power_loss()
    world.close()


class Uneven(Replicator):
    """A log at whose end some sectors are left."""

    disks = groups.disks_of((2, 2), groups.log_sectors(3) + 4)


def test_space_is_found_again() -> None:
    check_space_is_found_again()


def check_failures_are_forgotten() -> None:
    """A log device that failed once, and is well, is a log as ever."""
    explorer = Explorer(Replicator(), crashes=1)
    for faults in every_call(Fault(Ill.ERROR), lambda disk, call: disk == "log"):
        explorer.run(TWO_CLIENTS, Ordinary(), faults=faults)


def check_copies_outlive_a_remote_power_loss() -> None:
    """The remote machine loses its power at any time of a resync: what it lost is copied once more."""
    for tenths in range(60):
        subject = Replicator()
        world = World(traced=False)
        for name, sectors in subject.disks.items():
            world.disk(name, sectors, machine="site 1" if name.startswith("site 1") else "")
        subject.create(world)
        group = OpenGroup(subject, world, None)
        link = world.links["site 1"]
        link.cut()
        tags = iter(range(1, 1000))

        def write(device: int, tags: Iterator[int] = tags, group: OpenGroup = group) -> None:
            group.submit(device, Bio(Op.WRITE, 0, 1, memoryview(stamp(next(tags), device, 0, 1))))

        for _ in range(5):
            write(0)
            world.runtime.pass_time(3.0)
        for name in subject.sites[1]:
            world.disks[name].latency_seconds = 0.35
        link.heal()
        for tenth in range(240):
            if not tenth % 2:
                write(1)
            if tenth == 100 + 2 * tenths:
                world.remote_power_loss("site 1")
            elif tenth == 103 + 2 * tenths:
                link.heal()
            world.runtime.pass_time(0.1)
        world.runtime.pass_time(100.0)
        assert not subject.unordered(group)
        for here, there in zip(*subject.sites, strict=True):
            assert world.disks[here].image == world.disks[there].image, f"power lost after {tenths} tenths"
        world.close()


def test_copies_outlive_a_remote_power_loss() -> None:
    check_copies_outlive_a_remote_power_loss()


@each_group
def test_in_storms_they_keep_them_too(group: type[Replicator]) -> None:
    for seed in range(1, 1000 if ALL else 4):
        assert storm(group(), seed) is None, f"seed {seed}"


def test_zeroes_are_entries_like_others() -> None:
    explorer = Explorer(Replicator(), crashes=1)
    explorer.explore(((Write(0, 0), Zero(0, 0, 2, discard=True), Write(1, 0)),), departures=0)
    assert explorer.statistics.covered > 100


def lose_each_remote_write() -> None:
    for faults in every_call(Fault(Ill.LOST), lambda disk, call: disk == "site 1 device 0"):
        Explorer(Replicator(), crashes=1).run(LAPS, Ordinary(), faults=faults)


def test_what_faults_placed_do_is_judged() -> None:
    """A remote disk that loses a write behind everybody's back is found out, so the others are not let off."""
    with pytest.raises(Flawed, match="site 1"):
        lose_each_remote_write()
