"""The daemon that an emulated machine lives in: start, stop, status, dmesg, attach, detach.

    dmtable daemon start          begins to serve a machine in a folder
    dmtable daemon stop           ends it, and removes its mapped devices
    dmtable daemon status         is there one, and what has it got?
    dmtable daemon dmesg          what its kernel logged
    dmtable daemon attach FILE…   gives image files numbers, as losetup does
    dmtable daemon detach FILE…   takes them away

dmsetup's verbs start one by themselves. Each folder has a machine of its own: --dir DIR, else $DMTABLE_DIR, else
$XDG_RUNTIME_DIR/dmtable, else /run/dmtable for root and /tmp/dmtable-UID for others. `dmtable daemon VERB --help`
tells more.
"""

from __future__ import annotations

import argparse

from dmtable.errors import UsageError

VERBS = {
    "start": "dmtable.cli.daemon.start",
    "stop": "dmtable.cli.daemon.stop",
    "status": "dmtable.cli.daemon.status",
    "dmesg": "dmtable.cli.daemon.dmesg",
    "attach": "dmtable.cli.daemon.attach",
    "detach": "dmtable.cli.daemon.detach",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only what is no verb comes here."""
    parser.add_argument("--dir", help=argparse.SUPPRESS)
    parser.add_argument("verb", metavar="|".join(VERBS))


def run(arguments: argparse.Namespace) -> int:
    """Says which verbs there are."""
    raise UsageError(f"{arguments.verb!r} is none of {', '.join(VERBS)}")
