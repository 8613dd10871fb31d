"""Table text as dmsetup reads it, which is not how `parser` does: first mistake only, and no continued lines.

Source: dmsetup 1.02.185, whose answers to odd tables are recorded in fixtures/kernel. A line is cut at
newlines only. Blank lines and those whose first character is `#` are skipped, and counted. The rest is
scanf's: two numbers that C would read (signs, wrapping), a target, and everything behind it up to `#`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dmtable.errors import DmsetupError
from dmtable.language.numbers import strtoull

ON_STDIN = "on stdin"
"""How dmsetup names a table that it reads from standard input; `--table` has the empty name, a file its path."""

MAX_TARGET_NAME = 15
"""Characters of a target's name: struct dm_target_spec has 16 bytes for it, the NUL included."""

_BLANKS = " \t\n\v\f\r"
_TARGET = re.compile(r"[ \t\n\v\f\r]*([^ \t\n\v\f\r]+)[ \t\n\v\f\r]*")


class DmsetupTextError(DmsetupError):
    """dmsetup refuses the text; the message is its own."""


class TargetNameTooLong(DmsetupTextError):
    """A line's target has a name that no target can have."""


@dataclass(frozen=True, slots=True)
class DmsetupLine:
    """One line as dmsetup sends it to the kernel; `params` is verbatim, as yet without libdm's quoting."""

    start: int
    length: int
    target: str
    params: str


def read_dmsetup_text(text: str | bytes, name: str = "") -> list[DmsetupLine]:
    """The lines of a table, in order; an empty list where there is none (dmsetup then creates without a table).

    Raises DmsetupTextError with dmsetup's message at the first line that it would refuse; `name` is the
    name it gives the table there.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    lines = []
    for number, physical in enumerate(text.split("\n"), 1):
        # What follows a NUL is there for getline(), and not for anything that looks at the line.
        content = physical.partition("\0")[0].strip(_BLANKS)
        if content and not content.startswith("#"):
            lines.append(_read_line(content, number, name))
    return lines


def _read_line(content: str, number: int, name: str) -> DmsetupLine:
    start = strtoull(content, 0)
    length = strtoull(content, start[1]) if start else None
    target = _TARGET.match(content, length[1]) if length else None
    if start is None or length is None or target is None:
        raise DmsetupTextError(f"Invalid format on line {number} of table {name}.")
    if len(target[1].encode("utf-8", "surrogateescape")) > MAX_TARGET_NAME:
        raise TargetNameTooLong(f"Target type name {target[1]} is too long.")
    return DmsetupLine(start[0], length[0], target[1], content[target.end() :].partition("#")[0])
