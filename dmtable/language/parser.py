"""Table text to a Table, with a diagnostic for whatever is wrong with the text itself.

The scanner takes what is beyond doubt. Each other line is judged here: it is said what dmsetup would make of
it, and what was surely meant is taken, so that one mistake is one finding, and whoever judges the table later
has a line all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Edit, Fix, Rule, Severity, TableError, diagnose
from dmtable.language.grammar import REPLICATORS, make_line
from dmtable.language.head import HeadReader, has_name, is_numeric, shown, utf8
from dmtable.language.lines import LogicalLine
from dmtable.language.scanner import scan
from dmtable.language.tree import Columns, Line, Source, Table

Words = list[tuple[int, int]]

LINE_BYTES = 4096
"""Bytes of a line that every dmsetup reads as one."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINE_END = re.compile(r"(?<!\\)\r?\n")


def parse(text: str, name: str = "<table>") -> Table:
    """The table that a text describes. Raises TableError, with every error, where the text has any."""
    table, found = read(text, name)
    errors = [diagnostic for diagnostic in found if diagnostic.severity is Severity.ERROR]
    if errors:
        raise TableError(errors, name)
    return table


def read(text: str, name: str = "<table>") -> tuple[Table, list[Diagnostic]]:
    """As much of a table as can be made out, and everything wrong with its text, in the order of the text.

    A line of which nobody could say what was meant is missing from the table, and has an error. No text
    raises anything; a grammar extension that does not load raises DmtableError.
    """
    reader = _Reader(Source(text, name))
    reader.read()
    return Table(reader.source, tuple(reader.pieces)), sorted(reader.found, key=lambda found: found.span.start)


def read_bytes(data: bytes, name: str = "<table>") -> tuple[Table, list[Diagnostic]]:
    """As read, for UTF-8. Bytes that are none are found, and become surrogates, as in file names."""
    return read(data.decode("utf-8", "surrogateescape"), name)


