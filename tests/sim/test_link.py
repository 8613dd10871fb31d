"""Links that are cut, hang, flap and are slow, and what becomes of the calls under way."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from dmtable.core.bio import Bio, Op, submit
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.runtime import Worker
from dmtable.sim.choices import Choices, Scripted, Seeded, exhaustive
from dmtable.sim.deadlock import Deadlock
from dmtable.sim.disk import SimDisk
from dmtable.sim.link import Link, LinkedDevice
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World

A, B = b"A" * 512, b"B" * 512
ZERO = bytes(512)


class Far:
    """A world with a disk behind a link."""

    def __init__(self, choices: Choices | None = None, latency_seconds: float = 0.0) -> None:
        self.world = World(choices)
        self.disk: SimDisk = self.world.disk("disk", 4, latency_seconds=latency_seconds, machine="far")
        self.link: Link = self.world.link("far")
        self.device = LinkedDevice(self.disk, self.link)

    def send(self, op: Op = Op.WRITE, data: bytes | bytearray = A, *, fua: bool = False) -> Bio:
        bio = Bio(op, 0, len(data) // 512, memoryview(data) if data else None, fua=fua)
        submit(self.device, bio)
        return bio


class OneCall(Worker):
    """A worker that makes one call and keeps what it heard."""

    name = "worker"

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.heard: list[int] = []
        self.steps = 0

    def step(self) -> bool:
        self.steps += 1
        if self.steps == 1:
            try:
                self._call()
            except OSError as error:
                self.heard.append(error.errno or 0)
            else:
                self.heard.append(0)
            return True
        return False


def no_link(call: Callable[[], object]) -> None:
    with pytest.raises(OSError, match="Link has been severed") as cut:
        call()
    assert cut.value.errno == errno.ENOLINK


def test_a_link_that_is_up_changes_nothing() -> None:
    far = Far()
    assert far.device.pwrite(A, 0) == 512
    far.device.flush()
    assert far.disk.durable[0] == A
    assert far.device.pread(512, 0) == A
    far.device.discard(0, 512)
    far.device.write_zeroes(512, 512)
    buffer = bytearray(A)
    assert far.device.pread_into(buffer, 0) == 512
    assert buffer == ZERO
    assert far.send(fua=True).done
    assert far.disk.durable[0] == A
    assert far.device.size_bytes == 4 * 512
    assert far.link.calls == 7


def test_a_cut_link_fails_every_call_and_nothing_gets_there() -> None:
    far = Far()
    far.link.cut()
    for call in (
        lambda: far.device.pwrite(A, 0),
        lambda: far.device.pread(512, 0),
        far.device.flush,
        lambda: far.device.discard(0, 512),
        lambda: far.device.write_zeroes(0, 512),
    ):
        no_link(call)
    assert far.send().error == errno.ENOLINK
    assert not far.disk.unflushed
    far.link.heal()
    far.device.pwrite(A, 0)
    assert far.disk.image[0] == A


def test_a_device_that_fails_behind_a_link() -> None:
    far = Far()
    far.disk.unreadable.add(0)
    with pytest.raises(OSError, match="Input/output"):
        far.device.pread(512, 0)
    assert far.send(Op.READ, bytearray(512)).error == errno.EIO


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_answer_is_lost_with_the_nth_call(asynchronous: bool) -> None:
    left = set()
    for choices in exhaustive():
        far = Far(choices)
        far.link.cut_at = 2
        far.device.pwrite(B, 0)
        if asynchronous:
            assert far.send().error == errno.ENOLINK
        else:
            no_link(lambda far=far: far.device.pwrite(A, 0))  # type: ignore[misc]
        no_link(lambda far=far: far.device.pwrite(B, 0))  # type: ignore[misc]
        assert not far.link.up
        left.add(far.disk.image[0])
    assert left == {A, B}


@pytest.mark.parametrize(("latency_seconds", "at_seconds"), [(0.0, 0.5), (0.01, 0.5), (0.01, 1.005)])
@pytest.mark.parametrize("fua", [False, True])
def test_a_bio_under_way_when_the_link_is_cut(latency_seconds: float, at_seconds: float, fua: bool) -> None:
    """It ends at once, with ENOLINK; it was carried out or it never is, not even after the link is healed."""
    left = set()
    for choices in exhaustive():
        far = Far(choices, latency_seconds)
        far.link.slow(1.0)
        bio = far.send(fua=fua)
        far.world.runtime.pass_time(at_seconds)
        assert not bio.done
        far.link.cut()
        assert bio.error == errno.ENOLINK
        far.world.runtime.pass_time(0.1)
        now = far.disk.image[0]
        far.link.heal()
        far.world.runtime.run()
        assert far.disk.image[0] == now
        assert not far.disk.unflushed or not fua
        left.add(now)
    assert left == {ZERO, A}


@pytest.mark.parametrize(("at_seconds", "expected"), [(0.5, {ZERO, A}), (1.005, {A})])
def test_a_process_under_way_when_the_link_is_cut(at_seconds: float, expected: set[bytes]) -> None:
    left = set()
    for choices in exhaustive():
        far = Far(choices, latency_seconds=0.01)
        far.link.slow(1.0)
        process = far.world.runtime.spawn(lambda far=far: far.device.pwrite(A, 0))  # type: ignore[misc]
        far.world.runtime.pass_time(at_seconds)
        far.link.cut()
        far.link.heal()
        far.world.runtime.run()
        no_link(process.result)
        left.add(far.disk.image[0])
    assert left == expected


def test_slow() -> None:
    far = Far()
    far.link.slow(2.0)
    bio = far.send()
    far.world.runtime.pass_time(1.9)
    assert not bio.done
    far.world.runtime.run()
    assert bio.done
    assert far.world.runtime.now() == 2.0
    far.device.pread(512, 0)
    assert far.world.runtime.now() == 4.0
    far.link.heal()
    far.device.pread(512, 0)
    assert far.world.runtime.now() == 4.0


# Hanging


def test_a_process_waits_while_the_link_hangs() -> None:
    far = Far()
    far.link.cut(hang=True)
    process = far.world.runtime.spawn(lambda: far.device.pwrite(A, 0))
    with pytest.raises(Deadlock, match="link far"):
        far.world.runtime.run()
    assert not process.done
    assert not far.disk.unflushed
    far.link.heal()
    far.world.runtime.run()
    assert process.result() == 512


def test_an_answer_waits_while_the_link_hangs() -> None:
    far = Far(latency_seconds=0.01)
    process = far.world.runtime.spawn(lambda: far.device.pwrite(A, 0))
    bio = Bio(Op.WRITE, 1, 1, memoryview(B))
    submit(far.device, bio)
    far.world.runtime.settle()
    far.link.cut(hang=True)
    far.world.runtime.pass_time(1.0)
    assert far.disk.image[:2] == (A, B)
    assert not process.done
    assert not bio.done
    far.link.heal()
    far.world.runtime.run()
    assert process.result() == 512
    assert bio.done
    assert not bio.error


def test_a_bio_waits_while_the_link_hangs_on_its_way() -> None:
    far = Far()
    far.link.cut(hang=True)
    bio = far.send()
    far.link.heal()
    assert bio.done
    assert not bio.error
    far.link.slow(1.0)
    bio = far.send(data=B)
    far.link.cut(hang=True)
    far.world.runtime.run()
    assert (bio.done, far.disk.image[0]) == (False, A)
    far.link.heal()
    assert (bio.done, far.disk.image[0]) == (True, B)


def test_what_waits_fails_when_the_link_is_cut_for_good() -> None:
    left = set()
    for choices in exhaustive():
        far = Far(choices)
        far.link.cut(hang=True)
        bio = far.send()
        process = far.world.runtime.spawn(lambda far=far: far.device.pwrite(B, 512))  # type: ignore[misc]
        far.world.runtime.settle()
        far.link.cut()
        far.link.heal()
        far.world.runtime.run()
        no_link(process.result)
        assert bio.error == errno.ENOLINK
        left.add(far.disk.image[:2])
    assert left == {(ZERO, ZERO), (A, ZERO), (ZERO, B), (A, B)}


def test_a_workers_step_does_not_wait_but_is_busy() -> None:
    far = Far()
    far.link.cut(hang=True)
    worker = OneCall(lambda: far.device.pwrite(A, 0))
    far.world.runtime.start(worker)
    far.world.runtime.settle()
    assert worker.heard == [errno.ENOLINK]
    far.link.heal()
    far.world.runtime.pass_time(far.link.timeout_seconds - 1)
    assert worker.steps == 1
    far.world.runtime.run()
    assert worker.steps == 2
    assert not far.disk.unflushed


def test_an_answer_that_waits_is_lost_when_the_link_is_cut_for_good() -> None:
    """The bio was carried out: there is nothing to decide any more."""
    far = Far(Seeded(1), latency_seconds=0.01)
    bio = far.send()
    far.link.cut(hang=True)
    far.world.runtime.run()
    far.link.cut()
    assert (bio.error, far.disk.image[0]) == (errno.ENOLINK, A)
    assert not far.world.choices.script


class Stubborn(MemoryDevice):
    """Takes bios, and ends them when it is told to."""

    def __init__(self) -> None:
        super().__init__(4 * 512)
        self.taken: list[Bio] = []

    def accept(self, bio: Bio) -> None:
        self.taken.append(bio)


def test_a_bio_ends_once_even_where_the_device_answers_after_the_cut() -> None:
    world, device = World(), Stubborn()
    link = world.link("far")
    bio, ends = Bio(Op.FLUSH, 0, 0), list[int]()
    submit(LinkedDevice(device, link), bio)
    bio.on_done(lambda: ends.append(bio.error))
    link.cut()
    link.heal()
    device.taken.pop().complete()
    assert (ends, bio.error) == ([errno.ENOLINK], errno.ENOLINK)
    given_back = Bio(Op.FLUSH, 0, 0)
    submit(LinkedDevice(device, link), given_back)
    device.taken.pop().give_back()
    assert given_back.done
    assert given_back.given_back


# Changes


def test_listeners_hear_of_each_change_once() -> None:
    far = Far()
    heard: list[bool] = []
    far.link.on_change(heard.append)
    far.link.heal()
    far.link.cut(hang=True)
    far.link.cut()
    far.link.cut()
    far.link.heal()
    assert heard == [False, True]
    assert far.world.trace == [(0.0, "far", "hangs"), (0.0, "far", "is up")]


def test_flapping() -> None:
    far = Far()
    heard: list[tuple[float, bool]] = []
    far.link.on_change(lambda up: heard.append((far.world.runtime.now(), up)))
    far.link.flap([1.0, 2.0, 0.5])
    far.world.runtime.run()
    assert heard == [(0.0, False), (1.0, True), (3.0, False), (3.5, True)]
    heard.clear()
    far.link.flap([1.0, 2.0])
    far.world.runtime.run()
    assert heard == [(3.5, False), (4.5, True)]


@pytest.mark.parametrize("stop", [Link.heal, Link.cut])
def test_flapping_ends(stop: Callable[[Link], None]) -> None:
    far = Far()
    far.link.flap([1.0, 1.0, 1.0])
    stop(far.link)
    up = far.link.up
    heard: list[bool] = []
    far.link.on_change(heard.append)
    far.world.runtime.run()
    assert not heard
    assert far.link.up == up == (stop is Link.heal)


def test_drawn_flapping_comes_again() -> None:
    def run(choices: Choices) -> str:
        far = Far(choices)
        far.link.flap_anyhow(5, 1.0)
        for _ in range(8):
            far.send()
            far.world.runtime.pass_time(0.3)
        assert 0 < far.world.runtime.now() < 5.1
        return far.world.runtime.digest()

    seeded = Seeded(7)
    assert run(seeded) == run(Scripted(seeded.script))
    assert run(Seeded(7)) != run(Seeded(8))


# Power


def test_without_power_a_call_over_a_cut_link_raises_too() -> None:
    far = Far()
    far.link.cut()
    far.world.power.cut()
    with pytest.raises(PowerLoss):
        far.device.pread(512, 0)
    with pytest.raises(PowerLoss):
        far.send()


def test_nobody_hears_of_a_link_after_the_power_loss() -> None:
    far = Far(latency_seconds=0.01)
    waiting, under_way = Far(), far.send()
    waiting.link.slow(1.0)
    bio = waiting.send()
    for each in (far, waiting):
        each.world.power.cut()
        each.world.runtime.run()
        each.link.cut()
        each.link.heal()
        each.world.runtime.run()
    assert not under_way.done
    assert not bio.done
    assert waiting.disk.image[0] == ZERO


def test_a_process_that_waited_for_a_link_when_the_power_failed() -> None:
    far = Far()
    far.link.cut(hang=True)
    far.world.runtime.spawn(lambda: far.device.pread(512, 0))
    far.world.runtime.settle()
    far.world.power.cut()
    far.link.cut()
    with pytest.raises(PowerLoss):
        far.world.runtime.run()


def test_a_device_that_fails_while_the_link_is_cut() -> None:
    far = Far(latency_seconds=0.01)
    far.disk.unreadable.add(0)
    process = far.world.runtime.spawn(lambda: far.device.pread(512, 0))
    far.world.runtime.settle()
    far.link.cut()
    far.world.runtime.run()
    no_link(process.result)


@pytest.mark.parametrize("written", ["bio", "process", "cached"])
def test_the_remote_machine_loses_its_power(written: str) -> None:
    left = set()
    for choices in exhaustive():
        far = Far(choices, latency_seconds=0.01)
        if written == "cached":
            far.disk.pwrite(A, 0)
        elif written == "bio":
            bio = far.send()
        else:
            process = far.world.runtime.spawn(lambda far=far: far.device.pwrite(A, 0))  # type: ignore[misc]
            far.world.runtime.settle()
        far.world.remote_power_loss("far")
        assert not far.link.up
        assert far.disk.image == far.disk.durable
        left.add(far.disk.image[0])
        far.link.heal()
        far.world.runtime.run()
        assert far.disk.durable[0] == far.disk.image[0]
        if written == "bio":
            assert bio.error == errno.ENOLINK
        elif written == "process":
            no_link(process.result)
    assert left == {ZERO, A}
