"""A copy that fails is told of, and spoils nothing else: devices, links, callbacks."""

from __future__ import annotations

import threading

import pytest

from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.choices import Seeded
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, Ill, every_call
from dmtable.sim.link import LinkedDevice
from dmtable.sim.runtime import SimRuntime
from dmtable.sim.world import World
from tests.core.copies import OK, content, image


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


def test_a_callback_that_raises_is_told_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that end well and jobs that are cancelled; the second one of each client raises."""
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))
    runtime = ThreadRuntime()
    service = CopyService(runtime)
    device = MemoryDevice(1 << 20)
    results: list[CopyResult] = []
    copied = threading.Semaphore(0)

    def fail(_result: CopyResult) -> None:
        raise ValueError("a bad callback")

    def done(result: CopyResult) -> None:
        results.append(result)
        copied.release()

    client = service.client()
    for on_done in (done, fail, done, done):
        client.zero([Region(device, 0, 8)], on_done)
    assert all(copied.acquire(timeout=10) for _ in range(3)), "the Worker goes on"
    assert results == [OK] * 3
    late = service.client()
    for on_done in (done, fail, done):
        late.zero([Region(device, 0, 8)], on_done)
    closing = threading.Thread(target=service.close, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive(), "close waits for ever"
    assert len(results) == 5
    assert told == ["a bad callback"] * 2
    runtime.close()


def test_what_a_callback_raises_reaches_the_driver_of_a_simulation() -> None:
    runtime = SimRuntime()
    service = CopyService(runtime)
    client, device = service.client(), MemoryDevice(1 << 20)
    results: list[CopyResult] = []

    def fail(result: CopyResult) -> None:
        results.append(result)
        raise ValueError("a bad callback")

    for on_done in (results.append, fail, results.append):
        client.zero([Region(device, 0, 8)], on_done)
    with pytest.raises(ValueError, match="a bad callback"):
        runtime.run()
    assert results == [OK, OK]
    runtime.run()
    assert results == [OK] * 3
    for on_done in (fail, results.append):
        client.zero([Region(device, 0, 8)], on_done)
    with pytest.raises(ValueError, match="a bad callback"):
        service.close()
    service.close()
    assert results[3:] == [CopyResult(cancelled=True)] * 2
