"""Show the newest entries of a replication log, and go on with those that come.

    dmtable log tail log.img
    dmtable log tail --lines 3 log.img

With `--lines N` the last N are shown and that is all. Otherwise the log is looked at once a second until you
interrupt it; what leaves the ring between two looks is counted. Exit status: 0 shown, 1 the log was damaged or
replaced meanwhile, 2 not a log.
"""

from __future__ import annotations

import argparse

from dmtable.cli.log.reading import COLUMNS, add_log_arguments, aligned, opened, row
from dmtable.errors import UsageError

_SHOWN_FIRST = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable log tail`."""
    add_log_arguments(parser)
    parser.add_argument("--lines", type=int, metavar="N", help="show the last N entries and end")


def run(arguments: argparse.Namespace) -> int:
    """Prints the entries."""
    if arguments.lines is not None and arguments.lines < 0:
        raise UsageError(f"--lines {arguments.lines}: give 0 or more")
    with opened(arguments) as (image, runtime):
        count = _SHOWN_FIRST if arguments.lines is None else arguments.lines
        newest = image.entries[max(0, len(image.entries) - count) :]
        for line in aligned([COLUMNS, *map(row, newest)]):
            print(line, flush=True)
        if arguments.lines is None:
            from dmtable.replog.inspection import Tail

            tail = Tail(image, runtime)
            missed = 0
            for logged in tail.follow():
                if tail.missed > missed:
                    print(f"entries that came and went unseen: {tail.missed - missed}", flush=True)
                    missed = tail.missed
                print("  ".join(row(logged)), flush=True)
        return 0
