"""What the log remembers of a copy when its site was left out, came late, or lost something."""

from __future__ import annotations

from contextlib import suppress

import pytest

from dmtable import MappedDevice
from dmtable.errors import IoctlError
from dmtable.replog.log import Membership
from dmtable.sim.faults import Call, Fault, Faults, Ill
from tests.replication.places import running
from tests.replication.simulated import DEVICE_SECTORS, LOG_SECTORS, OPEN, REGION_SECTORS, Place

_CORE = f"core 2 {REGION_SECTORS} nosync"


def test_a_site_that_a_session_left_out_is_copied_to_anew(place: Place) -> None:
    place.group()
    place.write(place.device(0), 0, "both")
    place.wait(5)
    place.remove_all()
    place.group(log=OPEN)
    place.write(place.device(0, None), 0, "only here")
    place.wait(5)
    place.remove_all()
    place.group(log=OPEN)
    place.device(0, "")
    place.wait(60)
    assert place.sector("r0", 0) == "only here"


def test_a_site_that_a_reload_left_out_is_copied_to_anew(place: Place) -> None:
    place.group()
    md = place.device(0)
    place.reload(md, place.device_table(0, None))
    place.write(md, 0, "only here")
    place.wait(5)
    place.reload(md, place.device_table(0, "sync"))
    place.wait(60)
    assert place.sector("r0", 0) == "only here"


def test_what_a_site_was_owed_when_its_group_forgot_it_is_copied(place: Place) -> None:
    group, md = place.group(), place.device(0)
    place.tell(group, "slink pause 1")
    place.write(md, 0, "owed")
    place.wait(2)
    place.remove_all()
    place.dm.create("group", f"0 {LOG_SECTORS} replicator {OPEN} blockdev 2 0 asynchronous")
    place.device(0, None)
    place.wait(2)
    place.remove_all()
    place.group(log=OPEN)
    place.device(0, "")
    place.wait(60)
    assert place.sector("r0", 0) == "owed"


def _with_a_third_site(place: Place, number: int, log: str) -> MappedDevice:
    """A device in the slides' dialect; only device 1 has site 2."""
    table = f"0 {DEVICE_SECTORS} replicator default {log}"
    for words in (
        f"local 2 0 async 2 {number} /dev/l{number} - 0",
        f"local 2 1 async 2 {number} /dev/r{number} disk 3 {REGION_SECTORS} /dev/d{number} nosync",
        f"local 2 2 async 2 1 /dev/third disk 3 {REGION_SECTORS} /dev/third_dirty nosync" if number else "",
    ):
        table += f" {words}"
    return place.dm.create(f"v{number}", table)


def _begin_with_three(place: Place) -> MappedDevice:
    """Device 1, after device 0."""
    for name, sectors in (("third", DEVICE_SECTORS), ("third_dirty", 8)):
        place.world.disk(name, sectors)
        place.sizes[name] = sectors
    place.dm = place.boot()
    _with_a_third_site(place, 0, f"4 /dev/log 0 create {LOG_SECTORS}")
    return _with_a_third_site(place, 1, "3 /dev/log 0 open")


def _open_with_three(place: Place) -> None:
    for number in range(2):
        _with_a_third_site(place, number, "3 /dev/log 0 open")


def test_a_site_that_only_the_second_table_names_gets_what_it_was_owed(place: Place) -> None:
    md = _begin_with_three(place)
    place.tell(md, "slink pause 2")
    place.write(md, 0, "owed")
    place.wait(3)
    place.remove_all()
    _open_with_three(place)
    place.wait(60)
    assert place.sector("third", 0) == "owed"


@pytest.mark.parametrize("number", range(1, 7))
def test_what_a_site_that_no_table_names_was_owed_is_remembered_before_it_is_dropped(place: Place, number: int) -> None:
    md = _begin_with_three(place)
    for site in (1, 2):
        place.tell(md, f"slink pause {site}")
    place.write(place.dm["v0"], 0, "keeps the head")
    place.write(md, 0, "owed")
    place.wait(3)
    place.remove_all()
    place.link.cut()
    log = place.world.disks["log"]
    log.faults = Faults({number: Fault(Ill.ERROR)}, concerns=lambda disk, call: (disk, call) == ("log", Call.WRITE))
    with suppress(IoctlError):
        _open_with_three(place)
    place.wait(3)
    place.remove_all()
    log.faults = None
    place.link.heal()
    _open_with_three(place)
    place.wait(60)
    assert place.sector("third", 0) == "owed"


