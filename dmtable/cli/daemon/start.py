"""Start the daemon of an emulated machine, where none runs.

Tables name devices by absolute paths, which lead to image files and block devices below the root. Where that is a
folder of your own, the regular files in its `dev` are disks from the beginning.
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the folder of the machine")
    parser.add_argument(
        "--root", metavar="DIR", help="the folder that stands in for `/` in tables (default: `/` itself)"
    )


def run(args: argparse.Namespace) -> int:
    from dmtable.cli.files import check_root
    from dmtable.control.folder import machine_folder
    from dmtable.daemon.starting import start

    check_root(args.root)
    started = start(machine_folder(args.dir), args.root)
    print(f"{'started' if started.is_new else 'runs already'}: pid {started.pid}")
    for note in started.notes:
        print(f"dmtable: {note}", file=sys.stderr)
    return 0
