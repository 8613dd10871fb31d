"""The log's device fails: whatever was asked for ends, and with an error."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from dmtable import MappedDevice
from dmtable.core.bio import Bio, Op
from dmtable.replog.log import Membership
from dmtable.sim.faults import Call, Fault, Faults, Ill
from tests.replication.places import running
from tests.replication.simulated import OPEN, REGION_SECTORS, Place


def _once(call: Call) -> Faults:
    """The log's next call of that kind fails."""
    return Faults({1: Fault(Ill.ERROR)}, concerns=lambda disk, each: (disk, each) == ("log", call))


def _pause(place: Place) -> None:
    for site in range(2):
        place.tell(place.dm["group"], f"slink pause {site}")


def _reopened(place: Place, far: str) -> MappedDevice:
    """A device of a group at rest; what sector 0 holds is on the log's device alone."""
    place.group()
    _pause(place)
    place.write(place.device(0), 0, "in the log")
    place.wait(1)
    place.remove_all()
    place.group(far, log=OPEN)
    _pause(place)
    md = place.device(0)
    place.wait(1)
    return md


def _assert_failed(*bios: Bio) -> None:
    assert [(bio.done, bio.error) for bio in bios] == [(True, errno.EIO)] * len(bios)


def test_a_read_after_the_log_failed_ends(place: Place) -> None:
    md = _reopened(place, "asynchronous")
    place.world.disks["log"].faults = _once(Call.FLUSH)
    place.write(md, 8, "x")
    assert running(place.dm).group.log.failed
    read = place.read(md, 0)
    place.wait(1)
    _assert_failed(read)


def test_a_log_that_fails_in_a_read_fails_all_who_wait(place: Place) -> None:
    md = _reopened(place, "synchronous")
    write = place.write(md, 8, "waits for site 1")
    place.wait(1)
    assert not write.done
    place.world.disks["log"].faults = _once(Call.READ)
    read = place.read(md, 0)
    place.wait(1)
    _assert_failed(read, write, place.write(md, 16, "later"))
    assert any("the log failed" in line for line in place.dm.klog)


def test_a_log_that_fails_in_a_takeover_fails_all_who_wait(place: Place) -> None:
    place.group()
    md = place.device(0, f"core 2 {REGION_SECTORS} nosync")
    log = running(place.dm).group.log
    faults = place.world.disks["log"].faults = Faults(
        {1: Fault(Ill.ERROR)},
        concerns=lambda disk, call: (
            (disk, call) == ("log", Call.FLUSH) and Membership.RESYNC_OWED in log.members.values()
        ),
    )
    place.link.cut()
    for number in range(400):
        bio = place.write(md, number * 8, "x")
        place.wait(0.02)
        if not bio.done or bio.error:
            break
    place.wait(60)
    assert faults.struck
    _assert_failed(bio)
    assert any("the log failed" in line for line in place.dm.klog)


def test_a_write_that_comes_as_the_log_fails_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.group()
    md = place.device(0)
    place.wait(1)
    group = running(place.dm).group

    class FailsBefore:
        """The group's lock; the log fails when it is asked for."""

        lock = group.lock

        def __enter__(self) -> object:
            monkeypatch.undo()
            place.world.disks["log"].faults = _once(Call.WRITE)
            place.write(md, 64, "before")
            assert group.log.failed
            return self.lock.__enter__()

        def __exit__(self, *error: Any) -> object:
            return self.lock.__exit__(*error)

    bio = Bio(Op.WRITE, 0, 1, memoryview(b"x" * 512), fua=True)
    monkeypatch.setattr(group, "lock", FailsBefore())
    group.submit(group.devices[0], bio)
    place.wait(1)
    _assert_failed(bio)
