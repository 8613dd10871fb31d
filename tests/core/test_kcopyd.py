"""The copy service: copies equal a naive loop, in order, in bounded memory, whatever fails, closed at any time."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Bio, submit
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.errors import UsageError
from dmtable.io.constant import ZERO
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.choices import Seeded
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, Ill, every_call
from dmtable.sim.link import LinkedDevice
from dmtable.sim.runtime import SimRuntime
from dmtable.sim.world import World

SECTORS = 48
GIB = 1 << 30

OK = CopyResult()


def image(name: str, sectors: int = SECTORS) -> tuple[bytes, ...]:
    return tuple(f"{name}{at:4}".encode().ljust(512, b".") for at in range(sectors))


def content(disk: SimDisk) -> bytes:
    return b"".join(disk.image)


class Spotted(MemoryDevice):
    """A device whose holes are as small as one sector, and which notes what is done to it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self.moved: list[tuple[str, int, int]] = []
        super().pwrite(data, 0)

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        for at in range(offset, offset + length, 512):
            if any(self.pread(512, at)):
                yield at, 512

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        if len(buffer) != 512:
            self.moved.append(("read", offset >> 9, len(buffer) >> 9))
        return super().pread_into(buffer, offset)

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self.moved.append(("write", offset >> 9, len(data) >> 9))
        return super().pwrite(data, offset)

    def write_zeroes(self, offset: int, length: int) -> None:
        self.moved.append(("zero", offset >> 9, length >> 9))
        super().write_zeroes(offset, length)


_jobs = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, SECTORS - 16),
        st.integers(0, 16),
        st.lists(st.integers(0, SECTORS - 16), min_size=1, max_size=3, unique=True),
        st.booleans(),
    ),
    max_size=5,
)


@given(_jobs, st.integers(1, 20), st.integers(1, 3), st.sampled_from([0.0, 0.25]), st.integers(0, 1 << 16))
def test_copies_equal_a_naive_loop(
    jobs: list[tuple[int, int, int, list[int], bool]], chunk: int, chunks: int, latency: float, seed: int
) -> None:
    """Each job has destinations of its own, for jobs that overlap have no order."""
    world = World(Seeded(seed), traced=False)
    source = world.disk("source", image=image("s"), latency_seconds=latency)
    service = CopyService(world.runtime, chunk_sectors=chunk, chunks=chunks)
    clients = [service.client(), service.client(throttle=50)]
    wanted: list[tuple[SimDisk, bytes]] = []
    ends: tuple[list[int], list[int]] = ([], [])
    for number, (client, sector, sectors, places, zero) in enumerate(jobs):
        destinations = []
        for place in places:
            disk = world.disk(f"{number}/{place}", image=image("d"), latency_seconds=latency)
            destinations.append(Region(disk, place, sectors))
            old, new = content(disk), bytes(sectors * 512) if zero else content(source)[sector * 512 :][: sectors * 512]
            wanted.append((disk, old[: place * 512] + new + old[place * 512 + len(new) :]))

        def done(result: CopyResult, client: int = client, number: int = number) -> None:
            assert result == OK
            ends[client].append(number)

        if zero:
            clients[client].zero(destinations, done)
        else:
            clients[client].copy(Region(source, sector, sectors), destinations, done)
    world.runtime.run()
    for disk, expected in wanted:
        assert content(disk) == expected
    assert [ends[client] for client in (0, 1)] == [
        [number for number, job in enumerate(jobs) if job[0] == client] for client in (0, 1)
    ]
    assert service.chunks_made <= chunks
    service.close()


