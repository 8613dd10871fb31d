"""What messages do to those who wait, and to what is kept for the sites."""

from __future__ import annotations

import pytest

from dmtable.sim.faults import Call, Fault, Faults, Ill
from tests.replication.places import running
from tests.replication.simulated import OPEN, REGION_SECTORS, Place


def test_nobody_waits_for_a_site_that_left(place: Place) -> None:
    group, md = place.group("synchronous"), place.device(0)
    place.tell(group, "slink pause 1")
    bio = place.write(md, 0, "x")
    place.wait(1)
    assert not bio.done
    place.tell(md, "device del 1")
    place.tell(group, "slink del 1")
    place.wait(1)
    assert (bio.done, bio.error) == (True, 0)
    assert place.ends(lambda: place.dm.suspend(md))


def test_a_limit_outlives_a_policy_that_stays_asynchronous(place: Place) -> None:
    group, md = place.group("asynchronous ios 1"), place.device(0)
    place.link.cut()
    assert place.write(md, 0, "within the limit").done
    bio = place.write(md, 8, "beyond it")
    place.tell(group, "slink message 1 policy asynchronous+stall")
    place.wait(1)
    assert not bio.done
    place.link.heal()
    place.wait(60)
    assert bio.done


def test_a_new_time_limit_counts_from_when_the_backlog_came(place: Place) -> None:
    group, md = place.group(), place.device(0)
    place.link.cut()
    place.write(md, 0, "old")
    place.wait(50)
    place.tell(group, "slink message 1 fallbehind timeout=1000")
    bio = place.write(md, 8, "new")
    place.wait(1)
    assert not bio.done
    place.link.heal()
    place.wait(60)
    assert bio.done
    assert place.write(md, 16, "in time").done


@pytest.mark.parametrize("dirty_log", ["", "core 2 2048 nosync"])
def test_forgotten_entries_are_copied_when_their_device_comes_back(place: Place, dirty_log: str) -> None:
    group, md = place.group(), place.device(0, dirty_log or "nosync")
    place.wait(1)
    place.tell(group, "slink pause 1")
    place.write(md, 0, "here alone")
    place.wait(2)
    place.dm.remove(md)
    place.tell(group, "replog forget 0")
    place.tell(group, "slink resume 1")
    place.device(0, dirty_log)
    place.wait(60)
    assert place.sector("r0", 0) == "here alone"


def test_a_copy_that_leaves_is_owed_nothing_when_it_comes_back(place: Place) -> None:
    group, md = place.group(), place.device(0)
    place.tell(group, "slink pause 1")
    place.write(md, 0, "old")
    place.tell(md, "device del 1")
    place.write(md, 0, "new")
    place.wait(1)
    place.world.disks["r0"].pwrite(place.image("l0"), 0)
    place.tell(md, f"device add 1 1 /dev/r0 core 2 {REGION_SECTORS} nosync")
    place.tell(group, "slink resume 1")
    place.wait(60)
    assert place.sector("r0", 0) == "new"


def test_a_site_passes_over_what_nobody_is_owed(place: Place) -> None:
    group, md = place.group(), place.device(0)
    place.tell(group, "slink pause 1")
    place.write(md, 0, "for both sites")
    place.reload(md, place.device_table(0, None))
    for number in range(9):
        place.write(md, number, "for the local site")
    place.wait(1)
    place.tell(group, "slink resume 1")
    place.wait(1)
    log = running(place.dm).group.log
    assert not log.failed
    assert log.head > log.last


def _failing_write(number: int) -> Faults:
    """So many writes from now the log's device fails once."""
    return Faults({number: Fault(Ill.ERROR)}, concerns=lambda disk, call: (disk, call) == ("log", Call.WRITE))


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("message", ["replog forget 0", "slink del 1"])
def test_what_is_forgotten_is_owed_first(place: Place, message: str, number: int) -> None:
    group, md, other = place.group(), place.device(0), place.device(1)
    place.wait(1)
    place.tell(group, "slink pause 1")
    place.write(md, 0, "here alone")
    place.wait(2)
    place.dm.remove(md)
    place.tell(other, "device del 1")
    place.world.disks["log"].faults = _failing_write(number)
    place.tell(group, message)
    place.remove_all()
    place.world.disks["log"].faults = None
    place.group(log=OPEN)
    place.device(0, "")
    place.wait(60)
    assert place.sector("r0", 0) == "here alone"


def test_a_site_that_left_and_comes_back_is_copied_what_it_was_owed(place: Place) -> None:
    group, md = place.group(), place.device(0)
    place.wait(1)
    place.tell(group, "slink pause 1")
    place.write(md, 0, "here alone")
    place.wait(2)
    place.dm.remove(md)
    place.tell(group, "slink del 1")
    place.tell(group, "slink add blockdev 2 1 asynchronous")
    place.device(0, "")
    place.wait(60)
    assert place.sector("r0", 0) == "here alone"


def test_a_resync_that_nobody_needs_is_not_let_go_for_later(place: Place) -> None:
    group, md = place.group("asynchronous+hold"), place.device(0)
    place.wait(1)
    place.tell(group, "slink resync 1")
    place.link.cut()
    for number in range(400):
        place.write(md, number * 8, "x")
        place.wait(0.02)
    place.wait(30)
    place.link.heal()
    place.wait(60)
    site = running(place.dm).group.sites[1]
    assert not site.ordered
    assert site.resync_is_held


def test_forgotten_entries_take_no_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmtable.targets.replicator.group.KEPT_BYTES", 512)
    group, forgotten, md = place.group(), place.device(0), place.device(1)
    for site in range(2):
        place.tell(group, f"slink pause {site}")
    place.write(forgotten, 0, "one sector")
    place.wait(1)
    place.dm.remove(forgotten)
    place.tell(group, "replog forget 0")
    place.write(md, 0, "the next")
    place.wait(1)
    assert place.read(md, 0).done
    assert place.runtime.sightings["replicator: a read from memory"]
    assert not place.runtime.sightings["replicator: a read from the log"]
