"""Read bytes from a table, or a stack of them, over files.

    dmtable read --root disks --table vol=vol.table vol > image
    dmtable read --root disks --table lv=lv.table --table top=top.table top 4k 512b --hex

OFFSET and LENGTH count sectors, or bytes with a unit (4k, 1m, 512b); without them everything is read. They
need not be whole sectors. On a terminal the bytes are shown in hexadecimal. An I/O error ends the output
behind the last byte that can be read. Exit status: 0 done, 1 an I/O error or a table that cannot be used,
2 usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from dmtable.cli.transfer import Stopped, add_transfer_arguments, byte_range, open_stack, read_range
from dmtable.errors import UsageError

_ROW = 16
_PRINTABLE = bytes(byte if 32 <= byte < 127 else ord(".") for byte in range(256))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable read`."""
    add_transfer_arguments(parser)
    parser.add_argument("--output", metavar="FILE", help="write to a file, not to standard output")
    parser.add_argument("--hex", action="store_true", help="as `hexdump -C` shows bytes")
    parser.add_argument("name", metavar="NAME", help="the table to read from")
    parser.add_argument("offset", metavar="OFFSET", nargs="?", default="0")
    parser.add_argument("length", metavar="LENGTH", nargs="?")


def run(arguments: argparse.Namespace) -> int:
    """Copies the range to the output."""
    mapper, md = open_stack(arguments)
    with mapper:
        first, end = byte_range(md, arguments.offset, arguments.length)
        pieces: Iterable[bytes] = read_range(md, first, end)
        if arguments.hex or (arguments.output is None and sys.stdout.isatty()):
            pieces = hex_dump(pieces, first)
        if arguments.output is None:
            sys.stdout.flush()
            _copy(pieces, sys.stdout.buffer)
        else:
            with _create(arguments.output) as file:
                _copy(pieces, file)
    return 0


def hex_dump(pieces: Iterable[bytes], at: int) -> Iterator[bytes]:
    """Lines as of `hexdump -C`: 16 bytes each from byte `at` on, `*` for those like the last, at the end the end."""
    last, repeats = b"", False
    for row in _rows(pieces):
        if row == last and len(row) == _ROW:
            if not repeats:
                yield b"*\n"
            repeats = True
        else:
            last, repeats = row, False
            columns = f"{row[:8].hex(' ')}  {row[8:].hex(' ')}"
            yield f"{at:08x}  {columns:<48}  |{row.translate(_PRINTABLE).decode('ascii')}|\n".encode()
        at += len(row)
    yield f"{at:08x}\n".encode()


def _rows(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        piece = rest + piece
        whole = len(piece) - len(piece) % _ROW
        for start in range(0, whole, _ROW):
            yield piece[start : start + _ROW]
        rest = piece[whole:]
    if rest:
        yield rest


def _create(path: str) -> BinaryIO:
    try:
        return open(path, "wb")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _copy(pieces: Iterable[bytes], output: BinaryIO) -> None:
    done = 0
    for piece in pieces:
        try:
            output.write(piece)
            output.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Stopped(f"the output cannot be written: {error.strerror}, behind {done} bytes") from error
        done += len(piece)
