"""`make demo`, small: all of its story comes true, its picture is one, and nothing stays behind however it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmtable.control.folder import MachineFolder
from dmtable.daemon.presence import serving_pid
from examples.demo.shop import make_database, newest_sale, opened
from tests.daemon.machines import NOBODY, ROOT, as_user, has_fuse, mounted, python_for, python_path

SVG = "{http://www.w3.org/2000/svg}"
PATIENCE_SECONDS = 300

pytestmark = pytest.mark.skipif(not has_fuse, reason="there is no /dev/fuse: volumes cannot be files")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "demo"
    path.mkdir()
    yield path
    assert serving_pid(MachineFolder(f"{path}/machine")) is None
    assert not mounted(f"{path}/machine/mapper")
    assert not mounted(f"{path}/files")
    assert str(path) not in loops()


def loops() -> str:
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        return ""
    return subprocess.run(["losetup", "--list"], capture_output=True, text=True, check=False).stdout


def give_to_nobody(folder: Path) -> None:
    """Somebody without rights works there."""
    if python_for(NOBODY) is None:
        pytest.skip("no Python here can be run by all users")
    for path in folder.parents[:3]:
        path.chmod(path.stat().st_mode | 0o055)
    os.chown(folder, NOBODY, NOBODY)


def begin(folder: Path, user: int | None = None, **environment: str) -> subprocess.Popen[str]:
    python = python_for(user)
    assert python is not None
    return subprocess.Popen(
        [*as_user(user), python, "-B", "-m", "examples.demo", "--small", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": python_path(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(folder: Path, user: int | None = None, **environment: str) -> str:
    """What the demo says when all goes well."""
    with begin(folder, user, **environment) as demo:
        out, err = demo.communicate(timeout=PATIENCE_SECONDS)
    assert (demo.returncode, err) == (0, ""), out
    return out


def test_all_of_the_story_comes_true(folder: Path) -> None:
    said = told(folder)
    has, committed = re.findall(r"integrity_check ok, sales 1 to (\d+) of (\d+), none missing", said)[0]
    assert 0 < int(has) <= int(committed) + 1
    assert f"had all {committed} sales that were committed" in said
    assert "the site is synchronous now" in said
    assert said.count("equal, byte for byte") == 1
    if "mounted at" in said:
        assert f"sales 1 to {has} have their receipts, whole" in said
    picture = ElementTree.parse(folder / "timeline.svg").getroot()
    words = [text.text or "" for text in picture.iter(f"{SVG}text")]
    lanes = ["Link to Tokyo", "Fall-behind: writes that Tokyo lacks", "Log in use", "Events"]
    assert [word for word in words if word in lanes] == lanes
    assert {"the link gets slow", "the link is cut", "writers wait", "power fails", "the link heals"} <= set(words)
    kinds = {part.get("class") for part in picture.iter(f"{SVG}rect")}
    assert {"good", "slow", "cut", "dark", "waits"} <= kinds
    # A second time, in the same folder: what the first left is in nobody's way.
    assert "equal, byte for byte" in told(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.skipif(shutil.which("fusermount3") is None, reason="there is no fusermount3 (Debian: fuse3)")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv (Debian: util-linux)")
def test_without_rights_nothing_is_mounted_and_the_story_is_the_same(folder: Path) -> None:
    give_to_nobody(folder)
    said = told(folder, NOBODY)
    assert "left out, mounting it: only root mounts" in said
    assert "equal, byte for byte" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv (Debian: util-linux)")
def test_without_fuse_the_tables_are_shown(folder: Path) -> None:
    give_to_nobody(folder)
    said = told(folder, NOBODY, PATH="/nowhere")
    assert "Left out, nearly all of it: without nodes: device nodes need Debian's package fuse3" in said
    assert "wrote and read back 5 of 5 sectors" in said


@pytest.mark.parametrize("line", ["vol1 is a SQLite database", "the link is cut", "writers wait for it"])
def test_it_can_be_interrupted_anywhere(folder: Path, line: str) -> None:
    with begin(folder) as demo:
        assert demo.stdout is not None
        assert any(line in said for said in demo.stdout)
        demo.send_signal(signal.SIGINT)
        _, err = demo.communicate(timeout=PATIENCE_SECONDS)
    assert demo.returncode == 130, err
    assert err == "\ninterrupted; nothing was left behind but files\n"


def test_a_failure_is_said_and_leaves_nothing(folder: Path) -> None:
    """The daemon dies of something else in the middle."""
    with begin(folder) as demo:
        assert demo.stdout is not None
        assert any("the link gets slow" in said for said in demo.stdout)
        pid = serving_pid(MachineFolder(f"{folder}/machine"))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        _, err = demo.communicate(timeout=PATIENCE_SECONDS)
    assert demo.returncode == 1
    assert err.startswith("\nthe demo failed: ")
    assert "Traceback" not in err


def test_an_interrupted_sale_is_rolled_back_on_nodes(tmp_path: Path) -> None:
    """A node can be neither deleted nor cut off, as SQLite does with a journal that it has rolled back."""
    database, journal = tmp_path / "db", tmp_path / "db-journal"
    database.touch()
    make_database(database, tmp_path / "new")
    words = f"""
import os, sqlite3
sale = sqlite3.connect({str(database)!r}, isolation_level=None)
sale.execute("PRAGMA journal_mode = PERSIST")
sale.execute("PRAGMA cache_size = 1")
sale.execute("BEGIN IMMEDIATE")
sale.executemany("INSERT INTO sale VALUES (?, '', ?)", ((number, "x" * 1000) for number in range(100)))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", words], check=True)
    hot, before = journal.read_bytes(), journal.stat()
    assert hot[:8].hex() == "d9d505f920a163d7"
    with opened(database) as sold:
        assert newest_sale(sold) == 0
    assert journal.stat().st_ino == before.st_ino
    assert journal.stat().st_size == before.st_size
    assert not any(journal.read_bytes()[:8])


def test_the_example_can_be_asked_for_help() -> None:
    words = [sys.executable, "-m", "examples.demo", "--help"]
    assert "--small" in subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
