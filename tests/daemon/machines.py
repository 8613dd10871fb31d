"""Machines of their own for tests: a folder, whoever uses it, and an end without anything left."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

from dmtable.control.folder import MachineFolder
from dmtable.daemon.presence import serving
from dmtable.daemon.stopping import stop

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 60
NOBODY = 65534

has_fuse = os.path.exists("/dev/fuse")
_PYTHONS = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
_TRIAL = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import dmtable, bitarray, lark'])"


def python_path() -> str:
    """What a Python needs to find what this one finds."""
    return os.pathsep.join([str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])


@cache
def _compiled() -> dict[str, str]:
    """Python compiles a module once, and not again for each command."""
    folder = tempfile.mkdtemp(prefix="dmtable-compiled-")
    os.chmod(folder, 0o1777)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}


def as_user(user: int | None) -> list[str]:
    """What stands before a command that shall be another user's."""
    if user is None:
        return []
    return [shutil.which("setpriv") or "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]


@cache
def python_for(user: int | None) -> str | None:
    """A Python that a user can run, with dmtable; None where there is none."""
    if user is None:
        return sys.executable
    environment = {**os.environ, "PYTHONPATH": python_path()}
    for python in _PYTHONS:
        words = [*as_user(user), python, "-c", _TRIAL]
        if subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0:
            return python
    return None


def _notice_signals() -> None:
    """What was begun in the background may have been told to ignore these, and would hand that on."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class TestedMachine:
    """The machine in a folder, and the `dmtable` command for it. `user` runs it, where that is another."""

    __test__ = False

    def __init__(self, path: Path, user: int | None = None) -> None:
        self.folder = MachineFolder(str(path))
        self.user = user
        python = python_for(user)
        assert python is not None
        self.python = python

    def begin(self, *words: str, stdin: str = "") -> subprocess.Popen[str]:
        """`dmtable` with words, begun."""
        process = subprocess.Popen(
            [*as_user(self.user), self.python, "-m", "dmtable", "--dir", self.folder.path, *words],
            env={**os.environ, "PYTHONPATH": python_path(), **_compiled()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            preexec_fn=_notice_signals,
        )
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def try_run(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit status, output, errors."""
        with self.begin(*words, stdin=stdin) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
            return process.returncode, out, err

    def run(self, *words: str, stdin: str = "") -> str:
        """The output of a command that succeeds and says nothing else."""
        status, out, err = self.try_run(*words, stdin=stdin)
        assert (status, err) == (0, ""), (words, status, out, err)
        return out

    def start(self, *words: str) -> None:
        status, out, err = self.try_run("daemon", "start", *words)
        assert status == 0, (out, err)
        assert out.startswith("started: pid ")

    @property
    def pid(self) -> int | None:
        there = serving(self.folder)
        if there is None:
            return None
        with there:
            return there.pid

    def signal(self, number: signal.Signals) -> None:
        """Sends the daemon a signal that ends it, and waits for that."""
        there = serving(self.folder)
        assert there is not None
        with there:
            os.kill(there.pid, number)
            assert there.wait(PATIENCE_SECONDS)

    def node(self, name: str) -> Path:
        """The file of an md."""
        return Path(self.folder.mapper, name)

    def close(self) -> None:
        """Ends the daemon, whatever state it is in, and sees that nothing is left."""
        try:
            if self.user is None:
                stop(self.folder)
            else:
                self.try_run("daemon", "stop")
        finally:
            self._kill()
        assert not mounted(self.folder.mapper)
        assert not os.path.lexists(self.folder.socket)
        assert not os.path.lexists(self.folder.pid)

    def _kill(self) -> None:
        there = serving(self.folder)
        if there is not None:
            with there:
                os.kill(there.pid, signal.SIGKILL)
                there.wait(PATIENCE_SECONDS)
            subprocess.run(["umount", "-l", self.folder.mapper], stderr=subprocess.DEVNULL, check=False)


def mounted(path: str) -> bool:
    """Whether something is mounted there, dead or alive."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return any(line.split()[4] == path for line in lines)
