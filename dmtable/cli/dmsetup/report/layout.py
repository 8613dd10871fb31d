"""How rows become text: in columns or lines, with blanks or a separator between, with names or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmtable.cli.dmsetup.options import Options
from dmtable.cli.dmsetup.report.columns import Column, Row
from dmtable.cli.dmsetup.report.fields import Kind


@dataclass(frozen=True, slots=True)
class Layout:
    """What the options ask for. Columns line up only where nothing asks for anything else."""

    separator: str = " "
    lines_up: bool = True
    has_headings: bool = True
    has_names: bool = False
    has_quotes: bool = True
    line_per_field: bool = False

    def text(self, columns: Sequence[Column], rows: Sequence[Row]) -> str:
        """The whole report; nothing where there is no row."""
        if not rows:
            return ""
        headings = [column.field.heading for column in columns]
        if self.line_per_field:
            fields = [[self._shown(column, row) for row in rows] for column in columns]
            if self.has_headings:
                fields = [[heading, *values] for heading, values in zip(headings, fields, strict=True)]
            return self._lines(fields)
        cells = [[self._shown(column, row) for column in columns] for row in rows]
        if self.lines_up:
            widths = [max(column.field.width, *(_size(row[at]) for row in cells)) for at, column in enumerate(columns)]
            headings = list(map(str.ljust, headings, widths))
            cells = [list(map(_aligned, columns, row, widths)) for row in cells]
        return self._lines([headings, *cells] if self.has_headings else cells)

    def _shown(self, column: Column, row: Row) -> str:
        value = str(row[column])
        if not self.has_names:
            return value
        quote = "'" if self.has_quotes else ""
        return f"DM_{column.field.name.upper()}={quote}{value}{quote}"

    def _lines(self, lines: Sequence[Sequence[str]]) -> str:
        return "".join(f"{self.separator.join(words)}\n" for words in lines)


def layout_of(options: Options) -> Layout:
    """The layout that the options ask for. `--unbuffered` is read by dmsetup, but does nothing there."""
    has_headings = "noheadings" not in options
    has_names = "nameprefixes" in options
    line_per_field = "rows" in options
    return Layout(
        separator=options.get("separator", " " if has_headings else ":"),
        lines_up=has_headings and "separator" not in options and not has_names and not line_per_field,
        has_headings=has_headings,
        has_names=has_names,
        has_quotes="unquoted" not in options,
        line_per_field=line_per_field,
    )


def _size(value: str) -> int:
    """Bytes: dmsetup does not know that some make one character."""
    return len(value.encode("utf-8", "surrogateescape"))


def _aligned(column: Column, value: str, width: int) -> str:
    blanks = " " * (width - _size(value))
    return value + blanks if column.field.kind is Kind.STRING else blanks + value
