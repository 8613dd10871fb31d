"""The language of `-S`: which rows a report selects.

    selection:    alternative { ("||" | "#") alternative }
    alternative:  term { ("&&" | ",") term }
    term:         FIELD OPERATOR VALUE  |  "(" selection ")"  |  "!" "(" selection ")"

A value may stand in quotes; without, it ends at a blank, at an operator or at a `)`. Source: libdm 1.02.185.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from dmtable.cli.dmsetup.report.columns import Column, Columns, Row
from dmtable.cli.dmsetup.report.fields import HELP, AnyField, Kind, Value
from dmtable.cli.dmsetup.report.help import before, field_help, selection_help
from dmtable.cli.dmsetup.report.regex import Regex
from dmtable.errors import DmsetupError

_BLANKS = " \t\n\v\f\r"
_NAME = re.compile(r"[0-9A-Za-z_-]*")
_DIGITS = re.compile(r"[0-9]*\.?[0-9]*")
_BARE = re.compile(r"(?:(?! |[ \t\n\v\f\r]*(?:&&|,|\|\||#|\))).)*", re.DOTALL)
_AND, _OR = ("&&", ","), ("||", "#")
_QUOTES = {"'": "'", '"': '"'}
_REGEX_QUOTES = {**_QUOTES, "(": ")", "{": "}", "[": "]"}
_UNITS = frozenset("hHrRbBsSkKmMgGtTpPeE")

_COMPARE: dict[str, Callable[[Value, Value], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_MATCH = {"=~": True, "!~": False}
_OF_TIME = ("since", "after", "until", "before")
_OPERATORS = (*_MATCH, *_COMPARE, *_OF_TIME)
"""An operator that another one begins with stands behind that one."""

_LONGEST_NUMBER = 20
"""Digits of 2^64."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Something that must hold of a row's value in one column."""

    column: Column
    holds: Callable[[Value], bool]
    is_negated: bool = False

    def selects(self, row: Row) -> bool:
        return self.holds(row[self.column]) is not self.is_negated


@dataclass(frozen=True, slots=True)
class Group:
    """Selections of which all must select a row, or one."""

    members: tuple[Selection, ...]
    needs_all: bool
    is_negated: bool = False

    def selects(self, row: Row) -> bool:
        enough = all if self.needs_all else any
        return enough([member.selects(row) for member in self.members]) is not self.is_negated


Selection = Comparison | Group


def read_selection(text: str, columns: Columns) -> Selection | None:
    """The selection that a text is, None where it selects all. Fields that it needs become hidden columns.

    Raises DmsetupError with libdm's messages.
    """
    if text.lower() in ("", "all"):
        return None
    with columns.handing_on():
        try:
            return _Reader(text, columns).read()
        except RecursionError as error:
            raise DmsetupError("The selection has too many parentheses in one another.") from error


class _SyntaxError(DmsetupError):
    """A comparison that cannot be read, while it is not yet said where."""


