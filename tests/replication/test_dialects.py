"""The life of a group through the device-mapper, in both dialects: what tables, status and messages say and do."""

from __future__ import annotations

import errno

import pytest

from dmtable import DeviceMapper, MappedDevice
from dmtable.errors import IoctlError
from dmtable.language.parser import parse
from tests.replication.simulated import DEVICE_SECTORS, LOG_SECTORS, Place

_OPEN_2009 = "ringbuffer 3 /dev/log 0 open"
_OPEN_2008 = "3 /dev/log 0 open"


class _Pair(Place):
    """A group of two devices in one dialect; the first device's md tells of the sites."""

    def __init__(self, dialect: str, far: str = "async ios=100") -> None:
        super().__init__()
        self.dialect = dialect
        self.far = far
        self.load()

    def load(self, *, first: bool = True, devices: tuple[int, ...] = (0, 1), sync: str = "nosync") -> None:
        """Creates the mds of the group."""
        self.mds: list[MappedDevice] = []
        self.teller: MappedDevice
        if self.dialect == "2009":
            created = f"ringbuffer 4 /dev/log 0 create {LOG_SECTORS}"
            self.teller = self.group(self.far.replace("=", " "), log=created if first else _OPEN_2009)
        for at, number in enumerate(devices):
            if self.dialect == "2009":
                md = self.device(number, sync)
            else:
                create = first and not at
                md = self.slides(
                    number, self.far, log=f"4 /dev/log 0 create {LOG_SECTORS}" if create else _OPEN_2008, sync=sync
                )
                if not at:
                    self.teller = md
            self.mds.append(md)

    def remove(self) -> None:
        """Removes the mds, the last first."""
        for md in reversed(list(self.dm)):
            if md is not self.teller:
                self.dm.remove(md)
        self.dm.remove(self.teller)

    @property
    def sites(self) -> str:
        """What the group says of its sites: each one's backlog, all of it, remarks."""
        words = self.info(self.teller).split()
        shown = words[: words.index("7:6")] if "7:6" in words else words
        return " ".join(shown).removesuffix(" ")

    @property
    def first_copies(self) -> str:
        """What the first device says of its copies."""
        return " ".join(self.info(self.mds[0]).split()[-2:])


@pytest.fixture(params=["2008", "2009"])
def dialect(request: pytest.FixtureRequest) -> str:
    word = request.param
    assert isinstance(word, str)
    return word


def _idle(backlog: int = 0, remarks: str = "") -> str:
    return f"A,0,0 A,{backlog},{backlog} {backlog}/{backlog}/{LOG_SECTORS} {remarks}".strip()


# A life.


def test_status_at_each_stage(dialect: str) -> None:
    place = _Pair(dialect)
    assert (place.sites, place.first_copies) == (_idle(), "A,- A,2/2")
    place.write(place.mds[0], 0, "first")
    place.write(place.mds[1], 0, "second")
    place.wait(1)
    assert (place.sites, place.first_copies) == (_idle(), "A,- A,2/2")
    place.link.cut()
    for number in range(3):
        place.write(place.mds[number % 2], 1 + number, "behind")
    place.wait(1)
    assert (place.sites, place.first_copies) == (_idle(3), "A,- W,2/2")
    place.link.heal()
    place.wait(30)
    assert (place.sites, place.first_copies) == (_idle(), "A,- A,2/2")
    assert place.equal()


def test_a_site_that_is_too_far_behind_shows_it(dialect: str) -> None:
    place = _Pair(dialect, "async ios=2")
    place.link.cut()
    bios = [place.write(place.mds[0], number, "x") for number in range(3)]
    place.wait(1)
    assert place.sites == f"A,0,0 S,3,3 3/3/{LOG_SECTORS}"
    assert [bio.done for bio in bios] == [True, True, False]
    place.link.heal()
    place.wait(30)
    assert place.sites == _idle()
    assert bios[2].done


