"""A machine as a program in its user space sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmtable.control.dev import Dev
from dmtable.control.folder import MachineFolder
from dmtable.control.interface import Control
from dmtable.errors import UsageError

if TYPE_CHECKING:
    from dmtable.core.device_mapper import DeviceMapper


@dataclass(frozen=True, slots=True)
class Machine:
    """The control interface, /dev and sysfs, and a way to wait: seconds go by in `sleep`."""

    control: Control
    dev: Dev
    sleep: Callable[[float], object]


def local_machine(mapper: DeviceMapper) -> Machine:
    """The machine that a DeviceMapper in this process is."""
    from dmtable.control.dev import LocalDev
    from dmtable.control.dispatch import LocalControl

    return Machine(LocalControl(mapper), LocalDev(mapper), mapper.runtime.sleep)


def folder_machine(transport: FolderTransport) -> Machine:
    """The machine that a daemon serves in a folder."""
    from dmtable.control.calls import Calls
    from dmtable.control.client import IoctlControl
    from dmtable.control.dev import FolderDev

    return Machine(IoctlControl(transport), FolderDev(transport.folder, Calls(transport)), _sleep)


class FolderTransport:
    """Requests to the daemon of a folder, all on one connection, which is made for the first of them.

    Where nobody answers that one, `start` is to see to it that a daemon does. Raises UsageError where the folder is
    somebody else's, and where nobody answers for all that, or for longer than the patience.
    """

    def __init__(
        self,
        folder: MachineFolder,
        start: Callable[[], object] | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        from dmtable.control.wire import SocketTransport

        folder.exists()
        self.folder = folder
        self._start = start
        self._socket = SocketTransport(folder.socket, patience_seconds)

    def __enter__(self) -> FolderTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, command: int, request: bytes) -> tuple[int, bytes]:
        start, self._start = self._start, None
        try:
            if start is not None:
                with suppress(FileNotFoundError, ConnectionRefusedError):
                    return self._socket(command, request)
                start()
            return self._socket(command, request)
        except OSError as error:
            raise UsageError(f"the machine in {self.folder.path} does not answer: {error.strerror or error}") from error

    def close(self) -> None:
        self._socket.close()


def _sleep(seconds: float) -> None:
    from dmtable.runtime.threads import ThreadRuntime

    ThreadRuntime().sleep(seconds)
