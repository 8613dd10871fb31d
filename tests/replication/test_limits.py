"""What is acknowledged, and what waits: limits, policies, and those who want to leave while a site is dead."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable, Iterator

import pytest

from dmtable import DeviceMapper, MappedDevice, MemoryDevice
from dmtable.core.bio import Bio
from dmtable.io.device import Buffer
from dmtable.sim.task import Process
from tests.replication.simulated import DEVICE_SECTORS, LOG_SECTORS, Place

_WRITERS = 6
_WRITES = 60


class _Watched(MemoryDevice):
    """The other place's copy, which knows what is durable there."""

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__(DEVICE_SECTORS << 9)
        self.durable_ios = self.durable_sectors = 0
        self.durable: set[int] = set()
        """The offsets of the writes."""
        self._cached: list[tuple[int, int]] = []
        self._lock = lock

    def pwrite(self, data: Buffer, offset: int) -> int:
        self._cached.append((offset, len(data) >> 9))
        return super().pwrite(data, offset)

    def flush(self) -> None:
        with self._lock:
            self.durable_ios += len(self._cached)
            self.durable_sectors += sum(sectors for _, sectors in self._cached)
            self.durable.update(offset for offset, _ in self._cached)
        self._cached.clear()


class _Threads:
    """Writers in threads over a group whose site 1 has this policy."""

    def __init__(self, far: str) -> None:
        self._lock = threading.Lock()
        self.acknowledged_ios = self.acknowledged_sectors = 0
        self.most_missing = (0, 0)
        """The most ios and sectors that were acknowledged and missing at the site."""
        self.missing_when_acknowledged = 0
        """So often a write was acknowledged that the site did not hold."""
        self.copy = _Watched(self._lock)
        self.local = MemoryDevice(DEVICE_SECTORS << 9)
        self.dm = DeviceMapper()
        log = MemoryDevice(4 << 20)
        for device, path in ((self.copy, "/dev/r"), (self.local, "/dev/l"), (log, "/dev/log")):
            self.dm.add(device, path)
        self.md = self.dm.create(
            "md",
            f"0 {DEVICE_SECTORS} replicator default 4 /dev/log 0 create 8192 local 2 0 async 2 0 /dev/l - 0 "
            f"local {1 + len(far.split())} 1 {far} 2 0 /dev/r core 2 2048 nosync",
        )
        self._threads = [
            threading.Thread(target=self._write, args=(number,), daemon=True) for number in range(_WRITERS)
        ]

    def tell(self, message: str) -> None:
        self.dm.message(self.md, 0, message.split())

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def outstanding(self) -> int:
        """How many entries the site lacks, acknowledged or not."""
        return int(self.dm.status(self.md)[0].split()[1].split(",")[1])

    def wait_until_all_wait(self) -> None:
        """Returns when each writer has a write that is not acknowledged; the link is paused."""
        while True:
            with self._lock:
                acknowledged = self.acknowledged_ios
            if self.outstanding() == acknowledged - self.copy.durable_ios + _WRITERS:
                return
            self.dm.runtime.sleep(0.001)

    def join(self) -> None:
        """Returns when all have written, and both sites have it."""
        for thread in self._threads:
            thread.join()
        while " 0/0/" not in self.dm.status(self.md)[0]:
            self.dm.runtime.sleep(0.001)
        same = self.copy.pread(DEVICE_SECTORS << 9, 0) == self.local.pread(DEVICE_SECTORS << 9, 0)
        self.dm.close()
        assert same

    def _write(self, number: int) -> None:
        chosen = random.Random(number)
        for at in range(_WRITES):
            sectors = chosen.randrange(1, 9)
            offset = 8 * (number * _WRITES + at) << 9
            self.md.pwrite(bytes([number + 1]) * (sectors << 9), offset)
            with self._lock:
                self.acknowledged_ios += 1
                self.acknowledged_sectors += sectors
                self.missing_when_acknowledged += offset not in self.copy.durable
                missing = (
                    self.acknowledged_ios - self.copy.durable_ios,
                    self.acknowledged_sectors - self.copy.durable_sectors,
                )
                self.most_missing = max(self.most_missing[0], missing[0]), max(self.most_missing[1], missing[1])