def test_lost_areas_are_not_all_that_a_site_lacks_whom_no_table_named(place: Place) -> None:
    md = _begin_with_three(place)
    for site in range(3):
        place.tell(md, f"slink pause {site}")
    place.write(md, 0, "owed")
    place.write(md, REGION_SECTORS, "rots")
    place.wait(3)
    place.remove_all()
    log = place.world.disks["log"]
    log.pwrite(b"!" * 512, log.image.index(b"rots".ljust(512, b".")) << 9)
    _open_with_three(place)
    place.wait(60)
    assert running(place.dm).settled
    assert place.sector("third", 0) == "owed"


def test_lost_areas_are_not_all_that_a_site_lacks_which_was_left_out(place: Place) -> None:
    group, md = place.group(), place.device(0)
    for site in range(2):
        place.tell(group, f"slink pause {site}")
    place.write(md, REGION_SECTORS, "rots")
    place.wait(1)
    place.remove_all()
    log = place.world.disks["log"]
    log.pwrite(b"!" * 512, log.image.index(b"rots".ljust(512, b".")) << 9)
    place.group(log=OPEN)
    md = place.device(0, None)
    place.write(md, 0, "only here")
    place.wait(5)
    place.reload(md, place.device_table(0, ""))
    place.wait(60)
    assert place.sector("r0", 0) == "only here"


def test_a_copy_that_the_log_forgot_is_copied_whenever_it_comes_back(place: Place) -> None:
    place.group()
    place.device(0, _CORE)
    md = place.device(1, _CORE)
    place.link.cut()
    for number in range(400):
        place.write(md, number * 8, "x")
        place.wait(0.02)
    place.wait(30)
    assert Membership.RESYNC_OWED in running(place.dm).group.log.members.values()
    place.remove_all()
    place.link.heal()
    place.world.disks["log"].pwrite(b"!" * 512, 512)
    for _ in range(2):
        place.group(log=OPEN)
        place.device(0, _CORE)
        place.wait(60)
        place.remove_all()
    place.group(log=OPEN)
    for number in range(2):
        place.device(number, _CORE)
    place.wait(60)
    assert running(place.dm).settled
    assert place.equal()


def test_a_dirty_log_that_could_not_be_stored_is_not_believed_later(place: Place) -> None:
    place.group()
    place.device(0)
    place.wait(2)
    place.remove_all()
    # What the dirty log holds now is of that time.
    place.world.disks["l0"].pwrite(b"new".ljust(512, b"."), 0)
    place.world.disks["l0"].flush()
    lasting = Fault(Ill.ERROR, lasting=True)
    place.world.disks["d0"].faults = Faults({1: lasting}, concerns=lambda disk, call: call is Call.WRITE)
    place.link.cut()
    place.group()
    place.device(0, "sync")
    place.wait(1)
    place.lose_power()
    place.group(log=OPEN)
    place.device(0, "sync")
    place.wait(60)
    assert place.sector("r0", 0) == "new"


def test_lost_areas_are_not_all_that_a_copy_lacks_after_a_takeover(place: Place) -> None:
    group, md = place.group(), place.device(0, _CORE)
    for site in range(2):
        place.tell(group, f"slink pause {site}")
    place.write(md, 0, "rots")
    place.wait(1)
    place.remove_all()
    log = place.world.disks["log"]
    log.pwrite(b"!" * 512, log.image.index(b"rots".ljust(512, b".")) << 9)
    place.group(log=OPEN)
    md = place.device(0, _CORE)
    place.wait(30)
    assert running(place.dm).group.log.report.damage
    place.link.cut()
    for number in range(300):
        place.write(md, REGION_SECTORS + number, "x")
        place.wait(0.02)
    place.wait(30)
    assert place.runtime.sightings["replicator: entries are dropped"]
    place.reload(md, place.device_table(0, _CORE))
    place.link.heal()
    place.wait(300)
    assert place.equal([0])
