"""Runs one command under a supervisor of its own: the processes, the signals between them, and the exit code.

    front        what the user started: ends as the command ends, as soon as it does
    supervisor   answers system calls until the last process behind the filter has ended
    command

The supervisor is the parent of the command, and of whatever the command leaves behind; it is asked to end
the command where the front process is killed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from dmtable.control.exec.filtered import Filter
from dmtable.control.exec.supervisor import Supervisor
from dmtable.control.folder import MachineFolder
from dmtable.errors import DmtableError, UsageError
from dmtable.runtime.threads import spawn

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_OUTCOME = struct.Struct("<i")
_REFUSED = -1
"""In place of a wait status, where the command was not even tried."""
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT)
_STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_FRONT_ENDED, _TOLD = signal.SIGRTMIN, signal.SIGRTMIN + 1
_SI_KERNEL = 0x80


def launch(folder: MachineFolder, command: Sequence[str], environ: Mapping[str, str], *, as_root: bool = False) -> int:
    """Runs a command and returns its exit status; where a signal ends it, that ends this process too.

    127 and 126 where there is no such command, as env(1) has it. Raises UsageError where the platform
    lacks something.
    """
    _occupy_standard_files()
    inherited = _inherited()
    outcome, told = os.pipe()
    front = os.getpid()
    # None may come before there is somebody to pass it on.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, _TOLD))
    supervisor = os.fork()
    if supervisor == 0:
        os.close(outcome)
        _be_supervisor(folder, command, environ, told, as_root, inherited, front, mask)
    os.close(told)
    message = _read_until_told(outcome, supervisor)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if len(message) < _OUTCOME.size:
        raise UsageError("the supervisor was killed")
    status: int = _OUTCOME.unpack_from(message)[0]
    error = message[_OUTCOME.size :].decode(errors="surrogateescape")
    if status == _REFUSED:
        raise UsageError(error)
    if error:
        print(f"dmtable exec: {error}", file=sys.stderr)
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def become(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Becomes a command, for whom a supervisor serves already; returns the exit status where it cannot."""
    code, error = _untried(command, _exec(candidates(command[0], environ), command, environ))
    print(f"dmtable exec: {error}", file=sys.stderr)
    return code


def _occupy_standard_files() -> None:
    """Those that are closed, so that nothing of ours gets their numbers. The command finds them closed."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


def _inherited() -> list[int]:
    """The descriptors that are open beside the standard three."""
    open_now = []
    for fd in (int(name) for name in os.listdir("/proc/self/fd")):
        # One of them was the folder's own.
        with suppress(OSError):
            os.fstat(fd)
            open_now.append(fd)
    return [fd for fd in open_now if fd > 2]


def _read_until_told(pipe: int, supervisor: int) -> bytes:
    """All that is in a pipe when its other end is closed. Signals, which are blocked, are passed on meanwhile."""
    messages = []

    def read() -> None:
        with open(pipe, "rb") as file:
            messages.append(file.read())
        os.kill(os.getpid(), _TOLD)

    spawn("dmtable exec", read)
    numbers = [number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    while (came := signal.sigwaitinfo((*numbers, _TOLD))).si_signo != _TOLD:
        # The kernel sends for a terminal: then the command has it too.
        if came.si_code != _SI_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(supervisor, came.si_signo)
    return messages[0]


def _die_of(number: int) -> None:
    """Ends this process as the command ended, but for a core of its own."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


# The supervisor's process.


def _be_supervisor(
    folder: MachineFolder,
    command: Sequence[str],
    environ: Mapping[str, str],
    told: int,
    as_root: bool,
    inherited: Sequence[int],
    front: int,
    mask: Iterable[int],
) -> NoReturn:
    try:
        _supervise(folder, command, environ, told, as_root, inherited, front, mask)
    except DmtableError as refused:
        _tell(told, _REFUSED, str(refused))
    except BaseException as defect:
        _tell(told, _REFUSED, f"{type(defect).__name__}: {defect}")
    finally:
        os._exit(0)


