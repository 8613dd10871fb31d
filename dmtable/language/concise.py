"""The concise form: devices with their tables in one line, as `dmsetup create --concise` and `table --concise` have it.

    name,uuid,minor,flags,table[,table…][;name,uuid,minor,flags,table…]

A backslash quotes the next character. Blanks behind `;` and behind a device's first four commas are
skipped; each later comma ends a line of its table. Source: dmsetup 1.02.185, recorded in fixtures/kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dmtable.errors import DmsetupError
from dmtable.language.numbers import atoi

_FIELDS = ("name", "uuid", "minor", "flags", "table")
_PIECE = re.compile(r"\\(.?)|[,;]|[^\\,;]+", re.DOTALL)
_BLANKS = frozenset(" \t\n\v\f\r")
_SPECIAL = re.compile(r"[,;\\]")


class ConciseError(DmsetupError):
    """Text in concise form that dmsetup refuses; the message is its own."""


@dataclass(frozen=True, slots=True)
class ConciseDevice:
    """One device. `minor` None leaves the choice to the kernel; `table` is text, a line for each part."""

    name: str
    uuid: str = ""
    minor: int | None = None
    read_only: bool = False
    table: str = ""


def read_concise(text: str) -> Iterator[ConciseDevice]:
    """The devices in order, each as soon as it is read: dmsetup creates them one by one, and so may a caller.

    Raises ConciseError at the first device that is not well formed, as dmsetup would have created those
    before it.
    """
    text = text.partition("\0")[0]
    fields: list[list[str]] = [[]]
    at, mark = 0, ";"
    while piece := _PIECE.match(text, at):
        at = piece.end()
        mark = piece[0] if piece[0] in ",;" else ""
        if piece[0] == "\\":
            raise _refusal("Backslash must be followed by another character at end of string.", fields)
        if not mark:
            fields[-1].append(piece[1] or piece[0])
        elif mark == "," and len(fields) == len(_FIELDS):
            fields[-1].append("\n")
        else:
            if mark == ";":
                yield _device(fields)
                fields = []
            fields.append([])
            while text[at : at + 1] in _BLANKS:
                at += 1
    if mark == ",":
        raise _refusal("Incomplete entry: five comma-separated fields are required for each device", fields)
    if mark != ";":
        yield _device(fields)


def write_concise(devices: Iterable[ConciseDevice]) -> str:
    """One line with its newline, as `dmsetup table --concise` prints it.

    Two losses are dmsetup's own: it reads no device without a table, and no blanks at the start of a name.
    """
    return ";".join(map(_entry, devices)) + "\n"


def _entry(device: ConciseDevice) -> str:
    minor = "" if device.minor is None else str(device.minor)
    lines = filter(None, device.table.split("\n"))
    fields = [device.name, device.uuid, minor, "ro" if device.read_only else "rw", *lines]
    return ",".join(_SPECIAL.sub(r"\\\g<0>", field) for field in fields)


def _device(fields: list[list[str]]) -> ConciseDevice:
    if len(fields) < len(_FIELDS):
        raise _refusal("Five comma-separated fields are required for each device", fields)
    name, uuid, minor, flags, table = ("".join(pieces) for pieces in fields)
    if flags not in ("", "ro", "rw"):
        raise ConciseError(f"Invalid flags parameter '{flags}' must be 'ro' or 'rw' or empty.")
    number = atoi(minor) if minor else -1
    return ConciseDevice(name, uuid, None if number < 0 else number, flags == "ro", table)


def _refusal(reason: str, fields: list[list[str]]) -> ConciseError:
    texts = ["".join(pieces) for pieces in fields] + ["(null)"] * (len(_FIELDS) - len(fields))
    shown = " ".join(f"{label}: {text}" for label, text in zip(_FIELDS, texts, strict=True))
    return ConciseError(f"{reason}\nParsed {len(fields)} fields: {shown}")
