"""A device's next table says something else of a copy: what is known of it holds only as far as it can."""

from __future__ import annotations

import pytest

from dmtable import MappedDevice
from tests.replication.places import running
from tests.replication.simulated import DEVICE_SECTORS, OPEN, REGION_SECTORS, Place

_CORE = f"core 2 {REGION_SECTORS} nosync"


def _sized(place: Place, sectors: int, dirty_log: str) -> str:
    return place.device_table(0, dirty_log).replace(f"0 {DEVICE_SECTORS} ", f"0 {sectors} ", 1)


def _lose_entries(place: Place, md: MappedDevice, first: int = 0) -> None:
    """The log is full while the link is cut: site 1 lacks regions."""
    place.link.cut()
    for number in range(400):
        place.write(md, first + number % 256 * 8, f"{number}")
        place.wait(0.02)
    place.wait(30)
    assert place.runtime.sightings["replicator: entries are dropped"]
    assert not place.equal([0])


def _settle(place: Place) -> None:
    place.wait(300)
    assert running(place.dm).settled


@pytest.mark.parametrize("anew", [False, True], ids=["by a reload", "in the next session"])
def test_a_dirty_log_in_memory_does_not_know_what_one_on_a_device_did(place: Place, anew: bool) -> None:
    place.group()
    md = place.device(0)
    _lose_entries(place, md)
    if anew:
        place.remove_all()
        place.group(log=OPEN)
        place.device(0, _CORE)
    else:
        place.reload(md, place.device_table(0, _CORE))
    place.link.heal()
    _settle(place)
    assert place.equal([0])


def test_regions_of_another_size_are_other_regions(place: Place) -> None:
    place.group()
    md = place.device(0)
    _lose_entries(place, md, REGION_SECTORS)
    place.reload(md, place.device_table(0, f"disk 2 /dev/d0 {2 * REGION_SECTORS}"))
    place.link.heal()
    _settle(place)
    assert place.equal([0])


def test_another_device_at_a_site_is_copied_to(place: Place) -> None:
    place.world.disk("r2", DEVICE_SECTORS)
    place.sizes["r2"] = DEVICE_SECTORS
    place.dm = place.boot()
    place.group()
    md = place.device(0)
    place.write(md, 0, "x")
    place.wait(5)
    place.reload(md, place.device_table(0, "sync").replace("/dev/r0", "/dev/r2"))
    _settle(place)
    assert place.sector("r2", 0) == "x"


@pytest.mark.parametrize("sectors", [REGION_SECTORS, REGION_SECTORS + 1000])
@pytest.mark.parametrize("dirty_log", ["", _CORE])
def test_what_a_device_grew_by_is_copied(place: Place, dirty_log: str, sectors: int) -> None:
    place.group()
    md = place.dm.create("v0", _sized(place, sectors, dirty_log))
    place.wait(30)
    place.world.disks["l0"].pwrite(b"new".ljust(512, b"."), 3500 << 9)
    place.reload(md, place.device_table(0, dirty_log))
    _settle(place)
    assert place.sector("r0", 3500) == "new"


@pytest.mark.parametrize("dirty_log", ["nosync", _CORE])
def test_the_same_once_more_is_not_copied(place: Place, dirty_log: str) -> None:
    place.group()
    md = place.dm.create("v0", _sized(place, 3000, dirty_log))
    place.wait(5)
    place.reload(md, _sized(place, 3000, dirty_log))
    assert running(place.dm).group.sites[1].ordered


def test_entries_behind_the_end_of_a_smaller_device_are_dropped_from_as_others_are(place: Place) -> None:
    place.group()
    md = place.device(0)
    place.wait(1)
    place.link.cut()
    place.write(md, 3000, "beyond")
    place.wait(1)
    place.reload(md, _sized(place, REGION_SECTORS, ""))
    _lose_entries(place, md)
    place.link.heal()
    _settle(place)
    assert place.image("l0")[: REGION_SECTORS << 9] == place.image("r0")[: REGION_SECTORS << 9]


def test_a_lost_entry_behind_the_end_of_a_smaller_device_is_nobodys(place: Place) -> None:
    group, md = place.group(), place.device(0)
    place.wait(1)
    for site in range(2):
        place.tell(group, f"slink pause {site}")
    place.write(md, 3000, "rots")
    place.write(md, 0, "behind it")
    place.wait(3)
    place.remove_all()
    log = place.world.disks["log"]
    log.pwrite(b"!" * 512, log.image.index(b"rots".ljust(512, b".")) << 9)
    place.group(log=OPEN)
    place.dm.create("v0", _sized(place, REGION_SECTORS, ""))
    _settle(place)
