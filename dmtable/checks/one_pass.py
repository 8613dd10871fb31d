"""One pass over a table that finds everything.

Each line is judged in the order in which the kernel would: its place, its target, the target's words;
then, as the kernel does when all lines stand, the sizes and logical blocks of the devices. Runs of like
lines are judged as columns, and only rows of which something may be wrong become lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from dmtable.checks.areas import Use, area_diagnostics, block_cut, block_of, uses_of
from dmtable.checks.columns import Run
from dmtable.checks.devices import Devices, Mapper, lookup_of
from dmtable.checks.layout import Layout
from dmtable.checks.sharing import Sharing
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.layout import line_block_refusals
from dmtable.core.registry import Registry
from dmtable.core.target import Params
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Refusal, Severity, diagnose, place
from dmtable.language.grammar import REPLICATORS
from dmtable.language.parser import read, read_bytes
from dmtable.language.tree import Columns, Line, Span, Table, column_lines


def check(
    text: str | bytes | Table, devices: Devices = None, *, name: str = "<table>", md: str | None = None
) -> list[Diagnostic]:
    """Everything wrong with a table, line by line; within a line in the order in which the kernel would see it.

    `devices` says what is known about the devices: a DeviceMapper, a function that finds a word's device,
    or their sizes in sectors by path or number (`{"/dev/sda": 2048, "8:16": (4096, 4096)}`, the second of a
    pair being the bytes in a logical block). With None, devices are taken to exist and to be large enough.
    `name` is the table's in messages; `md` the mapped device's that it is for, which it must not use.

    Bad input never raises. Where the kernel would refuse, the diagnostic has its errno and its text.
    """
    table, found = _read(text, name)
    registry = devices.registry if isinstance(devices, Mapper) else Registry()
    return _Pass(table, found, lookup_of(devices, md), registry).run()


def first_refusal(diagnostics: Iterable[Diagnostic]) -> Refusal | None:
    """What the kernel would say to a table with these findings: it stops at the first. None where it takes it."""
    refused = [(_stage(diagnostic), diagnostic.refusal) for diagnostic in diagnostics if diagnostic.refusal]
    return min(refused, key=itemgetter(0))[1] if refused else None


def _stage(diagnostic: Diagnostic) -> int:
    """Constructors refuse first, then sizes and blocks of areas are judged, then where lines cut blocks."""
    assert diagnostic.refusal is not None
    return diagnostic.refusal.at_limits + (diagnostic.rule is rules.BLOCK_CUT)


def _read(text: str | bytes | Table, name: str) -> tuple[Table, list[Diagnostic]]:
    if isinstance(text, Table):
        return text, []
    return read(text, name) if isinstance(text, str) else read_bytes(text, name)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A line's findings, the areas that it uses, and the line that the next one must adjoin."""

    found: list[Diagnostic]
    uses: Sequence[Use]
    last: Line

    @property
    def in_doubt(self) -> bool:
        return any(diagnostic.severity is Severity.ERROR for diagnostic in self.found)


