"""The head of a line, `<start> <length> <target>`: what stands there instead, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from errno import EINVAL

from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Edit, Fix, Refusal, Rule, diagnose
from dmtable.language.dmsetup_text import MAX_TARGET_NAME, DmsetupLine, DmsetupTextError, read_dmsetup_text
from dmtable.language.grammar import sectors
from dmtable.language.numbers import U64, is_decimal, strtoull
from dmtable.language.tree import Source

_NUMERIC = re.compile(r"[+-]?[0-9]")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
_SIGNED = re.compile(r"[+-][0-9]+")
_FRACTION = re.compile(r"([0-9]+)\.[0-9]*")
_MAYBE_A_TARGET = re.compile(r"[a-z][a-z-]+")
_SHOWN = 40


def is_numeric(word: str) -> bool:
    """Whether a word begins as a number does, whatever it goes on with."""
    return _NUMERIC.match(word) is not None


def has_name(texts: Sequence[str]) -> bool:
    """Whether the words are a line behind `NAME:`, as `dmsetup table` prints it."""
    return len(texts) > 3 and texts[0].endswith(":") and is_numeric(texts[1]) and is_numeric(texts[2])


def shown(word: str) -> str:
    """A word for a message: short, and with nothing in it that could not be seen."""
    word = word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in word)


def utf8(text: str) -> bytes:
    """The bytes behind a text, whatever surrogates it holds."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Head:
    """Start and length as they were meant."""

    start: int
    length: int


class HeadReader:
    """Reads the head of one line. `physical` is the line as dmsetup sees it, None where that is more than one."""

    def __init__(self, source: Source, words: Sequence[tuple[int, int]], physical: str | None) -> None:
        self.found: list[Diagnostic] = []
        self._source = source
        self._words = words
        self._texts = [source.text[slice(*span)] for span in words[:3]]
        self._physical = physical

    def read(self) -> Head | None:
        """None where nobody can say what was meant; `found` then says why."""
        if len(self._words) < 3:
            self._not_a_line()
            return None
        if not is_numeric(self._texts[0]) and not is_numeric(self._texts[1]):
            first, second = map(shown, self._texts[:2])
            self._find(rules.NOT_A_NUMBER, slice(0, 2), f"neither `{first}` nor `{second}` is a number of sectors")
            return None
        start, length = self._number(0), self._number(1)
        size = len(utf8(self._texts[2]))
        if size > MAX_TARGET_NAME:
            what = f"`{shown(self._texts[2])}` has {size} bytes; dmsetup refuses it as too long"
            self._find(rules.LONG_TARGET_NAME, slice(2, 3), what)
        return None if start is None or length is None else Head(start, length)

    def _not_a_line(self) -> None:
        count = len(self._words)
        what = f"only {count} word{'s' * (count > 1)} where a line has at least three"
        self._find(rules.NOT_A_LINE, slice(0, count), what, as_read=True)

    def _number(self, index: int) -> int | None:
        text = self._texts[index]
        word = f"{('start', 'length')[index]} `{shown(text)}`"
        here = slice(index, index + 1)
        if is_decimal(text):
            value = sectors(text)
            if value == U64 - 1 and text.lstrip("0") != str(U64 - 1):
                self._find(rules.NUMBER_WRAPS, here, f"{word} does not fit in 64 bits", as_read=True)
            return value
        if _HEXADECIMAL.fullmatch(text):
            value = int(text, 16)
            fix = str(value) if value < U64 else None
            self._find(rules.HEXADECIMAL, here, f"{word} is hexadecimal", as_read=True, fix=fix)
            return min(value, U64 - 1)
        if _SIGNED.fullmatch(text):
            if text[0] == "+":
                self._find(rules.PLUS_SIGN, here, f"{word} has a plus sign", fix=text[1:])
                return sectors(text[1:])
            self._find(rules.NEGATIVE, here, f"{word} is negative", as_read=True)
            wrapped = strtoull(text, 0)
            return wrapped[0] if wrapped else None
        if fraction := _FRACTION.fullmatch(text):
            self._find(rules.FRACTION, here, f"{word} has a fraction", as_read=True)
            return sectors(fraction[1])
        self._find(rules.NOT_A_NUMBER, here, f"{word} is not a number of sectors", as_read=True)
        return None

    def _find(self, rule: Rule, words: slice, what: str, *, as_read: bool = False, fix: str | None = None) -> None:
        spans = self._words[words]
        span = self._source.span(spans[0][0], spans[-1][1])
        seen, refusal = self._as_dmsetup_reads() if as_read else ("", None)
        mend = None if fix is None else Fix(f"write {fix}", (Edit(span, fix),))
        self.found.append(diagnose(rule, span, what + seen, refusal=refusal, fix=mend))

    def _as_dmsetup_reads(self) -> tuple[str, Refusal | None]:
        if self._physical is None:
            return "", None
        try:
            line = next(iter(read_dmsetup_text(utf8(self._physical))), None)
        except DmsetupTextError:
            return "; dmsetup refuses the line", None
        if line is None:
            return "; dmsetup sees no line here", None
        what = f"; dmsetup reads start {line.start}, length {line.length}, target `{shown(line.target)}`"
        return what, self._refusal(line)

    def _refusal(self, line: DmsetupLine) -> Refusal | None:
        """What the kernel says to a line as dmsetup reads it, in the kernel's order, where that is certain."""
        if line.length == 0:
            return Refusal(EINVAL, "zero-length target")
        if line.start + line.length >= 1 << 63:
            return Refusal(EINVAL, "too large device")
        if line.target not in self._texts[2:] and not _MAYBE_A_TARGET.fullmatch(line.target):
            return Refusal(EINVAL, f"{line.target}: unknown target type")
        return None
