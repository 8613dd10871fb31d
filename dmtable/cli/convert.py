"""Rewrite a table as plain lines, in dmsetup's concise form, as JSON, or in another dialect of the replicator.

The result goes to standard output. The concise form holds many devices, each from a file or a device of a
concise text; the others hold one table, which --name chooses where the input has several.

--to 2009 makes a control device, called as --name says, and `replicator-dev` lines from the tables of a group in the
slides' dialect, --to 2008 the reverse from a control device and its devices, each from a file or all in one concise
text. They write the concise form, and say on standard error what the dialect cannot.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dmtable.cli.files import STDIN, display_name, read_text, show_refusal, write_out
from dmtable.errors import DmtableError, UsageError
from dmtable.language.concise import ConciseDevice, ConciseError, read_concise, write_concise
from dmtable.language.diagnostics import TableError
from dmtable.language.kernel_text import write_kernel_text
from dmtable.language.parser import parse
from dmtable.language.tree import Table

_HIGHEST_MINOR = (1 << 20) - 1
_TABLE_LINE = re.compile(r"\s*[0-9]+\s+[0-9]+\s")
_CONCISE = re.compile(r"(?:(?:[^,;\\]|\\.)*,){4}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Device:
    """A table with what the concise form says about its device; `table` of the latter is not used."""

    concise: ConciseDevice
    table: Table


class _Shown(Exception):
    """A table did not read, and the user has been told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable convert`."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a table, `-` or none for standard input")
    parser.add_argument(
        "--to", required=True, choices=("kernel", "concise", "json", "2008", "2009"), help="the form to write"
    )
    parser.add_argument(
        "--from", dest="form", default="auto", choices=("auto", "table", "concise", "json"), help="the form to read"
    )
    parser.add_argument(
        "--name", help="choose a device of a concise text, or name the one to write; else its file's name"
    )
    parser.add_argument("--uuid", help="the UUID to write in the concise form")
    parser.add_argument("--minor", type=int, metavar="NUMBER", help="the minor number to write in the concise form")
    parser.add_argument("--readonly", action="store_true", help="a read-only device in the concise form")


def run(arguments: argparse.Namespace) -> int:
    """Reads every input before it writes anything. Exit status 1 where a table does not read."""
    is_dialect = arguments.to in ("2008", "2009")
    chosen = None if is_dialect else arguments.name
    try:
        devices = [device for path in arguments.files or [STDIN] for device in _read(path, arguments.form, chosen)]
    except _Shown:
        return 1
    if arguments.to == "concise":
        write_out([write_concise(_described(devices, arguments))])
        return 0
    if is_dialect:
        from dmtable.cli.dialect import NamedTable, write_dialect

        tables = [NamedTable(device.concise.name, device.table) for device in devices]
        write_out([write_dialect(tables, arguments.to, arguments.name)])
        return 0
    table = _only(devices).table
    if arguments.to == "json":
        from dmtable.language.json_form import write_json

        write_out(write_json(table))
    else:
        write_out(write_kernel_text(table))
    return 0


def _read(path: str, form: str, name: str | None) -> Iterator[_Device]:
    text, source = read_text(path), display_name(path)
    form = _form_of(text) if form == "auto" else form
    if form == "concise":
        yield from _read_concise(text, source, name)
        return
    stem = "" if path == STDIN else os.path.splitext(os.path.basename(path))[0]
    device = ConciseDevice(name or stem)
    if form == "json":
        from dmtable.language.json_form import read_json

        yield _Device(device, read_json(text, source))
    else:
        yield _Device(device, _parse(text, source))


def _read_concise(text: str, source: str, name: str | None) -> Iterator[_Device]:
    try:
        for device in read_concise(text):
            if name in (None, device.name):
                yield _Device(device, _parse(device.table, f"{source}, device {device.name}"))
    except ConciseError as error:
        raise DmtableError(f"{source}: {error}") from error


def _parse(text: str, name: str) -> Table:
    try:
        return parse(text, name)
    except TableError as error:
        show_refusal(error, text)
        raise _Shown from error


def _form_of(text: str) -> str:
    """The form that the text most likely is in; a text in none is taken for a table, which says what is wrong."""
    if text.lstrip().startswith("{"):
        return "json"
    lines = (line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#"))
    if _TABLE_LINE.match(next(lines, "")):
        return "table"
    return "concise" if _CONCISE.match(text) else "table"


def _only(devices: list[_Device]) -> _Device:
    if len(devices) != 1:
        known = ", ".join(device.concise.name for device in devices) or "none"
        raise UsageError(
            f"this form holds one table, and the input has {len(devices)}: {known}; choose one with --name"
        )
    return devices[0]


def _described(devices: list[_Device], arguments: argparse.Namespace) -> Iterator[ConciseDevice]:
    """The devices for the concise form, with the options for the single one there may be."""
    is_described = arguments.uuid is not None or arguments.minor is not None or arguments.readonly
    if is_described and len(devices) != 1:
        raise UsageError("--uuid, --minor and --readonly describe one device, and the input has several")
    if arguments.minor is not None and not 0 <= arguments.minor <= _HIGHEST_MINOR:
        raise UsageError(f"--minor {arguments.minor}: a minor number is at most {_HIGHEST_MINOR}")
    seen: set[str] = set()
    for device in devices:
        name = device.concise.name
        if name in seen:
            raise UsageError(f"two devices are called {name}")
        seen.add(name)
        if not name:
            raise UsageError("a device from standard input needs a --name for the concise form")
        if not len(device.table):
            raise UsageError(f"{name} has no lines, and the concise form has no device without a table")
        yield replace(
            device.concise,
            uuid=device.concise.uuid if arguments.uuid is None else arguments.uuid,
            minor=device.concise.minor if arguments.minor is None else arguments.minor,
            read_only=device.concise.read_only or arguments.readonly,
            table="".join(write_kernel_text(device.table)),
        )
