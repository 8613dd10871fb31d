"""How lines lie beside one another. The kernel has one text, `Gap in table`, for what is told apart here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from dmtable.core.layout import MAX_SECTORS, LayoutFault, layout_faults
from dmtable.core.registry import Registry
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Edit, Fix, Label, Refusal, diagnose
from dmtable.language.tree import Columns, Line, Source, Span, Table, column_line
from dmtable.units import human_size

Piece = Line | Columns


class Layout:
    """Judges the place of each line in turn, by the line before it.

    One mistake is told once: a line may begin where the one before it ends, where the furthest one so far
    does, where one that was out of place should have begun, and anywhere behind a line without a real end.
    """

    def __init__(self, table: Table, unread: Sequence[int], registry: Registry) -> None:
        """`unread` are the places in the text, in rising order, of which the reader has said something."""
        self._table = table
        self._unread = unread
        self._registry = registry
        self.repeats: set[int] = set()
        """Where lines begin in the text that only repeat the one before."""
        self._previous: Piece | None = None
        self._end = 0
        self._ends = {0}
        self._furthest = 0
        self._anywhere = False
        self._in_doubt = False
        self._misordered_told = False

    def fits(self, start: int, at: int) -> bool:
        """Whether a line that begins at this place in the text may begin at sector `start`."""
        return start in self._ends or self._anywhere or self._unread_before(at)

    def judge(self, line: Line, adjoins: bool | None = None) -> Iterator[Diagnostic]:
        """Everything wrong with a line before its words are looked at, in the kernel's order.

        `adjoins` says whether it may begin where it does; None asks the line before.
        """
        if adjoins is None:
            adjoins = self.fits(line.start, self._table.source.line_starts[line.span.line - 1])
        is_known = self._registry.target(line.target) is not None
        expected = line.start if adjoins else self._end
        faults = layout_faults(line.start, line.length, line.target, is_known=is_known, expected_start=expected)
        is_misread = bisect_left(self._unread, line.span.start) < bisect_left(self._unread, line.token(-1).span.start)
        for fault, refusal in faults:
            if is_misread and fault is not LayoutFault.UNKNOWN_TARGET:
                continue  # the reader has said what is wrong with start or length
            if fault is LayoutFault.ZERO_LENGTH:
                what = f"{line.target} would map no sector"
                yield diagnose(rules.ZERO_LENGTH, line.token(-2).span, what, refusal=refusal)
            elif fault is LayoutFault.TOO_LARGE:
                span = line.token(-3 if line.start > MAX_SECTORS else -2).span
                what = f"the line ends at sector {line.end}, and no device has more than {MAX_SECTORS}"
                yield diagnose(rules.TOO_LARGE, span, what, refusal=refusal)
            elif fault is LayoutFault.UNKNOWN_TARGET:
                from dmtable.checks.names import unknown_target

                yield unknown_target(line, self._registry, refusal)
            elif not self._misordered_told:
                yield self._not_adjoining(line, refusal)

    def advance(self, piece: Piece, end: int, *, in_doubt: bool) -> None:
        """The next line follows this piece; where that is in doubt, a gap behind it is told and not filled."""
        start = piece.start if isinstance(piece, Line) else piece.starts[0]
        missed = () if start in self._ends else (self._end,)
        self._previous, self._end, self._furthest = piece, end, max(self._furthest, end)
        self._ends = {end, self._furthest, *missed}
        self._in_doubt = in_doubt
        # The end of a line without length, or of one that is too large, is nobody's guess.
        self._anywhere = isinstance(piece, Line) and (piece.length == 0 or end > MAX_SECTORS)

    def _unread_before(self, at: int) -> bool:
        if isinstance(self._previous, Line):
            begin = _line_end(self._table.source, self._previous)
        else:
            begin = self._previous.marks[-1][1] if self._previous else 0
        return bisect_left(self._unread, begin) < bisect_left(self._unread, at)

    def _not_adjoining(self, line: Line, refusal: Refusal) -> Diagnostic:
        if self._only_misordered:
            self._misordered_told = True
            return self._misordered(line, refusal)
        previous = _last_line(self._table.source, self._previous)
        if previous is None:
            what = f"the first line begins at sector {line.start}"
            return diagnose(rules.FIRST_START, line.token(-3).span, what, refusal=refusal, fix=self._filler(line, 0))
        label = Label(previous.span, f"ends before sector {previous.end}")
        if line.start > self._end:
            missing = line.start - self._end
            what = f"sectors {self._end} to {line.start - 1} are in no line: {missing} ({human_size(missing)})"
            how = (
                f"begin this line at {self._end}, let the one before have {line.start - previous.start} sectors, "
                f"or fill the gap with an `error` line"
            )
            fix = None if self._in_doubt else self._filler(line, self._end)
            return diagnose(rules.GAP, line.token(-3).span, what, how=how, refusal=refusal, fix=fix, labels=[label])
        return self._overlap(line, previous, label, refusal)

    def _overlap(self, line: Line, previous: Line, label: Label, refusal: Refusal) -> Diagnostic:
        if _is_repeat(line, previous):
            self.repeats.add(line.span.start)
            fix = Fix("remove the second one", (_removal(self._table.source, line),))
            what = "this line stands twice"
            return diagnose(rules.OVERLAP, line.span, what, how=fix.title, refusal=refusal, fix=fix, labels=[label])
        what = f"the line begins at sector {line.start}, and the one before ends at {previous.end}"
        how = f"begin this line at {previous.end}"
        if line.start > previous.start:
            how += f", or let the one before have {line.start - previous.start} sectors"
        return diagnose(rules.OVERLAP, line.token(-3).span, what, how=how, refusal=refusal, labels=[label])

    def _misordered(self, line: Line, refusal: Refusal) -> Diagnostic:
        lines = self._table.lines
        text = self._table.source.text
        places = [_with_comment(text, each) for each in lines]
        ordered = sorted(range(len(lines)), key=lambda index: lines[index].start)
        edits = tuple(
            Edit(place, text[places[index].start : places[index].end])
            for place, index in zip(places, ordered, strict=True)
            if place is not places[index]
        )
        what = f"the line for sector {line.start} stands where the one for sector {self._end} belongs"
        fix = Fix("put the lines in order", edits)
        return diagnose(rules.MISORDERED, line.token(-3).span, what, refusal=refusal, fix=fix)

    def _filler(self, line: Line, begin: int) -> Fix | None:
        """An `error` line for the sectors before this one, where no other line claims any of them."""
        at = bisect_left(self._stretches, (begin, 0))
        near = self._stretches[at : at + 2]
        if near and near[0][0] < line.start:
            return None
        if len(near) == 2 and near[1][0] < near[0][1]:
            return None  # the line reaches into the next one, so it is its start that is wrong
        source = self._table.source
        text = f"{begin} {line.start - begin} error"
        at = source.line_starts[line.span.line - 1]
        end = "\r\n" if source.text[at - 2 : at] == "\r\n" else "\n"
        return Fix(f"insert `{text}`", (Edit(Span(at, at, line.span.line, 1), text + end),))

    @cached_property
    def _stretches(self) -> list[tuple[int, int]]:
        """Begin and end of every piece, in rising order."""
        return sorted(self._in_text_order())

    def _in_text_order(self) -> Iterator[tuple[int, int]]:
        for piece in self._table.pieces:
            yield (piece.start, piece.end) if isinstance(piece, Line) else (piece.starts[0], piece.starts[-1])

    @cached_property
    def _only_misordered(self) -> bool:
        """Whether the lines are out of order and would adjoin if they were not."""
        if self._stretches == list(self._in_text_order()):
            return False
        at = 0
        for begin, end in self._stretches:
            if begin != at or end == begin:
                return False
            at = end
        return not self._unread


def _with_comment(text: str, line: Line) -> Span:
    """A line with the comment behind it, which goes where the line goes."""
    newline = text.find("\n", line.span.end)
    end = len(text) if newline < 0 else newline
    return replace(line.span, end=line.span.start + len(text[line.span.start : end].rstrip()))


def _is_repeat(line: Line, previous: Line) -> bool:
    """Whether a line says the same as the one before it."""
    return [token.text for token in line.tokens] == [token.text for token in previous.tokens]


def _last_line(source: Source, piece: Piece | None) -> Line | None:
    return column_line(source, piece, len(piece) - 1) if isinstance(piece, Columns) else piece


def _removal(source: Source, line: Line) -> Edit:
    """Takes a line out with its line end."""
    begin = source.line_starts[line.span.line - 1]
    return Edit(Span(begin, _line_end(source, line), line.span.line, 1), "")


def _line_end(source: Source, line: Line) -> int:
    """Where the text goes on behind a line."""
    return source.text.find("\n", line.span.end) + 1 or len(source.text)
