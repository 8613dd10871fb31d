"""The daemon's life: it takes a folder, serves the machine there until it is told to end, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from dmtable.control.folder import MachineFolder, read_node
from dmtable.control.server import Server
from dmtable.core.device_mapper import DeviceMapper
from dmtable.daemon.leftovers import clear_away
from dmtable.daemon.presence import serve_alone
from dmtable.errors import DeviceLookupError, UsageError
from dmtable.nodes.nodes import Nodes

_ENDING = (signal.SIGTERM, signal.SIGINT)


class Served:
    """A machine's folder, served by this process from now on.

    `notes` says in a line each what the machine has to do without. Raises UsageError where the folder is served
    already.
    """

    def __init__(self, folder: MachineFolder, root: str) -> None:
        # Before there is any thread: they all leave these signals to whoever waits for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        if not serve_alone(folder):
            raise UsageError("another daemon serves it")
        self.notes: list[str] = []
        self._root = root
        with ExitStack() as ends:
            ends.callback(_leave, folder)
            clear_away(folder)
            self._mapper = ends.enter_context(DeviceMapper(root))
            self._mapper.has_nodes_in(folder.dev, read_node)
            self._open_disks()
            self._nodes = self._show_nodes(folder.mapper, ends)
            server = Server(self._mapper, folder.socket, self._about, _tell_to_end)
            server.start()
            ends.callback(server.close)
            self._ends = ends.pop_all()

    def until_told_to_end(self) -> None:
        """Serves until SIGTERM, SIGINT or a client's call; then I/O in flight ends, and every md is removed."""
        signal.sigwait(_ENDING)
        self._ends.close()

    def _about(self) -> dict[str, object]:
        return {"pid": os.getpid(), "root": self._root, "mds": len(self._mapper), "nodes": self._nodes()}

    def _open_disks(self) -> None:
        """The regular files in the root's `dev` are disks from the beginning; but in `/` that is somebody else's."""
        if self._root == "/":
            return
        with suppress(FileNotFoundError), os.scandir(f"{self._root}/dev") as entries:
            for name in sorted(entry.name for entry in entries if entry.is_file()):
                try:
                    self._mapper.lookup(f"/dev/{name}")
                except DeviceLookupError as error:
                    self.notes.append(f"without a disk: {error}")

    def _show_nodes(self, folder: str, ends: ExitStack) -> Callable[[], str]:
        """Says where the nodes are, or why there are none: all but them is there without."""
        try:
            nodes = ends.enter_context(Nodes(self._mapper, Path(folder)))
        except UsageError as error:
            why = f"none: {error}"
            self.notes.append(f"without nodes: {error}")
            return lambda: why
        self._mapper.show_nodes_in(folder)
        return lambda: folder if nodes.mounted else "none: somebody unmounted them"


def _tell_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(folder: MachineFolder) -> None:
    clear_away(folder)
    # Last: from here on nothing tells that this process is there.
    with suppress(FileNotFoundError):
        os.unlink(folder.pid)
