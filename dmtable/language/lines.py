"""Text as logical lines: where each word, comment and joint of physical lines stands. Exact, and never in doubt.

Whitespace is space, tab, CR, VT and FF. A backslash directly before a line end (LF or CR LF) joins two
physical lines and is whitespace as well. A word is any other run of characters; a `#` that begins a word
begins a comment, which runs to the end of its physical line, backslash or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\v\f]++)
      | (?P<joint>\\\r?\n)
      | (?P<comment>\#[^\n]*+)
      | (?P<end>\n)
      | (?P<word>(?:[^ \t\r\v\f\n\\]++|\\(?!\r?\n))++)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One line as a reader means it, perhaps spread over several physical lines; all offsets are characters.

    `end` lies behind the line end. `words` and `comment` are (start, end) pairs; a line that is blank or
    only a comment has no words. `joints` are the offsets of the backslashes that join physical lines.
    """

    start: int
    end: int
    words: tuple[tuple[int, int], ...]
    comment: tuple[int, int] | None
    joints: tuple[int, ...]


def logical_line(text: str, start: int) -> LogicalLine:
    """The logical line that begins at an offset of the text."""
    words: list[tuple[int, int]] = []
    joints: list[int] = []
    comment = None
    end = start
    for token in _TOKEN.finditer(text, start):
        end = token.end()
        kind = token.lastgroup
        if kind == "word":
            words.append(token.span())
        elif kind == "joint":
            joints.append(token.start())
        elif kind == "comment":
            comment = token.span()
        elif kind == "end":
            break
    return LogicalLine(start, end, tuple(words), comment, tuple(joints))
