"""Regions that are being copied when their site, their device or their group comes to rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dmtable import MappedDevice
from dmtable.sim.faults import Call, Fault, Faults, Ill
from tests.replication.places import running
from tests.replication.simulated import Place


@pytest.fixture(name="copied")
def _copied(place: Place) -> MappedDevice:
    """A device of which region 0 is being copied: it takes seconds."""
    place.group()
    place.world.disks["l0"].latency_seconds = 1
    md = place.device(0, "sync")
    place.wait(0.5)
    copy = running(place.dm).group.sites[1].copy
    assert copy is not None
    assert copy.begun
    return md


@pytest.mark.parametrize("broken", ["cut", "paused"])
def test_entries_do_not_wait_for_a_copy_over_a_broken_link(place: Place, copied: MappedDevice, broken: str) -> None:
    other = place.device(1)
    if broken == "cut":
        place.link.cut()
        place.write(other, 0, "the link's error is noticed")
        place.wait(1)
    else:
        place.tell(place.dm["group"], "slink pause 1")
    place.write(copied, 0, "in the region")
    place.write(other, 8, "behind it")
    place.wait(200)
    assert (place.sector("l0", 0), place.sector("l1", 8)) == ("in the region", "behind it")
    assert place.ends(lambda: place.dm.suspend(copied))


def _fail_log(place: Place, md: MappedDevice) -> None:
    place.world.disks["log"].faults = Faults(
        {1: Fault(Ill.ERROR)}, concerns=lambda disk, call: (disk, call) == ("log", Call.WRITE)
    )
    place.write(md, 0, "x")
    assert running(place.dm).group.log.failed


_RESTS: dict[str, Callable[[Place, MappedDevice], object]] = {
    "the log failed": _fail_log,
    "the group is stopped": lambda place, md: place.tell(place.dm["group"], "stop"),
    "the link is paused": lambda place, md: place.tell(place.dm["group"], "slink pause 1"),
}


@pytest.mark.parametrize("rest", _RESTS)
def test_a_device_leaves_in_the_midst_of_a_copy(place: Place, copied: MappedDevice, rest: str) -> None:
    _RESTS[rest](place, copied)
    place.wait(0.1)
    assert place.ends(lambda: place.dm.remove(copied))


def test_a_copy_leaves_its_paused_site(place: Place, copied: MappedDevice) -> None:
    place.tell(place.dm["group"], "slink pause 1")
    place.wait(60)
    assert place.ends(lambda: place.tell(copied, "device del 1"))


def test_a_copy_is_not_overwritten_with_what_its_site_was_owed_before(place: Place) -> None:
    group, md, other = place.group(), place.device(0), place.device(1)
    place.wait(1)
    place.tell(group, "slink pause 1")
    place.write(other, 0, "keeps what is behind it")
    place.wait(1)
    place.dm.suspend(other)
    place.tell(group, "slink resume 1")
    place.write(md, 0, "old")
    place.reload(md, place.device_table(0, None))
    place.write(md, 0, "new")
    place.wait(1)
    place.reload(md, place.device_table(0, ""))
    place.wait(60)
    place.dm.resume(other)
    place.wait(60)
    assert running(place.dm).settled
    assert place.sector("r0", 0) == "new"


def test_what_is_written_while_a_device_comes_to_a_site_gets_there(place: Place) -> None:
    place.group()
    md = place.device(0, None)
    place.wait(5)
    place.world.disks["log"].latency_seconds = 1
    adding = place.runtime.spawn(lambda: place.tell(md, "device add 1 1 /dev/r0 core 2 2048 sync"))
    sectors = range(0, 160, 8)
    for sector in sectors:
        place.write(md, sector, f"at {sector}")
        place.wait(0.5)
    place.wait(300)
    assert adding.done
    assert running(place.dm).settled
    assert [place.sector("r0", sector) for sector in sectors] == [f"at {sector}" for sector in sectors]


def test_a_site_that_comes_late_waits_until_the_local_one_has_what_it_will_never_be_sent(place: Place) -> None:
    place.group()
    md = place.device(0, None)
    place.world.disks["l0"].latency_seconds = 2
    sectors = range(0, 128, 2)
    for sector in sectors:
        place.write(md, sector, f"at {sector}")
    place.wait(1)
    place.tell(md, "device add 1 1 /dev/r0 core 2 2048 sync")
    place.wait(300)
    assert running(place.dm).settled
    assert [place.sector("r0", sector) for sector in sectors] == [f"at {sector}" for sector in sectors]
