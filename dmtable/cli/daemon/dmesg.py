"""Print what an emulated machine's kernel logged: why a table was refused, and what became of devices."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the folder of the machine")


def run(args: argparse.Namespace) -> int:
    from dmtable.cli.files import write_out
    from dmtable.control.calls import Calls
    from dmtable.control.folder import machine_folder
    from dmtable.control.machine import FolderTransport

    with FolderTransport(machine_folder(args.dir)) as transport:
        lines, _ = Calls(transport).klog()
    write_out(f"{line}\n" for line in lines)
    return 0
