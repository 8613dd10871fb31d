"""The world before and after a power loss."""

from __future__ import annotations

import pytest

from dmtable.core.bio import Bio, Op, submit
from dmtable.errors import UsageError
from dmtable.sim.choices import Choices, Ordinary, Scripted, Seeded, exhaustive
from dmtable.sim.faults import Fault, Faults, Ill
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World

A, B, C = b"A" * 512, b"B" * 512, b"C" * 512
ZERO = bytes(512)


def test_a_disk_shares_power_and_faults_and_is_found_by_name() -> None:
    world = World(faults=Faults({1: Fault(Ill.LOST)}))
    disk = world.disk("a", 2)
    assert world.disks == {"a": disk}
    disk.pwrite(A, 0)
    assert disk.image == (ZERO, ZERO)
    world.close()
    with pytest.raises(PowerLoss):
        disk.pread(512, 0)


def test_a_trace_is_kept_or_not() -> None:
    world = World()
    world.disk("a", 2).pwrite(A, 512)
    assert world.trace == [(0.0, "a", "write 1+1")]
    world = World(traced=False)
    world.disk("a", 2).pwrite(A, 512)
    assert world.trace is None
    assert world.after_power_loss().trace is None


def test_what_survives_a_power_loss() -> None:
    left = set()
    for choices in exhaustive():
        world = World(choices)
        a, b = world.disk("a", image=(C, C)), world.disk("b", 1, logical_block_size=512, latency_seconds=0.5)
        a.pwrite(A, 0)
        a.flush()
        a.pwrite(B, 0)
        submit(b, Bio(Op.WRITE, 0, 1, memoryview(B)))
        after = world.after_power_loss()
        with pytest.raises(PowerLoss):
            a.pread(512, 0)
        assert after.choices is choices
        assert after.disks["b"].latency_seconds == 0.5
        for disk in after.disks.values():
            assert disk.image == disk.durable
            assert not disk.unflushed
        left.add(after.disks["a"].image + after.disks["b"].image)
    assert left == {(A, C, ZERO), (B, C, ZERO), (A, C, B), (B, C, B)}


def test_a_remote_disk_keeps_its_cache_when_the_power_fails_here() -> None:
    left = set()
    for choices in exhaustive():
        world = World(choices)
        world.link("far")
        disk = world.disk("a", 2, latency_seconds=0.5, machine="far")
        submit(disk, Bio(Op.WRITE, 0, 1, memoryview(A)))
        world.runtime.run()
        submit(disk, Bio(Op.WRITE, 1, 1, memoryview(B), fua=True))
        submit(disk, Bio(Op.FLUSH, 0, 0))
        after = world.after_power_loss()
        assert [*after.links] == ["far"]
        there = after.disks["a"]
        assert there.image[0] == A
        assert there.durable == (ZERO, ZERO)
        assert there.machine == "far"
        after.remote_power_loss("far")
        left.add(there.image)
    assert left == {(ZERO, ZERO), (A, ZERO), (ZERO, B), (A, B)}


def test_only_a_remote_machine_has_a_power_loss_of_its_own() -> None:
    world = World()
    disk = world.disk("here", 1)
    disk.pwrite(A, 0)
    for machine in ("", "nowhere"):
        with pytest.raises(UsageError):
            world.remote_power_loss(machine)
    world.disk("there", 1, machine="far")
    world.remote_power_loss("far")
    assert disk.image == (A,)


def test_faults_do_not_go_on_unless_told_to_but_medium_errors_do() -> None:
    faults = Faults({1: Fault(Ill.ERROR, lasting=True)})
    world = World(faults=faults)
    disk = world.disk("a", 2)
    with pytest.raises(OSError, match="Input/output"):
        disk.pwrite(A, 0)
    disk.unreadable.add(1)
    after = world.after_power_loss()
    after.disks["a"].pwrite(A, 0)
    with pytest.raises(OSError, match="Input/output"):
        after.disks["a"].pread(512, 512)
    again = after.after_power_loss(faults=faults)
    with pytest.raises(OSError, match="Input/output"):
        again.disks["a"].pwrite(A, 0)


def test_the_same_choices_are_the_same_run() -> None:
    def run(choices: Choices) -> tuple[str, object]:
        world = World(choices)
        disk = world.disk("a", 4, latency_seconds=0.1)
        for at in (0, 1, 0, 2, 0):
            submit(disk, Bio(Op.WRITE, at, 1, memoryview(B)))
        world.runtime.pass_time(0.1)
        for at in (0, 1, 3):
            submit(disk, Bio(Op.WRITE, at, 1, memoryview(C)))
        digest = world.runtime.digest()
        return digest, world.after_power_loss().disks["a"].image

    seeded = Seeded(3)
    assert run(seeded) == run(Seeded(3)) == run(Scripted(seeded.script))
    assert run(Ordinary())[1] == (ZERO,) * 4
    assert len({run(Seeded(seed))[1] for seed in range(20)}) > 5
