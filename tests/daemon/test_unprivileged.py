"""Who is not root has a machine all the same: tables, mds, and I/O by their nodes, which fusermount3 mounts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machines import NOBODY, TestedMachine, as_user, has_fuse, python_for, python_path

SECTORS = 2048


def as_nobody(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": python_path(), **environment}
    return subprocess.run([*as_user(NOBODY), *words], env=environment, capture_output=True, text=True, check=False)


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    interpreter = python_for(NOBODY)
    assert interpreter is not None
    return as_nobody(interpreter, *words, **environment)


def why_not() -> str:
    """Why these tests cannot run here; nothing where they can."""
    if os.geteuid() != 0:
        return "only root can become somebody else"
    if shutil.which("setpriv") is None:
        return "no setpriv: apt-get install util-linux"
    return "" if python_for(NOBODY) else "nobody but us can read Python or dmtable here"


def why_no_nodes() -> str:
    if not has_fuse:
        return "no /dev/fuse here: modprobe fuse"
    return "" if shutil.which("fusermount3") else "no fusermount3: apt-get install fuse3"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
needs_nodes = pytest.mark.skipif(bool(why_no_nodes()), reason=why_no_nodes())


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of nobody's: pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="dmtable-test-"))
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def machine(folder: Path) -> Iterator[TestedMachine]:
    tested = TestedMachine(folder / "m", NOBODY)
    yield tested
    tested.close()


@pytest.fixture
def image(folder: Path) -> Path:
    path = folder / "image"
    path.write_bytes(bytes(SECTORS << 9))
    os.chown(path, NOBODY, NOBODY)
    return path


def test_check_needs_nobody(folder: Path) -> None:
    table = folder / "t.dm"
    table.write_text("0 8 zero\n")
    done = python("-m", "dmtable", "check", str(table))
    assert (done.returncode, done.stderr) == (0, "")


@needs_nodes
def test_a_machine_of_ones_own(machine: TestedMachine, image: Path) -> None:
    machine.start()
    assert os.stat(machine.folder.path).st_uid == NOBODY
    table = f"0 {SECTORS} linear {image} 0\n"
    machine.run("create", "r1", stdin=table)
    assert machine.run("table", "r1") == f"0 {SECTORS} linear 7:0 0\n"
    assert machine.run("status", "r1") == f"0 {SECTORS} linear \n"
    node = str(machine.node("r1"))
    write = f"import os; fd = os.open({node!r}, os.O_RDWR); os.pwrite(fd, b'x' * 4096, 4096); os.fsync(fd)"
    done = python("-c", write)
    assert (done.returncode, done.stderr) == (0, "")
    assert image.read_bytes()[4096:8192] == b"x" * 4096
    assert as_nobody("head", "-c", "5000", node).stdout == "\0" * 4096 + "x" * 904
    assert machine.run("daemon", "stop").startswith("removed r1\n")


@needs_nodes
@pytest.mark.skipif(shutil.which("dmsetup") is None, reason="no dmsetup: apt-get install dmsetup")
def test_the_stock_dmsetup(machine: TestedMachine, image: Path) -> None:
    machine.start()
    dmsetup = ("exec", "--", shutil.which("dmsetup") or "")
    status, out, err = machine.try_run(*dmsetup, "create", "r1", "--table", f"0 {SECTORS} linear {image} 0")
    assert (status, out) == (0, ""), err
    assert machine.run("table", "r1") == f"0 {SECTORS} linear 7:0 0\n"
    status, out, err = machine.try_run(*dmsetup, "table", "r1")
    assert (status, out) == (0, f"0 {SECTORS} linear 7:0 0\n"), err


@needs_nodes
def test_what_a_kill_leaves_is_cleared(machine: TestedMachine, image: Path) -> None:
    machine.start()
    machine.run("create", "v", "--table", f"0 {SECTORS} linear {image} 0")
    machine.signal(signal.SIGKILL)
    machine.start()
    machine.run("create", "w", "--table", f"0 {SECTORS} linear {image} 0")
    assert as_nobody("ls", machine.folder.mapper).stdout == "w\n"


def test_a_machine_without_nodes_says_so_once(machine: TestedMachine) -> None:
    words = ["--dir", machine.folder.path, "create", "v", "--table", "0 8 zero"]
    done = python("-m", "dmtable", *words, PATH="/nowhere")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("\n") == 1
    assert "without nodes: device nodes need " in done.stderr
    assert machine.run("ls") == "v\t(253:0)\n"
    assert "nodes: none: device nodes need " in machine.run("daemon", "status")


def test_a_machine_is_closed_to_others(machine: TestedMachine) -> None:
    machine.start()
    # Root could, but would trust what somebody else says of the machine.
    root = TestedMachine(Path(machine.folder.path))
    problem = f"{machine.folder.path} must be a folder that you alone can change\n"
    assert root.try_run("info") == (2, "", f"dmtable: {problem}")
    assert root.try_run("daemon", "stop") == (2, "", f"dmtable daemon stop: {problem}")
    assert machine.pid is not None
