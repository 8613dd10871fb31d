"""Whose the devices are that a site reaches again: an md below must know who uses it."""

from __future__ import annotations

import pytest

from dmtable import MappedDevice
from dmtable.errors import IoctlError
from tests.replication.simulated import DEVICE_SECTORS, LOG_SECTORS, REGION_SECTORS, Place


def _slides(place: Place, number: int, log: str, far: str) -> MappedDevice:
    table = (
        f"0 {DEVICE_SECTORS} replicator default {log} local 2 0 async 2 {number} /dev/l{number} - 0 "
        f"local 2 1 async 2 {number} {far} disk 3 {REGION_SECTORS} /dev/d{number} nosync"
    )
    return place.dm.create(f"v{number}", table)


def test_a_device_that_comes_back_belongs_to_its_own_table(place: Place) -> None:
    first = _slides(place, 0, f"4 /dev/log 0 create {LOG_SECTORS}", "/dev/r0")
    second = _slides(place, 1, "3 /dev/log 0 open", "/dev/mapper/under")
    under = place.dm.create("under", f"0 {DEVICE_SECTORS} linear /dev/r1 0")
    place.wait(60)
    place.dm.remove(first)
    assert under.open_count == 1
    with pytest.raises(IoctlError, match="under is in use"):
        place.dm.remove(under)
    place.write(second, 0, "x")
    place.wait(60)
    assert place.sector("r1", 0) == "x"
