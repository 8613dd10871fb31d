"""The cache that is lost with the power, against a naive model; what is in flight; what each ill does."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Bio, Op, submit
from dmtable.io.device import BlockDevice
from dmtable.sim.cache import blank
from dmtable.sim.choices import Choices, Scripted, Seeded, exhaustive
from dmtable.sim.disk import Image, SimDisk
from dmtable.sim.faults import Call, Fault, Faults, Ill
from dmtable.sim.power import Power, PowerLoss
from dmtable.sim.world import World

A, B, C, D = (letter.encode() * 512 for letter in "ABCD")
ZERO = bytes(512)


def plain(sectors: int = 4) -> SimDisk:
    return SimDisk("disk", blank(sectors), Power())


def slow(sectors: int = 4, choices: Choices | None = None) -> tuple[World, SimDisk]:
    world = World(choices)
    return world, world.disk("disk", sectors, latency_seconds=0.01)


def struck(ill: Ill, call: Call) -> SimDisk:
    """A disk of letters whose first call of that kind is struck."""
    faults = Faults({1: Fault(ill, errno.ENOSPC)}, concerns=lambda _, kind: kind is call)
    return SimDisk("disk", [A, B, C, D], Power(), faults=faults)


def send(device: BlockDevice, op: Op, sector: int = 0, data: bytes | bytearray = b"", *, fua: bool = False) -> Bio:
    bio = Bio(op, sector, len(data) // 512, memoryview(data) if data else None, fua=fua)
    submit(device, bio)
    return bio


def images(disk: SimDisk) -> set[Image]:
    return {disk.survivors(choices) for choices in exhaustive()}


class Naive:
    """The cache as a list: what was durable, and every sector written since, in order."""

    def __init__(self, sectors: int) -> None:
        self.durable = [ZERO] * sectors
        self.written: list[tuple[int, bytes]] = []

    def newest(self) -> list[bytes]:
        image = self.durable.copy()
        for at, content in self.written:
            image[at] = content
        return image

    def flush(self) -> None:
        self.durable, self.written = self.newest(), []

    def fua(self, at: int, content: bytes) -> None:
        self.written = [(other, old) for other, old in self.written if other != at]
        self.durable[at] = content

    def images(self) -> set[Image]:
        ways = [
            {self.durable[at], *(content for where, content in self.written if where == at)}
            for at in range(len(self.durable))
        ]
        return set(itertools.product(*ways))


sectors = st.sampled_from([A, B, C])
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2), st.lists(sectors, min_size=1, max_size=3)),
        st.tuples(st.just("fua"), st.integers(0, 2), st.lists(sectors, min_size=1, max_size=2)),
        st.tuples(st.sampled_from(["zero", "discard"]), st.integers(0, 2), st.just([ZERO])),
        st.tuples(st.just("flush"), st.just(0), st.just([])),
    ),
    max_size=6,
)


def perform(disk: SimDisk, naive: Naive, operation: tuple[str, int, list[bytes]]) -> None:
    kind, at, contents = operation
    contents = contents[: 3 - at]
    data = b"".join(contents)
    if kind == "flush":
        disk.flush()
        naive.flush()
        return
    if kind == "fua":
        assert not send(disk, Op.WRITE, at, data, fua=True).error
    elif kind == "write":
        assert disk.pwrite(data, at * 512) == len(data)
    else:
        (disk.discard if kind == "discard" else disk.write_zeroes)(at * 512, len(data))
    for place, content in enumerate(contents, at):
        if kind == "fua":
            naive.fua(place, content)
        else:
            naive.written.append((place, content))


@pytest.mark.parametrize("traced", [False, True])
@given(operations)
def test_a_power_loss_leaves_just_what_the_naive_cache_says(
    traced: bool, operations: list[tuple[str, int, list[bytes]]]
) -> None:
    """Both ways through the disk, the quick one and that of traced and failing calls, are the same."""
    disk, naive = World(traced=traced).disk("disk", 3), Naive(3)
    for operation in operations:
        perform(disk, naive, operation)
        assert disk.image == tuple(naive.newest())
        assert disk.pread(3 * 512, 0) == b"".join(naive.newest())
        assert disk.durable == tuple(naive.durable)
    assert images(disk) == naive.images()


def test_what_survives_is_each_image_once() -> None:
    disk = plain()
    for content in (A, B, A, ZERO):
        disk.pwrite(content, 0)
    assert [disk.survivors(choices)[0] for choices in exhaustive()] == [ZERO, A, B]


def test_a_torn_write() -> None:
    disk = plain(2)
    disk.pwrite(A + B, 0)
    assert images(disk) == {(ZERO, ZERO), (A, ZERO), (ZERO, B), (A, B)}


def test_fua_makes_just_its_own_sectors_durable() -> None:
    disk = plain(2)
    disk.pwrite(A + A, 0)
    send(disk, Op.WRITE, 1, B, fua=True)
    assert disk.durable == (ZERO, B)
    assert images(disk) == {(ZERO, B), (A, B)}


def test_a_power_loss_during_a_fua_write_tears_it() -> None:
    power = Power()
    disk = SimDisk("disk", blank(4), power)
    left: list[set[Image]] = []
    power.watch = lambda: left.append(images(disk))
    send(disk, Op.WRITE, 1, A + B, fua=True)
    assert left == [{blank(4)}, {(ZERO, a, b, ZERO) for a in (ZERO, A) for b in (ZERO, B)}]
    assert images(disk) == {(ZERO, A, B, ZERO)}


def test_a_copy_is_written() -> None:
    data, disk = bytearray(A), plain()
    disk.pwrite(memoryview(data), 0)
    data[:] = B
    assert disk.image[0] == A


def test_places_that_are_none() -> None:
    disk = SimDisk("disk", blank(16), Power(), logical_block_size=4096)
    for call in (
        lambda: disk.pread(4096, 8192),
        lambda: disk.pwrite(bytes(4096), -4096),
        lambda: disk.discard(0, 3 * 4096),
    ):
        with pytest.raises(OSError, match="beyond the end") as beyond:
            call()
        assert beyond.value.errno == errno.EIO
    with pytest.raises(OSError, match="whole blocks") as odd:
        disk.pwrite(bytes(512), 512)
    assert odd.value.errno == errno.EINVAL
    assert send(disk, Op.WRITE, 15, A).error == errno.EINVAL
    assert disk.image == blank(16)


# Power


def test_after_a_power_loss_every_call_raises_and_no_bio_completes() -> None:
    power = Power()
    disk = SimDisk("disk", blank(4), power)
    power.cut()
    for call in (
        lambda: disk.pread(512, 0),
        lambda: disk.pread_into(bytearray(512), 0),
        lambda: disk.pwrite(A, 0),
        disk.flush,
        lambda: disk.discard(0, 512),
        lambda: disk.write_zeroes(0, 512),
    ):
        with pytest.raises(PowerLoss):
            call()
    for op in Op:
        bio = Bio(op, 0, 1, memoryview(bytearray(512)))
        with pytest.raises(PowerLoss):
            submit(disk, bio)
        assert not bio.done
    assert disk.image == blank(4)


def test_the_call_of_the_power_loss_does_not_happen() -> None:
    power = Power()
    power.cut_at = 3
    disk = SimDisk("disk", blank(4), power)
    disk.pwrite(A, 0)
    disk.pread(512, 0)
    disk.flush()
    with pytest.raises(PowerLoss):
        disk.pwrite(B, 0)
    assert images(disk) == {(A, ZERO, ZERO, ZERO)}


def test_the_watch_sees_the_before_each_call_that_may_change_it() -> None:
    power = Power()
    disk = SimDisk("disk", blank(1), power)
    seen = []
    power.watch = lambda: seen.append((disk.durable[0], len(disk.unflushed)))
    disk.pwrite(A, 0)
    disk.flush()
    disk.discard(0, 512)
    disk.pread(512, 0)
    assert seen == [(ZERO, 0), (ZERO, 1), (A, 0)]


# In flight


def test_bios_are_in_flight_side_by_side_and_seen_when_they_end() -> None:
    world, disk = slow()
    bios = [send(disk, Op.WRITE, at, A) for at in range(3)]
    assert not any(bio.done for bio in bios)
    assert disk.image == blank(4)
    assert [*disk.unflushed] == [0, 1, 2]
    world.runtime.run()
    assert all(bio.done and not bio.error for bio in bios)
    assert world.runtime.now() == pytest.approx(0.01)
    assert disk.image == (A, A, A, ZERO)


def orders(count: int) -> Iterable[tuple[int, ...]]:
    for choices in exhaustive():
        world, disk = slow(choices=choices)
        order: list[int] = []
        for number in range(count):
            bio = send(disk, Op.WRITE, 0, bytes([number]) * 512)
            bio.on_done(partial(order.append, number))
        world.runtime.run()
        assert disk.image[0][0] == order[-1]
        yield tuple(order)


def test_bios_end_in_any_order() -> None:
    seen = [*orders(3)]
    assert sorted(seen) == sorted(itertools.permutations(range(3)))
    assert seen[0] == (0, 1, 2)


def test_a_read_in_flight_finds_what_is_there_when_it_ends() -> None:
    world, disk = slow()
    buffer = bytearray(512)
    send(disk, Op.WRITE, 0, A)
    send(disk, Op.READ, 0, buffer)
    world.runtime.run()
    assert buffer == A


def test_a_flush_covers_what_had_ended_when_it_was_asked_for() -> None:
    world, disk = slow()
    send(disk, Op.WRITE, 0, A)
    world.runtime.run()
    flush = send(disk, Op.FLUSH)
    send(disk, Op.WRITE, 1, B)
    assert disk.durable == blank(4)
    world.runtime.run()
    assert flush.done
    assert disk.durable == (A, ZERO, ZERO, ZERO)
    assert images(disk) == {(A, ZERO, ZERO, ZERO), (A, B, ZERO, ZERO)}


@pytest.mark.parametrize(
    ("meanwhile", "durable", "unflushed"),
    [("write", A, [C]), ("fua", B, [C]), ("flush", A, [C]), ("write twice", A, [B, C])],
)
def test_a_flush_under_way_takes_nothing_that_came_later(
    meanwhile: str, durable: bytes, unflushed: list[bytes]
) -> None:
    """Not even where what it covers is durable already, and newer versions stand in its place."""
    world, disk = slow(1)
    send(disk, Op.WRITE, 0, A)
    world.runtime.run()
    flush = send(disk, Op.FLUSH)
    disk.latency_seconds = 0.0
    if meanwhile == "flush":
        disk.flush()
        assert disk.durable == (A,)
    elif meanwhile != "write":
        send(disk, Op.WRITE, 0, B, fua=meanwhile == "fua")
    disk.pwrite(C, 0)
    world.runtime.run()
    assert flush.done
    assert disk.durable == (durable,)
    assert disk.unflushed == {0: unflushed}
    assert disk.image == (C,)


def test_a_power_loss_of_its_own_ends_what_is_in_flight() -> None:
    world, disk = slow(2)
    lost = send(disk, Op.WRITE, 0, A)
    process = world.runtime.spawn(lambda: disk.pwrite(B, 0))
    world.runtime.pass_time(0.005)
    disk.lose_cache((C, C))
    kept = send(disk, Op.WRITE, 1, A)
    world.runtime.pass_time(0.008)
    assert not kept.done
    world.runtime.run()
    assert not lost.done
    assert kept.done
    assert disk.image == (C, A)
    with pytest.raises(OSError, match="lost its power"):
        process.result()


def test_fua_in_flight_is_durable_when_it_ends_and_perhaps_before() -> None:
    world, disk = slow(2)
    before = Naive(2)
    bio = send(disk, Op.WRITE, 0, A, fua=True)
    before.written.append((0, A))
    assert images(disk) == before.images()
    world.runtime.run()
    assert bio.done
    assert images(disk) == {(A, ZERO)}


def test_what_is_in_flight_at_a_power_loss_never_ends() -> None:
    world, disk = slow(1)
    bio = send(disk, Op.WRITE, 0, A)
    world.power.cut()
    world.runtime.run()
    assert not bio.done
    assert images(disk) == {(ZERO,), (A,)}


def test_a_flush_that_takes_time_is_two_moments_for_a_power_loss() -> None:
    world, disk = slow(1)
    send(disk, Op.WRITE, 0, A)
    world.runtime.run()
    world.power.cut_at = 3
    bio = send(disk, Op.FLUSH)
    with pytest.raises(PowerLoss):
        world.runtime.run()
    assert not bio.done
    assert images(disk) == {(ZERO,), (A,)}


def test_a_plain_call_of_a_process_takes_its_time() -> None:
    world, disk = slow(1)
    process = world.runtime.spawn(lambda: disk.pwrite(A, 0))
    world.runtime.settle()
    assert disk.image == (ZERO,)
    assert images(disk) == {(ZERO,), (A,)}
    world.runtime.run()
    assert process.result() == 512
    assert disk.image == (A,)


def test_a_plain_call_that_the_power_loss_overtakes() -> None:
    world, disk = slow(1)
    world.runtime.spawn(lambda: disk.pwrite(A, 0))
    world.runtime.settle()
    world.power.cut()
    with pytest.raises(PowerLoss):
        world.runtime.run()
    assert disk.image == (ZERO,)
    assert images(disk) == {(ZERO,), (A,)}


def test_a_slow_bio_is_overtaken() -> None:
    world = World(faults=Faults({1: Fault(Ill.SLOW, seconds=1.0)}))
    disk = world.disk("disk", 1, latency_seconds=0.01)
    first, second = send(disk, Op.WRITE, 0, A), send(disk, Op.WRITE, 0, B)
    world.runtime.pass_time(0.5)
    assert (first.done, second.done) == (False, True)
    world.runtime.run()
    assert world.runtime.now() == pytest.approx(1.01)
    assert disk.image == (A,)


# Ills


def fails(call: Call, disk: SimDisk) -> int:
    """The errno of a call of that kind to the first two sectors; 0 where it succeeds."""
    try:
        match call:
            case Call.READ:
                disk.pread(1024, 0)
            case Call.WRITE:
                disk.pwrite(C + D, 0)
            case Call.FLUSH:
                disk.flush()
            case Call.DISCARD:
                disk.discard(0, 1024)
    except OSError as error:
        return error.errno or 0
    return 0


@pytest.mark.parametrize("call", Call)
def test_error(call: Call) -> None:
    disk = struck(Ill.ERROR, call)
    disk.pwrite(B, 512) if call is Call.FLUSH else None
    unflushed = dict(disk.unflushed)
    assert fails(call, disk) == errno.ENOSPC
    assert disk.image == (A, B, C, D)
    assert disk.unflushed == unflushed
    assert fails(call, disk) == 0


def test_half_a_write() -> None:
    disk = struck(Ill.HALF, Call.WRITE)
    with pytest.raises(OSError, match="No space"):
        disk.pwrite(D + D + D, 0)
    assert disk.image == (D, B, C, D)
    assert [*disk.unflushed] == [0]


@pytest.mark.parametrize("call", [Call.READ, Call.FLUSH, Call.DISCARD])
def test_half_of_other_calls(call: Call) -> None:
    disk = struck(Ill.HALF, call)
    assert fails(call, disk) == errno.ENOSPC
    assert disk.image == ((ZERO, B, C, D) if call is Call.DISCARD else (A, B, C, D))


def test_half_of_one_sector_is_nothing() -> None:
    disk = struck(Ill.HALF, Call.WRITE)
    with pytest.raises(OSError, match="No space"):
        disk.pwrite(D, 0)
    assert not disk.unflushed


def test_a_lost_write() -> None:
    disk = struck(Ill.LOST, Call.WRITE)
    assert disk.pwrite(D, 0) == 512
    assert disk.image == (A, B, C, D)
    assert send(struck(Ill.LOST, Call.WRITE), Op.WRITE, 0, D, fua=True).error == 0


def test_a_lost_flush_and_the_next_good_one() -> None:
    disk = struck(Ill.LOST, Call.FLUSH)
    disk.pwrite(D, 0)
    disk.flush()
    assert disk.durable[0] == A
    disk.flush()
    assert disk.durable[0] == D


@pytest.mark.parametrize(("ill", "answer"), [(Ill.LOST, 0), (Ill.ERROR, errno.ENOSPC)])
def test_a_fua_write_whose_flush_fails_is_in_the_cache(ill: Ill, answer: int) -> None:
    disk = struck(ill, Call.FLUSH)
    assert send(disk, Op.WRITE, 0, D, fua=True).error == answer
    assert (disk.image[0], disk.durable[0]) == (D, A)


def test_a_fua_write_that_fails_is_not_flushed() -> None:
    faults = Faults({1: Fault(Ill.ERROR)})
    disk = SimDisk("disk", blank(1), Power(), faults=faults)
    assert send(disk, Op.WRITE, 0, D, fua=True).error == errno.EIO
    assert faults.calls == 1
    assert not send(disk, Op.WRITE, 0, D, fua=True).error
    assert faults.calls == 3


def test_misdirected() -> None:
    disk = struck(Ill.MISDIRECTED, Call.WRITE)
    disk.pwrite(D, 0)
    assert disk.image == (A, D, C, D)
    disk = struck(Ill.MISDIRECTED, Call.WRITE)
    disk.pwrite(A, 3 * 512)
    assert disk.image == (A, B, A, D)
    disk = struck(Ill.MISDIRECTED, Call.READ)
    assert disk.pread(512, 0) == B
    assert disk.pread(512, 0) == A


def test_a_misdirected_block_lands_in_a_block() -> None:
    faults = Faults({1: Fault(Ill.MISDIRECTED)})
    disk = SimDisk("disk", blank(16), Power(), faults=faults, logical_block_size=4096)
    disk.pwrite(A * 8, 0)
    assert disk.image == blank(8) + (A,) * 8


def test_rot_on_the_medium() -> None:
    disk = struck(Ill.ROT, Call.READ)
    disk.pwrite(C, 0)
    seen = disk.pread(512, 0)
    assert sum((a ^ b).bit_count() for a, b in zip(seen, C, strict=True)) == 1
    assert disk.pread(512, 0) == seen
    assert images(disk) == {(seen, B, C, D)}


def test_rot_of_a_write() -> None:
    disk = struck(Ill.ROT, Call.WRITE)
    disk.pwrite(C + C, 0)
    first, second, *_ = disk.image
    assert sum((a ^ b).bit_count() for a, b in zip(first, C, strict=True)) == 1
    assert second == C
    assert disk.durable[0] == A


def test_unreadable_until_written_again() -> None:
    disk = struck(Ill.UNREADABLE, Call.READ)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            disk.pread(1024, 0)
    assert disk.pread(512, 512) == B
    buffer = bytearray(512)
    assert send(disk, Op.READ, 0, buffer).error == errno.EIO
    assert buffer == bytes(512)
    disk.pwrite(D, 0)
    assert disk.pread(512, 0) == D


def test_a_write_that_leaves_an_unreadable_sector() -> None:
    disk = struck(Ill.UNREADABLE, Call.WRITE)
    disk.pwrite(D + D, 0)
    assert disk.unreadable == {0}
    with pytest.raises(OSError, match="Input/output"):
        disk.pread(512, 0)


def test_medium_errors_can_be_given() -> None:
    disk = plain()
    disk.unreadable.update(range(1, 3))
    assert disk.pread(512, 0) == ZERO
    with pytest.raises(OSError, match="Input/output"):
        disk.pread(4 * 512, 0)
    disk.discard(512, 1024)
    assert disk.pread(4 * 512, 0) == bytes(4 * 512)


def test_slow_takes_time() -> None:
    world = World(faults=Faults({1: Fault(Ill.SLOW, seconds=2.0)}))
    disk = world.disk("disk", 1)
    disk.pwrite(A, 0)
    assert world.runtime.now() == 2.0
    disk.flush()
    assert world.runtime.now() == 2.0
    assert disk.durable == (A,)


def test_an_ill_in_flight_is_told_at_the_end() -> None:
    world = World(faults=Faults({1: Fault(Ill.HALF, errno.ENOSPC)}))
    disk = world.disk("disk", 2, latency_seconds=0.01)
    bio = send(disk, Op.WRITE, 0, A + B)
    assert not bio.done
    assert images(disk) == {(ZERO, ZERO), (A, ZERO)}
    world.runtime.run()
    assert (bio.error, disk.image) == (errno.ENOSPC, (A, ZERO))


# Determinism, and everything at once


@given(st.integers(0, 1 << 32), st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_bios_in_flight(seed: int, writes: list[tuple[int, bool]]) -> None:
    """Whatever order they end in: a FUA write that has ended is durable, or something newer is; reads see the last."""

    def run(choices: Choices) -> tuple[str, Image]:
        world, disk = slow(choices=choices)
        ended: dict[int, bytes] = {}

        def end(at: int, content: bytes, fua: bool) -> None:
            ended[at] = content
            assert disk.image[at] == content
            if fua:
                assert disk.durable[at] == content

        for number, (at, fua) in enumerate(writes, 1):
            content = bytes([number]) * 512
            bio = send(disk, Op.WRITE, at, content, fua=fua)
            bio.on_done(partial(end, at, content, fua))
            world.runtime.pass_time(0.004)
        world.runtime.run()
        assert disk.image == tuple(ended.get(at, ZERO) for at in range(4))
        disk.flush()
        assert disk.durable == disk.image
        assert not disk.unflushed
        return world.runtime.digest(), disk.image

    seeded = Seeded(seed)
    first = run(seeded)
    assert run(Seeded(seed)) == first
    assert run(Scripted(seeded.script)) == first