def test_a_device_that_cannot_be_read_when_it_is_opened(dialect: str) -> None:
    place = _Pair(dialect)
    place.remove()
    place.link.cut()
    place.dm = DeviceMapper(runtime=place.runtime)
    for name, disk in place.world.disks.items():
        if name != "r0":
            place.dm.add(disk, f"/dev/{name}")
    place.load(first=False)
    assert place.first_copies == "A,- R,2/2"
    assert "/dev/r0" in place.table(place.mds[0])


def test_resynchronisation_shows_its_regions(dialect: str) -> None:
    place = _Pair(dialect)
    place.remove()
    for name in ("log", "d0", "d1"):
        place.world.disk(name, place.sizes[name])
    place.dm = place.boot()
    place.world.disks["l0"].pwrite(b"x" * 512, 0)
    place.link.slow(0.5)
    place.load(sync="sync")
    assert place.sites == _idle(0, "unordered=1")
    assert place.first_copies in ("A,- A,0/2", "A,- A,0+/2")
    seen = set()
    for _ in range(200):
        place.wait(0.1)
        seen.add(place.first_copies)
    assert {"A,- A,0+/2", "A,- A,1+/2", "A,- A,2/2"} <= seen
    assert place.sites == _idle()
    assert place.equal()


def test_tables_of_a_living_group() -> None:
    place = _Pair("2009")
    assert place.table(place.teller) == (
        f"ringbuffer 4 7:6 0 create {LOG_SECTORS} blockdev 2 0 asynchronous blockdev 4 1 asynchronous ios 100"
    )
    assert place.table(place.mds[1]) == "253:0 1 0 1 7:1 nolog 0 1 1 7:3 disk 3 7:5 2048 nosync"
    place = _Pair("2008")
    assert place.table(place.mds[1]) == (
        "ringbuffer 3 7:6 0 open blockdev 2 0 asynchronous 2 1 7:1 - 0 "
        "blockdev 3 1 asynchronous ios=100 2 1 7:3 disk 3 7:5 2048 nosync"
    )


def test_what_a_living_group_prints_loads_again(dialect: str) -> None:
    place = _Pair(dialect)
    place.write(place.mds[0], 7, "kept")
    place.wait(1)
    lines = {}
    for md in place.dm:
        target = "replicator-dev" if md in place.mds and dialect == "2009" else "replicator"
        words = place.table(md)
        if md is place.teller:
            words = words.replace(f"4 7:6 0 create {LOG_SECTORS}", "3 7:6 0 open")
        lines[md.name] = f"0 {md.size_bytes >> 9} {target} {words}"
    place.remove()
    mds = {name: place.dm.create(name, text) for name, text in lines.items()}
    assert _text(mds["v0"], 7) == "kept"


def test_reloading_a_table_keeps_everything(dialect: str) -> None:
    place = _Pair(dialect)
    place.link.cut()
    place.write(place.mds[0], 0, "before")
    place.write(place.mds[1], 0, "too")
    place.wait(1)
    for md in place.mds:
        if dialect == "2009":
            table = place.device_table(place.mds.index(md))
        else:
            table = place.table(md).replace(f"4 7:6 0 create {LOG_SECTORS}", "3 7:6 0 open")
            table = f"0 {DEVICE_SECTORS} replicator {table}"
        _reload(place.dm, md, table)
    assert place.sites == _idle(2)
    assert _text(place.mds[0], 0) == "before"
    place.write(place.mds[0], 0, "after")
    place.link.heal()
    place.wait(60)
    assert place.sites == _idle()
    assert (place.sector("r0", 0), place.sector("r1", 0)) == ("after", "too")


def test_reloading_the_control_device_keeps_everything() -> None:
    place = _Pair("2009")
    place.link.cut()
    place.write(place.mds[0], 0, "before")
    place.wait(1)
    group = f"0 {LOG_SECTORS} replicator {_OPEN_2009} blockdev 2 0 asynchronous blockdev 4 1 asynchronous ios 100"
    _reload(place.dm, place.teller, group)
    assert place.sites == _idle(1)
    with pytest.raises(IoctlError) as refused:
        place.dm.load(place.teller, parse(group.replace("ios 100", "ios 99")))
    assert refused.value.errno == errno.EINVAL
    place.link.heal()
    place.wait(60)
    assert (place.sites, place.sector("r0", 0)) == (_idle(), "before")


