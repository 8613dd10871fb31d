"""The copy service: copies equal a naive loop, in order, in bounded memory, with fair turns."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Bio, submit
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.errors import UsageError
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.choices import Seeded
from dmtable.sim.disk import SimDisk
from dmtable.sim.runtime import SimRuntime
from dmtable.sim.world import World
from tests.core.copies import OK, SECTORS, content, image

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