def _supervise(
    folder: MachineFolder,
    command: Sequence[str],
    environ: Mapping[str, str],
    told: int,
    as_root: bool,
    inherited: Sequence[int],
    front: int,
    mask: Iterable[int],
) -> None:
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    filtered = Filter(as_root=as_root)
    supervisor = Supervisor(folder)
    files = candidates(command[0], environ)
    failed, failing = os.pipe()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, _FRONT_ENDED))
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        filtered.install()
        number = _exec(files, command, environ)
        os.write(failing, _OUTCOME.pack(number))
        os._exit(_NOT_FOUND)
    os.close(failing)
    filtered.close_child_end()
    _let_go(inherited)
    _allow_files()
    try:
        listener = filtered.listener()
        message = os.read(failed, _OUTCOME.size)
        if message:
            code, error = _untried(command, _OUTCOME.unpack(message)[0])
            _tell(told, code << 8, error)
            return
        serving = spawn("dmtable exec", supervisor.serve, listener)
        _follow(child, told, prctl, front)
        serving.join()
    finally:
        supervisor.close()


def candidates(command: str, environ: Mapping[str, str]) -> list[str]:
    """The files that a command may be, as execvp(3) looks for them."""
    if "/" in command:
        return [command]
    return [f"{folder or '.'}/{command}" for folder in environ.get("PATH", os.defpath).split(":")]


def _exec(files: Sequence[str], command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Becomes the command; returns the errno where it cannot, as execvp(3) chooses it."""
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)  # It is Python that ignores them.
    number = errno.ENOENT
    for file in files:
        try:
            _exec_file(file, command, environ)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                number = error.errno or number
                if number != errno.EACCES:
                    break
    return number


def _exec_file(file: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
    try:
        os.execve(file, list(command), environ)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script that does not say whose it is.
        os.execve("/bin/sh", ["sh", file, *command[1:]], environ)


def _untried(command: Sequence[str], number: int) -> tuple[int, str]:
    """The exit status and the message where a command could not be run."""
    code = _NOT_FOUND if number == errno.ENOENT else _NOT_EXECUTABLE
    return code, f"{command[0]}: {os.strerror(number)}"


def _let_go(inherited: Sequence[int]) -> None:
    """Nothing of what was the command's alone stays open here: somebody may wait for the end of a pipe."""
    for fd in inherited:
        with suppress(OSError):
            os.close(fd)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    os.chdir("/")


def _allow_files() -> None:
    """As many as may be: each call that waits needs three."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _follow(child: int, told: int, prctl: Callable[..., int], front: int) -> None:
    """Tells how the command ended, and returns when everything that it left behind has ended too.

    All signals are blocked, in every thread, and taken one by one here.
    """
    for stopping in _STOPPING:
        signal.signal(stopping, signal.SIG_IGN)
    prctl(_PR_SET_PDEATHSIG, _FRONT_ENDED, 0, 0, 0)
    if os.getppid() != front:
        os.kill(child, signal.SIGKILL)
    command: int | None = child
    while True:
        told_of = signal.sigwaitinfo((*_PASSED_ON, _FRONT_ENDED, signal.SIGCHLD))
        number = told_of.si_signo
        if number != signal.SIGCHLD:
            # What others send, as terminals do, they send to all of the group, the command among them.
            if command is not None and told_of.si_pid == front:
                os.kill(command, signal.SIGKILL if number == _FRONT_ENDED else number)
            continue
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == command:
                    # Nobody may be sent a signal by this number any more.
                    command = None
                    _tell(told, ended[1])
                    os.dup2(0, 2)
        except ChildProcessError:
            return


def _tell(told: int, status: int, error: str = "") -> None:
    with suppress(OSError):
        os.write(told, _OUTCOME.pack(status) + error.encode(errors="surrogateescape"))
        os.close(told)
