"""The tree of a table: words with their places, lines, columns of like lines, and the table itself."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of text: character offsets `start` to `end`, and where it begins for a reader (both from 1)."""

    start: int
    end: int
    line: int
    column: int


class Role(Enum):
    """What a word is for. Diagnostics, highlighting, `fmt` and generation go by these, never by position."""

    START = "start"
    LENGTH = "length"
    TARGET = "target"
    DEVICE = "device"
    OFFSET = "offset"
    COUNT = "count"
    SIZE = "size"
    NUMBER = "number"
    KIND = "kind"
    FEATURE = "feature"
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line as it stands in the text."""

    text: str
    span: Span
    role: Role


@dataclass(frozen=True, slots=True)
class Line:
    """`<start> <length> <target> <words…>`: one mapping, in sectors.

    `tokens` holds every word of it, `words` those behind the target. A negative index counts from the
    target backwards, as in findings: `token(-3)` is the start, `token(-1)` the target, `token(0)` the
    first word.
    """

    start: int
    length: int
    target: str
    tokens: tuple[Word, ...]
    span: Span

    @property
    def words(self) -> tuple[Word, ...]:
        return self.tokens[3:]

    @property
    def end(self) -> int:
        """The first sector behind the line."""
        return self.start + self.length

    def texts(self) -> list[str]:
        """The words as bare text, as a target's constructor gets them."""
        return [word.text for word in self.tokens[3:]]

    def token(self, index: int) -> Word:
        """The token that a finding's word index means: -3 start, -2 length, -1 target, 0… the words."""
        return self.tokens[index + 3]


class Source:
    """A text with a name, which can say on what line and column a character stands."""

    __slots__ = ("_line_starts", "name", "text")

    def __init__(self, text: str, name: str = "<table>") -> None:
        self.text = text
        self.name = name
        self._line_starts: list[int] | None = None

    @property
    def line_starts(self) -> list[int]:
        """Offsets of the first character of each line; found when first asked for."""
        if self._line_starts is None:
            starts = [0]
            find = self.text.find
            at = find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = find("\n", at + 1)
            self._line_starts = starts
        return self._line_starts

    def span(self, start: int, end: int) -> Span:
        """The span of characters `start` to `end`."""
        line = bisect_right(self.line_starts, start)
        return Span(start, end, line, start - self.line_starts[line - 1] + 1)

    def line_text(self, line: int) -> str:
        """Line number `line` (from 1) without its line end."""
        starts = self.line_starts
        end = starts[line] - 1 if line < len(starts) else len(self.text)
        return self.text[starts[line - 1] : end].removesuffix("\r")


@dataclass(frozen=True, slots=True)
class Columns:
    """Adjoining lines `<start> <length> <target> <device> <offset>` as columns: what 100,000 lines need.

    An object for each line would cost twenty times the memory. `starts` has one entry more than there
    are lines: the end of the last; no line is empty. Devices are counted in the order in which they first appear.
    `marks` are (row, character offset) pairs in rising order, one for each chunk that was scanned;
    between two marks every physical line holds one row.
    """

    target: str
    starts: array[int]
    offsets: array[int]
    device_index: array[int]
    devices: tuple[str, ...]
    marks: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.offsets)

    def values(self, row: int) -> tuple[int, int, str, int]:
        """(start, length, device, offset) of a row, without its place in the text."""
        start = self.starts[row]
        return start, self.starts[row + 1] - start, self.devices[self.device_index[row]], self.offsets[row]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was read: pieces in the order of the text, and the text itself for places."""

    source: Source
    pieces: tuple[Line | Columns, ...] = field(default=())

    def __len__(self) -> int:
        return sum(len(piece) if isinstance(piece, Columns) else 1 for piece in self.pieces)

    def __iter__(self) -> Iterator[Line]:
        """Every line as an object, made on demand."""
        for piece in self.pieces:
            if isinstance(piece, Columns):
                yield from column_lines(self.source, piece)
            else:
                yield piece

    @property
    def lines(self) -> Sequence[Line]:
        """All lines at once. For a large table prefer to iterate."""
        return tuple(self)


def column_lines(source: Source, columns: Columns, rows: Iterable[int] | None = None) -> Iterator[Line]:
    """Rows as lines, each word with its place: all of them, or those asked for, in rising order."""
    text = source.text
    reached, at = -1, 0
    for row in range(len(columns)) if rows is None else rows:
        mark_row, mark_at = columns.marks[bisect_right(columns.marks, (row, len(text))) - 1]
        if mark_row > reached:
            reached, at = mark_row, mark_at
        for _ in range(row - reached):
            at = text.index("\n", at) + 1
        reached = row
        yield _row_line(source, columns, row, at)


def column_line(source: Source, columns: Columns, row: int) -> Line:
    """One row as a line. Finds its place by the nearest mark, so it costs a chunk's scan at most."""
    return next(column_lines(source, columns, (row,)))


def _row_line(source: Source, columns: Columns, row: int, at: int) -> Line:
    text = source.text
    tokens = []
    for role in (Role.START, Role.LENGTH, Role.TARGET, Role.DEVICE, Role.OFFSET):
        while text[at].isspace():
            at += 1
        end = at
        while end < len(text) and not text[end].isspace():
            end += 1
        tokens.append(Word(text[at:end], source.span(at, end), role))
        at = end
    start, length, _device, _offset = columns.values(row)
    first, last = tokens[0].span, tokens[-1].span
    return Line(start, length, columns.target, tuple(tokens), Span(first.start, last.end, first.line, first.column))