@given(st.lists(st.booleans(), min_size=24, max_size=24), st.lists(st.booleans(), min_size=24, max_size=24))
def test_holes_stay_holes(source_has: list[bool], other_has: list[bool]) -> None:
    """Only what the source has is written, only what the destination has too much is zeroed."""
    runtime = SimRuntime(traced=False)
    sectors = range(24)
    source = Spotted(b"".join((b"s" if source_has[at] else b"\0") * 512 for at in sectors))
    other = Spotted(b"".join((b"o" if other_has[at] else b"\0") * 512 for at in sectors))
    results: list[CopyResult] = []
    client = CopyService(runtime, chunk_sectors=4).client()
    client.copy(Region(source, 0, 24), [Region(other, 0, 24)], results.append)
    runtime.run()
    assert results == [OK]
    assert other.pread(24 * 512, 0) == source.pread(24 * 512, 0)
    touched = {
        what: {at for kind, begin, count in other.moved if kind == what for at in range(begin, begin + count)}
        for what in ("write", "zero")
    }
    assert touched["write"] == {at for at in sectors if source_has[at]}
    assert touched["zero"] == {at for at in sectors if other_has[at] and not source_has[at]}


def test_a_hole_is_looked_for_when_its_turn_comes() -> None:
    """Not when the job was submitted: what is written while it waits is copied."""
    runtime = SimRuntime()
    source, other = MemoryDevice(1 << 20), MemoryDevice(1 << 20)
    client = CopyService(runtime).client()
    results: list[CopyResult] = []
    client.copy(Region(source, 0, 2048), [Region(other, 0, 2048)], results.append)
    source.pwrite(b"x" * 512, 4096)
    runtime.run()
    assert results == [OK]
    assert other.pread(512, 4096) == b"x" * 512


def test_a_hole_behind_the_end_is_an_error() -> None:
    for device in (MemoryDevice(4096), World().disk("short", 8)):
        runtime = SimRuntime()
        results: list[CopyResult] = []
        client = CopyService(runtime).client()
        client.copy(Region(device, 4, 8), [Region(MemoryDevice(1 << 20), 0, 8)], results.append)
        client.copy(Region(ZERO, 4, 8), [Region(ZERO, 0, 8), Region(device, 4, 8)], results.append)
        runtime.run()
        assert results == [CopyResult(read_error=True), CopyResult(write_errors=0b10)]


def test_a_sparse_file_of_40_gib_is_copied_in_no_time_and_no_space(tmp_path: Path) -> None:
    devices = []
    for name in "ab":
        path = tmp_path / name
        path.touch()
        os.truncate(path, 40 * GIB)
        devices.append(FileDevice(path))
    source, other = devices
    source.pwrite(b"x" * 4096, 39 * GIB)
    other.pwrite(b"y" * 4096, 12345 * 4096)
    runtime = ThreadRuntime()
    done = threading.Event()
    service = CopyService(runtime)
    service.client().copy(
        Region(source, 0, 40 * GIB >> 9),
        [Region(other, 0, 40 * GIB >> 9)],
        lambda result: done.set() if result.ok else None,
    )
    assert done.wait(30)
    assert other.pread(8192, 39 * GIB - 4096) == bytes(4096) + b"x" * 4096
    assert other.pread(4096, 12345 * 4096) == bytes(4096)
    for name in "ab":
        assert os.stat(tmp_path / name).st_blocks * 512 < 4 << 20
    service.close()
    runtime.close()


def run_two_jobs(world: World, *, ignore_error: bool) -> tuple[list[CopyResult], list[SimDisk]]:
    """A job of three chunks to two disks, and one of one chunk behind it."""
    source, one, two = (world.disk(name, image=image(name), latency_seconds=0.1) for name in ("s", "one", "two"))
    client = CopyService(world.runtime, chunk_sectors=4, chunks=2).client()
    results: list[CopyResult] = []
    client.copy(
        Region(source, 0, 12),
        [Region(one, 0, 12), Region(two, 1, 12)],
        results.append,
        ignore_error=ignore_error,
    )
    client.copy(Region(source, 20, 4), [Region(two, 20, 4)], results.append, ignore_error=ignore_error)
    world.runtime.run()
    return results, [source, one, two]