@pytest.mark.parametrize("limit", [1, 7, 40])
def test_writers_never_get_further_ahead_than_so_many_ios(limit: int) -> None:
    group = _Threads(f"async ios={limit}")
    group.tell("slink pause 1")
    group.start()
    group.wait_until_all_wait()
    assert group.acknowledged_ios == limit
    for _ in range(20):
        group.tell("slink resume 1")
        group.tell("slink pause 1")
    group.tell("slink resume 1")
    group.join()
    assert group.most_missing[0] == limit


@pytest.mark.parametrize("limit", [8, 50])
def test_writers_never_get_further_ahead_than_so_many_sectors(limit: int) -> None:
    group = _Threads(f"async size={limit}s")
    group.tell("slink pause 1")
    group.start()
    group.wait_until_all_wait()
    assert limit - 8 < group.acknowledged_sectors <= limit
    group.tell("slink resume 1")
    group.join()
    assert group.most_missing[1] <= limit


def test_synchronous_writers_are_told_when_the_site_holds_it() -> None:
    group = _Threads("sync")
    group.tell("slink pause 1")
    group.start()
    group.wait_until_all_wait()
    assert not group.acknowledged_ios
    group.tell("slink resume 1")
    group.join()
    assert not group.missing_when_acknowledged


def test_asynchronous_writers_are_told_before() -> None:
    group = _Threads("async")
    group.tell("slink pause 1")
    group.start()
    while group.acknowledged_ios < _WRITERS * _WRITES:
        group.dm.runtime.sleep(0.001)
    assert not group.copy.durable_ios
    group.tell("slink resume 1")
    group.join()


# In simulated time.


@pytest.fixture(name="place")
def _place() -> Iterator[Place]:
    place = Place(1)
    yield place
    place.world.close()


def _group(place: Place, far: str) -> MappedDevice:
    place.group(far)
    return place.device(0)


def test_nothing_is_acknowledged_once_the_oldest_is_too_old(place: Place) -> None:
    md = _group(place, "asynchronous timeout 1000")
    place.tell(place.dm["group"], "slink pause 1")
    assert place.write(md, 0, "first").done
    place.wait(0.9)
    assert place.write(md, 1, "second").done
    place.wait(0.2)
    late = place.write(md, 2, "late")
    place.wait(100)
    assert not late.done
    assert place.info(place.dm["group"]).split()[1] == "S,3,3"
    place.tell(place.dm["group"], "slink resume 1")
    place.wait(1)
    assert late.done
    assert place.write(md, 3, "x").done


def _fill(place: Place, md: MappedDevice) -> list[Bio]:
    """Writes more than the log has room for."""
    return [place.write(md, number % 32 * 128, bytes([number + 1]) * (128 << 9)) for number in range(40)]


@pytest.mark.parametrize("broken", ["cut", "paused", "slow"])
def test_writers_stall_where_the_policy_says_so(place: Place, broken: str) -> None:
    md = _group(place, "asynchronous+stall")
    _break(place, broken)
    bios = _fill(place, md)
    place.wait(5)
    assert not bios[-1].done
    place.wait(1000)
    # One that is only slow gets everything in the end.
    assert bios[-1].done == (broken == "slow")
    assert "unordered" not in place.info(place.dm["group"])
    _mend(place)
    place.wait(100)
    assert all(bio.done for bio in bios)
    assert place.equal([0])


def test_reads_do_not_wait_for_space(place: Place) -> None:
    md = _group(place, "asynchronous+stall")
    _break(place, "paused")
    bios = _fill(place, md)
    read = place.read(md, 128 * 5)
    assert not bios[-1].done
    assert (read.done, read.error) == (True, 0)
    assert read.data is not None
    assert bytes(read.data) == bytes([6]) * 512
    _mend(place)
    place.wait(100)


