"""The stock dmsetup against the emulator: every answer is the one of our own verbs."""

from __future__ import annotations

import io
import subprocess

import pytest

from dmtable.cli.dmsetup import main as our_dmsetup
from dmtable.control.machine import FolderTransport, folder_machine
from tests.exec.labs import ENVIRON, Lab, needs


@pytest.fixture(autouse=True)
def _installed() -> None:
    needs("dmsetup")


def _ours(lab: Lab, *words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with FolderTransport(lab.folder) as transport:
        status = our_dmsetup(words, folder_machine(transport), io.StringIO(), out, err, environ=ENVIRON)
    return status, out.getvalue(), err.getvalue()


def _stock(lab: Lab, *words: str) -> tuple[int, str, str]:
    done = lab.try_run("dmsetup", *words)
    return done.returncode, done.stdout, done.stderr


QUESTIONS = [
    ["version"], ["info"], ["info", "top"], ["info", "-c"], ["table"], ["status"], ["ls"], ["ls", "--tree"], ["deps"],
    ["deps", "-o", "devname"], ["targets"], ["ls", "--tree", "-o", "blkdevname,active,rw"], ["table", "none"],
    ["info", "-c", "-o", "name,blkdevname,names_using_dev,read_ahead,attr"], ["table", "--concise"], ["info", "none"],
    ["ls", "-o", "blkdevname"], ["remove", "low"],
]  # fmt: skip


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_it_prints_what_our_verbs_print(lab: Lab, words: list[str]) -> None:
    lab.run("dmsetup", "create", "low", "-u", "UUID-low", "--table", "0 4096 linear /dev/loop0 8")
    table = "0 1024 linear /dev/mapper/low 0\n1024 512 striped 2 8 7:1 0 7:0 8192"
    lab.run("dmsetup", "create", "top", "--table", table)
    lab.run("dmsetup", "suspend", "low")
    try:
        assert _stock(lab, *words) == _ours(lab, *words)
    finally:
        lab.run("dmsetup", "resume", "low")


def test_a_life(lab: Lab) -> None:
    assert lab.run("dmsetup", "create", "a", stdin="0 2048 linear /dev/loop0 0\n") == ""
    assert lab.run("ls", "/dev/mapper") == "a\n"
    lab.run("dmsetup", "rename", "a", "b")
    lab.run("dmsetup", "load", "b", "--table", "0 4096 linear /dev/loop1 0")
    assert lab.run("blockdev", "--getsize64", "/dev/mapper/b") == f"{2048 * 512}\n"
    lab.sh("dmsetup suspend b; dmsetup resume b")
    assert lab.run("blockdev", "--getsz", "/dev/mapper/b") == "4096\n"
    assert lab.run("dmsetup", "table") == "b: 0 4096 linear 7:1 0\n"
    lab.run("dmsetup", "remove", "b")
    assert lab.run("ls", "/dev/mapper") == ""
    assert not list(lab.mapper)


def test_an_open_node_keeps_its_device(lab: Lab) -> None:
    lab.run("dmsetup", "create", "a", "--table", "0 2048 linear /dev/loop0 0")
    busy = "device-mapper: remove ioctl on a  failed: Device or resource busy\nCommand failed.\n"
    done = lab.try_run("sh", "-c", "exec 3</dev/mapper/a; dmsetup remove a; exec 3<&-; dmsetup remove a")
    assert (done.returncode, done.stderr) == (0, busy)


def test_who_waits_for_an_event_is_interrupted_by_a_signal(lab: Lab) -> None:
    lab.run("dmsetup", "create", "a", "--table", "0 2048 zero")
    script = "dmsetup wait a & sleep 0.3; kill -TERM $!; wait $! || echo ended; dmsetup info -c --noheadings -o name"
    assert lab.sh(script) == "ended\na\n"
    # With a handler the call ends with EINTR, as every call does.
    needs("python3")
    waits = "import signal,subprocess; signal.signal(signal.SIGALRM, lambda *_: None)"
    script = f"""{waits}
import fcntl, struct, os
fd = os.open('/dev/mapper/control', os.O_RDWR)
signal.setitimer(signal.ITIMER_REAL, 0.2)
buffer = bytearray(struct.pack('<12I', 4, 0, 0, 512, 312, *[0] * 7) + b'a'.ljust(512 - 48, bytes(1)))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
done = libc.ioctl(fd, ctypes.c_ulong(0xc138fd08), (ctypes.c_char * 512).from_buffer(buffer))
print(done, ctypes.get_errno())
"""
    assert lab.run("python3", "-c", script) == "-1 4\n"


def test_waiting_ends_with_the_event(lab: Lab) -> None:
    lab.run("dmsetup", "create", "a", "--table", "0 2048 zero")
    assert lab.sh("dmsetup wait a & sleep 0.3; dmsetup rename a b; wait $!; dmsetup ls") == "b\t(253:0)\n"


def test_without_a_daemon_there_is_no_driver(lab: Lab) -> None:
    lab._server.close()
    done = lab.try_run("dmsetup", "info")
    assert done.returncode == 1
    assert "kernel driver (unknown version)" in done.stderr


def test_dmsetup_runs_at_once_many_times(lab: Lab) -> None:
    one = 'dmsetup create "d$n" --table "0 8 linear /dev/loop0 $n" && dmsetup remove "d$n"'
    assert lab.sh(f"for n in 1 2 3 4 5 6; do ({one}) & done; wait") == ""
    assert not list(lab.mapper)


def test_raw_ioctls_of_a_static_program(lab: Lab) -> None:
    needs("busybox")
    lab.run("dmsetup", "create", "a", "--table", "0 2048 linear /dev/loop0 0")
    assert lab.run("busybox", "stat", "-c", "%F %t:%T", "/dev/mapper/a") == "block special file fd:0\n"
    assert lab.run("busybox", "blockdev", "--getsize64", "/dev/dm-0") == f"{2048 * 512}\n"
    assert "253,   0" in lab.run("busybox", "ls", "-l", "/dev/mapper/a")


def test_who_is_not_found(lab: Lab) -> None:
    with pytest.raises(FileNotFoundError):
        lab.try_run("no such program")


def test_a_completed_process_has_what_subprocess_says(lab: Lab) -> None:
    done = lab.try_run("sh", "-c", "cat; echo err >&2; kill -KILL $$", stdin="in")
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr) == (-9, "in", "err\n")