@pytest.mark.parametrize("ignore_error", [False, True])
@pytest.mark.parametrize("ill", [Ill.ERROR, Ill.HALF])
def test_whichever_call_fails_it_is_told_and_nothing_else_is_spoilt(ignore_error: bool, ill: Ill) -> None:
    for faults in every_call(Fault(ill)):
        world = World(faults=faults)
        results, (source, one, two) = run_two_jobs(world, ignore_error=ignore_error)
        first, second = results
        failed = bool(faults.struck)
        assert failed == (not (first.ok and second.ok))
        assert first.ok or second.ok
        right = content(source)
        if first.ok:
            assert content(one)[: 12 * 512] == content(two)[512 : 13 * 512] == right[: 12 * 512]
        if second.ok:
            assert content(two)[20 * 512 : 24 * 512] == right[20 * 512 : 24 * 512]
        if failed:
            (strike,) = faults.struck
            result = second if first.ok else first
            if strike.call is Call.READ:
                assert result == CopyResult(read_error=True)
            else:
                assert result == CopyResult(write_errors=2 if strike.disk == "two" and result is first else 1)
        # Every sector is the old one or the right one, in its right place.
        for disk, shift in ((one, 0), (two, 1)):
            for at, sector in enumerate(disk.image):
                allowed = {image(disk.name)[at], source.image[at - shift] if at - shift in range(12) else b""}
                assert sector in allowed | ({source.image[at]} if disk is two and 20 <= at < 24 else set())


def test_an_error_ends_the_job_unless_it_is_ignored() -> None:
    wrong = dict[bool, int]()
    for ignore_error in (False, True):
        faults = next(every_call(Fault(Ill.ERROR), lambda disk, call: disk == "s"))
        world = World(faults=faults)
        results, (source, one, _two) = run_two_jobs(world, ignore_error=ignore_error)
        assert results == [CopyResult(read_error=True), OK]
        wrong[ignore_error] = sum(mine != right for mine, right in zip(one.image[:12], source.image, strict=False))
    # The chunk that was under way beside the one that failed is still written.
    assert wrong == {False: 8, True: 4}


@pytest.mark.parametrize("seed", range(25))
def test_completions_come_in_the_order_of_submission(seed: int) -> None:
    world = World(Seeded(seed))
    source = world.disk("s", image=image("s"), latency_seconds=0.5)
    service = CopyService(world.runtime, chunk_sectors=2, chunks=5)
    clients = [service.client() for _ in range(3)]
    ends: list[list[int]] = [[], [], []]

    def submit_jobs(who: int) -> None:
        for number in range(6):
            # Odd ones are much longer than those behind them.
            sectors = 12 if number % 2 else 1
            disk = world.disk(f"{who}.{number}", 12, latency_seconds=0.5)
            clients[who].copy(
                Region(source, 0, sectors),
                [Region(disk, 0, sectors)],
                lambda _result, number=number: ends[who].append(number),  # type: ignore[misc]
            )
            world.runtime.checkpoint()

    for who in range(3):
        world.runtime.spawn(lambda who=who: submit_jobs(who))  # type: ignore[misc]
    world.runtime.run()
    assert ends == [[*range(6)]] * 3
    for who in range(3):
        assert content(world.disks[f"{who}.1"]) == content(source)[: 12 * 512]


