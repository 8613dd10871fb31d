"""Run dmsetup's verbs against one emulated machine, from a script or a prompt.

Each line is a dmsetup command without the word `dmsetup` (with it is fine too); blank lines and lines
that begin with `#` are skipped. A table can follow a command as a here-document:

    create vol <<END
    0 2048 linear /dev/sda1 0
    END
    table vol

The machine lives as long as the script. Exit status: that of the first command that failed, else 0.
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from dmtable.control.machine import Machine

_PROMPT = "dmsetup> "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="DIR", help="the folder that stands in for `/` when tables name devices")
    parser.add_argument("--keep-going", action="store_true", help="go on after a command that failed")
    parser.add_argument("script", nargs="?", default="-", help="file of commands, `-` for standard input (default)")


def run(args: argparse.Namespace) -> int:
    from dmtable.cli.files import check_root, read_text
    from dmtable.control.machine import local_machine
    from dmtable.core.device_mapper import DeviceMapper

    check_root(args.root)
    at_prompt = args.script == "-" and sys.stdin is not None and sys.stdin.isatty()
    # Cut at newlines only: splitlines() would cut a table at blanks of the kernel's as well, as form feeds.
    lines = _prompted() if at_prompt else iter(read_text(args.script).split("\n"))
    with DeviceMapper(root=args.root) as mapper:
        machine = local_machine(mapper)
        first_failure = 0
        for line in lines:
            command, here = _split_here(line, lines)
            status = _command(command, here, machine)
            first_failure = first_failure or status
            if status and not (args.keep_going or at_prompt):
                break
        return first_failure


def _command(command: str, here: TextIO, machine: Machine) -> int:
    from dmtable.cli import dmsetup

    try:
        words = shlex.split(command, comments=True)
    except ValueError as error:
        print(f"dmtable shell: {command.strip()!r} cannot be split into words: {error}", file=sys.stderr)
        return 1
    if words[:1] == ["dmsetup"]:
        del words[0]
    if not words:
        return 0
    status = dmsetup.main(words, machine, here, sys.stdout, sys.stderr)
    sys.stdout.flush()
    return status


def _split_here(line: str, lines: Iterator[str]) -> tuple[str, TextIO]:
    """(command, its standard input): the lines up to the word behind `<<`, or nothing."""
    command, here, word = line.partition("<<")
    if not here or command.lstrip().startswith("#"):
        return line, io.StringIO()
    end = word.strip().strip("'\"")
    text = []
    for inner in lines:
        if inner.strip() == end:
            break
        text.append(inner + "\n")
    return command, io.StringIO("".join(text))


def _prompted() -> Iterator[str]:
    while True:
        try:
            yield input(_PROMPT)
        except EOFError:
            print()
            return