class _Reader:
    def __init__(self, text: str, columns: Columns) -> None:
        self._text = text
        self._at = 0
        self._columns = columns

    def read(self) -> Selection:
        with self._columns.handing_on():
            selection = self._alternatives()
        self._skip_blanks()
        if self._rest:
            raise DmsetupError(f"Expecting logical operator\n{_where(self._rest)}")
        return selection

    # The grammar.

    def _alternatives(self) -> Selection:
        members = [self._all_of()]
        while self._take(*_OR):
            members.append(self._all_of())
        return members[0] if len(members) == 1 else Group(tuple(members), needs_all=False)

    def _all_of(self) -> Selection:
        members = [self._term()]
        while self._take(*_AND):
            members.append(self._term())
        return members[0] if len(members) == 1 else Group(tuple(members), needs_all=True)

    def _term(self) -> Selection:
        if self._take("!"):
            if not self._take("("):
                raise DmsetupError(f"Syntax error: left parenthesis expected at '{self._rest}'")
            selection = self._alternatives()
            if not self._take(")"):
                raise DmsetupError(f"Syntax error: right parenthesis expected at '{self._rest}'")
            # What is negated already stays so: libdm sets a mark.
            return replace(selection, is_negated=True)
        if self._take("("):
            selection = self._alternatives()
            if not self._take(")"):
                self._skip_blanks()
                raise DmsetupError(f"Syntax error: right parenthesis expected at '{self._rest}'")
            return selection
        self._skip_blanks()
        begin = self._rest
        try:
            field, sign, value = self._comparison()
        except _SyntaxError as error:
            raise DmsetupError(f"{error}\n{_where(begin)}") from error
        self._skip_blanks()
        with self._columns.handing_on():
            return self._made(field, sign, value)

    def _comparison(self) -> tuple[AnyField, str, str]:
        """(field, operator, value as it is written)."""
        begin = self._rest
        field = self._field()
        sign = self._take(*_OPERATORS)
        if not sign:
            raise _SyntaxError(before(selection_help(), f"Unrecognised comparison operator: {self._rest}"))
        if sign in _MATCH:
            with self._columns.handing_on():
                return field, sign, self._pattern(field)
        if sign in _OF_TIME:
            reason = f"Operator can be used only with time fields: {begin}"
            raise _SyntaxError(before(selection_help(), reason))
        if field.kind is Kind.STRING and sign not in ("=", "!="):
            reason = f"Operator can be used only with number, size, time or percent fields: {begin}"
            raise _SyntaxError(before(selection_help(), reason))
        with self._columns.handing_on():
            return field, sign, self._value(field)

    def _made(self, field: AnyField, sign: str, written: str) -> Comparison:
        """The comparison that these are. Raises DmsetupError where the value cannot be."""
        column = self._columns.of(field)
        if sign in _MATCH:
            regex, shall_match = self._regex(field, written), _MATCH[sign]
            return Comparison(column, lambda ours: regex.matches(str(ours)) is shall_match)
        compare = _COMPARE[sign]
        value = written if field.kind is Kind.STRING else _whole_number(field, written)
        return Comparison(column, lambda ours: compare(ours, value))

    def _regex(self, field: AnyField, pattern: str) -> Regex:
        if field.kind is not Kind.STRING:
            raise DmsetupError(f"dm_report: incompatible comparison type for selection field {field.name}")
        try:
            return Regex(pattern, self._columns.complain)
        except DmsetupError as error:
            reason = f"dm_report: failed to create regex matcher for selection field {field.name}"
            raise DmsetupError(f"{error}\n{reason}") from error

    # Words.

    @property
    def _rest(self) -> str:
        return self._text[self._at :]

    def _skip_blanks(self) -> None:
        self._at = len(self._text) - len(self._rest.lstrip(_BLANKS))

    def _take(self, *words: str) -> str:
        """Goes past the first of the words that comes next, after blanks, and returns it; stays where none does."""
        ahead = self._rest.lstrip(_BLANKS)
        found = next((word for word in words if ahead.startswith(word)), "")
        if found:
            self._at = len(self._text) - len(ahead) + len(found)
        return found

    def _take_all(self, pattern: re.Pattern[str]) -> str:
        """Goes past what the pattern, which may match nothing, matches here."""
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return match[0]

    def _field(self) -> AnyField:
        begin = self._rest
        word = self._take_all(_NAME)
        if not word:
            raise _SyntaxError("Expecting field name")
        field = self._columns.field_named(word, begin)
        if field is None:
            raise _SyntaxError(before(field_help(kinds=True), f"Unrecognised selection field: {word}"))
        if field in HELP:
            raise _SyntaxError(before(field_help(kinds=True), f"Selection field is uncomparable: {word}."))
        return field

    def _pattern(self, field: AnyField) -> str:
        self._skip_blanks()
        if not self._rest:
            raise _SyntaxError(f"Regular expression expected for selection field {field.name}")
        return self._string(_REGEX_QUOTES, f"Failed to parse regex value for selection field {field.name}.")

    def _string(self, quotes: dict[str, str], failed: str) -> str:
        self._skip_blanks()
        end_quote = quotes.get(self._rest[:1])
        if end_quote is None:
            return self._take_all(_BARE)
        value, found, _ = self._rest[1:].partition(end_quote)
        if not found:
            raise _SyntaxError(f"Missing end quote.\n{failed}")
        self._at += len(value) + 2
        return value

    def _value(self, field: AnyField) -> str:
        if field.kind is Kind.STRING:
            return self._string(_QUOTES, f"Failed to parse string value for selection field {field.name}.")
        return self._number(field)

    def _number(self, field: AnyField) -> str:
        self._skip_blanks()
        digits = self._take_all(_DIGITS)
        if not digits:
            raise _SyntaxError(f"Failed to parse numeric value for selection field {field.name}.")
        ahead = self._rest[:1]
        expected = "size" if field.kind is Kind.SIZE else "numeric"
        if ahead == "%":
            raise _SyntaxError(f"Found percent value but {expected} value expected for selection field {field.name}.")
        if ahead in _UNITS:
            if field.kind is not Kind.SIZE:
                raise _SyntaxError(
                    f"Found size unit specifier but {expected} value expected for selection field {field.name}."
                )
            self._at += 1
        return digits


def _where(text: str) -> str:
    return f"Selection syntax error at '{text}'.\nUse 'help' for selection to get more help."


def _whole_number(field: AnyField, digits: str) -> int:
    """What stands before the point, as nothing that is reported has a fraction."""
    whole = digits.partition(".")[0].lstrip("0")
    if len(whole) <= _LONGEST_NUMBER and (number := int(whole or "0")) < 1 << 64:
        return number
    raise DmsetupError(f"Field selection value {digits} out of supported range for field {field.name}.")
