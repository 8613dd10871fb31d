"""Lines that are something else: two lines printed as one, and what `dmsetup status` prints."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dmtable.core.registry import Registry
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Edit, Fix, Refusal, diagnose
from dmtable.language.numbers import is_decimal
from dmtable.language.tree import Line, Span, Word

_MAX_DIGITS = 19
_STRIPED_STATUS = re.compile(r"([0-9]+)((?: [^ ]+)+) 1 ([AD]+)")
_PROGRESS = re.compile(r"[0-9]+/[0-9]+")


def split_lines(line: Line, registry: Registry) -> list[Line]:
    """The line cut before each `<start> <length> <known target>` among its words; alone where there is none."""
    tokens = line.tokens
    cuts = [at for at in range(3, len(tokens) - 2) if _begins_line(tokens[at : at + 3], registry)]
    parts = zip([0, *cuts], [*cuts, len(tokens)], strict=True)
    return [_line(tokens[begin:end]) for begin, end in parts] if cuts else [line]


def two_lines_in_one(parts: Sequence[Line], refusal: Refusal | None) -> Diagnostic:
    """The finding on a line that is several, `parts`; `refusal` is what the kernel says to it as it stands."""
    first = parts[1].tokens
    span = Span(first[0].span.start, first[2].span.end, first[0].span.line, first[0].span.column)
    what = f"a second line, `{parts[1].start} {parts[1].length} {parts[1].target} …`, begins within this one"
    fix = Fix("begin a new line", tuple(map(_line_end, parts, parts[1:])))
    return diagnose(rules.TWO_LINES_IN_ONE, span, what, refusal=refusal, fix=fix)


def is_status(line: Line) -> bool:
    """Whether the words are a status and not parameters: how far something is, or which devices are alive."""
    words = line.texts()
    if line.target == "striped":
        match = _STRIPED_STATUS.fullmatch(" ".join(words))
        return match is not None and int(match[1][:9]) == len(match[2].split()) == len(match[3])
    return any(map(_PROGRESS.fullmatch, words))


def status_line(line: Line, refusal: Refusal | None) -> Diagnostic:
    """The finding on a line of status output."""
    first, last = line.words[0].span, line.words[-1].span
    span = Span(first.start, last.end, first.line, first.column)
    return diagnose(rules.STATUS_LINE, span, f"{line.target} reports this, and takes other words", refusal=refusal)


def _begins_line(tokens: Sequence[Word], registry: Registry) -> bool:
    start, length, target = (token.text for token in tokens)
    numbers = all(is_decimal(text) and len(text) <= _MAX_DIGITS for text in (start, length))
    return numbers and registry.params(target) is not None


def _line(tokens: tuple[Word, ...]) -> Line:
    first, last = tokens[0].span, tokens[-1].span
    span = Span(first.start, last.end, first.line, first.column)
    return Line(int(tokens[0].text), int(tokens[1].text), tokens[2].text, tokens, span)


def _line_end(before: Line, behind: Line) -> Edit:
    end = before.tokens[-1].span
    return Edit(Span(end.end, behind.span.start, end.line, end.column + end.end - end.start), "\n")
