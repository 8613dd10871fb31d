"""The daemon's process: `python -m dmtable.daemon FOLDER ROOT PIPE LOCK`, as `starting` calls it."""

from __future__ import annotations

import os
import sys

from dmtable.control.folder import MachineFolder
from dmtable.daemon.starting import FAILED, NOTE, READY
from dmtable.errors import DmtableError


def main() -> int:
    """Serves until it is told to end. Exit status 1 where it could not begin."""
    path, root = sys.argv[1:3]
    pipe, lock = map(int, sys.argv[3:5])
    if os.fork():
        # The starter waits for this process alone; the one that stays can never get a terminal.
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    with open(pipe, "w", encoding="utf-8", errors="surrogateescape") as answers:
        try:
            from dmtable.daemon.serving import Served

            served = Served(MachineFolder(path), root)
        except (DmtableError, OSError) as error:
            answers.write(f"{FAILED}{error}\n")
            return 1
        answers.writelines(f"{NOTE}{note}\n" for note in served.notes)
        answers.write(f"{READY}{os.getpid()}\n")
    os.close(lock)
    served.until_told_to_end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