class Slow(MemoryDevice):
    """Its bios wait until they are let go."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.waiting: list[Bio] = []

    def accept(self, bio: Bio) -> None:
        self.waiting.append(bio)


def test_memory_is_bounded_and_given_back() -> None:
    runtime = SimRuntime()
    slow = Slow(1 << 20)
    service = CopyService(runtime, chunk_sectors=8, chunks=3)
    client = service.client()
    results: list[CopyResult] = []
    source = MemoryDevice(1 << 20)
    source.pwrite(os.urandom(1 << 20), 0)
    for _ in range(10):
        client.copy(Region(source, 0, 64), [Region(slow, 0, 64)], results.append)
    below = MemoryDevice(1 << 20)
    # The newest first: the oldest chunk, and with it the first job, is the last to end.
    for left in range(80, 0, -1):
        runtime.settle()
        assert len(slow.waiting) == min(left, 3)
        assert service.chunks_made == 3
        assert len({id(bio.data.obj) for bio in slow.waiting if bio.data is not None}) == len(slow.waiting)
        assert results == []
        submit(below, slow.waiting.pop())
    runtime.settle()
    assert results == [OK] * 10
    assert below.pread(64 * 512, 0) == source.pread(64 * 512, 0)
    assert runtime.sightings["kcopyd: all chunks under way"]


def test_chunks_of_several_clients_take_turns() -> None:
    runtime = SimRuntime()
    source, slow = MemoryDevice(1 << 20), Slow(1 << 20)
    source.pwrite(b"x" * (1 << 20), 0)
    service = CopyService(runtime, chunk_sectors=8, chunks=4)
    for place in (0, 1024):
        service.client().copy(Region(source, place, 512), [Region(slow, place, 512)], lambda _result: None)
    runtime.settle()
    assert [bio.sector for bio in slow.waiting] == [0, 1024, 8, 1032]


@pytest.mark.parametrize(("percent", "seconds"), [(100, 4.0), (50, 8.0), (20, 20.0)])
def test_a_throttle_leaves_the_disks_alone_for_the_rest_of_the_time(percent: int, seconds: float) -> None:
    world = World()
    source, other = (world.disk(name, 16, latency_seconds=0.5) for name in "ab")
    service = CopyService(world.runtime, chunk_sectors=4, chunks=1)
    client = service.client(throttle=percent)
    times: list[float] = []
    client.copy(Region(source, 0, 16), [Region(other, 0, 16)], lambda _result: None)
    client.copy(Region(source, 0, 0), [Region(other, 0, 0)], lambda _result: times.append(world.runtime.now()))
    world.runtime.run()
    # The rest behind the last chunk is nobody's wait.
    assert world.runtime.now() == pytest.approx(seconds)
    assert times == [pytest.approx(seconds - (seconds - 4) / 4)]
    with pytest.raises(UsageError, match="per cent"):
        client.throttle = 0


@pytest.mark.parametrize("seed", range(20))
def test_close_in_the_middle_waits_for_what_is_in_flight(seed: int) -> None:
    choices = Seeded(seed)
    world = World(choices)
    source = world.disk("s", image=image("s"), latency_seconds=1.0)
    disks = [world.disk(f"d{number}", image=image("d"), latency_seconds=1.0) for number in range(4)]
    service = CopyService(world.runtime, chunk_sectors=4, chunks=2)
    client, other = service.client(), service.client()
    results: list[tuple[int, CopyResult]] = []
    for number, disk in enumerate(disks):
        client.copy(
            Region(source, 0, SECTORS),
            [Region(disk, 0, SECTORS)],
            lambda result, number=number: results.append((number, result)),  # type: ignore[misc]
        )
    late: list[CopyResult] = []
    last = world.disk("last", 8)
    other.copy(Region(source, 0, 8), [Region(last, 0, 8)], late.append)
    world.runtime.pass_time(choices.pick(60, "when it is closed"))
    client.close()
    assert [number for number, _ in results] == [0, 1, 2, 3]
    before = [content(disk) for disk in disks]
    assert all(result.cancelled or result.ok for _, result in results)
    for (number, result), disk in zip(results, disks, strict=True):
        assert result.ok == (content(disk) == content(source)), number
    with pytest.raises(UsageError, match="closed"):
        client.zero([Region(last, 0, 1)], late.append)
    world.runtime.run()
    assert [content(disk) for disk in disks] == before
    assert late == [OK]
    service.close()


def test_a_callback_may_submit_and_cancel() -> None:
    runtime = SimRuntime()
    device = MemoryDevice(1 << 20)
    client = CopyService(runtime).client()
    told: list[CopyResult] = []

    def again(result: CopyResult) -> None:
        told.append(result)
        if len(told) < 3:
            client.zero([Region(device, 0, 8)], again)
            client.cancel()

    client.zero([Region(device, 0, 8)], again)
    runtime.run()
    assert told == [OK, CopyResult(cancelled=True), CopyResult(cancelled=True)]


def test_a_cut_link_is_a_write_error() -> None:
    world = World(Seeded(3))
    link = world.link("far")
    link.slow(1.0)
    far = LinkedDevice(world.disk("far", 32, machine="far"), link)
    client = CopyService(world.runtime, chunk_sectors=4, chunks=1).client()
    results: list[CopyResult] = []
    client.copy(Region(world.disk("near", 32), 0, 32), [Region(far, 0, 32)], results.append)
    world.runtime.pass_time(2.5)
    link.cut()
    world.runtime.run()
    assert results == [CopyResult(write_errors=1)]


def test_mds_are_copied_over_a_suspend() -> None:
    world = World()
    with DeviceMapper(runtime=world.runtime) as dm:
        for name in "ab":
            dm.add(world.disk(name, image=image(name)), f"/dev/{name}")
        one = dm.create("one", "0 48 linear /dev/a 0")
        two = dm.create("two", "0 48 linear /dev/b 0")
        service = CopyService(world.runtime, chunk_sectors=8)
        results: list[CopyResult] = []
        dm.suspend(two)
        service.client().copy(Region(one, 0, 48), [Region(two, 0, 48)], results.append)
        world.runtime.settle()
        assert results == []
        dm.resume(two)
        world.runtime.settle()
        assert results == [OK]
        assert two.pread(48 * 512, 0) == one.pread(48 * 512, 0)
        service.close()


def test_what_makes_no_sense_is_refused() -> None:
    device = MemoryDevice(1 << 20)
    client = CopyService(SimRuntime()).client()
    with pytest.raises(UsageError, match="1 to 8 destinations"):
        client.copy(Region(device, 0, 1), [], print)
    with pytest.raises(UsageError, match="1 to 8 destinations"):
        client.zero([Region(device, 0, 1)] * 9, print)
    with pytest.raises(UsageError, match="one length"):
        client.copy(Region(device, 0, 1), [Region(device, 8, 2)], print)
    client.close()
    for chunk_sectors, chunks in ((0, 1), (4096, 1), (8, 0)):
        with pytest.raises(UsageError, match="chunk"):
            CopyService(SimRuntime(), chunk_sectors=chunk_sectors, chunks=chunks)


def test_threads_share_a_service(tmp_path: Path) -> None:
    """The same code on real threads, files below: every client's jobs end in order, and the copies are right."""
    runtime = ThreadRuntime()
    path = tmp_path / "source"
    path.write_bytes(os.urandom(1 << 20))
    source = FileDevice(path)
    service = CopyService(runtime, chunk_sectors=16, chunks=3)
    ends: list[list[int]] = [[] for _ in range(4)]
    others = [MemoryDevice(1 << 20) for _ in range(4)]

    def work(who: int) -> None:
        client = service.client()
        idle = threading.Event()
        for number in range(32):

            def done(result: CopyResult, number: int = number) -> None:
                assert result == OK
                ends[who].append(number)
                if number == 31:
                    idle.set()

            client.copy(Region(source, number * 64, 64), [Region(others[who], number * 64, 64)], done)
        assert idle.wait(30)
        client.close()

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [[*range(32)]] * 4
    assert all(other.pread(1 << 20, 0) == path.read_bytes() for other in others)
    assert service.chunks_made <= 3
    service.close()
    runtime.close()
    source.close()


