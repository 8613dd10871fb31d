"""Findings for people, for other programs, for code scanners (SARIF 2.1.0) and for GitHub's log.

Text is for one table; the other forms hold any number of them. All offsets and columns count characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from dmtable.errors import errno_name
from dmtable.language.diagnostics import Diagnostic, Edit, Severity
from dmtable.language.tree import Source, Span

Report = tuple[Source, Sequence[Diagnostic]]
"""A table and what was found in it."""

_WIDTH = 120
"""The most characters of a source line that are shown."""

_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_text(diagnostics: Iterable[Diagnostic], source: Source, *, color: bool = False) -> str:
    """Each finding with its lines of the table, why it matters, what to do, and what the kernel would say."""
    return "\n".join(_text_of(diagnostic, source, color) for diagnostic in diagnostics)


def render_json(reports: Iterable[Report]) -> str:
    """One object, `findings` a list in the order of the tables; `end` is the character behind the last one."""
    import json

    findings = [_finding(diagnostic, source) for source, found in reports for diagnostic in found]
    return json.dumps({"version": 1, "findings": findings}, indent=2)


def render_sarif(reports: Iterable[Report]) -> str:
    """A SARIF 2.1.0 log of one run, with every rule that was broken and the fixes that can be applied."""
    import json

    from dmtable import __version__

    reports = list(reports)
    rules = sorted({diagnostic.rule for _, found in reports for diagnostic in found}, key=lambda rule: rule.code)
    index = {rule.code: number for number, rule in enumerate(rules)}
    described = [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.how},
            "defaultConfiguration": {"level": rule.severity.value},
        }
        for rule in rules
    ]
    driver = {"name": "dmtable", "version": __version__, "rules": described}
    results = [_result(diagnostic, source, index) for source, found in reports for diagnostic in found]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def render_github(reports: Iterable[Report]) -> str:
    """A workflow command for each finding, which GitHub shows beside the line."""
    return "\n".join(_command(diagnostic, source) for source, found in reports for diagnostic in found)


# Text.


def _text_of(diagnostic: Diagnostic, source: Source, color: bool) -> str:
    span, severity = diagnostic.span, diagnostic.severity
    paint = _painter(_COLORS[severity]) if color else str
    marks = [(span, "^", ""), *((label.span, "-", label.text) for label in diagnostic.labels)]
    marks.sort(key=lambda mark: (mark[0].line, mark[0].column))
    margin = len(str(marks[-1][0].line))
    lines = [
        f"{source.name}:{span.line}:{span.column}: {paint(f'{severity}[{diagnostic.code}]')} {_shown(diagnostic.what)}"
    ]
    for number, marks_of_line in groupby(marks, key=lambda mark: mark[0].line):
        for at, (mark, stroke, text) in enumerate(marks_of_line):
            shown, underline = _underlined(source, mark, stroke)
            if at == 0:
                lines.append(f"  {number:>{margin}} | {shown}")
            lines.append(f"  {'':>{margin}} | {paint(underline)} {text}".rstrip())
    lines.append(f"  why: {diagnostic.why}")
    lines.append(f"  how: {_shown(diagnostic.how)}")
    if diagnostic.fix and diagnostic.fix.title != diagnostic.how:
        lines.append(f"  fix: {_shown(diagnostic.fix.title)}")
    if diagnostic.refusal:
        name = errno_name(diagnostic.refusal.errno)
        text = _shown(diagnostic.refusal.text)
        lines.append(f"  kernel: {text}" if text.endswith(f"(-{name})") else f"  kernel: {text} (-{name})")
    return "\n".join([*lines, ""])


def _painter(number: str) -> Any:
    return lambda text: f"\033[1;{number}m{text}\033[0m"


def _underlined(source: Source, span: Span, stroke: str) -> tuple[str, str]:
    """The physical line where a span begins, cut to a readable width, and the strokes below what the span covers."""
    line = source.line_text(span.line)
    begin = span.column - 1
    end = min(begin + span.end - span.start, len(line))
    left = 0 if len(line) <= _WIDTH else max(0, min(begin - _WIDTH // 3, len(line) - _WIDTH))
    right = left + _WIDTH
    shown = ("…" if left else "") + _shown(line[left:right]) + ("…" if right < len(line) else "")
    indent = _columns(line[left:begin]) + bool(left)
    return shown, " " * indent + stroke * max(1, _columns(line[begin : min(end, right)]))


def _shown(text: str) -> str:
    """Text that a terminal prints as it stands: no control characters, nothing that changes direction."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown_character, text))


