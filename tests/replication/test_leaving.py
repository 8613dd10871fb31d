"""A device suspends although what it wrote waits for something that does not come."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dmtable import MappedDevice
from tests.replication.simulated import Place

_KEEPS: dict[str, Callable[[Place, MappedDevice], object]] = {
    "suspended": lambda place, md: place.dm.suspend(md),
    "removed": lambda place, md: place.dm.remove(md),
    "stopped": lambda place, md: place.tell(md, "stop"),
}


def _keep(place: Place, how: str, sites: int) -> MappedDevice:
    """An entry of device 0 keeps what is behind it from the last so many sites; device 1."""
    kept, md = place.device(0), place.device(1)
    place.wait(1)
    group = place.dm["group"]
    for site in range(2 - sites, 2):
        place.tell(group, f"slink pause {site}")
    place.write(kept, 0, "first")
    _KEEPS[how](place, kept)
    for site in range(2 - sites, 2):
        place.tell(group, f"slink resume {site}")
    return md


@pytest.mark.parametrize("how", _KEEPS)
def test_writers_who_wait_for_space_behind_a_device_at_rest(place: Place, how: str) -> None:
    place.group()
    md = _keep(place, how, 2)
    bio = place.write(md, 0, "x")
    for number in range(400):
        if not bio.done:
            break
        bio = place.write(md, number * 8, "x")
        place.wait(0.02)
    place.wait(30)
    assert not bio.done
    assert place.ends(lambda: place.dm.suspend(md))


@pytest.mark.parametrize("how", ["suspended", "removed"])
def test_writers_who_wait_for_a_site_behind_a_device_at_rest(place: Place, how: str) -> None:
    place.group("synchronous")
    md = _keep(place, how, 1)
    bio = place.write(md, 8, "x")
    place.wait(30)
    assert not bio.done
    assert place.ends(lambda: place.dm.suspend(md))


def test_writers_who_wait_for_a_site_that_waits_for_the_local_one(place: Place) -> None:
    group, md = place.group("synchronous"), place.device(0, "sync")
    place.tell(group, "slink pause 0")
    bio = place.write(md, 0, "its region is out of sync")
    place.wait(5)
    assert not bio.done
    assert place.ends(lambda: place.dm.suspend(md))
