"""Reading the words of a replicator line from left to right, and judging the counts among them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from dmtable.core.devices import Lookup
from dmtable.core.words import device_findings
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, Rule, refused
from dmtable.language.numbers import is_decimal

_MAX_DIGITS = 20
"""2^64 has as many; no number of a replicator is larger."""


def is_number(word: str) -> bool:
    """Whether a word is a decimal number of no more digits than any number here needs."""
    return is_decimal(word) and len(word) <= _MAX_DIGITS


def is_uri(word: str) -> bool:
    """Whether a word names a device of a server, as `nbd://host/export`: no node to look up."""
    return "://" in word


class Misfit(Exception):
    """The words do not go on as they must; the finding is made."""


class Reader:
    """The words of a line, read from left to right, and what is wrong with them.

    `otherwise` is how the target refuses words that do not fit; each part sets its own, as the original had a text
    for each number that it stumbled over.
    """

    def __init__(self, target: str, words: Sequence[str], lookup: Lookup | None) -> None:
        self.findings: list[Finding] = []
        self.at = 0
        self.words = words
        self.lookup = lookup
        self.otherwise = refused(target, errno.EINVAL, "Invalid argument count")
        self._target = target

    @property
    def left(self) -> int:
        """How many words are not read yet."""
        return len(self.words) - self.at

    @property
    def next(self) -> str | None:
        return self.words[self.at] if self.left else None

    @property
    def refused(self) -> bool:
        return any(finding.refusal for finding in self.findings)

    def refusal(self, text: str, number: int = errno.EINVAL) -> Refusal:
        """How the target refuses its line with a text."""
        return refused(self._target, number, text)

    def find(self, rule: Rule, what: str, word: int, refusal: Refusal | None = None) -> None:
        """Notes a finding that nothing mends."""
        self.findings.append(Finding(rule, what, word, refusal=refusal))

    def take(self, what: str, fits: Callable[[str], object]) -> str:
        """The next word, which must fit; `what` names it for people."""
        word = self.take_if(fits)
        if word is None:
            found = f"{self.next!r} stands" if self.left else "the line ends"
            self.misfit(f"{found} where {what} belongs")
        return word

    def take_if(self, fits: Callable[[str], object]) -> str | None:
        """The next word where it fits."""
        word = self.next
        if word is None or not fits(word):
            return None
        self.at += 1
        return word

    def take_some(self, count: int, what: str) -> None:
        """So many words, whatever they are."""
        if count > self.left:
            self.at = len(self.words)
            self.misfit(f"the line ends where {what} belongs")
        self.at += count

    def kind(self, what: str) -> str:
        return self.take(what, lambda word: word[0] not in "0123456789")

    def number(self, what: str) -> int:
        return int(self.take(what, is_number))

    def count(self, what: str) -> Count:
        at = self.at
        return Count(self, at, self.number(what))

    def device(self, what: str, refusal: Callable[[int], Refusal | None], *, is_node: bool = True) -> str:
        """A device's word, which is looked up where it `is_node`; `refusal` is the target's for an errno."""
        word = self.take(what, bool)
        if is_node and not is_uri(word):
            self.findings.extend(device_findings(self.at - 1, word, self.lookup, refusal))
        return word

    def misfit(self, what: str, at: int | None = None) -> NoReturn:
        """Gives the line up at a word, the next one unless told."""
        self.find(rules.REPLICATOR_SHAPE, what, self.at if at is None else at, self.otherwise)
        raise Misfit


@dataclass(frozen=True, slots=True)
class Count:
    """A declared number of words, and where it stands; the words begin right behind it."""

    reader: Reader
    at: int
    declared: int

    @property
    def undeclared(self) -> bool:
        """Whether all words that it declares have been read."""
        return self.reader.at - self.at > self.declared

    def judge(self, rule: Rule, what: str, refusal: Refusal, *, understood: int | None = None) -> None:
        """Compares with the words that were read since. A count that is `understood` is off and refused by nobody."""
        reader = self.reader
        found = reader.at - self.at - 1
        if found == self.declared:
            return
        words = " ".join(reader.words[self.at + 1 : reader.at])
        text = f"{what} declares {self.declared} words and has {found}: {words}"
        no = None if self.declared == understood else refusal
        reader.findings.append(Finding(rule, text, self.at, f"write {found}", no, ((self.at, str(found)),)))
