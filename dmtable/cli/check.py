"""Find everything that is wrong with tables, and mend what can be mended.

What a table needs of its devices is judged where they are known: --devices takes a JSON object with each
device's size in sectors, or a pair of it and the bytes in a logical block, as
{"/dev/sda": 2048, "8:16": [4096, 4096]}; --root a folder that stands in for `/` and holds image files.

--fix rewrites files in place; standard input goes to standard output, and the findings to standard error.
Exit status: 0 nothing but notes, 1 findings, 2 a file that cannot be read or written.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dmtable.checks import check
from dmtable.checks.devices import Devices, Sizes, lookup_in
from dmtable.cli.files import STDIN, check_root, display_name, read_text, replace_text, write_out
from dmtable.core.devices import DeviceTable
from dmtable.errors import UsageError
from dmtable.language.diagnostics import Diagnostic, Severity, apply_fixes
from dmtable.language.tree import Source

_SEVERITIES = tuple(Severity)
_MOST_ROUNDS = 100
"""A fix may uncover the next finding; no table needs so many rounds."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A table with what there is to say about it."""

    source: Source
    found: Sequence[Diagnostic]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable check`."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a table, `-` or none for standard input")
    parser.add_argument(
        "--format", choices=("text", "json", "sarif", "github"), default="text", help="how to print findings (text)"
    )
    parser.add_argument("--fix", action="store_true", help="mend what can be mended, and print what remains")
    parser.add_argument(
        "--severity", choices=_SEVERITIES, default=Severity.NOTE, help="the least severe findings to care for (note)"
    )
    parser.add_argument("--name", help="the mapped device that the table is for, which it must not use itself")
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--devices", metavar="FILE.json", help="the sizes of the devices")
    known.add_argument("--root", metavar="FOLDER", help="where image files stand in for devices")


def run(arguments: argparse.Namespace) -> int:
    """Checks each file; one that fails keeps none of the others from being checked."""
    paths = arguments.files or [STDIN]
    checked = []
    status = 0
    with _devices(arguments) as devices:
        for path in paths:
            try:
                checked.append(_check(path, devices, arguments))
            except UsageError as error:
                print(f"dmtable check: {error}", file=sys.stderr)
                status = 2
        if len(checked) > 1:
            checked = _with_groups(checked, devices, arguments)
    is_table_out = arguments.fix and STDIN in paths
    is_colored = (sys.stderr if is_table_out else sys.stdout).isatty() and "NO_COLOR" not in os.environ
    report = _report(checked, arguments.format, color=is_colored)
    if is_table_out:
        print(report, end="", file=sys.stderr)
    else:
        write_out([report])
    is_found = any(each.severity is not Severity.NOTE for table in checked for each in table.found)
    return max(status, int(is_found))


@contextmanager
def _devices(arguments: argparse.Namespace) -> Iterator[Devices]:
    """What the options say about devices."""
    if arguments.devices:
        yield _read_sizes(arguments.devices)
    elif arguments.root:
        check_root(arguments.root)
        table = DeviceTable(arguments.root)
        try:
            yield lookup_in(table)
        finally:
            table.close()
    else:
        yield None


def _read_sizes(path: str) -> Sizes:
    import json

    try:
        sizes = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--devices {path}: not JSON: {error}") from error
    if not isinstance(sizes, dict):
        raise UsageError(f"--devices {path}: not a JSON object of devices and sizes")
    return {word: _size(size, f"--devices {path}: {word}") for word, size in sizes.items()}


def _size(size: object, where: str) -> int | tuple[int, int]:
    match size:
        case bool():
            pass
        case int():
            return size
        case [int() as sectors, int() as block]:
            return sectors, block
    raise UsageError(f"{where}: write its sectors, or [sectors, bytes in a logical block]")


def _check(path: str, devices: Devices, arguments: argparse.Namespace) -> _Checked:
    name, text = display_name(path), read_text(path)

    def find(text: str) -> list[Diagnostic]:
        least = _SEVERITIES.index(arguments.severity)
        found = check(text, devices, name=name, md=arguments.name)
        return [each for each in found if _SEVERITIES.index(each.severity) <= least]

    found = find(text)
    if arguments.fix:
        text, found = _mend(path, text, found, find)
    return _Checked(Source(text, name), found)


def _with_groups(checked: Sequence[_Checked], devices: Devices, arguments: argparse.Namespace) -> list[_Checked]:
    """The tables with what they have against one another, too, where some are one replicated group."""
    if sum("replicator" in table.source.text for table in checked) < 2:
        return list(checked)
    from dmtable.checks.groups import across

    least = _SEVERITIES.index(arguments.severity)
    found = across([(table.source.name, table.source.text) for table in checked], devices)
    return [
        _Checked(table.source, [*table.found, *(each for each in more if _SEVERITIES.index(each.severity) <= least)])
        for table, more in zip(checked, found, strict=True)
    ]


def _mend(
    path: str, text: str, found: list[Diagnostic], find: Callable[[str], list[Diagnostic]]
) -> tuple[str, list[Diagnostic]]:
    """Applies fixes until none is left and writes the result; returns it with what remains."""
    original = text
    mended = []
    for _ in range(_MOST_ROUNDS):
        text, applied = apply_fixes(text, found)
        if not applied:
            break
        for each in applied:
            assert each.fix is not None
            mended.append(f"{display_name(path)}:{each.span.line}: {each.code} mended: {each.fix.title}")
        found = find(text)
    if path == STDIN:
        write_out([text])
    elif text != original:
        replace_text(path, text)
    for line in mended:
        print(line, file=sys.stderr)
    return text, found


def _report(checked: Sequence[_Checked], form: str, *, color: bool) -> str:
    if form == "text" and not any(table.found for table in checked):
        return ""
    from dmtable.cli import render

    if form == "text":
        texts = [render.render_text(table.found, table.source, color=color) for table in checked if table.found]
        return "\n".join([*texts, _summary([each for table in checked for each in table.found])]) + "\n"
    write = {"json": render.render_json, "sarif": render.render_sarif, "github": render.render_github}[form]
    report = write((table.source, table.found) for table in checked)
    return f"{report}\n" if report else ""


def _summary(found: Sequence[Diagnostic]) -> str:
    counts = [(sum(each.severity is severity for each in found), severity) for severity in _SEVERITIES]
    return ", ".join(f"{count} {severity}{'s' if count > 1 else ''}" for count, severity in counts if count)