def test_only_the_first_table_may_create_the_log(dialect: str) -> None:
    place = _Pair(dialect)
    place.dm.remove(place.mds[1])
    if dialect == "2009":
        table = f"0 8 replicator ringbuffer 4 /dev/log 0 create {LOG_SECTORS} blockdev 1 0"
    else:
        shown = place.table(place.mds[0]).replace(" 2 0 7:0", " 2 1 7:1").replace(" 2 0 7:2", " 2 1 7:3")
        table = f"0 {DEVICE_SECTORS} replicator {shown}"
    with pytest.raises(IoctlError, match="Cannot create replication log context") as refused:
        place.dm.create("second", table)
    assert refused.value.errno == errno.EPERM


def test_removed_and_opened_again_the_log_is_replayed(dialect: str) -> None:
    place = _Pair(dialect)
    place.link.cut()
    for number in range(5):
        place.write(place.mds[number % 2], number, f"w{number}")
    place.wait(1)
    place.remove()
    place.wait(100)
    assert place.sector("r0", 0) == ""
    place.load(first=False)
    assert place.sites == _idle(5)
    place.link.heal()
    place.wait(60)
    assert place.sites == _idle()
    assert place.equal()
    assert place.sector("r1", 3) == "w3"


def test_a_power_loss_keeps_what_was_flushed(dialect: str) -> None:
    place = _Pair(dialect)
    place.link.cut()
    place.mds[0].pwrite(b"durable".ljust(512, b"."), 0)
    place.mds[1].pwrite(b"too".ljust(512, b"."), 0)
    place.mds[1].flush()
    place.lose_power()
    place.load(first=False)
    assert _text(place.mds[0], 0) == "durable"
    place.wait(60)
    assert place.sites == _idle()
    assert (place.sector("r0", 0), place.sector("r1", 0)) == ("durable", "too")


def test_entries_wait_for_a_device_that_is_not_there_yet(dialect: str) -> None:
    place = _Pair(dialect)
    place.link.cut()
    place.write(place.mds[0], 0, "one")
    place.write(place.mds[1], 0, "two")
    place.write(place.mds[0], 1, "three")
    place.remove()
    place.link.heal()
    place.load(first=False, devices=(0,))
    place.wait(60)
    # The first is of a device that is there; behind the second everything waits.
    assert (place.sector("r0", 0), place.sector("r1", 0), place.sector("r0", 1)) == ("one", "", "")
    assert place.sites == _idle(2, "unknown=1")
    assert _text(place.mds[0], 1) == "three"
    if dialect == "2009":
        place.mds.append(place.device(1))
    else:
        place.mds.append(place.slides(1, place.far))
    place.wait(60)
    assert place.sites == _idle()
    assert (place.sector("r1", 0), place.sector("r0", 1)) == ("two", "three")


def test_a_device_that_is_new_to_the_log_takes_its_site_out_of_order(dialect: str) -> None:
    place = _Pair(dialect)
    place.remove()
    place.dm = place.boot()
    place.load(first=True, devices=(0,))
    assert place.sites == _idle()
    place.world.disks["l1"].pwrite(b"older".ljust(512, b"."), 0)
    if dialect == "2009":
        place.device(1, "sync")
    else:
        place.slides(1, place.far, sync="sync")
    assert place.sites == _idle(0, "unordered=1")
    place.wait(60)
    assert place.sites == _idle()
    assert place.sector("r1", 0) == "older"


@pytest.mark.parametrize("dirty_log", ["core 2 2048 sync", "core 2 2048 nosync", "core 1 2048"])
def test_a_dirty_log_in_memory_is_remembered_by_the_replication_log(dirty_log: str) -> None:
    place = Place()
    place.group()
    place.device(0, dirty_log)
    place.wait(60)
    for name in ("v0", "group"):
        place.dm.remove(place.dm[name])
    teller = place.group(log=_OPEN_2009)
    place.device(0, "core 2 2048 sync")
    assert place.info(teller) == _idle()


