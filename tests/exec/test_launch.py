"""`dmtable exec`: the processes, their signals, and what is left of them."""

from __future__ import annotations

import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from dmtable.runtime.threads import ThreadRuntime
from tests.daemon.machines import NOBODY, PATIENCE_SECONDS, TestedMachine, python_for, python_path
from tests.exec.labs import needs

_LOOK_SECONDS = 0.01


def _wait(until: Callable[[], bool]) -> None:
    runtime = ThreadRuntime()
    end = runtime.now() + PATIENCE_SECONDS
    while not until():
        assert runtime.now() < end
        runtime.sleep(_LOOK_SECONDS)


def _supervisors(machine: TestedMachine) -> list[str]:
    return os.listdir(machine.folder.exec)


def test_exit_codes(machine: TestedMachine, tmp_path: Path) -> None:
    machine.start()
    assert machine.run("exec", "--", "true") == ""
    assert machine.try_run("exec", "--", "sh", "-c", "exit 7") == (7, "", "")
    assert machine.try_run("exec", "sh", "-c", "echo $0 $#", "--", "--help") == (0, "-- 1\n", "")
    missing = "dmtable exec: none: No such file or directory\n"
    assert machine.try_run("exec", "--", "none") == (127, "", missing)
    plain = tmp_path / "plain"
    plain.write_text("")
    refused = f"dmtable exec: {plain}: Permission denied\n"
    assert machine.try_run("exec", "--", str(plain)) == (126, "", refused)
    assert machine.try_run("exec")[0] == 2


def test_a_script_that_does_not_say_whose_it_is(machine: TestedMachine, tmp_path: Path) -> None:
    """As execvp(3): the shell's."""
    machine.start()
    script = tmp_path / "script"
    script.write_text("echo $1\n")
    script.chmod(0o755)
    assert machine.run("exec", "--", str(script), "word") == "word\n"


def _exec(machine: TestedMachine, *words: str, before: Callable[[], object]) -> subprocess.CompletedProcess[str]:
    """`dmtable exec` as it is after something was done in its process."""
    return subprocess.run(
        [machine.python, "-m", "dmtable", "--dir", machine.folder.path, "exec", "--", *words],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_standard_files_that_are_closed_stay_closed(machine: TestedMachine, closed: tuple[int, ...]) -> None:
    machine.start()
    script = """
import os, sys
def is_open(fd):
    try: return bool(os.fstat(fd))
    except OSError: return False
sys.exit(sum(1 << fd for fd in range(3) if is_open(fd)))
"""
    done = _exec(machine, sys.executable, "-c", script, before=lambda: list(map(os.close, closed)))
    assert (done.returncode, done.stderr) == (7 - sum(1 << fd for fd in closed), "")


def test_who_waits_keeps_nobody_from_his_files(machine: TestedMachine) -> None:
    machine.start()
    machine.run("create", "a", "--table", "0 8 zero")
    script = """
import ctypes, os, struct, threading, time
libc = ctypes.CDLL(None)
control = os.open("/dev/mapper/control", os.O_RDWR)
def wait():
    request = ctypes.create_string_buffer(struct.pack("<12I", 4, 0, 0, 512, 312, *[0] * 7) + b"a", 512)
    libc.ioctl(control, ctypes.c_ulong(0xc138fd08), request)
    os._exit(1)
for _ in range(60):
    threading.Thread(target=wait, daemon=True).start()
while len(os.listdir(f"/proc/{os.getppid()}/task")) < 60:
    time.sleep(0.01)
os._exit(len(os.listdir("/etc")) == 0)
"""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))  # noqa: E731
    done = _exec(machine, sys.executable, "-c", script, before=few)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_command_that_a_signal_ends_ends_exec_so(machine: TestedMachine, number: signal.Signals) -> None:
    machine.start()
    assert machine.try_run("exec", "--", "sh", "-c", f"kill -{int(number)} $$")[0] == -number
    _wait(lambda: not _supervisors(machine))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_passed_on(machine: TestedMachine, number: signal.Signals) -> None:
    machine.start()
    script = f"trap 'echo got; exit 3' {number.name[3:]}; echo ready; while :; do sleep 0.01; done"
    with machine.begin("exec", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=PATIENCE_SECONDS) == ("got\n", "")
        assert process.returncode == 3


