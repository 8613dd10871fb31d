"""Findings and diagnostics: what is wrong, where, why it matters, how to mend it.

A *finding* comes from someone who knows the words of a line and not its place (a target's `inspect`).
A *diagnostic* is a finding with its place in the text; it is what users see.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter

from dmtable.errors import DmtableError, errno_name
from dmtable.language.tree import Line, Span


class Severity(StrEnum):
    """error: refused, or surely not what was meant. warning: legal, probably wrong. note: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding. `why` says what comes of it, `how` what to do, both in general."""

    code: str
    severity: Severity
    title: str
    why: str
    how: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the kernel says no: a positive errno and its literal log text behind `device-mapper: table: M:m: `.

    `at_limits` marks the refusals of the last step, when all lines stand and the queue limits are
    calculated; they come after those of every constructor. `log` holds what the kernel writes before,
    behind `device-mapper: `, as where a part of a target says what it dislikes.
    """

    errno: int
    text: str
    at_limits: bool = False
    log: tuple[str, ...] = ()


def refused(target: str, errno: int, text: str) -> Refusal:
    """The refusal of a constructor: the kernel adds the target's name before and the number behind."""
    return Refusal(errno, f"{target}: {text} (-{errno_name(errno)})")


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule broken by a line. `word` counts as Line.token does; None means the whole line.

    `fix` replaces tokens, each a (word, new text) pair; the empty text removes the token.
    """

    rule: Rule
    what: str
    word: int | None = None
    how: str = ""
    refusal: Refusal | None = None
    fix: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters of `span` by `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A mend that can be applied as it stands; `title` says what it does."""

    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that belongs to a diagnostic, as the other of two overlapping lines."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding in its place."""

    rule: Rule
    span: Span
    what: str
    how: str
    refusal: Refusal | None = None
    fix: Fix | None = None
    labels: tuple[Label, ...] = ()

    @property
    def code(self) -> str:
        return self.rule.code

    @property
    def severity(self) -> Severity:
        return self.rule.severity

    @property
    def why(self) -> str:
        return self.rule.why

    @property
    def errno(self) -> int | None:
        """The positive number that the kernel would return for this, None where it would not refuse."""
        return self.refusal.errno if self.refusal else None

    @property
    def kernel_text(self) -> str | None:
        """The kernel's literal log text, None where it would not refuse."""
        return self.refusal.text if self.refusal else None


class TableError(DmtableError):
    """A table that cannot be read, with every finding that says so.

    `diagnostics` holds at least one finding of severity error, in the order of the text.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic], source_name: str = "<table>") -> None:
        self.diagnostics = tuple(diagnostics)
        self.source_name = source_name
        first = self.diagnostics[0]
        more = len(self.diagnostics) - 1
        super().__init__(
            f"{source_name}:{first.span.line}:{first.span.column}: {first.code} {first.what}"
            + (f" (and {more} more)" if more else "")
        )


def diagnose(
    rule: Rule,
    span: Span,
    what: str,
    *,
    how: str = "",
    refusal: Refusal | None = None,
    fix: Fix | None = None,
    labels: Iterable[Label] = (),
) -> Diagnostic:
    """A diagnostic; the rule's own advice stands in where `how` is empty."""
    return Diagnostic(rule, span, what, how or rule.how, refusal, fix, tuple(labels))


def place(finding: Finding, line: Line) -> Diagnostic:
    """The finding at its place in the line."""
    span = line.span if finding.word is None else line.token(clamp(finding.word, line)).span
    fix = None
    if finding.fix:
        edits = tuple(Edit(_extent(line, word, text), text) for word, text in finding.fix)
        fix = Fix(finding.how or finding.rule.how, edits)
    return diagnose(finding.rule, span, finding.what, how=finding.how, refusal=finding.refusal, fix=fix)


def _extent(line: Line, word: int, text: str) -> Span:
    """What a new text for a token takes the place of; a token that goes takes the blanks before it along."""
    span = line.token(word).span
    return span if text else Span(line.token(word - 1).span.end, span.end, span.line, span.column)


def clamp(word: int, line: Line) -> int:
    """A word index that exists in the line: a missing word is shown at the last one there is."""
    return min(word, len(line.tokens) - 4)


def apply_fixes(text: str, diagnostics: Iterable[Diagnostic]) -> tuple[str, list[Diagnostic]]:
    """The text with every fix applied that touches nothing which an earlier one touched, and whose they are.

    What remains is found by checking the result again: fixes are made until none is left.
    """
    accepted: list[tuple[int, int, str]] = []
    applied: list[Diagnostic] = []
    for diagnostic in diagnostics:
        if diagnostic.fix is None:
            continue
        edits = sorted((edit.span.start, edit.span.end, edit.text) for edit in diagnostic.fix.edits)
        if not any(_is_touched(accepted, start, end) for start, end, _ in edits):
            for edit in edits:
                insort(accepted, edit)
            applied.append(diagnostic)
    pieces = []
    at = 0
    for start, end, new in accepted:
        pieces += [text[at:start], new]
        at = end
    return "".join([*pieces, text[at:]]), applied


def _is_touched(edits: list[tuple[int, int, str]], start: int, end: int) -> bool:
    """Whether one of the edits, sorted and apart from one another, meets the characters from start to end."""
    behind = bisect_right(edits, end, key=itemgetter(0))
    return behind > 0 and edits[behind - 1][1] >= start
