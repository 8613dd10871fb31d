"""The uses that the slides draw, over image files: an asynchronous group, and a mirror below the replicator."""

from __future__ import annotations

import errno
from pathlib import Path

from dmtable import DeviceMapper, FileDevice
from dmtable.io.device import Buffer
from dmtable.targets.replicator.verify import Outcome, verify
from tests.replication.places import content, example, load, make, opening, running, settle, written

GROUP = ("berlin/vol0", "berlin/vol1", "tokyo/vol0", "tokyo/vol1", "berlin/log", "berlin/dirty0", "berlin/dirty1")


def test_an_asynchronous_group_keeps_one_order_and_becomes_equal(tmp_path: Path) -> None:
    root = make(tmp_path, *GROUP)
    tables = example("asynchronous", "vol0", "vol1")
    with DeviceMapper(root) as dm:
        volumes = load(dm, tables)
        for number in range(20):
            written(volumes[number % 2], 40 * number, f"write {number}")
        settle(dm)
        dm.message(volumes[0], 0, ["slink", "pause", "1"])
        for number in range(20, 40):
            written(volumes[number % 2], 40 * number, f"write {number}")
        volumes[0].flush()
        assert b"write 19" in content(root, "tokyo/vol1")
        assert b"write 20" not in content(root, "tokyo/vol0")
    assert content(root, "berlin/vol0") != content(root, "tokyo/vol0")
    with DeviceMapper(root) as dm:
        volumes = load(dm, opening(tables))
        assert volumes[1].pread(512, 40 * 39 * 512).startswith(b"write 39")
        settle(dm)
        assert {check.outcome for check in verify(running(dm))} == {Outcome.EQUAL}
    for volume in ("vol0", "vol1"):
        assert content(root, f"berlin/{volume}") == content(root, f"tokyo/{volume}")
    assert b"write 38" in content(root, "tokyo/vol0")


def test_a_mirror_below_the_replicator_keeps_both_legs_and_the_site_equal(tmp_path: Path) -> None:
    images = ("berlin/disk0", "berlin/disk1", "tokyo/vol", "berlin/log", "berlin/dirty", "berlin/mirror-log")
    root = make(tmp_path, *images)
    with DeviceMapper(root) as dm:
        mirror, volume = load(dm, example("mirrored-site", "mirror", "vol"))
        for number in range(30):
            written(volume, 100 * number, f"write {number}")
            # Site 0 is synchronous: both legs have it.
            at = 100 * number * 512
            for leg in ("disk0", "disk1"):
                assert content(root, f"berlin/{leg}")[at : at + 512].startswith(f"write {number}.".encode())
        settle(dm)
        assert dm.status(mirror)[0].split()[5] == "AA"
    assert content(root, "berlin/disk0") == content(root, "berlin/disk1") == content(root, "tokyo/vol")
    assert b"write 29" in content(root, "tokyo/vol")


class _DyingFile(FileDevice):
    """A disk that does not take writes any more once it is told so."""

    dead = False

    def pwrite(self, data: Buffer, offset: int) -> int:
        if self.dead:
            raise OSError(errno.EIO, "the disk died")
        return super().pwrite(data, offset)


def test_a_leg_of_the_mirror_may_fail_while_the_site_is_served(tmp_path: Path) -> None:
    root = make(tmp_path, "berlin/disk0", "tokyo/vol", "berlin/log", "berlin/dirty", "berlin/mirror-log", "other/disk1")
    leg = _DyingFile(root / "other/disk1")
    with DeviceMapper(root) as dm:
        dm.add(leg, "/berlin/disk1")
        mirror, volume = load(dm, example("mirrored-site", "mirror", "vol"))
        for number in range(20):
            leg.dead = number >= 10
            written(volume, 100 * number, f"write {number}")
        settle(dm)
        assert dm.status(mirror)[0].split()[5] == "AD"
        assert volume.pread(512, 100 * 19 * 512).startswith(b"write 19.")
    leg.close()
    assert content(root, "berlin/disk0") == content(root, "tokyo/vol") != content(root, "other/disk1")
