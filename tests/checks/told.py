"""What check says, in short: the code, the place and what may matter besides."""

from __future__ import annotations

from collections.abc import Sequence

from dmtable.checks import check
from dmtable.language.diagnostics import Diagnostic, apply_fixes


def told(found: Sequence[Diagnostic]) -> list[tuple[str, str]]:
    """(code, line:column) of each finding."""
    return [(each.code, f"{each.span.line}:{each.span.column}") for each in found]


def only(found: Sequence[Diagnostic], code: str) -> Diagnostic:
    """The one finding with this code."""
    (diagnostic,) = [each for each in found if each.code == code]
    return diagnostic


def mended(text: str, **known: object) -> str:
    """The text with all fixes made until none is left."""
    for _ in range(20):
        text, applied = apply_fixes(text, check(text, **known))  # type: ignore[arg-type]
        if not applied:
            return text
    raise AssertionError(f"fixes do not end: {text!r}")
