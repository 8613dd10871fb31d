"""Say whether a daemon serves an emulated machine, and what the machine has got.

Exit status: 0 where one runs, 1 where none does.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the folder of the machine")


def run(args: argparse.Namespace) -> int:
    from dmtable.control.calls import Calls
    from dmtable.control.folder import machine_folder
    from dmtable.control.machine import FolderTransport
    from dmtable.daemon.presence import serving_pid

    folder = machine_folder(args.dir)
    if not folder.exists() or serving_pid(folder) is None:
        print(f"no machine runs in {folder.path}")
        return 1
    with FolderTransport(folder) as transport:
        status = Calls(transport).status()
    told = {
        "pid": status["pid"],
        "dir": folder.path,
        "root": status["root"],
        "mds": status["mds"],
        "nodes": status["nodes"],
    }
    for word, value in told.items():
        print(f"{word + ':':<6} {value}")
    return 0
