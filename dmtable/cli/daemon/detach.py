"""Take the numbers of disks away from files, which are closed; not while a table uses one.

FILE is an image file, as it was attached or named in a table, or `7:N`.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from dmtable.errors import DmtableError

if TYPE_CHECKING:
    from dmtable.control.calls import Calls
    from dmtable.core.numbers import Number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the folder of the machine")
    parser.add_argument("file", nargs="+", metavar="FILE")


def run(args: argparse.Namespace) -> int:
    from dmtable.control.calls import CallError, Calls
    from dmtable.control.folder import machine_folder
    from dmtable.control.machine import FolderTransport

    with FolderTransport(machine_folder(args.dir)) as transport:
        calls = Calls(transport)
        for word in args.file:
            try:
                calls.detach(_number(calls, word))
            except CallError as error:
                raise DmtableError(f"{word}: {error}") from error
    return 0


def _number(calls: Calls, word: str) -> Number:
    real = os.path.realpath(word)
    for device in calls.block_devices():
        if word == f"{device.number[0]}:{device.number[1]}" or device.path == real:
            return device.number
    raise DmtableError(f"{word} is no disk of the machine")
