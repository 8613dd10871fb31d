"""Ends the daemon of a machine's folder, and clears away what one that was killed left there."""

from __future__ import annotations

import os
from contextlib import suppress

from dmtable.control.client import IoctlControl
from dmtable.control.folder import MachineFolder
from dmtable.control.interface import DmIoctl
from dmtable.control.machine import FolderTransport
from dmtable.daemon.leftovers import clear_away
from dmtable.daemon.presence import serving
from dmtable.daemon.starting import no_start_meanwhile
from dmtable.errors import DmtableError, UsageError

_PATIENCE_SECONDS = 60.0
_ANSWER_SECONDS = 2.0
"""A machine with more clients than it serves, or one that hangs, ends without saying what it had."""


def stop(folder: MachineFolder) -> list[str] | None:
    """Ends the daemon, and returns the names of the mds that it had; None where there was no daemon.

    Raises DmtableError where it does not end in time: I/O in flight has to, and may be long.
    """
    if not folder.exists():
        return None
    with no_start_meanwhile(folder):
        there = serving(folder)
        if there is None:
            clear_away(folder)
            with suppress(FileNotFoundError):
                os.unlink(folder.pid)
            return None
        with there:
            names = _names(folder)
            there.tell_to_end()
            if not there.wait(_PATIENCE_SECONDS):
                raise DmtableError(f"the daemon {there.pid} still waits for I/O to end; {folder.log} may say more")
            return names


def _names(folder: MachineFolder) -> list[str]:
    """The mds of a machine; none where it does not answer any more."""
    try:
        with FolderTransport(folder, patience_seconds=_ANSWER_SECONDS) as transport:
            return [entry.name for entry in IoctlControl(transport).list_devices(DmIoctl())]
    except UsageError:
        return []
