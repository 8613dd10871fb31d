"""What a machine that has ended leaves in its folder, and what one that begins must not find there."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from dmtable.control.folder import MachineFolder
from dmtable.nodes.mount import clear_stale


def clear_away(folder: MachineFolder) -> None:
    """Takes away the socket, the nodes, and a mount that nobody serves. Raises UsageError where that mount stays.

    LVM's settings and backups stay, as on a machine that was switched off.
    """
    clear_stale(Path(folder.mapper))
    with suppress(FileNotFoundError):
        os.unlink(folder.socket)
    shutil.rmtree(folder.dev, ignore_errors=True)
    folder.make()
