"""A site gets on, whatever others are owed."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.replication.places import running
from tests.replication.simulated import LOG_SECTORS, OPEN, Place


def test_a_site_passes_all_entries_that_it_is_not_owed() -> None:
    sectors = 4 * LOG_SECTORS
    place = Place(1, log_sectors=sectors)
    with closing(place.world):
        group = place.group(near="synchronous", log=f"ringbuffer 4 /dev/log 0 create {sectors}")
        md = place.device(0)
        place.tell(group, "slink pause 1")
        for number in range(600):
            place.write(md, number, "x")
        place.wait(2)
        place.remove_all()
        place.link.cut()
        place.group(near="synchronous", log=OPEN)
        md = place.device(0)
        place.wait(1)
        assert running(place.dm).group.log.head == 1
        bio = place.write(md, 0, "new")
        place.wait(1)
        assert bio.done


@pytest.mark.parametrize("far", ["slow", "hanging"])
def test_a_synchronous_local_site_does_not_wait_for_a_far_one(place: Place, far: str) -> None:
    place.group(near="synchronous")
    md = place.device(0)
    place.wait(1)
    if far == "slow":
        place.link.slow(1)
    else:
        place.link.cut(hang=True)
    begun = place.runtime.now()
    for number in range(20):
        bio = place.write(md, 0, f"{number}")
        while not bio.done:
            place.wait(0.01)
    assert place.runtime.now() - begun < 1
