"""Starts the daemon of a machine's folder, and waits until it serves or says why it cannot."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dmtable.control.calls import Calls
from dmtable.control.folder import MachineFolder
from dmtable.control.machine import FolderTransport
from dmtable.daemon.presence import serving
from dmtable.errors import UsageError

READY, NOTE, FAILED = "ready", "note ", "failed "
"""What the daemon writes to its starter, a line each, until it closes the pipe."""

_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Start:
    """How a start came out: who serves the folder now, since just now or before, and what a new daemon has to say."""

    pid: int
    is_new: bool
    notes: tuple[str, ...] = ()


def start(folder: MachineFolder, root: str | None = None) -> Start:
    """Sees to it that a daemon serves the folder; where one does, it stays as it is.

    `root` is the folder that stands in for `/` when tables name devices, `/` itself unless told. Raises UsageError
    where a daemon cannot start, where the one that is there has another root, or has been ending for very long.
    """
    folder.make()
    with no_start_meanwhile(folder) as lock:
        if (there := serving(folder)) is not None:
            with there:
                # It does not begin just now, or we would wait for that: it is ready, or ends.
                if (its_root := _root(folder)) is not None:
                    if root is not None and os.path.realpath(root) != its_root:
                        raise UsageError(f"{folder.path} is served already, with the root {its_root}; stop that first")
                    return Start(there.pid, is_new=False)
                if not there.wait(_PATIENCE_SECONDS):
                    raise UsageError(
                        f"the daemon {there.pid} of {folder.path} is still ending; {folder.log} may say why"
                    )
        return _spawn(folder, root or "/", lock)


@contextmanager
def no_start_meanwhile(folder: MachineFolder) -> Iterator[int]:
    """One start or stop at a time. The lock is a new daemon's too until it is ready, even if its starter is killed."""
    lock = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _root(folder: MachineFolder) -> str | None:
    """The root of a machine that is served; None where it does not answer any more."""
    try:
        with FolderTransport(folder, patience_seconds=_PATIENCE_SECONDS) as transport:
            return str(Calls(transport).status()["root"])
    except UsageError:
        return None


def _spawn(folder: MachineFolder, root: str, lock: int) -> Start:
    import subprocess

    ours, theirs = os.pipe()
    words = (folder.path, os.path.realpath(root), str(theirs), str(lock))
    try:
        with open(folder.log, "ab", opener=_private) as log, open(ours, encoding="utf-8", errors="replace") as answers:
            try:
                # The daemon leaves this process behind at once: it is nobody's child, and has no terminal.
                subprocess.run(
                    [sys.executable, "-P", "-m", "dmtable.daemon", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "PYTHONPATH": _python_path()},
                    pass_fds=(theirs, lock),
                    start_new_session=True,
                    check=False,
                )
            finally:
                os.close(theirs)
            return _outcome(folder, answers.read().splitlines())
    except OSError as error:
        raise UsageError(f"cannot start a daemon for {folder.path}: {error}") from error


def _outcome(folder: MachineFolder, answers: list[str]) -> Start:
    for answer in answers:
        if answer.startswith(FAILED):
            raise UsageError(f"cannot start a daemon for {folder.path}: {answer.removeprefix(FAILED)}")
    ready = [answer for answer in answers if answer.startswith(READY)]
    if not ready:
        raise UsageError(f"the daemon of {folder.path} ended before it was ready; {folder.log} may say why")
    notes = tuple(answer.removeprefix(NOTE) for answer in answers if answer.startswith(NOTE))
    return Start(int(ready[0].removeprefix(READY)), is_new=True, notes=notes)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _python_path() -> str:
    """Where the daemon finds this very package: what is in the working folder is none of its affair."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([_PACKAGES, *(os.path.abspath(path) for path in before if path)])
