"""`ls --tree`: draws which device stands on which.

Source: dmsetup 1.02.185 and libdm's tree, as recorded in fixtures/kernel; the odd widths are theirs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from dmtable.cli.dmsetup.deptree import Node, gather
from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.options import tree_words
from dmtable.cli.dmsetup.session import Session
from dmtable.control.interface import DmIoctl, Flag

_ATTRIBUTES = frozenset(("active", "rw", "open", "uuid"))
_COLUMNS_OF_NO_TERMINAL = 80


@dataclass(frozen=True, slots=True)
class _Lines:
    """What branches are drawn with: past a branch, to one of several, to the last, and along a line of text."""

    past: str
    branch: str
    last: str
    fork: str
    straight: str


_LINES = {
    "ascii": _Lines("|", "|-", "`-", "-+-", "---"),
    "utf": _Lines("│", "├─", "└─", "─┬─", "───"),
    "vt100": _Lines(*(f"\x1b(0\x0f{letters}\x1b(B" for letters in ("x", "tq", "mq", "qwq", "qqq"))),
}


def show_tree(session: Session) -> None:
    nodes = list(gather(session.libdm).values())
    if not nodes:
        session.out("No devices found\n")
        return
    words = tree_words(session.options)
    roots = [node for node in nodes if not (node.below if "inverted" in words else node.above)]
    columns = None if "notrunc" in words else _columns(session.stdout)
    session.out(_Drawing(session.libdm, words, _charset(words, session.environ), columns).draw(roots))


def _charset(words: Sequence[str], environ: Mapping[str, str]) -> _Lines:
    """The last one asked for; else as the locale has it."""
    for word in reversed(words):
        if word in _LINES:
            return _LINES[word]
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    return _LINES["utf" if locale.lower().replace("-", "").endswith("utf8") else "ascii"]


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return _COLUMNS_OF_NO_TERMINAL


class _Drawing:
    """Draws trees, a node on each line or, where compact, a node and its first descendants on one."""

    def __init__(self, libdm: Libdm, words: Sequence[str], lines: _Lines, columns: int | None) -> None:
        self._libdm = libdm
        self._words = frozenset(words)
        self._with_number = [word for word in ("device", *words) if word in ("device", "nodevice")][-1] == "device"
        self._compact = "compact" in words and not self._words & _ATTRIBUTES
        self._lines = lines
        self._line = _Line(columns)
        self._widths: list[int] = []
        """How wide the text is under which the children of each depth begin; 0 unless compact."""
        self._more: list[bool] = []
        """Whether a sibling follows at each depth."""

    def draw(self, roots: Sequence[Node]) -> str:
        todo = _with_depth(roots, 0)
        while todo:
            node, depth, is_last = todo.pop()
            children = node.above if "inverted" in self._words else node.below
            self._draw_node(node, depth, is_last, bool(children))
            todo += _with_depth(children, depth + 1)
        return self._line.text()

    def _draw_node(self, node: Node, depth: int, is_last: bool, has_children: bool) -> None:
        text = self._text(node)
        if not text:
            return
        self._widths[depth:] = [0]
        self._more[depth:] = [not is_last]
        line = self._line
        if line.is_empty:
            line.put(self._branches(depth, is_last))
            begin = line.position
        else:
            begin = line.position
            line.put(self._lines.straight if is_last else self._lines.fork)
        line.put(text)
        if self._compact:
            self._widths[depth] = line.position - begin
        if not (self._compact and has_children):
            line.end()

    def _branches(self, depth: int, is_last: bool) -> str:
        """What stands before a node that begins a line."""
        if not depth:
            return ""
        parts = []
        for level in range(depth - 1):
            past = self._lines.past if self._more[level + 1] else " "
            parts.append(f"{' ' * self._widths[level]} {past} ")
        parts.append(f"{' ' * self._widths[depth - 1]} {self._lines.last if is_last else self._lines.branch}")
        return "".join(parts)

    def _text(self, node: Node) -> str:
        """The node as it is shown; nothing where it has no name, and numbers are not wanted."""
        text = node.name
        block_name = self._libdm.block_name(node.number) if "blkdevname" in self._words else None
        if block_name:
            text += f" <{block_name}>"
        if self._with_number:
            text += " ({}:{})".format(*node.number)
        if node.reply is not None and self._words & _ATTRIBUTES:
            text += f" [{', '.join(self._attributes(node.reply))}]"
        return text

    def _attributes(self, reply: DmIoctl) -> list[str]:
        flags = reply.flags
        values = {
            "active": "SUSPENDED" if Flag.SUSPEND in flags else "ACTIVE",
            "rw": "RO" if Flag.READONLY in flags else "RW",
            "open": str(reply.open_count),
            "uuid": self._libdm.shown_uuid(reply.uuid),
        }
        return [value for word, value in values.items() if word in self._words]


def _with_depth(nodes: Sequence[Node], depth: int) -> list[tuple[Node, int, bool]]:
    """(node, depth, whether it is the last), the first one at the end: what comes next is popped."""
    return [(node, depth, node is nodes[-1]) for node in reversed(nodes)]


class _Line:
    """Lines of text, cut at a terminal's last column: two too long, as dmsetup has them."""

    def __init__(self, columns: int | None) -> None:
        self._columns = columns
        self._parts: list[str] = []
        self._held = ""
        """A character for the last column, kept until it is known whether another follows."""
        self.position = 1

    @property
    def is_empty(self) -> bool:
        return self.position == 1

    def put(self, text: str) -> None:
        for character in text:
            self.position += 1
            if self._columns is None or self.position <= self._columns:
                self._parts.append(character)
            elif self.position == self._columns + 1:
                if self._held or not character.isascii():
                    self._parts.append("...")
                else:
                    self._held = character
                    self.position -= 1

    def end(self) -> None:
        if self._held and self.position == self._columns:
            self._parts.append(self._held)
        self._parts.append("\n")
        self._held, self.position = "", 1

    def text(self) -> str:
        return "".join(self._parts)