# LVM2.


@pytest.mark.parametrize("limit", ["ios 8192", "data 4096", "timeout 100"])
def test_tables_as_lvm2_emits_them(limit: str) -> None:
    place = Place(1)
    group = place.dm.create(
        "group",
        f"0 {LOG_SECTORS} replicator ringbuffer 4 7:3 0 auto {LOG_SECTORS} "
        f"blockdev 2 0 synchronous blockdev 4 1 asynchronous {limit}",
    )
    line = f"0 {DEVICE_SECTORS} replicator-dev {group.dm_dev.name} 0 0 1 7:0 nolog 0 1 1 7:1 disk 3 7:2 2048 nosync"
    md = place.dm.create("v", line)
    assert place.write(md, 0, "through").done
    place.wait(10)
    assert (place.sector("l0", 0), place.sector("r0", 0)) == ("through", "through")
    for each in (md, group):
        place.dm.remove(each)


# Messages.


def test_pause_and_resume(dialect: str) -> None:
    place = _Pair(dialect)
    assert place.tell(place.teller, "slink pause 1") == ""
    place.write(place.mds[0], 0, "later")
    place.wait(60)
    assert place.sites == _idle(1, "paused=1")
    assert place.sector("r0", 0) == ""
    place.tell(place.teller, "slink resume 1")
    place.wait(1)
    assert (place.sites, place.sector("r0", 0)) == (_idle(), "later")


def test_a_change_of_policy_releases_those_who_wait(dialect: str) -> None:
    place = _Pair(dialect, "sync")
    place.link.cut()
    bio = place.write(place.mds[0], 0, "x")
    place.wait(60)
    assert not bio.done
    place.tell(place.teller, "slink message 1 policy asynchronous")
    place.runtime.settle()
    assert bio.done
    assert not bio.error
    assert "1 asynchronous" in place.table(place.teller)
    assert place.write(place.mds[0], 1, "y").done
    place.tell(place.teller, "slink message 1 policy synchronous+stall")
    assert "1 synchronous+stall" in place.table(place.teller) or "1 stall+synchronous" in place.table(place.teller)
    bio = place.write(place.mds[1], 2, "z")
    assert not bio.done
    place.link.heal()
    place.wait(60)
    assert bio.done
    assert place.equal()


def test_a_change_of_the_limit(dialect: str) -> None:
    place = _Pair(dialect, "async")
    place.link.cut()
    assert all(place.write(place.mds[0], number, "x").done for number in range(5))
    place.tell(place.teller, "slink message 1 fallbehind ios=6")
    assert place.write(place.mds[0], 5, "x").done
    behind = place.write(place.mds[0], 6, "x")
    assert not behind.done
    assert place.sites == f"A,0,0 S,7,7 7/7/{LOG_SECTORS}"
    place.tell(place.teller, "slink message 1 fallbehind size=1000k")
    assert place.sites == f"A,0,0 A,7,7 7/7/{LOG_SECTORS}"
    assert place.write(place.mds[0], 7, "x").done
    assert "size=1000k" in place.table(place.teller) or "size 1000k" in place.table(place.teller)
    place.tell(place.teller, "slink message 1 fallbehind ios=0")
    assert "size" not in place.table(place.teller)


def test_a_resync_that_is_held_back_waits_for_its_message(dialect: str) -> None:
    place = _Pair(dialect, "async+hold")
    place.remove()
    for name in ("log", "d0", "d1"):
        place.world.disk(name, place.sizes[name])
    place.dm = place.boot()
    place.world.disks["l0"].pwrite(b"x" * 512, 0)
    place.load(sync="sync")
    place.wait(100)
    assert place.sites == _idle(0, "unordered=1 held=1")
    assert not place.equal()
    place.tell(place.teller, "slink resync 1")
    place.wait(100)
    assert place.sites == _idle()
    assert place.equal()