def test_what_is_sent_to_the_group_comes_once(machine: TestedMachine) -> None:
    """Terminals send to all of it; what the command got by that, its supervisor does not send it again."""
    machine.start()
    script = "trap 'echo int' INT; trap 'echo usr1; exit' USR1; echo $PPID; while :; do sleep 0.01; done"
    with machine.begin("exec", "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGINT)
        process.send_signal(signal.SIGUSR1)
        assert process.communicate(timeout=PATIENCE_SECONDS) == ("usr1\n", "")


def test_signals_at_a_terminal(machine: TestedMachine) -> None:
    """What is typed comes once, and what somebody sends to this process alone comes too."""
    machine.start()
    script = "trap 'echo int' INT; trap exit USR1; echo ready; while :; do sleep 0.01; done"
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [machine.python, "-m", "dmtable", "--dir", machine.folder.path, "exec", "--", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": python_path()},
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.write(ours, b"\x03")
        assert process.stdout.readline() == "int\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGUSR1)
        assert process.communicate(timeout=PATIENCE_SECONDS)[0] == "int\n"
    os.close(ours)
    os.close(theirs)


def test_what_the_command_leaves_behind_is_served_on(machine: TestedMachine, tmp_path: Path) -> None:
    needs("dmsetup")
    machine.start()
    go, done = tmp_path / "go", tmp_path / "done"
    script = f"(while ! test -e {go}; do sleep 0.01; done; dmsetup create late --table '0 8 zero'; echo $? > {done}) "
    machine.run("exec", "--", "sh", "-c", script + ">/dev/null 2>&1 &")
    assert "late" not in machine.run("ls")
    go.touch()
    _wait(done.exists)
    _wait(lambda: not _supervisors(machine))
    assert done.read_text() == "0\n"
    assert "late" in machine.run("ls")


def test_who_kills_exec_kills_the_command(machine: TestedMachine) -> None:
    machine.start()
    with machine.begin("exec", "--", "sh", "-c", "echo $$; exec sleep 1000") as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())
        process.kill()
        _wait(lambda: not os.path.exists(f"/proc/{command}"))
    _wait(lambda: not _supervisors(machine))


def test_disks(machine: TestedMachine, tmp_path: Path) -> None:
    machine.start()
    for name in ("x", "y"):
        (tmp_path / name).write_bytes(name.encode() * 4096)
    disks = ("--disk", str(tmp_path / "x"), "--disk", f"{tmp_path / 'y'}=sdb")
    assert machine.run("exec", *disks, "--", "head", "-c", "2", "-q", "/dev/loop0", "/dev/sdb") == "xxyy"
    assert machine.run("exec", "--", "ls", "/dev") == "loop0\nloop1\nmapper\nsdb\n"
    assert machine.run("exec", "--", "readlink", "/dev/sdb") == "loop1\n"
    status, _, err = machine.try_run("exec", "--disk", str(tmp_path / "none"), "--", "true")
    assert (status, err.count("\n")) == (2, 1)
    assert "none cannot be a disk" in err


def test_exec_within_exec(machine: TestedMachine, tmp_path: Path) -> None:
    machine.start()
    dmtable = f"{sys.executable} -m dmtable"
    assert machine.run("exec", "sh", "-c", f"{dmtable} --dir {machine.folder.path} exec echo inner; echo outer") == (
        "inner\nouter\n"
    )
    script = f"{dmtable} --dir {machine.folder.path} exec"
    missing = "dmtable exec: none: No such file or directory\n"
    assert machine.try_run("exec", "sh", "-c", f"{script} none") == (127, "", missing)
    assert machine.run("exec", "sh", "-c", f"{script} sh -c 'seq 100000 | head -1'") == "1\n"
    status, _, err = machine.try_run("exec", "sh", "-c", f"{dmtable} --dir {tmp_path}/other exec true")
    assert (status, err.count("\n")) == (2, 1)
    assert "can use no other machine" in err


def test_a_daemon_starts_where_none_is(machine: TestedMachine) -> None:
    needs("dmsetup")
    status, out, err = machine.try_run("exec", "--", "dmsetup", "ls")
    assert (status, out) == (0, "No devices found\n")
    assert re.fullmatch(r"dmtable: started a machine in .*\n", err)


def test_many_signals_while_it_works(machine: TestedMachine) -> None:
    """A call that is interrupted again and again is carried out all the same, and once.

    Where its handler does not ask for that (SA_RESTART), a signal that comes before we see the call ends it.
    """
    needs("dmsetup")
    machine.start()
    script = """
import ctypes, os, signal, struct
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
fd = os.open("/dev/mapper/control", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
for _ in range(50):
    for number in (3, 4):
        request = bytearray(struct.pack("<12I", 4, 0, 0, 312, 312, *[0] * 7) + b"a".ljust(264, bytes(1)))
        assert libc.ioctl(fd, ctypes.c_ulong(0xc138fd00 + number), (ctypes.c_char * 312).from_buffer(request)) == 0
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""
    assert machine.run("exec", "--", sys.executable, "-c", script) == "done\n"
    assert machine.run("ls") == "No devices found\n"


def test_what_the_platform_lacks_is_one_line(machine: TestedMachine) -> None:
    machine.start()
    script = "import os; other = type(os.uname())(('Linux', 'n', 'r', 'v', 'riscv64')); os.uname = lambda: other\n"
    script += f"from dmtable.cli.main import main; main(['--dir', '{machine.folder.path}', 'exec', 'true'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == "dmtable exec: needs an x86-64 or arm64 processor; this is riscv64\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_as_somebody_else(machine: TestedMachine, tmp_path: Path) -> None:
    needs("dmsetup", "setpriv", "fusermount3")
    if python_for(NOBODY) is None:
        pytest.skip("nobody cannot run a Python with dmtable")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    home = tmp_path / "nobody"
    home.mkdir()
    image = home / "disk"
    image.write_bytes(bytes(1 << 20))
    for path in (home, image):
        os.chown(path, NOBODY, NOBODY)
    theirs = TestedMachine(home / "m", user=NOBODY)
    try:
        theirs.start()
        table = "0 1024 linear /dev/loop0 8"
        assert theirs.run("exec", "--disk", str(image), "--", "dmsetup", "create", "a", "--table", table) == ""
        script = "dmsetup table; test -b /dev/mapper/a; echo text | dd of=/dev/mapper/a conv=sync status=none; "
        script += "head -c 4 /dev/mapper/a; id -u; dmsetup remove a; dmsetup ls"
        out = theirs.run("exec", "--", "sh", "-euc", script)
        assert out == f"a: 0 1024 linear 7:0 8\ntext{NOBODY}\nNo devices found\n"
        assert theirs.run("exec", "--as-root", "--", "id", "-u") == "0\n"
        assert image.read_bytes()[4096:4100] == b"text"
        # Whoever lets nobody look into him (PR_SET_DUMPABLE) is left alone.
        hidden = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); open('/etc/passwd'); print('open')"
        assert theirs.run("exec", "--", theirs.python, "-c", hidden) == "open\n"
    finally:
        theirs.close()
