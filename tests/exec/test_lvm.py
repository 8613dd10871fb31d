"""LVM2 on image files: what it stores, moves and mirrors is there at each step, and where it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exec.labs import Lab, needs

MIB = 1 << 20


@pytest.fixture
def pvs(_platform: None, tmp_path: Path) -> Iterator[Lab]:
    """A volume group `vg` on three image files."""
    needs("lvm", "dmsetup", "mkfs.ext4", "debugfs")
    lab = Lab(tmp_path, [64, 64, 64])
    try:
        lab.run("vgcreate", "-s", "1M", "vg", "/dev/loop0", "/dev/loop1", "/dev/loop2")
        yield lab
    finally:
        lab.close()


def _table(lab: Lab, name: str) -> str:
    return lab.run("dmsetup", "table", name)


def test_linear_striped_and_extended(pvs: Lab) -> None:
    pvs.run("lvcreate", "-L", "8M", "-n", "lin", "vg", "/dev/loop0")
    pvs.run("lvcreate", "-i", "3", "-L", "12M", "-n", "str", "vg")
    lin, striped = pvs.fill("/dev/vg/lin", 8 * MIB, "lin"), pvs.fill("/dev/vg/str", 12 * MIB, "str")
    assert _table(pvs, "vg-lin") == "0 16384 linear 7:0 2048\n"
    assert pvs.images[0].read_bytes()[MIB : MIB + 64 * 1024] != bytes(64 * 1024)
    pvs.run("lvextend", "-L", "+4M", "vg/lin", "/dev/loop1")
    assert len(_table(pvs, "vg-lin").splitlines()) == 2
    assert pvs.run("blockdev", "--getsize64", "/dev/vg/lin") == f"{12 * MIB}\n"
    assert pvs.sha256("/dev/vg/lin", 8 * MIB) == lin
    assert pvs.sha256("/dev/vg/str", 12 * MIB) == striped
    pvs.run("lvchange", "-an", "vg")
    assert not list(pvs.mapper)
    pvs.run("lvchange", "-ay", "vg")
    assert (pvs.sha256("/dev/vg/lin", 8 * MIB), pvs.sha256("/dev/vg/str", 12 * MIB)) == (lin, striped)
    pvs.run("vgremove", "-ff", "vg")
    assert not list(pvs.mapper)
    assert pvs.run("ls", "/dev", "/dev/mapper").split() == [
        "/dev:",
        "loop0",
        "loop1",
        "loop2",
        "mapper",
        "/dev/mapper:",
    ]


def test_a_file_system_on_a_volume(pvs: Lab) -> None:
    pvs.run("lvcreate", "-L", "16M", "-n", "fs", "vg", "/dev/loop0")
    pvs.run("mkfs.ext4", "-q", "/dev/vg/fs")
    source = Path(pvs.folder.path, "file")
    source.write_bytes(b"text" * 100_000)
    pvs.run("debugfs", "-w", "-R", f"write {source} file", "/dev/vg/fs")
    pvs.run("lvextend", "-L", "+8M", "vg/fs", "/dev/loop1")
    pvs.sh("e2fsck -fp /dev/vg/fs && resize2fs /dev/vg/fs && e2fsck -fn /dev/vg/fs")
    back = Path(pvs.folder.path, "back")
    pvs.run("debugfs", "-R", f"dump file {back}", "/dev/vg/fs")
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("log", ["core", "disk"])
def test_mirrors(pvs: Lab, log: str) -> None:
    pvs.run("lvcreate", "--type", "mirror", "-m", "1", "--mirrorlog", log, "-L", "8M", "-n", "mir", "vg")
    digest = pvs.fill("/dev/vg/mir", 4 * MIB, log)
    assert f"mirror {log} " in _table(pvs, "vg-mir")
    assert pvs.run("lvs", "--noheadings", "-o", "copy_percent", "vg/mir").strip() == "100.00"
    for leg in ("vg-mir_mimage_0", "vg-mir_mimage_1"):
        assert pvs.sha256(f"/dev/mapper/{leg}", 4 * MIB) == digest
    pvs.run("lvconvert", "-y", "-m", "0", "vg/mir", "/dev/loop0")
    assert "linear 7:1" in _table(pvs, "vg-mir")
    assert pvs.sha256("/dev/vg/mir", 4 * MIB) == digest


def test_moved_under_io(pvs: Lab) -> None:
    pvs.run("lvcreate", "-L", "24M", "-n", "lv", "vg", "/dev/loop0")
    digest = pvs.fill("/dev/vg/lv", 16 * MIB, "still")
    block = Path(pvs.folder.path, "block")
    block.write_bytes(b"under way" * 8192)
    write = f"dd if={block} of=/dev/vg/lv bs=64k seek=320 conv=notrunc,fsync status=none"
    # Somebody writes behind what is verified, all the while.
    busy = f"while ! test -e {block}.stop; do {write}; done"
    pvs.sh(f"{busy} & pvmove -i 1 /dev/loop0 /dev/loop2; : > {block}.stop; wait")
    assert _table(pvs, "vg-lv") == "0 49152 linear 7:2 2048\n"
    assert pvs.sha256("/dev/vg/lv", 16 * MIB) == digest
    there = pvs.images[2].read_bytes()[MIB:]
    assert there[20 * MIB : 20 * MIB + len(block.read_bytes())] == block.read_bytes()
    assert pvs.run("pvs", "--noheadings", "-o", "pv_used", "/dev/loop0").strip() == "0"


def test_a_snapshot_is_refused(pvs: Lab) -> None:
    pvs.run("lvcreate", "-L", "8M", "-n", "lv", "vg")
    digest = pvs.fill("/dev/vg/lv", 8 * MIB, "origin")
    done = pvs.try_run("lvcreate", "-s", "-L", "4M", "-n", "snap", "vg/lv")
    assert done.returncode != 0
    assert "snapshot: Required device-mapper target(s) not detected in your kernel." in done.stderr
    assert pvs.run("lvs", "--noheadings", "-o", "lv_name").split() == ["lv"]
    assert pvs.sha256("/dev/vg/lv", 8 * MIB) == digest


def test_what_is_in_use_is_not_made_a_volume(pvs: Lab) -> None:
    pvs.run("lvcreate", "-L", "8M", "-n", "lv", "vg", "/dev/loop0")
    assert pvs.try_run("pvcreate", "/dev/loop0").returncode == 5
    done = pvs.try_run("pvcreate", "-ff", "-y", "/dev/loop0")
    assert done.returncode == 5
    assert "Can't open /dev/loop0 exclusively" in done.stderr
    done = pvs.try_run("sh", "-c", "exec 3</dev/vg/lv; lvremove -f vg/lv")
    assert done.returncode == 5
    assert "in use" in done.stderr
    pvs.run("lvremove", "-f", "vg/lv")
