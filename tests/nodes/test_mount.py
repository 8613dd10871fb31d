"""Mounting and unmounting: as root and as another user, over what a dead server left, and while files are open."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import UsageError
from dmtable.nodes import mount
from dmtable.nodes.mount import clear_stale
from dmtable.nodes.nodes import Nodes
from tests.nodes.conftest import WHY_NOT, fails, until

ROOT = Path(__file__).parent.parent.parent
NOBODY = 65534
SERVER = """if True:
    import os, sys
    from pathlib import Path
    from dmtable.core.device_mapper import DeviceMapper
    from dmtable.nodes.nodes import Nodes
    folder, user = Path(sys.argv[1]), int(sys.argv[2])
    if user:
        # What is imported late is so now: this Python may be root's alone.
        import ctypes
        with DeviceMapper() as dm:
            dm.create("vol", "0 8 zero")
        os.setgroups([]), os.setgid(user), os.setuid(user)
    with DeviceMapper() as dm, Nodes(dm, folder) as nodes:
        dm.create("vol", "0 8 zero")
        print(os.listdir(folder), (folder / "vol").stat().st_size, os.geteuid(), flush=True)
        if sys.argv[3:]:
            sys.stdin.read()
        with open(folder / "vol", "r+b", 0) as file:
            assert file.read(100) == bytes(100)
            assert file.write(bytes(512)) == 512
    print(os.listdir(folder), os.path.ismount(folder), flush=True)
"""

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture
def dm() -> Iterator[DeviceMapper]:
    with DeviceMapper() as made:
        made.create("vol", "0 8 zero")
        yield made


def server(folder: Path, user: int = 0, *more: str) -> subprocess.Popen[str]:
    """Another process that serves a folder, until the end of its input where there is a word more."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, folder, str(user), *more],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_folder_is_made_and_empty_again_afterwards(dm: DeviceMapper, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b c\\\udcff"
    with Nodes(dm, folder) as nodes:
        assert os.listdir(folder) == ["vol"]
        assert nodes.mounted
        assert os.path.ismount(folder)
    assert not nodes.mounted
    assert os.listdir(folder) == []
    assert not os.path.ismount(folder)
    nodes.close()


def test_a_folder_is_served_once(dm: DeviceMapper, tmp_path: Path) -> None:
    folder = tmp_path / "b c\\\udcff"
    with Nodes(dm, folder):
        with pytest.raises(UsageError, match="served already"):
            Nodes(dm, folder)
        with Nodes(dm, tmp_path / "second"):
            assert os.listdir(tmp_path / "second") == os.listdir(folder) == ["vol"]
        assert os.listdir(folder) == ["vol"]


def test_what_a_killed_server_left_is_cleared_away(dm: DeviceMapper, tmp_path: Path) -> None:
    folder = tmp_path / "mapper"
    with server(folder, 0, "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("['vol'] 4096")
        fd = os.open(folder / "vol", os.O_RDONLY)
        process.kill()
    with fails(errno.ENOTCONN):
        os.stat(folder)
    with fails(errno.ENOTCONN):
        os.pread(fd, 512, 0)
    with Nodes(dm, folder):
        assert os.listdir(folder) == ["vol"]
    assert not os.path.ismount(folder)
    os.close(fd)


def test_nothing_is_cleared_away_where_nothing_is_stale(dm: DeviceMapper, tmp_path: Path) -> None:
    clear_stale(tmp_path / "nowhere")
    clear_stale(tmp_path)
    with Nodes(dm, tmp_path / "mapper"):
        clear_stale(tmp_path / "mapper")
        assert os.listdir(tmp_path / "mapper") == ["vol"]


def test_an_unmount_by_somebody_else_is_noticed(dm: DeviceMapper, tmp_path: Path) -> None:
    with Nodes(dm, tmp_path / "mapper") as nodes:
        mount.unmount(tmp_path / "mapper")
        until(lambda: not nodes.mounted)
        with Nodes(dm, tmp_path / "mapper"):
            nodes.close()
            assert os.listdir(tmp_path / "mapper") == ["vol"]


def test_open_files_do_not_keep_it_mounted(dm: DeviceMapper, tmp_path: Path) -> None:
    nodes = Nodes(dm, tmp_path / "mapper")
    fd = os.open(tmp_path / "mapper" / "vol", os.O_RDWR)
    folder = os.open(tmp_path / "mapper", os.O_RDONLY)
    assert dm["vol"].open_count == 1
    nodes.close()
    assert dm["vol"].open_count == 0
    assert not os.path.ismount(tmp_path / "mapper")
    with fails(errno.ENOTCONN):
        os.read(fd, 512)
    with fails(errno.ENOTCONN):
        os.listdir(folder)
    os.close(fd)
    os.close(folder)


def test_descriptors_are_given_back(dm: DeviceMapper, tmp_path: Path) -> None:
    def descriptors() -> int:
        import gc

        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    with Nodes(dm, tmp_path / "mapper"):
        pass
    before = descriptors()
    for _ in range(5):
        with Nodes(dm, tmp_path / "mapper"):
            assert os.listdir(tmp_path / "mapper") == ["vol"]
    until(lambda: descriptors() <= before)


def test_a_file_in_the_place_of_the_folder(dm: DeviceMapper, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="file"):
            Nodes(dm, path)
    assert (tmp_path / "file").read_text() == "here"


def test_a_platform_without_fuse(dm: DeviceMapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "_DEVICE", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="modprobe fuse"):
        Nodes(dm, tmp_path / "mapper")
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(UsageError, match="modprobe fuse"):
        Nodes(dm, tmp_path / "mapper")
    monkeypatch.undo()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    monkeypatch.setattr(mount, "_HELPER", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="package fuse3"):
        Nodes(dm, tmp_path / "mapper")
    (tmp_path / "refuses").write_text("#!/bin/sh\necho no thanks >&2\nexit 1\n")
    (tmp_path / "says-nothing").write_text("#!/bin/sh\n")
    for name, said in (("refuses", "no thanks"), ("says-nothing", "sent no connection")):
        os.chmod(tmp_path / name, 0o755)
        monkeypatch.setattr(mount, "_HELPER", str(tmp_path / name))
        with pytest.raises(UsageError, match=said):
            Nodes(dm, tmp_path / "mapper")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of nobody's."""
    path = Path(tempfile.mkdtemp())
    os.chown(path, NOBODY, NOBODY)
    yield path
    mount.unmount(path / "mapper")
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; all other tests run as one then")
@pytest.mark.skipif(shutil.which("fusermount3") is None, reason="there is no fusermount3 (Debian: fuse3)")
def test_as_another_user(dm: DeviceMapper, home: Path) -> None:
    with server(home / "mapper", NOBODY) as process:
        out, err = process.communicate()
    assert (out, err) == (f"['vol'] 4096 {NOBODY}\n[] False\n", "")
    with server(home / "mapper", NOBODY, "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"['vol'] 4096 {NOBODY}\n"
        with fails(errno.EACCES):
            os.listdir(home / "mapper")
        process.kill()
        assert process.wait() == -signal.SIGKILL
    with server(home / "mapper", NOBODY) as process:
        assert process.communicate() == (f"['vol'] 4096 {NOBODY}\n[] False\n", "")