def test_sites_and_devices_come_and_go() -> None:
    place = _Pair("2009")
    place.world.disk("other", DEVICE_SECTORS)
    place.dm.add(place.world.disks["other"], "/dev/other")
    place.tell(place.teller, "slink add blockdev 4 2 asynchronous ios 50")
    assert place.sites == f"A,0,0 A,0,0 A,0,0 0/0/{LOG_SECTORS}"
    assert place.table(place.teller).endswith("blockdev 4 2 asynchronous ios 50")
    place.world.disks["l0"].pwrite(b"older".ljust(512, b"."), 0)
    event_nr = place.mds[0].event_nr
    place.tell(place.teller, "slink pause 2")
    place.tell(place.mds[0], "device add 2 1 /dev/other core 2 2048 sync")
    assert place.sites == f"A,0,0 A,0,0 A,0,0 0/0/{LOG_SECTORS} unordered=2 paused=2"
    place.tell(place.teller, "slink resume 2")
    assert place.mds[0].event_nr > event_nr
    with pytest.raises(IoctlError, match="still has devices"):
        place.tell(place.teller, "slink del 2")
    place.write(place.mds[0], 1, "newer")
    place.wait(60)
    assert place.sites == f"A,0,0 A,0,0 A,0,0 0/0/{LOG_SECTORS}"
    assert (place.sector("other", 0), place.sector("other", 1)) == ("older", "newer")
    assert place.info(place.mds[0]) == "253:0 0 A,- A,2/2 A,2/2"
    place.tell(place.mds[0], "device del 2")
    place.tell(place.teller, "slink del 2")
    assert place.sites == _idle()
    place.write(place.mds[0], 2, "not there")
    place.wait(1)
    assert place.sector("other", 2) == ""


@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("slink del 0", errno.EPERM),
        ("slink del 7", errno.EPERM),
        ("slink del 1", errno.EPERM),
        ("slink pause 7", errno.EPERM),
        ("slink add blockdev 2 1 asynchronous ios", errno.EINVAL),
        ("slink message 1 policy synchronous", errno.EINVAL),
        ("slink message 1 fallbehind miles=3", errno.EINVAL),
        ("replog resize 16", errno.EINVAL),
        ("replog forget 0", errno.EBUSY),
        ("dance", errno.EINVAL),
    ],
)
def test_messages_that_are_refused_change_nothing(dialect: str, message: str, number: int) -> None:
    place = _Pair(dialect)
    before = place.table(place.teller), place.info(place.teller)
    with pytest.raises(IoctlError) as refused:
        place.tell(place.teller, message)
    assert refused.value.errno == number
    assert (place.table(place.teller), place.info(place.teller)) == before


def test_statistics(dialect: str) -> None:
    place = _Pair(dialect)
    place.tell(place.teller, "statistics on")
    place.mds[0].pread(512, 0)
    place.write(place.mds[1], 0, "x")
    place.mds[1].pwrite(bytes(512), 512)
    place.wait(1)
    assert place.info(place.teller).startswith("v=v0.028 r=1 w=2 rs=0 ws=0 nc=")
    place.tell(place.teller, "statistics reset")
    assert place.info(place.teller).startswith("v=v0.028 r=0 w=0 ")
    place.tell(place.teller, "statistics off")
    place.tell(place.teller, "replog statistics on")
    place.write(place.mds[1], 2, "x")
    place.wait(1)
    for word in ("ring->start=16", f"ring->end={LOG_SECTORS}", "ring->head=", "ring_free=", " w="):
        assert word in place.info(place.teller)
    place.tell(place.teller, "replog statistics off")
    assert place.sites == _idle()