class _Reader:
    """The pieces read so far, and what was found on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.pieces: list[Line | Columns] = []
        self.found: list[Diagnostic] = []

    def read(self) -> None:
        """Reads all of it."""
        group: list[Line | LogicalLine] = []
        for piece in scan(self.source):
            if isinstance(piece, LogicalLine):
                self._judge_characters(piece)
                self._judge_joints(piece)
                if not piece.words:
                    continue
            if group and not self._carries_on(group, piece):
                self._read_group(group)
                group = []
            if isinstance(piece, Columns):
                self.pieces.append(piece)
            else:
                group.append(piece)
        if group:
            self._read_group(group)
        self._judge_lengths()

    def _carries_on(self, group: Sequence[Line | LogicalLine], piece: Line | LogicalLine | Columns) -> bool:
        """Whether a piece is no line of its own, but what the group's line goes on with."""
        if not isinstance(piece, LogicalLine):
            return False
        texts = [self._text(span).strip("\\") for span in piece.words[:4]]
        if is_numeric(texts[0]) or has_name(texts):
            return False
        return self._is_open(group[-1], piece) or self._target(group[0]) in REPLICATORS

    def _is_open(self, line: Line | LogicalLine, following: LogicalLine | None = None) -> bool:
        """Whether a line ends in a backslash that joins nothing, with `following` on the very next line."""
        if isinstance(line, Line) or not line.words or line.comment is not None:
            return False
        return self._text(line.words[-1]).endswith("\\") and (following is None or following.start == line.end)

    def _target(self, line: Line | LogicalLine) -> str | None:
        if isinstance(line, Line):
            return line.target
        return self._text(line.words[2]).strip("\\") if len(line.words) > 2 else None

    def _read_group(self, group: Sequence[Line | LogicalLine]) -> None:
        """One mapping: a line, and the lines that it goes on with."""
        first, *others = group
        if isinstance(first, Line) and not others:
            self.pieces.append(first)
            return
        words: Words = []
        for line, following in zip(group, [*others, None], strict=True):
            words += self._words(line, is_joined=following is not None)
        for before, line in pairwise(group):
            if isinstance(line, LogicalLine) and not self._is_open(before):
                self._missing_continuation(before, line)
        is_physical = isinstance(first, LogicalLine) and not others and not first.joints
        if words:
            self._read_mapping(words, self.source.text[first.start : first.end] if is_physical else None)

    def _read_mapping(self, words: Words, physical: str | None) -> None:
        """The words of one mapping; `physical` is its line where that is a single physical one."""
        if has_name([self._text(span) for span in words[:4]]):
            name, behind = words[0], words[1][0]
            fix = Fix("remove the name", (Edit(self.source.span(name[0], behind), ""),))
            self._find(rules.NAME_PREFIX, name, f"`{shown(self._text(name))}` names a device", fix=fix)
            words = words[1:]
        reader = HeadReader(self.source, words, physical)
        head = reader.read()
        self.found += reader.found
        if head is not None:
            words = self._without_comments(words)
            self._judge_bytes(words[3:])
            self.pieces.append(make_line(self.source, words, head.start, head.length))

    # ---- backslashes

    def _words(self, line: Line | LogicalLine, *, is_joined: bool) -> Words:
        """The words of a line, without backslashes at their ends, which are found."""
        if isinstance(line, Line):
            return [(token.span.start, token.span.end) for token in line.tokens]
        words = list(line.words)
        if self._is_open(line):
            start, end = words.pop()
            self._open_continuation(end - 1, line.end, is_joined=is_joined)
            if start < end - 1:
                words.append((start, end - 1))
        return [kept for word in words for kept in self._without_backslashes(word)]

    def _without_backslashes(self, word: tuple[int, int]) -> Words:
        text = self._text(word)
        clean = text.strip("\\")
        if clean == text:
            # Inside a word it is dmsetup's own: a name with a blank in it is mangled to `a\x20b`.
            return [word]
        fix = Fix("remove the backslash", (Edit(self.source.span(*word), clean),)) if clean[:1] != "#" else None
        self._find(rules.STRAY_BACKSLASH, word, f"`{shown(text)}` has a backslash too many", fix=fix)
        start, end = word[1] - len(text.lstrip("\\")), word[0] + len(text.rstrip("\\"))
        if start >= end:
            return []
        return [word if self.source.text[start] == "#" else (start, end)]

    def _open_continuation(self, backslash: int, line_end: int, *, is_joined: bool) -> None:
        """A backslash that is the last word of its line, and has blanks or nothing behind it."""
        text = self.source.text
        if is_joined:
            newline = line_end - 1
            behind = newline - (text[newline - 1] == "\r")
            fix = Fix("remove the blanks behind it", (Edit(self.source.span(backslash + 1, behind), ""),))
            what = "the backslash would continue the line, but blanks stand behind it"
        else:
            fix = Fix("remove the backslash", (Edit(self.source.span(backslash, backslash + 1), ""),))
            what = "nothing follows that the backslash could join to this line"
        self._find(rules.OPEN_CONTINUATION, (backslash, backslash + 1), what, fix=fix)

    def _missing_continuation(self, before: Line | LogicalLine, line: LogicalLine) -> None:
        begin = before.tokens[-1].span.end if isinstance(before, Line) else before.words[-1][1]
        gap = self.source.text[begin : line.words[0][0]]
        ends = [begin + match.start() for match in _LINE_END.finditer(gap)]
        edits = tuple(Edit(self.source.span(end, end), " \\") for end in ends)
        fix = Fix("continue the line before", edits) if "#" not in gap else None
        what = f"`{shown(self._text(line.words[0]))}` begins no line, but carries on the one before"
        self._find(rules.MISSING_CONTINUATION, line.words[0], what, fix=fix)

    def _judge_joints(self, line: LogicalLine) -> None:
        if not line.joints:
            return
        *joints, last = line.joints
        if line.end == len(self.source.text) and self.source.text[last + 1 :].strip("\r\n") == "":
            self._open_continuation(last, line.end, is_joined=False)
        else:
            joints.append(last)
        if joints:
            what = f"the line goes on over {len(joints) + 1} lines of text"
            self._find(rules.CONTINUED_LINE, (joints[0], joints[0] + 1), what)

    # ---- characters

    def _without_comments(self, words: Words) -> Words:
        """The words without what a `#` in one of them surely was meant to cut off."""
        text = self.source.text
        kept, comment_end = words[:3], 0
        for start, end in words[3:]:
            if start < comment_end:
                continue
            at = text.find("#", start, end)
            if at < 0:
                kept.append((start, end))
                continue
            is_meant = "/" in text[start:at] or "\\" in text[start:at]
            newline = self._line_end(at)
            is_joined = text[at:newline].rstrip("\r").endswith("\\")
            fix = None if is_meant or is_joined else Fix("part the comment", (Edit(self.source.span(at, at), " "),))
            what = f"dmsetup cuts the line at the `#` in `{shown(text[start:end])}`"
            self._find(rules.HASH_IN_WORD, (start, end), what, fix=fix)
            kept.append((start, end if is_meant else at))
            comment_end = 0 if is_meant else newline
        return kept

    def _judge_characters(self, line: LogicalLine) -> None:
        text = self.source.text[line.start : line.end]
        for rule, odd in ((rules.NOT_UTF8, _SURROGATE), (rules.CONTROL_CHARACTER, _CONTROL)):
            places = [match.start() for match in odd.finditer(text)]
            if places:
                at = line.start + places[0]
                more = f", and {len(places) - 1} more in this line" if len(places) > 1 else ""
                code = ord(text[places[0]])
                what = f"byte 0x{code & 0xFF:02x}{more}"
                self._find(rule, (at, at + 1), what)

    def _judge_bytes(self, words: Words) -> None:
        for word in words:
            text = self._text(word)
            if not text.isascii() and b"\xa0" in utf8(text):
                self._find(rules.BYTE_A0, word, f"`{shown(text)}` has byte 0xa0 in its UTF-8 form")

    def _judge_lengths(self) -> None:
        """Looks for long physical lines, in steps that a clean text takes in no time."""
        text = self.source.text
        step = LINE_BYTES if text.isascii() else LINE_BYTES // 4
        at = 0
        while at + step < len(text):
            newline = text.rfind("\n", at, at + step + 1)
            if newline < 0:
                newline = self._line_end(at + step)
                size = len(utf8(text[at:newline]))
                if size > LINE_BYTES:
                    self._find(rules.LONG_LINE, (at, newline), f"this line has {size} bytes")
            at = newline + 1

    def _line_end(self, at: int) -> int:
        newline = self.source.text.find("\n", at)
        return newline if newline >= 0 else len(self.source.text)

    def _text(self, word: tuple[int, int]) -> str:
        return self.source.text[word[0] : word[1]]

    def _find(self, rule: Rule, place: tuple[int, int], what: str, *, fix: Fix | None = None) -> None:
        self.found.append(diagnose(rule, self.source.span(*place), what, fix=fix))
