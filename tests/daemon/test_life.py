"""The daemon's life: started by hand or by a verb, ended by a word, a signal or a kill; never two on one folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon.machines import ROOT, TestedMachine, has_fuse, mounted

needs_nodes = pytest.mark.skipif(not has_fuse, reason="no /dev/fuse here: modprobe fuse")


def test_started_asked_and_stopped(machine: TestedMachine) -> None:
    folder = machine.folder
    assert machine.try_run("daemon", "status") == (1, f"no machine runs in {folder.path}\n", "")
    machine.start()
    pid = machine.pid
    assert machine.run("daemon", "start") == f"runs already: pid {pid}\n"
    machine.run("create", "b", "--table", "0 8 zero")
    machine.run("create", "a", "--notable")
    nodes = (
        folder.mapper if has_fuse else "none: device nodes need /dev/fuse (modprobe fuse): No such file or directory"
    )
    assert machine.run("daemon", "status") == (
        f"pid:   {pid}\ndir:   {folder.path}\nroot:  /\nmds:   2\nnodes: {nodes}\n"
    )
    assert machine.run("daemon", "stop") == f"removed a\nremoved b\nstopped the machine in {folder.path}\n"
    assert machine.pid is None
    assert not mounted(folder.mapper)
    assert sorted(os.listdir(folder.path)) == ["dev", "exec", "log", "lvm", "mapper"]
    assert os.listdir(folder.dev_mapper) == []
    assert machine.run("daemon", "stop") == f"no machine runs in {folder.path}\n"


def test_a_verb_starts_it_and_says_so_once(machine: TestedMachine) -> None:
    path = machine.folder.path
    status, out, err = machine.try_run("info")
    assert (status, out) == (0, "No devices found\n")
    assert err == f"dmtable: started a machine in {path}, `dmtable --dir {path} daemon stop` ends it\n"
    assert machine.run("info") == "No devices found\n"


@pytest.mark.parametrize("words", [["splitname", "vg-lv"], ["create"], ["dmsetup", "--help"], ["table", "--no-such"]])
def test_what_needs_no_machine_starts_none(machine: TestedMachine, words: list[str]) -> None:
    machine.try_run(*words)
    assert machine.pid is None
    assert not os.path.exists(machine.folder.path)


def test_all_of_dmsetup_is_there(machine: TestedMachine) -> None:
    machine.start()
    version = "Library version:   1.02.185 (2022-05-18)\nDriver version:    4.47.0\n"
    assert machine.run("dmsetup", "--version") == machine.run("version") == version
    assert machine.try_run("dmsetup", "-h")[2].startswith("Usage:\n")
    machine.run("create", "r1", stdin="0 8 zero\n")
    assert machine.run("info", "-c", "--noheadings", "-o", "name") == "r1\n"
    assert machine.run("table", "r1") == "0 8 zero \n"
    status, out, err = machine.try_run("remove", "no")
    assert (status, out) == (1, "")
    assert err == "device-mapper: remove ioctl on no  failed: No such device or address\nCommand failed.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(machine: TestedMachine, number: signal.Signals, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(8 << 9))
    machine.start()
    machine.run("create", "v", "--table", f"0 8 linear {image} 0")
    machine.run("suspend", "v")
    machine.signal(number)
    assert not mounted(machine.folder.mapper)
    assert not os.path.lexists(machine.folder.socket)
    assert not os.path.lexists(machine.folder.pid)
    assert Path(machine.folder.log).read_text() == ""


def test_what_a_kill_leaves_is_cleared_by_the_next_start(machine: TestedMachine) -> None:
    machine.start()
    machine.run("create", "v", "--table", "0 8 zero")
    machine.signal(signal.SIGKILL)
    assert os.path.lexists(machine.folder.socket)
    assert os.listdir(machine.folder.dev_mapper) == ["v"]
    if has_fuse:
        with pytest.raises(OSError, match="Transport endpoint is not connected"):
            os.listdir(machine.folder.mapper)
    status, out, err = machine.try_run("ls")
    assert (status, out) == (0, "No devices found\n")
    assert err.startswith("dmtable: started a machine in ")
    assert os.listdir(machine.folder.dev_mapper) == []
    assert os.listdir(machine.folder.mapper) == []


def test_what_a_kill_leaves_is_cleared_by_a_stop(machine: TestedMachine) -> None:
    machine.start()
    machine.signal(signal.SIGKILL)
    assert machine.run("daemon", "stop") == f"no machine runs in {machine.folder.path}\n"
    assert not os.path.lexists(machine.folder.socket)
    assert not mounted(machine.folder.mapper)


def test_of_two_starts_at_once_one_wins_and_the_other_uses_it(machine: TestedMachine) -> None:
    starts = [machine.begin("create", f"v{n}", "--table", "0 8 zero") for n in range(4)]
    told = []
    for process in starts:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        told += err.splitlines()
    assert len(told) == 1
    listed = re.findall(r"^(v[0-9])\t\(253:([0-9])\)$", machine.run("ls"), re.MULTILINE)
    assert [name for name, _ in listed] == ["v0", "v1", "v2", "v3"]
    assert sorted(minor for _, minor in listed) == ["0", "1", "2", "3"]


def test_machines_stand_side_by_side(machine: TestedMachine, tmp_path: Path) -> None:
    other = TestedMachine(tmp_path / "other")
    try:
        machine.start()
        other.start()
        machine.run("create", "here", "--table", "0 8 zero")
        other.run("create", "there", "--table", "0 8 zero")
        assert machine.run("ls") == "here\t(253:0)\n"
        assert other.run("ls") == "there\t(253:0)\n"
    finally:
        other.close()


def test_the_environment_names_the_folder_too(machine: TestedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.start()
    machine.run("create", "v", "--table", "0 8 zero")
    monkeypatch.setenv("DMTABLE_DIR", machine.folder.path)
    assert subprocess.check_output([sys.executable, "-m", "dmtable", "ls"], text=True, cwd=ROOT) == "v\t(253:0)\n"


def test_a_start_that_fails_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine = TestedMachine(tmp_path / "file" / "m")
    problem = f"{machine.folder.path} cannot be used: Not a directory\n"
    assert machine.try_run("daemon", "start") == (2, "", f"dmtable daemon start: {problem}")
    assert machine.try_run("info") == (2, "", f"dmtable: {problem}")


def test_a_daemon_that_cannot_begin_is_told_in_a_line(machine: TestedMachine) -> None:
    machine.folder.make()
    os.mkdir(machine.folder.socket)
    status, out, err = machine.try_run("daemon", "start")
    assert (status, out) == (2, "")
    assert err.startswith(f"dmtable daemon start: cannot start a daemon for {machine.folder.path}: ")
    assert err.count("\n") == 1
    os.rmdir(machine.folder.socket)


def test_a_folder_may_be_deep(tmp_path: Path) -> None:
    machine = TestedMachine(tmp_path / ("d" * 100) / "m")
    try:
        machine.start()
        machine.run("create", "v", "--table", "0 8 zero")
        assert machine.run("table", "v") == "0 8 zero \n"
    finally:
        machine.close()


@needs_nodes
def test_who_waits_for_a_suspended_md_is_let_go_at_the_end(machine: TestedMachine) -> None:
    machine.start()
    machine.run("create", "v", "--table", "0 8 zero")
    machine.run("suspend", "v")
    with subprocess.Popen(["cat", machine.node("v")], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        waiter = machine.begin("wait", "v")
        while machine.run("info", "-c", "--noheadings", "-o", "open") != "1\n":
            pass
        assert machine.run("daemon", "stop").startswith("removed v\n")
        out, err = reader.communicate(timeout=60)
        assert (out, err != b"", reader.returncode) == (b"", True, 1)
        said = waiter.communicate(timeout=60)
        assert (said[0], waiter.returncode) == ("", 1), said


def test_who_waits_when_the_daemon_is_killed_is_told_in_a_line(machine: TestedMachine) -> None:
    machine.start()
    machine.run("create", "v", "--table", "0 8 zero")
    waiter = machine.begin("wait", "v")
    while not connections(machine):
        assert waiter.poll() is None
    machine.signal(signal.SIGKILL)
    out, err = waiter.communicate(timeout=60)
    assert (waiter.returncode, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"dmtable: the machine in {machine.folder.path} does not answer: ")


def test_a_machine_with_more_clients_than_it_serves_can_be_stopped(machine: TestedMachine) -> None:
    machine.start()
    with ExitStack() as clients:
        for _ in range(401):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(machine.folder.socket)
        assert machine.run("daemon", "stop") == f"stopped the machine in {machine.folder.path}\n"


def connections(machine: TestedMachine) -> int:
    """How many clients the daemon has."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {machine.folder.socket}") and line.split()[5] == "03" for line in lines)


@needs_nodes
def test_nodes_that_somebody_unmounted_are_missed(machine: TestedMachine) -> None:
    machine.start()
    if subprocess.run(["umount", machine.folder.mapper], check=False).returncode:
        pytest.skip("only root can unmount them behind its back")
    while machine.run("daemon", "status").splitlines()[-1] != "nodes: none: somebody unmounted them":
        pass