def _shown_character(character: str) -> str:
    if character == "\t":
        return "    "
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _columns(text: str) -> int:
    """How many columns a terminal needs for a text that is shown."""
    shown = _shown(text)
    if shown.isascii():
        return len(shown)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in shown)


# JSON.


def _finding(diagnostic: Diagnostic, source: Source) -> dict[str, Any]:
    refusal, fix = diagnostic.refusal, diagnostic.fix
    return {
        "file": source.name,
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "title": diagnostic.rule.title,
        **_place(diagnostic.span, source),
        "what": diagnostic.what,
        "why": diagnostic.why,
        "how": diagnostic.how,
        "errno": errno_name(refusal.errno) if refusal else None,
        "kernel": refusal.text if refusal else None,
        "fix": fix and {"title": fix.title, "edits": [_edit(edit, source) for edit in fix.edits]},
        "labels": [{**_place(label.span, source), "text": label.text} for label in diagnostic.labels],
    }


def _edit(edit: Edit, source: Source) -> dict[str, Any]:
    return {**_place(edit.span, source), "text": edit.text}


def _place(span: Span, source: Source) -> dict[str, int]:
    end = source.span(span.end, span.end)
    return {
        "line": span.line,
        "column": span.column,
        "end_line": end.line,
        "end_column": end.column,
        "start": span.start,
        "end": span.end,
    }


# SARIF.


def _result(diagnostic: Diagnostic, source: Source, index: dict[str, int]) -> dict[str, Any]:
    artifact = {"uri": _uri(source.name)}
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": index[diagnostic.code],
        "level": diagnostic.severity.value,
        "message": {"text": f"{diagnostic.what}: {diagnostic.how}"},
        "locations": [_location(diagnostic.span, source, artifact)],
    }
    if diagnostic.labels:
        result["relatedLocations"] = [
            {**_location(label.span, source, artifact), "id": number, "message": {"text": label.text}}
            for number, label in enumerate(diagnostic.labels, 1)
        ]
    if diagnostic.fix:
        replacements = [
            {"deletedRegion": _region(edit.span, source), "insertedContent": {"text": edit.text}}
            for edit in diagnostic.fix.edits
        ]
        changes = [{"artifactLocation": artifact, "replacements": replacements}]
        result["fixes"] = [{"description": {"text": diagnostic.fix.title}, "artifactChanges": changes}]
    if diagnostic.refusal:
        result["properties"] = {"errno": errno_name(diagnostic.refusal.errno), "kernel": diagnostic.refusal.text}
    return result


def _location(span: Span, source: Source, artifact: dict[str, str]) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": artifact, "region": _region(span, source)}}


def _region(span: Span, source: Source) -> dict[str, int]:
    place = _place(span, source)
    return {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
        "charOffset": span.start,
        "charLength": span.end - span.start,
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path, errors="surrogateescape")


# GitHub.


def _command(diagnostic: Diagnostic, source: Source) -> str:
    place = _place(diagnostic.span, source)
    properties = {
        "file": source.name,
        "line": place["line"],
        "endLine": place["end_line"],
        "col": place["column"],
        "endColumn": place["end_column"],
        "title": f"{diagnostic.code} {diagnostic.rule.title}",
    }
    if place["line"] != place["end_line"]:
        del properties["col"], properties["endColumn"]  # GitHub takes them for a single line only
    listed = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in properties.items())
    return f"::{_LEVELS[diagnostic.severity]} {listed}::{_escaped(f'{diagnostic.what}: {diagnostic.how}')}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(each):02X}" if each in "%\r\n" + more else each for each in text)
