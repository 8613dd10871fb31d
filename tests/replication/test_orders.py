"""What messages do to those who wait, and to what is kept for the sites."""

from __future__ import annotations

import pytest

from tests.replication.simulated import Place


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
