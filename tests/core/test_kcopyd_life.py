"""A client of the copy service is cancelled and closed, at any time."""

from __future__ import annotations

import pytest

from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.errors import UsageError
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.runtime import RunningWorker, Worker
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.choices import Seeded
from dmtable.sim.runtime import SimRuntime
from dmtable.sim.world import World
from tests.core.copies import OK, SECTORS, content, image


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


class Starts(SimRuntime):
    """Notes the Workers that are started."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[str] = []

    def start(self, worker: Worker) -> RunningWorker:
        self.started.append(worker.name)
        return super().start(worker)


def test_a_service_that_never_copied_starts_nothing() -> None:
    runtime = Starts()
    service = CopyService(runtime)
    client, device = service.client(), MemoryDevice(4096)
    client.cancel()
    client.close()
    service.client()
    service.close()
    assert runtime.started == []
    service = CopyService(runtime)
    service.client().zero([Region(device, 0, 8)], lambda _result: None)
    service.close()
    assert runtime.started == ["kcopyd"]
