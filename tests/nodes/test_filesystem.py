"""A file system on a replicator, as in the slides: made, mounted and filled through its node; both sites have it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.nodes.nodes import Nodes
from tests.nodes.conftest import WHY_NOT, until
from tests.replication.places import settle

SECTORS = 32 << 11
LOG_SECTORS = 16 << 11
TABLE = (
    f"0 {SECTORS} replicator ringbuffer 4 /berlin/log 0 create {LOG_SECTORS} "
    "blockdev 2 0 asynchronous 2 0 /berlin/vol - 0 "
    "blockdev 3 1 asynchronous ios=10000 2 0 /tokyo/vol disk 3 /berlin/dirty 2048 nosync"
)
MISSING = [name for name in ("losetup", "mkfs.ext4", "e2fsck", "mount") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has loop devices, and mounts ext4"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
    pytest.mark.skipif(bool(MISSING), reason=f"there is no {', no '.join(MISSING)} (Debian: mount, e2fsprogs)"),
]


def run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.strip()


class Site:
    """The machine in Berlin: its volume's node, and how to have the file system there mounted."""

    def __init__(self, root: Path, dm: DeviceMapper, node: Path) -> None:
        self.root = root
        self.dm = dm
        self.node = node
        self.files = root / "files"
        self.files.mkdir()
        self._mounted = ExitStack()

    def mount(self) -> None:
        loop = run("losetup", "--find", "--show", self.node)
        self._mounted.callback(run, "losetup", "--detach", loop)
        run("mount", loop, self.files)
        self._mounted.callback(run, "umount", self.files)

    def unmount(self) -> None:
        self._mounted.close()
        # The loop device closes the file when it likes.
        until(lambda: self.dm["vol"].open_count == 0)


@pytest.fixture
def berlin(tmp_path: Path) -> Iterator[Site]:
    for folder in ("berlin", "tokyo"):
        (tmp_path / folder).mkdir()
    for image, sectors in (("berlin/vol", SECTORS), ("tokyo/vol", SECTORS), ("berlin/log", LOG_SECTORS)):
        with open(tmp_path / image, "wb") as file:
            file.truncate(sectors << 9)
    (tmp_path / "berlin" / "dirty").write_bytes(bytes(1 << 20))
    with DeviceMapper(tmp_path) as dm, Nodes(dm, tmp_path / "mapper"):
        dm.create("vol", TABLE)
        site = Site(tmp_path, dm, tmp_path / "mapper" / "vol")
        try:
            yield site
        finally:
            site.unmount()


def checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def test_both_sites_hold_a_clean_file_system(berlin: Site) -> None:
    run("mkfs.ext4", "-q", berlin.node)
    berlin.mount()
    for number in range(40):
        (berlin.files / f"file{number}").write_bytes(os.urandom(1000 * number))
    (berlin.files / "file7").unlink()
    os.sync()
    have = checksums(berlin.files)
    berlin.unmount()
    run("e2fsck", "-fn", berlin.node)
    settle(berlin.dm)
    run("e2fsck", "-fn", berlin.root / "tokyo" / "vol")
    assert (berlin.root / "tokyo" / "vol").read_bytes() == berlin.node.read_bytes()
    assert (berlin.root / "tokyo" / "vol").read_bytes() == (berlin.root / "berlin" / "vol").read_bytes()
    berlin.mount()
    assert checksums(berlin.files) == have
    run("fstrim", berlin.files)
    assert checksums(berlin.files) == have


def test_the_remote_site_can_be_mounted_as_it_is_at_any_moment(berlin: Site) -> None:
    """Writes arrive there in their order, so that the journal does what it is for."""
    run("mkfs.ext4", "-q", berlin.node)
    settle(berlin.dm)
    berlin.mount()
    for number in range(30):
        with open(berlin.files / f"file{number}", "wb") as file:
            file.write(os.urandom(20_000))
            os.fsync(file.fileno())
        if number % 10 == 5:
            berlin.dm.message(berlin.dm["vol"], 0, ["slink", "pause", "1"])
            copy = berlin.root / "copy"
            shutil.copyfile(berlin.root / "tokyo" / "vol", copy)
            berlin.dm.message(berlin.dm["vol"], 0, ["slink", "resume", "1"])
            recovered = subprocess.run(["e2fsck", "-p", copy], capture_output=True, text=True)
            assert recovered.returncode in (0, 1), recovered
            run("e2fsck", "-fn", copy)
    berlin.unmount()
