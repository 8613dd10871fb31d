"""Look into a replication log, without a table for it: dump, fsck, tail, export.

    dmtable log dump LOG        its entries, those that some site still lacks among them
    dmtable log fsck LOG        what a recovery would do, without doing it
    dmtable log tail LOG        the newest entries, and those that come
    dmtable log export LOG …    the image of a device as of an entry

LOG is an image file or a device. Nothing is ever written to it. `dmtable log VERB --help` tells more.
"""

from __future__ import annotations

import argparse

from dmtable.errors import UsageError

VERBS = {
    "dump": "dmtable.cli.log.dump",
    "fsck": "dmtable.cli.log.fsck",
    "tail": "dmtable.cli.log.tail",
    "export": "dmtable.cli.log.export",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only what is no verb comes here."""
    parser.add_argument("verb", metavar="dump|fsck|tail|export")


def run(arguments: argparse.Namespace) -> int:
    """Says which verbs there are."""
    raise UsageError(f"{arguments.verb!r} is none of {', '.join(VERBS)}")