class _Pass:
    """One table on its way past all judges."""

    def __init__(self, table: Table, unread: list[Diagnostic], lookup: Lookup, registry: Registry) -> None:
        self._table = table
        self._lookup = lookup
        self._registry = registry
        self._found: list[tuple[int, Diagnostic]] = []
        """(where the line begins, finding) pairs."""
        self._unread = {line: list(found) for line, found in groupby(unread, key=lambda each: each.span.line)}
        """What the reader found, by the number of the physical line."""
        errors = sorted(diagnostic.span.start for diagnostic in unread if diagnostic.severity is Severity.ERROR)
        self._is_read = not errors
        self._layout = Layout(table, errors, registry)
        self._sharing = Sharing()
        self._replicators: list[tuple[Line, Params, Sequence[Use]]] = []
        self._blocks: list[tuple[Line, int] | Run] = []
        """The largest logical block of each line's devices, in the order of the table."""

    def run(self) -> list[Diagnostic]:
        pieces = self._table.pieces
        for number, piece in enumerate(pieces, 1):
            if isinstance(piece, Columns):
                self._judge_columns(piece, is_last=number == len(pieces))
            else:
                self._judge_line(piece, is_last=number == len(pieces))
        source = self._table.source
        unread = [(source.line_starts[line - 1], each) for line, found in self._unread.items() for each in found]
        self._found = unread + self._found
        for line, diagnostic in self._sharing.diagnostics(source, self._layout.repeats):
            self._add(line, diagnostic)
        if self._replicators:
            from dmtable.checks.groups import conflicts, members

            for line, diagnostic in conflicts(list(members(self._replicators, self._lookup))):
                self._add(line, diagnostic)
        if not any(diagnostic.refusal and not diagnostic.refusal.at_limits for _, diagnostic in self._found):
            self._judge_blocks()
        if not pieces and self._is_read:
            self._found.append((0, _empty()))
        return [diagnostic for _, diagnostic in sorted(self._found, key=itemgetter(0))]

    def _add(self, line: Line, *diagnostics: Diagnostic) -> None:
        self._found.extend((line.span.start, diagnostic) for diagnostic in diagnostics)

    def _judge_line(self, line: Line, *, is_last: bool) -> None:
        place_found = list(self._layout.judge(line))
        judged = self._judge_words(line, is_last=is_last)
        self._add(line, *self._as_dmsetup_reads(line, [*place_found, *judged.found]))
        self._sharing.add(judged.last, judged.uses)
        self._blocks.append((line, block_of(judged.uses)))
        self._layout.advance(judged.last, judged.last.end, in_doubt=bool(place_found) or judged.in_doubt)

    def _as_dmsetup_reads(self, line: Line, found: list[Diagnostic]) -> list[Diagnostic]:
        """Where the kernel gets another line, its refusal belongs to what the reader found, and not to these."""
        unread = self._unread.get(line.span.line)
        if unread is None or line.tokens[-1].span.line != line.span.line:
            return found
        from dmtable.checks.as_dmsetup import Reading

        reading = Reading.of(self._table.source.line_text(line.span.line))
        if reading.is_meant(line):
            return found
        refusal = reading.refusal(self._registry, self._lookup)
        if not any(diagnostic.refusal for diagnostic in unread):
            unread[0] = replace(unread[0], refusal=refusal)
        return [replace(diagnostic, refusal=None) for diagnostic in found]

    def _judge_words(self, line: Line, *, is_last: bool) -> _Judged:
        params_class = self._registry.params(line.target)
        if params_class is None:
            return _Judged([], (), line)
        params, findings = params_class.inspect(line.texts(), line.start, line.length, self._lookup)
        if findings:
            # Imported here, as elsewhere in this package: a clean table needs none of it and should be quick.
            from dmtable.checks.mistaken import is_status, split_lines, status_line, two_lines_in_one

            refusal = next((finding.refusal for finding in findings if finding.refusal), None)
            parts = split_lines(line, self._registry)
            if len(parts) > 1:
                found = [two_lines_in_one(parts, refusal), *self._judge_parts(parts, is_refused=bool(refusal))]
                return _Judged(found, (), parts[-1] if refusal else line)
            if is_status(line):
                return _Judged([status_line(line, refusal)], (), line)
        uses = list(uses_of(line, params, self._lookup)) if params else []
        if params and line.target in REPLICATORS:
            self._replicators.append((line, params, uses))
        found = [place(finding, line) for finding in findings]
        return _Judged([*found, *area_diagnostics(line, uses, is_last=is_last)], uses, line)

    def _judge_parts(self, parts: Sequence[Line], *, is_refused: bool) -> Iterator[Diagnostic]:
        """What is wrong with the lines of a line. The kernel sees none of them, but for the place of the first.

        Where it takes the line, and ignores what it does not understand, the next one adjoins the first.
        """
        for part in parts:
            found = list(self._layout.judge(part)) if is_refused and part is not parts[0] else []
            judged = self._judge_words(part, is_last=False)
            self._sharing.add(part, judged.uses)
            if is_refused:
                self._layout.advance(part, part.end, in_doubt=True)
            for diagnostic in [*found, *judged.found]:
                yield replace(diagnostic, refusal=None)

    def _judge_columns(self, columns: Columns, *, is_last: bool) -> None:
        source = self._table.source
        if not hasattr(self._registry.target(columns.target), "column"):
            for row, line in enumerate(column_lines(source, columns), 1):
                self._judge_line(line, is_last=is_last and row == len(columns))
            return
        run = self._run_of(columns)
        suspects = run.suspects()
        if not self._layout.fits(columns.starts[0], columns.marks[0][1]):
            suspects.add(0)
        last = len(columns) - 1
        rows = sorted(suspects)
        for row, line in zip(rows, column_lines(source, columns, rows), strict=True):
            found = self._judge_words(line, is_last=is_last and row == last).found
            self._add(line, *self._layout.judge(line, adjoins=True if row else None), *found)
        self._sharing.add_run(run)
        self._blocks.append(run)
        self._layout.advance(columns, columns.starts[-1], in_doubt=last in suspects)

    def _run_of(self, columns: Columns) -> Run:
        """The columns with their devices, each judged once for all its rows."""
        params_class = self._registry.params(columns.target)
        assert params_class is not None
        dm_devs: list[DmDev | None] = []
        in_doubt = []
        for word in columns.devices:
            params, findings = params_class.inspect([word, "0"], 0, 1, self._lookup)
            dm_devs.append(self._lookup(word) if params else None)
            in_doubt.append(bool(findings))
        return Run.of(columns, dm_devs, in_doubt)

    def _judge_blocks(self) -> None:
        """Blocks cut by the ends of lines; the kernel asks when every line stands."""
        largest = max((max(each.blocks()) if isinstance(each, Run) else each[1] for each in self._blocks), default=1)
        if largest == 1:
            return
        cuts = list(line_block_refusals(self._line_blocks(), largest))
        lines = self._table.lines if cuts else ()
        for index, refusal in cuts:
            self._add(lines[index], block_cut(lines[index], index, largest, refusal))

    def _line_blocks(self) -> Iterator[tuple[int, int, int]]:
        """Start, length and block of every line."""
        for each in self._blocks:
            if isinstance(each, Run):
                yield from each.line_blocks()
            else:
                yield each[0].start, each[0].length, each[1]


def _empty() -> Diagnostic:
    from dmtable.core.table import no_targets

    return diagnose(rules.EMPTY_TABLE, Span(0, 0, 1, 1), "there is no line", refusal=no_targets())