def test_close_on_threads_ends_every_job() -> None:
    runtime = ThreadRuntime()
    source, other = MemoryDevice(64 << 20), MemoryDevice(64 << 20)
    for at in range(0, 64 << 20, 1 << 20):
        source.pwrite(b"x" * 512, at)
    service = CopyService(runtime, chunk_sectors=8)
    results: list[CopyResult] = []
    for at in range(0, 131_072, 2048):
        service.client().copy(Region(source, at, 2048), [Region(other, at, 2048)], results.append)
    service.close()
    assert len(results) == 64
    assert all(result.ok or result.cancelled for result in results)
    runtime.close()


class Odd(MemoryDevice):
    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        raise OSError(errno.ENOTSUP, "it cannot say")


def test_a_device_that_cannot_tell_its_holes_is_copied_whole() -> None:
    runtime = SimRuntime()
    devices: list[BlockDevice] = [Odd(1 << 20), Odd(1 << 20)]
    devices[1].pwrite(b"x" * (1 << 20), 0)
    results: list[CopyResult] = []
    client = CopyService(runtime).client()
    client.copy(Region(devices[0], 0, 2048), [Region(devices[1], 0, 2048)], results.append)
    runtime.run()
    assert results == [OK]
    assert not any(devices[1].pread(1 << 20, 0))