@pytest.mark.parametrize("broken", ["cut", "paused", "slow"])
def test_writers_leave_an_asynchronous_site_behind(place: Place, broken: str) -> None:
    md = _group(place, "asynchronous")
    _break(place, broken)
    bios = _fill(place, md)
    place.wait(0.5)
    # One that could still come is waited for.
    assert all(bio.done for bio in bios) == (broken != "slow")
    place.wait(4)
    assert all(bio.done for bio in bios)
    assert not any(bio.error for bio in bios)
    assert place.runtime.sightings["replicator: entries are dropped"]
    assert any("lost entries" in line for line in place.dm.klog)
    _mend(place)
    place.wait(1000)
    assert place.info(place.dm["group"]) == f"A,0,0 A,0,0 0/0/{LOG_SECTORS}"
    assert place.equal([0])


def _break(place: Place, how: str) -> None:
    if how == "cut":
        place.link.cut()
    elif how == "slow":
        place.link.slow(0.5)
    else:
        place.tell(place.dm["group"], "slink pause 1")


def _mend(place: Place) -> None:
    place.link.heal()
    place.tell(place.dm["group"], "slink resume 1")


def test_a_paused_site_gets_nothing_more(place: Place) -> None:
    md = _group(place, "asynchronous")
    place.link.slow(0.5)
    for number in range(10):
        place.write(md, 128 * number, "x")
    place.wait(2.2)
    place.tell(place.dm["group"], "slink pause 1")
    place.wait(100)
    assert place.sector("r0", 128) == "x"
    assert place.sector("r0", 128 * 6) == ""


# Whoever leaves.

_LONG_SECONDS = 3600


def _run(place: Place, act: Callable[[], object]) -> Process:
    process = place.runtime.spawn(act)
    place.wait(_LONG_SECONDS)
    return process


@pytest.mark.parametrize("broken", ["cut", "paused"])
@pytest.mark.parametrize("way", ["remove", "close", "suspend"])
def test_a_write_for_a_dead_site_fails_when_its_device_leaves(place: Place, way: str, broken: str) -> None:
    md = _group(place, "synchronous")
    _break(place, broken)
    bio = place.write(md, 0, "x")
    place.wait(30)
    assert not bio.done
    acts: dict[str, Callable[[], object]] = {
        "remove": lambda: place.dm.remove(md),
        "close": place.dm.close,
        "suspend": lambda: place.dm.suspend(md),
    }
    assert _run(place, acts[way]).done
    assert (bio.done, bio.error) == (True, errno.EIO)


def test_a_write_for_a_full_log_fails_when_its_device_leaves(place: Place) -> None:
    md = _group(place, "asynchronous+stall")
    place.link.cut()
    bios = _fill(place, md)
    assert _run(place, lambda: place.dm.remove(md)).done
    assert {bio.error for bio in bios} == {0, errno.EIO}


def test_a_write_for_a_dead_site_comes_again_after_a_noflush_suspend(place: Place) -> None:
    md = _group(place, "synchronous")
    place.link.cut()
    bio = place.write(md, 0, "x")
    assert _run(place, lambda: place.dm.suspend(md, noflush=True)).done
    assert not bio.done
    place.link.heal()
    place.dm.resume(md)
    place.wait(60)
    assert (bio.done, bio.error) == (True, 0)
    assert place.sector("r0", 0) == "x"


def test_a_suspend_waits_for_a_site_that_is_only_slow(place: Place) -> None:
    md = _group(place, "synchronous")
    place.link.slow(5)
    bio = place.write(md, 0, "x")
    assert not bio.done
    assert _run(place, lambda: place.dm.suspend(md)).done
    assert (bio.done, bio.error) == (True, 0)
    assert place.sector("r0", 0) == "x"


def test_what_leaves_without_waiting_writes_is_sent_by_the_next(place: Place) -> None:
    md = _group(place, "asynchronous")
    place.link.cut()
    place.write(md, 0, "x")
    place.wait(30)
    assert _run(place, place.dm.close).done
    place.link.heal()
    place.dm = place.boot()
    place.group("asynchronous", log="ringbuffer 3 /dev/log 0 open")
    place.device(0)
    place.wait(60)
    assert place.sector("r0", 0) == "x"
