"""End the daemon of an emulated machine: I/O in flight ends, its mapped devices are removed, its files are closed.

Exit status: 0 where none runs any more, 1 where it does not end in time.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the folder of the machine")


def run(args: argparse.Namespace) -> int:
    from dmtable.control.folder import machine_folder
    from dmtable.daemon.stopping import stop

    folder = machine_folder(args.dir)
    removed = stop(folder)
    if removed is None:
        print(f"no machine runs in {folder.path}")
        return 0
    for name in removed:
        print(f"removed {name}")
    print(f"stopped the machine in {folder.path}")
    return 0
