"""What a disk log does beyond the contract: its letters, its steps, and what is asked of it meanwhile."""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator, Sequence

import pytest

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.target import StatusKind
from dmtable.dirtylog import bitmaps, kinds
from dmtable.dirtylog.disk import DiskLog, DiskParams
from dmtable.dirtylog.log import Place
from dmtable.dirtylog.words import Sync
from dmtable.errors import CtrError
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.runtime import Completion
from dmtable.sim.faults import Call, Fault, Faults, Ill
from dmtable.sim.world import World
from tests.dirtylog.logs import MIRROR_REFUSES, Host, in_sync

_PARAMS = DiskParams("7:3", 16, Sync.ALL)


def failing(call: Call) -> Faults:
    return Faults({1: Fault(Ill.ERROR, lasting=True)}, concerns=lambda disk, called: called is call)


@pytest.mark.parametrize(("call", "letter"), [(Call.READ, "D"), (Call.WRITE, "D"), (Call.FLUSH, "F")])
def test_a_failed_log_device_has_its_letter_for_good(call: Call, letter: str) -> None:
    world = World()
    disk = world.disk("log", 16)
    host = Host(disk)
    log = host.construct("disk 3 7:3 16 nosync", 640)
    disk.faults = failing(call)
    if call is Call.READ:
        log.resume()
    else:
        with pytest.raises(OSError, match=call.name):
            log.resume()
    disk.faults = None
    log.mark_region(3)
    log.flush()
    log.postsuspend()
    log.resume()
    assert (log.status(StatusKind.INFO), host.events) == (f"3 disk 7:3 {letter}", 1)
    assert host.lines == [
        f"dirty region log: 7:3: Failed to {'read' if call is Call.READ else 'write'} header on dirty region log device"
    ]


def test_each_step_makes_one_call_and_can_be_waited_for() -> None:
    world = World()
    disk = world.disk("log", 16, latency_seconds=0.01)
    log = Host(disk).construct("disk 3 7:3 16 nosync", 640)
    calls = disk.faults = Faults()
    for number, completion in enumerate(log.resuming(), 1):
        assert calls.calls == number
        assert not completion.done, "the call is under way, and nobody waits for it here"
        world.runtime.wait(completion)
    # A read, the bits and a flush, then the header that counts them and a flush.
    assert calls.calls == 5


def test_a_mark_during_a_flush_waits_for_the_next() -> None:
    world = World()
    disk = world.disk("log", 16, latency_seconds=0.01)
    log = DiskLog.construct(Host(disk, world.runtime), 640, _PARAMS)
    log.resume()
    log.mark_region(3)
    steps = log.flushing()
    completion = next(steps)
    log.mark_region(4)
    world.runtime.wait(completion)
    for step in steps:
        world.runtime.wait(step)
    assert stored_dirty(disk.image) == {3}
    log.flush()
    assert stored_dirty(disk.image) == {3, 4}


def test_a_region_cleared_while_the_data_is_flushed_is_not_stored_as_clean() -> None:
    """Its data may have been written behind the flush."""
    disk, data = MemoryDevice(16 * 512), MemoryDevice(512)

    def flush_data() -> Iterator[Completion]:
        bio = Bio(Op.FLUSH, 0, 0)
        submit(data, bio)
        yield bio

    log = DiskLog.construct(Host(disk), 640, _PARAMS, flush_data)
    log.resume()
    for region in (3, 4):
        log.mark_region(region)
    log.flush()
    log.clear_region(3)
    steps = log.flushing()
    next(steps)
    log.clear_region(4)
    for _ in steps:
        pass
    assert stored_dirty([disk.pread(512, at * 512) for at in range(3)]) == {4}
    log.flush()
    assert stored_dirty([disk.pread(512, at * 512) for at in range(3)]) == set()


def stored_dirty(sectors: Sequence[bytes]) -> set[int]:
    bits = int.from_bytes(sectors[2][:8], "little")
    return {region for region in range(40) if not bits >> region & 1}


def test_a_flush_that_is_given_up_is_made_good_by_the_next() -> None:
    world = World()
    disk = world.disk("log", 16, latency_seconds=0.01)
    log = DiskLog.construct(Host(disk, world.runtime), 640, _PARAMS)
    log.resume()
    log.mark_region(3)
    steps = log.flushing()
    assert isinstance(steps, Generator)
    next(steps)
    disk.lose_cache(disk.durable)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt)
    log.flush()
    assert stored_dirty(disk.durable) == {3}
    assert log.status(StatusKind.INFO).endswith("A"), "nothing is wrong with the device"


def test_only_sectors_that_changed_are_written() -> None:
    world = World()
    disk = world.disk("log", 64)
    log = Host(disk).construct("disk 3 7:3 2 nosync", 2 * 200_000)
    log.resume()
    world.runtime.trace = []
    log.mark_region(100_000)
    log.flush()
    assert [what for _time, _who, what in world.runtime.trace] == ["write 26+1", "flush"]


def test_without_a_change_of_bits_a_failed_device_is_noticed_as_by_the_kernel() -> None:
    disk = World().disk("log", 16)
    log = Host(disk).construct("disk 3 7:3 16 nosync", 640)
    log.resume()
    disk.faults = failing(Call.WRITE)
    log.set_region_sync(3, False)
    with pytest.raises(OSError, match="WRITE"):
        log.flush()
    assert log.status(StatusKind.INFO).endswith("D")


def test_a_device_that_became_too_small_is_refused() -> None:
    with pytest.raises(CtrError, match="log device 7:3 too small: need 1536 bytes"):
        DiskLog.construct(Host(MemoryDevice(0)), 640, _PARAMS)


def test_no_memory_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(bitmaps, "bitarray", no_memory)
    with pytest.raises(CtrError, match="no memory for a dirty log of 40 regions") as caught:
        DiskLog.construct(Host(MemoryDevice(8192)), 640, _PARAMS)
    assert caught.value.errno == errno.ENOMEM


def test_more_regions_than_the_kernel_can_count_are_refused() -> None:
    params, findings = kinds.inspect("core", ["2"], Place(2 << 32, 2, MIRROR_REFUSES))
    assert params is None
    assert [finding.rule.code for finding in findings] == ["DM464"]


def test_the_search_skips_what_is_recovering() -> None:
    log = Host(MemoryDevice(8192)).construct("core 1 16", 640)
    assert [log.get_resync_work() for _ in range(3)] == [0, 1, 2]
    log.rewind(0)
    assert log.get_resync_work() == 3
    log.set_region_sync(1, False)
    log.rewind(0)
    assert [log.get_resync_work() for _ in range(2)] == [1, 4]
    assert in_sync(log) == set()


def test_a_log_that_could_be_read_in_part_is_not_believed_later() -> None:
    """Its header can be written, its bits cannot: what they say now is no longer true."""
    disk = World().disk("log", 16)
    Host(disk).construct("disk 3 7:3 16 nosync", 640).resume()
    with DeviceMapper() as dm:
        dm.add(disk, "/dev/log")
        holed = dm.create("holed", "0 2 linear /dev/log 0\n2 1 error\n3 13 linear /dev/log 3")
        log = Host(holed).construct("disk 2 7:3 16", 640)
        with pytest.raises(OSError, match="WRITE"):
            log.resume()
    again = Host(disk).construct("disk 2 7:3 16", 640)
    again.resume()
    assert again.sync_count == 0
