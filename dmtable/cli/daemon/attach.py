"""Give image files and block devices the numbers of disks, as losetup does: tables can name them by `7:N`.

What a table names by its path needs no such number before. The machine's daemon is started where none runs.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the folder of the machine")
    parser.add_argument("--read-only", action="store_true", help="disks that refuse writes")
    parser.add_argument("file", nargs="+", metavar="FILE")


def run(args: argparse.Namespace) -> int:
    from dmtable.cli.machine import ensure_daemon
    from dmtable.control.calls import CallError, Calls
    from dmtable.control.folder import machine_folder
    from dmtable.control.machine import FolderTransport
    from dmtable.errors import DmtableError

    folder = machine_folder(args.dir)
    with FolderTransport(folder, lambda: ensure_daemon(folder)) as transport:
        for path in args.file:
            try:
                disk = Calls(transport).attach(path, read_only=args.read_only)
            except CallError as error:
                raise DmtableError(f"{path}: {error}") from error
            print(f"{path}: {disk.number[0]}:{disk.number[1]}")
    return 0
