"""dmsetup's verbs on the emulated machine of a folder, whose daemon is started when something is asked of it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from dmtable.cli.dmsetup import main as dmsetup
from dmtable.cli.dmsetup.verbs import VERBS
from dmtable.control.folder import MachineFolder, machine_folder
from dmtable.control.machine import FolderTransport, folder_machine
from dmtable.errors import DmtableError, UsageError

_EXIT_FAILURE = 1
_EXIT_USAGE = 2


def is_verb(word: str) -> bool:
    """Whether dmsetup has such a verb."""
    return word in VERBS


def run_dmsetup(arguments: Sequence[str], path: str | None = None) -> int:
    """Runs one of dmsetup's command lines, without its first word, on a folder's machine; dmsetup's exit status."""
    for stream in (sys.stdin, sys.stderr):
        # Names and tables need not be UTF-8.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        folder = machine_folder(path)
        with FolderTransport(folder, lambda: ensure_daemon(folder)) as transport:
            return dmsetup(arguments, folder_machine(transport), sys.stdin or io.StringIO(), sys.stdout, sys.stderr)
    except UsageError as error:
        print(f"dmtable: {error}", file=sys.stderr)
        return _EXIT_USAGE
    except DmtableError as error:
        print(f"dmtable: {error}", file=sys.stderr)
        return _EXIT_FAILURE


def ensure_daemon(folder: MachineFolder) -> None:
    """Starts the daemon of a folder where none runs, and says so. Raises UsageError where it cannot start."""
    from dmtable.daemon.starting import start

    started = start(folder)
    if started.is_new:
        end = f"dmtable --dir {folder.path} daemon stop"
        notes = "".join(f"; {note}" for note in started.notes)
        print(f"dmtable: started a machine in {folder.path}, `{end}` ends it{notes}", file=sys.stderr)
