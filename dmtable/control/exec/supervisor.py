"""The supervisor: answers the system calls of programs that were started under it, as the emulated machine would."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from dmtable.control.exec import block_ioctls, dm_ioctls
from dmtable.control.exec.devices import BlockDevices
from dmtable.control.exec.environment import environment
from dmtable.control.exec.files import Answer, Caller, Files, GiveFd, GoOn, as_fd
from dmtable.control.exec.filtered import Filter
from dmtable.control.exec.link import MachineLink
from dmtable.control.exec.memory import Memory
from dmtable.control.exec.nodes import Nodes, OpenNode
from dmtable.control.exec.notify import Listener, Trapped
from dmtable.control.exec.paths import Paths
from dmtable.control.exec.syscalls import TRAPPED, this_architecture
from dmtable.control.exec.sysfs import ShadowTree
from dmtable.control.folder import MachineFolder
from dmtable.errors import UsageError
from dmtable.runtime.threads import spawn

if TYPE_CHECKING:
    import subprocess

_DM_TYPE = 0xFD


class Supervisor:
    """One for the programs of one machine. `serve` answers those behind one listener, from any thread.

    Calls are answered one after the other, but those that may wait have a thread each.
    """

    def __init__(self, folder: MachineFolder) -> None:
        architecture = this_architecture()
        self._folder = folder
        self._link = MachineLink(folder.socket)
        self._shadow = ShadowTree(folder.exec)
        self._devices = BlockDevices(folder, self._link.block_devices)
        self._nodes = Nodes(folder, self._devices)
        paths = Paths(folder, self._shadow, self._devices, self._nodes.number_of_fd)
        self._files = Files(paths, self._nodes, architecture, os.stat(folder.dev).st_dev)
        self._devices.all()  # Makes the nodes of disks.
        self._names = {number: call.name for call in TRAPPED if (number := architecture.number(call)) is not None}

    def run(
        self, command: Sequence[str], *, environ: Mapping[str, str] = os.environ, stdin: str = "", as_root: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command from this process, and returns what it wrote, and its exit code as subprocess has it."""
        import subprocess

        filtered = Filter(as_root=as_root)
        spawn("dmtable exec", self._serve_child, filtered)
        try:
            return subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                check=False,
                encoding="utf-8",
                errors="surrogateescape",
                env=environment(self._folder, environ),
                preexec_fn=filtered.install,
            )
        finally:
            filtered.close_child_end()

    def _serve_child(self, filtered: Filter) -> None:
        with suppress(UsageError):
            self.serve(filtered.listener())
        filtered.close()

    def close(self) -> None:
        """Nobody may be served any more."""
        self._link.close()
        self._nodes.close()
        self._shadow.remove()

    def serve(self, listener: Listener) -> None:
        """Returns when the last thread behind the listener has ended, and closes it."""
        poll = select.poll()
        poll.register(listener.fd, select.POLLIN)
        while True:
            ((_, events),) = poll.poll()
            if events & select.POLLIN:
                call = listener.receive()
                if call is not None:
                    self._answer(listener, call)
            elif events:
                listener.close()
                return

    def _answer(self, listener: Listener, call: Trapped) -> None:
        with _refusals(listener, call):
            name = self._names[call.number]
            if name == "ioctl":
                self._ioctl(listener, call)
                return
            try:
                memory = Memory(listener, call)
            except PermissionError:
                # It lets nobody look into it (PR_SET_DUMPABLE), as ssh-agent does.
                listener.go_on(call)
                return
            with memory:
                answer = self._files.calls[name](Caller(call.tid, memory), *call.arguments)
            _send(listener, call, answer)

    def _ioctl(self, listener: Listener, call: Trapped) -> None:
        fd, command = as_fd(call.arguments[0]), call.arguments[1] & 0xFFFFFFFF
        node = self._nodes.of_fd(call.tid, fd)
        if node is None:
            listener.go_on(call)
            return
        is_dm = command >> 8 & 0xFF == _DM_TYPE
        if is_dm != (node.number is None):
            listener.fail(call, errno.ENOTTY)
            return
        carry_out = partial(self._dm_ioctl, command) if is_dm else partial(self._block_ioctl, node, command)
        if is_dm or block_ioctls.may_wait(command):
            # The listener ends with its last thread, which may be killed while it waits for us.
            spawn("dmtable ioctl", self._finish_later, listener.copy(), call, carry_out)
        else:
            self._finish(listener, call, carry_out)

    def _finish_later(self, listener: Listener, call: Trapped, carry_out: Callable[[Listener, Trapped], int]) -> None:
        try:
            self._finish(listener, call, carry_out)
        finally:
            listener.close()

    def _finish(self, listener: Listener, call: Trapped, carry_out: Callable[[Listener, Trapped], int]) -> None:
        with _refusals(listener, call):
            listener.answer(call, carry_out(listener, call))

    def _dm_ioctl(self, command: int, listener: Listener, call: Trapped) -> int:
        def given_up() -> bool:
            interrupted = dm_ioctls.is_interruptible(command) and dm_ioctls.has_signal(call.tid)
            return interrupted or not listener.is_waiting(call)

        with Memory(listener, call) as memory:
            exchange, seen = self._link.exchange, self._nodes.releases_seen
            dm_ioctls.answer(memory, command, call.arguments[2], exchange, given_up, seen)
        return 0

    def _block_ioctl(self, node: OpenNode, command: int, listener: Listener, call: Trapped) -> int:
        assert node.number is not None
        device = self._devices.get(node.number)
        read_only = device is not None and device.read_only
        fd, argument = as_fd(call.arguments[0]), call.arguments[2]
        with Memory(listener, call) as memory:
            return block_ioctls.answer(memory, call.tid, fd, node, command, argument, read_only)


@contextmanager
def _refusals(listener: Listener, call: Trapped) -> Iterator[None]:
    """Whatever goes wrong inside is answered: the program must not wait for ever."""
    try:
        yield
    except OSError as error:
        listener.fail(call, error.errno or errno.EIO)
    except Exception:
        # A defect of ours.
        sys.excepthook(*sys.exc_info())
        listener.fail(call, errno.EIO)


def _send(listener: Listener, call: Trapped, answer: Answer) -> None:
    if isinstance(answer, GoOn):
        listener.go_on(call)
    elif isinstance(answer, GiveFd):
        try:
            listener.give(call, answer.fd, close_on_exec=answer.close_on_exec)
        finally:
            os.close(answer.fd)
    else:
        listener.answer(call, answer)
