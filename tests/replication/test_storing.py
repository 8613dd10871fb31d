"""What is on its way to the log, or to a dirty log, when a device leaves."""

from __future__ import annotations

import pytest

from dmtable import MappedDevice
from dmtable.core.bio import Bio, Op
from tests.replication.places import running
from tests.replication.simulated import OPEN, Place


@pytest.fixture(name="settling")
def _settling(place: Place) -> MappedDevice:
    """A device whose last region is in sync, in memory; for some seconds the dirty log does not know."""
    place.group()
    md = place.device(0, "sync")
    place.world.disks["d0"].latency_seconds = 1
    site = running(place.dm).group.sites[1]
    place.runtime.pass_time(60, lambda: site.ordered)
    assert site.ordered
    return md


def test_what_is_forgotten_meanwhile_is_copied(place: Place, settling: MappedDevice) -> None:
    place.write(settling, 0, "owed")
    place.dm.remove(settling)
    assert place.tell(place.dm["group"], "replog forget 0")
    place.wait(60)
    place.device(0, "")
    place.wait(60)
    assert place.sector("r0", 0) == "owed"


def test_what_a_reload_leaves_out_meanwhile_is_copied(place: Place, settling: MappedDevice) -> None:
    place.reload(settling, place.device_table(0, None))
    place.wait(60)
    place.write(settling, 0, "only here")
    place.wait(60)
    place.reload(settling, place.device_table(0, ""))
    place.wait(60)
    assert place.sector("r0", 0) == "only here"


def test_what_is_being_committed_is_there_after_a_removal(place: Place) -> None:
    place.group()
    md = place.device(0)
    place.write(md, 0, "zeroed")
    place.wait(1)
    place.world.disks["log"].latency_seconds = 1
    zeroes = Bio(Op.WRITE_ZEROES, 0, 1)
    md.submit(zeroes)
    # The log's first entry without data: its header is written before the entry is.
    place.wait(0.5)
    assert zeroes.done
    place.remove_all()
    place.group(log=OPEN)
    place.device(0, "")
    place.wait(60)
    assert (place.sector("l0", 0), place.sector("r0", 0)) == ("", "")
