"""Write bytes to a table, or a stack of them, over files.

    dmtable write --root disks --table vol=vol.table vol 0 < image
    dmtable write --root disks --table vol=vol.table --input patch vol 1000b

OFFSET and LENGTH count sectors, or bytes with a unit (4k, 1m, 512b). They need not be whole sectors: what a
sector holds beside the new bytes stays. Without LENGTH everything is written that comes, and it must fit.
When the command says that it is done the bytes are durable. Exit status: 0 done, 1 an I/O error, an input
that is too long or, with LENGTH, too short, or a table that cannot be used, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, suppress
from typing import BinaryIO

from dmtable.cli.files import STDIN, display_name, standard_input
from dmtable.cli.transfer import Stopped, add_transfer_arguments, byte_range, flush, open_stack, write_stream
from dmtable.errors import UsageError
from dmtable.units import SECTOR_SHIFT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable write`."""
    add_transfer_arguments(parser)
    parser.add_argument("--input", default=STDIN, metavar="FILE", help="read a file, not standard input")
    parser.add_argument("name", metavar="NAME", help="the table to write to")
    parser.add_argument("offset", metavar="OFFSET")
    parser.add_argument("length", metavar="LENGTH", nargs="?", help="how many bytes the input must have")


def run(arguments: argparse.Namespace) -> int:
    """Copies the input to the range, and flushes."""
    tables_on_stdin = any(argument.rpartition("=")[2] == STDIN for argument in [*arguments.table, *arguments.concise])
    if arguments.input == STDIN and tables_on_stdin:
        raise UsageError("standard input cannot be both a table and the bytes to write; use --input FILE")
    with ExitStack() as closing:
        source = _open(arguments.input, closing)
        mapper, md = open_stack(arguments)
        closing.enter_context(mapper)
        first, end = byte_range(md, arguments.offset, arguments.length)
        try:
            written = write_stream(md, first, end, source)
        except Stopped:
            with suppress(Stopped):
                flush(md, 0)
            raise
        flush(md, written)
        place = f"{written} bytes to {md.name} at byte {first} (sector {first >> SECTOR_SHIFT})"
        if arguments.length is not None and first + written < end:
            raise Stopped(f"the input ended early: wrote {place}, and {end - first} were to come")
        if arguments.length is None and first + written == end and source.read(1):
            raise Stopped(f"the input is too long: wrote {place}, and that is where {md.name} ends")
    print(f"wrote {place}", file=sys.stderr)
    return 0


def _open(path: str, closing: ExitStack) -> BinaryIO:
    if path == STDIN:
        return standard_input()
    try:
        return closing.enter_context(open(path, "rb"))
    except OSError as error:
        raise UsageError(f"cannot read {display_name(path)}: {error.strerror}") from error