def test_the_log_is_resized(dialect: str) -> None:
    place = _Pair(dialect)
    place.remove()
    place.world.disk("log", 2 * LOG_SECTORS)
    place.sizes["log"] = 2 * LOG_SECTORS
    place.dm = place.boot()
    place.load()
    place.link.cut()
    place.write(place.mds[0], 0, "in the small one")
    place.wait(1)
    place.tell(place.teller, f"replog resize {2 * LOG_SECTORS}")
    place.wait(10)
    assert place.sites == f"A,0,0 A,1,1 1/1/{2 * LOG_SECTORS}"
    for number in range(45):
        place.write(place.mds[1], 0, bytes([number + 1]) * (128 << 9))
    place.wait(10)
    # More than the small one would have room for.
    assert "unordered" not in place.sites
    assert place.sites.split()[1].startswith("A,46,")
    place.remove()
    place.load(first=False)
    assert place.sites.split()[1].startswith("A,46,")
    place.link.heal()
    place.wait(100)
    assert place.sites == f"A,0,0 A,0,0 0/0/{2 * LOG_SECTORS}"
    assert place.equal()


def test_a_lost_device_is_forgotten_after_its_entries_are_listed(dialect: str) -> None:
    place = _Pair(dialect)
    place.link.cut()
    place.write(place.mds[1], 5, "lost")
    place.write(place.mds[0], 0, "kept")
    place.write(place.mds[1], 8, bytes(1024))
    place.remove()
    place.link.heal()
    place.load(first=False, devices=(0,))
    place.wait(10)
    assert place.sites.endswith("unknown=1")
    assert place.tell(place.teller, "replog forget 1") == "1 write 5 1\n3 write 8 2"
    place.wait(10)
    assert place.sites == _idle()
    assert place.sector("r0", 0) == "kept"
    place.remove()
    place.load(first=False, devices=(0,))
    assert place.sites == _idle()


def test_stop_and_start_of_one_device_and_of_all(dialect: str) -> None:
    place = _Pair(dialect)
    place.tell(place.mds[0], "stop")
    assert place.write(place.mds[0], 0, "waits").done
    assert place.write(place.mds[1], 0, "behind it").done
    place.wait(60)
    assert (place.sector("l0", 0), place.sector("l1", 0), place.sector("r1", 0)) == ("", "", "")
    assert _text(place.mds[0], 0) == "waits"
    place.tell(place.mds[0], "start")
    place.wait(1)
    assert (place.sector("r0", 0), place.sector("r1", 0)) == ("waits", "behind it")
    place.tell(place.teller, "stop all")
    bios = [place.write(md, 1, "x") for md in place.mds]
    place.wait(60)
    assert not any(bio.done for bio in bios)
    place.tell(place.teller, "start all")
    place.wait(1)
    assert all(bio.done for bio in bios)
    assert place.equal()


# Events.


def test_events_tell_of_failures_and_of_order(dialect: str) -> None:
    place = _Pair(dialect)
    seen = [place.mds[0].event_nr]

    def happened() -> bool:
        seen.append(place.mds[0].event_nr)
        return seen[-1] > seen[-2]

    place.write(place.mds[0], 0, "x")
    place.wait(10)
    assert not happened()
    place.link.cut()
    place.write(place.mds[1], 0, "x")
    place.wait(0.5)
    assert happened()
    place.wait(100)
    assert not happened()
    place.link.heal()
    place.wait(30)
    assert happened()
    # The log is full, and the site loses entries.
    place.tell(place.teller, "slink message 1 fallbehind ios=0")
    place.link.cut()
    place.write(place.mds[0], 0, "x")
    place.wait(0.5)
    assert happened()
    for number in range(50):
        place.write(place.mds[0], 0, bytes([number + 1]) * (128 << 9))
        place.wait(0.1)
    assert "unordered=1" in place.sites
    assert happened()
    place.link.heal()
    place.wait(100)
    assert place.sites == _idle()
    assert happened()
    assert place.mds[0].event_nr == place.mds[1].event_nr
    assert place.equal()


# Both.


def _text(md: MappedDevice, sector: int) -> str:
    return md.pread(512, sector << 9).rstrip(b"\0").decode().rstrip(".")


def _reload(dm: DeviceMapper, md: MappedDevice, table: str) -> None:
    dm.suspend(md)
    dm.load(md, parse(table))
    dm.resume(md)
