"""libdm's regular expressions: `.`, sets, `*`, `+`, `?`, `|`, parentheses, `^` and `$`, over bytes.

A match looks at each byte once, whatever the expression. Source: libdm 1.02.185. Its optimiser, which takes what is
common to the sides of a `|` out of it, does so even where that stands below `?`, `*` or `+`, and then matches too
little; here nothing is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmtable.errors import DmsetupError

_BEGIN, _END, _ACCEPT = 2, 3, 0
"""Bytes that stand for the begin and the end of the text, and for a match that is complete."""

_SPECIAL = frozenset(b"()*+?|")
_ESCAPED = {ord("n"): ord("\n"), ord("r"): ord("\r"), ord("t"): ord("\t")}
_ANY = frozenset(range(1, 256)) - frozenset(b"\n\r")

_Bytes = frozenset[int]
_Token = _Bytes | int | None
"""A set of bytes, one of the special characters, or nothing more that can be read."""


@dataclass(frozen=True, slots=True)
class _Fragment:
    """Part of an expression: whether it matches nothing too, and where it can begin and end, a bit for each set."""

    nullable: bool
    first: int
    last: int


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class Regex:
    """A regular expression that was read. `complain` takes what is wrong with one, which may be read all the same.

    Raises DmsetupError where it cannot be.
    """

    def __init__(self, pattern: str, complain: Callable[[str], object]) -> None:
        reader = _Reader(pattern.encode("utf-8", "surrogateescape"), complain)
        self._first = reader.read().first
        self._follow = reader.follow
        self._on = [0] * 256
        for at, members in enumerate(reader.sets):
            for byte in members:
                self._on[byte] |= 1 << at

    def matches(self, text: str) -> bool:
        """Whether the text has a part that matches."""
        state = self._first
        for byte in (_BEGIN, *text.encode("utf-8", "surrogateescape"), _END):
            state = self._behind(state & self._on[byte])
            if state & self._on[_ACCEPT]:
                return True
        return False

    def _behind(self, reached: int) -> int:
        state = 0
        for at in _bits(reached):
            state |= self._follow[at]
        return state


class _Reader:
    """Reads an expression with one token to look at. What cannot be read ends what stands before it."""

    def __init__(self, pattern: bytes, complain: Callable[[str], object]) -> None:
        self._text = b"(.*(" + pattern + b")\0)"
        self._at = 0
        self._token: _Token = None
        self._complain = complain
        self.sets: list[_Bytes] = []
        self.follow: list[int] = []
        """For each set, the sets that can come behind it, a bit for each."""

    def read(self) -> _Fragment:
        self._next()
        fragment = self._alternatives()
        if fragment is None:
            raise DmsetupError("Parse error in regex\nCouldn't parse regex")
        return fragment

    # The grammar.

    def _alternatives(self) -> _Fragment | None:
        result = self._sequence()
        bars = 0
        while result is not None and self._token == ord("|"):
            self._next()
            bars += 1
            other = self._sequence()
            if other is None:
                for _ in range(bars):
                    self._complain("Badly formed 'or' expression")
                return None
            result = _Fragment(result.nullable or other.nullable, result.first | other.first, result.last | other.last)
        return result

    def _sequence(self) -> _Fragment | None:
        result = self._repeated()
        while result is not None and self._token != ord("|"):
            other = self._repeated()
            if other is None:
                break
            self._link(result.last, other.first)
            result = _Fragment(
                result.nullable and other.nullable,
                result.first | other.first if result.nullable else result.first,
                result.last | other.last if other.nullable else other.last,
            )
        return result

    def _repeated(self) -> _Fragment | None:
        result = self._single()
        while result is not None and self._token in (ord("*"), ord("+"), ord("?")):
            if self._token != ord("?"):
                self._link(result.last, result.first)
            result = _Fragment(result.nullable or self._token != ord("+"), result.first, result.last)
            self._next()
        return result

    def _single(self) -> _Fragment | None:
        if isinstance(self._token, frozenset):
            bit = 1 << len(self.sets)
            self.sets.append(self._token)
            self.follow.append(0)
            self._next()
            return _Fragment(False, bit, bit)
        if self._token != ord("("):
            return None
        self._next()
        inner = self._alternatives()
        if self._token != ord(")"):
            self._complain("missing ')' in regular expression")
            return None
        self._next()
        return inner

    def _link(self, lasts: int, firsts: int) -> None:
        for at in _bits(lasts):
            self.follow[at] |= firsts

    # Tokens.

    def _next(self) -> None:
        if self._at >= len(self._text):
            self._token = None
            return
        byte = self._text[self._at]
        self._at += 1
        if byte == ord("["):
            self._token = self._set()
        elif byte in _SPECIAL:
            self._token = byte
        elif byte == ord("."):
            self._token = _ANY
        elif byte == ord("\\"):
            self._token = frozenset((self._escaped(),))
        else:
            self._token = frozenset(({ord("^"): _BEGIN, ord("$"): _END}.get(byte, byte),))

    def _escaped(self) -> int:
        byte = self._text[self._at]
        self._at += 1
        return _ESCAPED.get(byte, byte)

    def _set(self) -> _Token:
        """The set behind a `[`; None where it has no end."""
        is_negated = self._text.startswith(b"^", self._at)
        self._at += is_negated
        members: set[int] = set()
        before = 0
        while self._at < len(self._text):
            byte = self._text[self._at]
            self._at += 1
            if byte == ord("]"):
                return frozenset(range(1, 256)) - members if is_negated else frozenset(members)
            if byte == ord("\\"):
                byte = self._escaped()
            elif byte == ord("-") and before and self._at < len(self._text):
                byte = self._text[self._at]
                self._at += 1
                byte, before = max(byte, before), min(byte, before)
                members.update(range(before, byte))
            members.add(byte)
            before = byte
        return None
