r"""The one way to lay out a table (`dmtable fmt`): whoever writes it, the same words look the same.

Words are one blank apart, starts and lengths are aligned to the right within each block of adjoining
lines, a trailing comment stands two blanks behind its line, and at most one blank line parts two blocks.
Continued lines are joined, but for replicator lines, which are broken into their groups as the slides of
2008 do it: the log, each site link, below it its device and its dirty log.

    0 2097152 replicator \
        default 4 /dev/vg/replog 32 create 2097152 \
        local 2 0 async ios=0 \
            2 0 /dev/vg/lvol0 \
            - 0
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

from dmtable.language.grammar import REPLICATORS
from dmtable.language.lines import logical_line
from dmtable.language.parser import parse
from dmtable.language.tree import Line, Role

_INDENT = "    "

_Row = tuple[list[str], str]
"""The words of a logical line, and its comment."""


def pretty(text: str, name: str = "<table>") -> str:
    """The table laid out anew: same words, same comments, in the same order; laid out again it stays as it is.

    Raises TableError where the text does not parse.
    """
    table = parse(text, name)
    replicators = (line for line in table.pieces if isinstance(line, Line) and line.target in REPLICATORS)
    paragraphs = groupby(_rows(text), key=lambda row: row == ([], ""))
    return "\n".join("".join(_paragraph(rows, replicators)) for is_blank, rows in paragraphs if not is_blank)


def _rows(text: str) -> Iterator[_Row]:
    at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        physical = text[at:end]
        if physical.isascii() and "#" not in physical and "\\" not in physical:
            # Nearly every line of a large table; what parses has no characters that split() alone divides at.
            yield physical.split(), ""
        else:
            line = logical_line(text, at)
            end = line.end
            comment = text[slice(*line.comment)].rstrip() if line.comment else ""
            yield [text[slice(*word)] for word in line.words], comment
        at = end


def _paragraph(rows: Iterable[_Row], replicators: Iterator[Line]) -> Iterator[str]:
    """Adjoining rows, none of them blank: blocks of mappings, and comments of their own between them."""
    for is_block, some in groupby(rows, key=lambda row: bool(row[0])):
        if is_block:
            yield from _block(some, replicators)
        else:
            yield from (comment + "\n" for _words, comment in some)


def _block(rows: Iterable[_Row], replicators: Iterator[Line]) -> Iterator[str]:
    mappings = [(start, length, _rest(words, comment, replicators)) for (start, length, *words), comment in rows]
    start_width = max(len(start) for start, _length, _rest in mappings)
    length_width = max(len(length) for _start, length, _rest in mappings)
    for start, length, rest in mappings:
        yield f"{start:>{start_width}} {length:>{length_width}} {rest}\n"


def _rest(words: list[str], comment: str, replicators: Iterator[Line]) -> str:
    """A mapping from its target on; `replicators` has the lines whose roles say where to break, in order."""
    body = _broken(next(replicators)) if words[0] in REPLICATORS else " ".join(words)
    return f"{body}  {comment}" if comment else body


def _broken(line: Line) -> str:
    """A replicator line from its target on, in its groups."""
    depths = _remote_groups(line) if line.target == "replicator-dev" else _groups(line)
    body = line.target
    for word, depth in zip(line.words, depths, strict=True):
        body += f" \\\n{_INDENT * depth}{word.text}" if depth else f" {word.text}"
    return body


def _groups(line: Line) -> Iterator[int]:
    """For each word how deep the group lies that it begins, 0 where it begins none.

    The log and the links begin with their kind, a link's device with a count of its own, and the kind
    behind that one is the dirty log's.
    """
    before, inside = None, False
    for word in line.words:
        if word.role is Role.KIND:
            yield 2 if inside else 1
            inside = False
        elif word.role is Role.COUNT and before is not Role.KIND:
            yield 2
            inside = True
        else:
            yield 0
        before = word.role


def _remote_groups(line: Line) -> Iterator[int]:
    """As _groups, for replicator-dev: a site is its number, a count, the device and its dirty log."""
    for role, after in pairwise([*(word.role for word in line.words), None]):
        yield int(role is Role.NUMBER and after is Role.COUNT)
