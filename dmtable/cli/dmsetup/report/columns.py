"""Which fields a report has: those of `-o`, and hidden ones that it sorts and selects by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dmtable.cli.dmsetup.report.fields import FIELDS, SECTIONS, SPECIAL_FIELDS, AnyField, AnySection, Value
from dmtable.cli.dmsetup.report.help import before, field_help
from dmtable.errors import DmsetupError

_LONGEST_NAME = 31
"""Bytes of a field's name that libdm compares, underlines aside."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column; a field may have several."""

    field: AnyField
    is_shown: bool = True


Row = dict[Column, Value]


@dataclass(slots=True)
class Columns:
    """The columns of a report.

    `complain` takes what is wrong with a word but does not make it fail; `trace` is called where libdm logs
    that a function hands a failure on.
    """

    complain: Callable[[str], object]
    trace: Callable[[], object] = lambda: None
    own_section: AnySection | None = None
    """The section that a command reports on whatever fields are asked for; `all` means its fields."""
    all: list[Column] = field(default_factory=list)
    """In the order in which they are filled: hidden ones first, the last one found necessary at the front."""
    sort_keys: list[tuple[Column, bool]] = field(default_factory=list)
    """(column, whether it goes down)."""

    @property
    def shown(self) -> list[Column]:
        return [column for column in self.all if column.is_shown]

    @property
    def sections(self) -> set[AnySection]:
        return {column.field.section for column in self.all}

    def ask_for(self, words: str, keys: str) -> None:
        """Adds the fields that `-o` and `-O` list. Raises DmsetupError with help at one that is unknown."""
        # `all` is all of the sections that anything else asks for, in whatever place.
        sections = {self.own_section} if self.own_section is not None else set()
        for word, rest in _listed(words):
            sections |= self._sections_of(word, rest, sections)
        for key, rest in _listed(keys):
            sections.add(self._key(key, rest)[0].section)
        for word, rest in _listed(words):
            self.all += map(Column, self._fields_of(word, rest, sections))
        for key, rest in _listed(keys):
            self._sort_by(*self._key(key, rest))

    def of(self, wanted: AnyField) -> Column:
        """The first column of a field; a hidden one is added where there is none."""
        for column in self.all:
            if column.field is wanted:
                return column
        self.all.insert(0, Column(wanted, is_shown=False))
        return self.all[0]

    def field_named(self, word: str, rest: str) -> AnyField | None:
        """The field that a word means, which begins the text `rest`: case and underlines do not count."""
        bare = self._bare(word, rest)
        if bare is None:
            self.trace()
            return None
        return _FIELDS.get(bare)

    @contextmanager
    def handing_on(self) -> Iterator[None]:
        """Around what a function of libdm calls that says so in the log where that fails."""
        try:
            yield
        except DmsetupError:
            self.trace()
            raise

    def _sections_of(self, word: str, rest: str, so_far: set[AnySection]) -> set[AnySection]:
        found = self.field_named(word, rest)
        return {found.section} if found is not None else self._group(word, rest, so_far)

    def _fields_of(self, word: str, rest: str, sections: set[AnySection]) -> list[AnyField]:
        found = self.field_named(word, rest)
        if found is not None:
            return [found]
        group = self._group(word, rest, sections)
        return [each for each in FIELDS if each.section in group]

    def _group(self, word: str, rest: str, sections: set[AnySection]) -> set[AnySection]:
        """The sections that a word like `info_all` means, or of `all` those that there are. Raises DmsetupError."""
        if word.lower() == "all":
            return sections or set(SECTIONS)
        if word:
            bare = self._bare(word, rest)
            if group := {section for section in SECTIONS if bare == f"{section.prefix}all"}:
                return group
        raise DmsetupError(before(field_help(), f"Unrecognised field: {word}"))

    def _key(self, key: str, rest: str) -> tuple[AnyField, bool]:
        """(field, whether it goes down). Raises DmsetupError."""
        sign = key[:1] if key[:1] in ("+", "-") else ""
        if sign == key != "":
            self.complain("dm_report: Missing sort field name")
        else:
            found = self.field_named(key.removeprefix(sign), rest.removeprefix(sign))
            if found is not None:
                return found, sign == "-"
        raise DmsetupError(before(field_help(), f"dm_report: Unrecognised field: {key}"))

    def _sort_by(self, wanted: AnyField, is_down: bool) -> None:
        column = self.of(wanted)
        if any(column is key for key, _ in self.sort_keys):
            self.complain(f"dm_report: Ignoring duplicate sort field: {wanted.name}.")
        else:
            self.sort_keys.append((column, is_down))

    def _bare(self, word: str, rest: str) -> str | None:
        """A word as names are compared; None, and a complaint, where it is too long."""
        counted = [at for at, byte in enumerate(_bytes(word)) if byte != ord("_")]
        if len(counted) > _LONGEST_NAME:
            too_much = _bytes(rest)[counted[_LONGEST_NAME] :].decode("utf-8", "surrogateescape")
            self.complain(f"{too_much}: field name too long.")
            return None
        return word.replace("_", "").lower()


_FIELDS = {each.name.replace("_", ""): each for each in (*FIELDS, *SPECIAL_FIELDS)}


def _listed(text: str) -> Iterator[tuple[str, str]]:
    """(word, the text from there on) between commas; a comma at the end has an empty word behind it."""
    rest = text
    while rest:
        rest = rest.lstrip(",")
        word, _, _ = rest.partition(",")
        yield word, rest
        rest = rest[len(word) :]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
