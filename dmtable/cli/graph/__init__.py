"""Draw a stack of tables: as a tree, or for Mermaid, Graphviz, or as SVG.

    dmtable graph lv.table top.table
    dmtable graph --root disks --format svg lv.table top.table > stack.svg

Devices need not exist; with --root their files and sizes are shown. The SVG needs no other program and no
fonts of its own. A table of many lines is summed up. Exit status: 0 drawn, 1 a table cannot be used, 2 usage.
"""

from __future__ import annotations

import argparse
import importlib

from dmtable.cli.files import write_out
from dmtable.cli.stack import add_stack_arguments, open_disks, paper_stack, read_tables
from dmtable.errors import UsageError

_FORMATS = {"text": 12, "mermaid": 12, "dot": 12, "svg": 40}
"""The modules that draw, each with the number of segments that it shows of one table at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable graph`."""
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="NAME=FILE, or FILE, `-` for standard input")
    parser.add_argument("--format", choices=_FORMATS, default="text", help="what to draw for (text)")
    add_stack_arguments(parser, "to find files in")


def run(arguments: argparse.Namespace) -> int:
    """Prints the picture."""
    from dmtable.cli.graph.picture import picture

    tables = read_tables(arguments.tables, arguments.concise)
    if not tables:
        raise UsageError("no tables; give NAME=FILE, FILE or --concise FILE")
    with open_disks(arguments.root) as disks:
        drawn = picture(paper_stack(tables, disks), _FORMATS[arguments.format])
    emitter = importlib.import_module(f"dmtable.cli.graph.{arguments.format}")
    write_out(emitter.draw(drawn))
    return 0
