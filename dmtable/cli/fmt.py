"""Lay out tables in one form, comments kept.

Files are rewritten in place; standard input goes to standard output. A table that does not read is shown
with what is wrong and left untouched. Exit status: 0 done, 1 a table that does not read (with --check, or
one that would change), 2 a file that cannot be read or written.
"""

from __future__ import annotations

import argparse
import sys

from dmtable.cli.files import STDIN, display_name, read_text, replace_text, show_refusal, write_out
from dmtable.errors import UsageError
from dmtable.language.diagnostics import TableError
from dmtable.language.pretty import pretty


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable fmt`."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a table, `-` or none for standard input")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 where something would change")
    parser.add_argument("--diff", action="store_true", help="change nothing, print what would change")


def run(arguments: argparse.Namespace) -> int:
    """Formats each file; one that fails keeps none of the others from being done. The worst exit status."""
    return max(_format(path, arguments.check, arguments.diff) for path in arguments.files or [STDIN])


def _format(path: str, check: bool, diff: bool) -> int:
    name = display_name(path)
    try:
        text = read_text(path)
        try:
            laid_out = pretty(text, name)
        except TableError as error:
            show_refusal(error, text)
            return 1
        if diff:
            write_out(_difference(text, laid_out, name))
        if check:
            if laid_out != text:
                print(f"{name}: would be laid out anew", file=sys.stderr)
            return int(laid_out != text)
        if path == STDIN and not diff:
            write_out([laid_out])
        elif laid_out != text and not diff:
            replace_text(path, laid_out)
    except UsageError as error:
        print(f"dmtable fmt: {error}", file=sys.stderr)
        return 2
    return 0


def _difference(old: str, new: str, name: str) -> list[str]:
    from difflib import unified_diff

    lines = unified_diff(_lines(old), _lines(new), name, f"{name}, laid out", n=2)
    return [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]


def _lines(text: str) -> list[str]:
    """The lines with their ends, cut at newlines only, as diff does."""
    return [line + "\n" for line in text.split("\n")[:-1]] + [last for last in [text.rpartition("\n")[2]] if last]
