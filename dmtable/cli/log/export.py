"""Make the image of a device as it was when an entry had been written.

    dmtable log export log.img --as-of 1200 0 --from snapshot.img --at 1000 then.img

DEVICE is its number in the group. IMAGE holds it at entry P: all entries up to P and nothing later, perhaps some
sectors of the next. A copy of a site's device does, if P is the entry before the oldest that the site was owed.
Without `--at` it is the entry before the oldest in the log. N is from P up to the newest. OUT is a new file. What
the log does not hold any more is refused, not guessed. Exit status: 0 made, 1 it cannot be known, 2 usage, or not
a log.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from dmtable.cli.log.reading import add_log_arguments, opened
from dmtable.errors import DmtableError, UsageError

if TYPE_CHECKING:
    from dmtable.replog.inspection import LoggedEntry, LogImage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable log export`."""
    add_log_arguments(parser)
    parser.add_argument("device", type=int, metavar="DEVICE", help="the device's number in the group")
    parser.add_argument("out", metavar="OUT", help="the file to make")
    parser.add_argument("--as-of", type=int, required=True, metavar="N", help="the last entry that OUT shall hold")
    parser.add_argument("--from", dest="image", required=True, metavar="IMAGE", help="the device at an earlier entry")
    parser.add_argument("--at", type=int, metavar="P", help="the last entry that IMAGE holds")


def run(arguments: argparse.Namespace) -> int:
    """Makes the file, or none."""
    from dmtable.replog.inspection import entries_between

    with opened(arguments) as (image, _):
        at = image.report.first - 1 if arguments.at is None else arguments.at
        entries = entries_between(image, at, arguments.as_of)
        with _new(arguments.out) as file:
            try:
                count = _make(arguments, file, image, entries)
            except BaseException as error:
                os.unlink(arguments.out)
                if isinstance(error, OSError):
                    raise DmtableError(f"cannot make {arguments.out}: {error.strerror}: {error.filename}") from error
                raise
    then = f"device {arguments.device} as of entry {arguments.as_of}"
    print(f"{arguments.out}: {then}: {count} of its writes behind {at}")
    return 0


def _new(out: str) -> BinaryIO:
    try:
        return open(out, "xb")
    except FileExistsError:
        raise UsageError(f"{out} exists; give a name that is free") from None
    except OSError as error:
        raise UsageError(f"cannot make {out}: {error.strerror}") from error


def _make(arguments: argparse.Namespace, file: BinaryIO, image: LogImage, entries: Sequence[LoggedEntry]) -> int:
    """The copy with the entries laid over it: how many they were."""
    from dmtable.io.file import FileDevice
    from dmtable.replog.inspection import replay

    with open(arguments.image, "rb") as source:
        shutil.copyfileobj(source, file, 1 << 20)
    file.flush()
    onto = FileDevice(arguments.out)
    try:
        count = replay(image, entries, arguments.device, onto)
        onto.flush()
    finally:
        onto.close()
    return count
