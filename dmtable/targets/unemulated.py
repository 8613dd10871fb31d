"""Targets that the kernel has and dmtable does not run: known by name, version and number of words.

The counts and texts are what Linux 6.1 answered. A table with such a target can be checked and
rewritten; loading it fails with a text that says so, or with the kernel's own where that refuses too.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NoReturn, Self

from dmtable.core.bio import Bio
from dmtable.core.devices import Lookup
from dmtable.core.target import Context, MapResult, Params, StatusKind, Target
from dmtable.errors import CtrError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, refused

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    version: Version
    takes: Callable[[int], bool]
    """Whether the constructor gets past its first test with this number of words."""
    otherwise: str
    """What it says where it does not."""


def _at_least(count: int) -> Callable[[int], bool]:
    return lambda words: words >= count


def _one_of(*counts: int) -> Callable[[int], bool]:
    return lambda words: words in counts


_KNOWN = {
    "crypt": _Known((1, 24, 0), _at_least(5), "Not enough arguments"),
    "log-writes": _Known((1, 1, 0), _at_least(2), "Invalid argument count"),
    "multipath": _Known((1, 14, 0), _at_least(1), "invalid number of feature args"),
    "raid": _Known((1, 15, 1), _at_least(1), "No arguments"),
    "snapshot": _Known((1, 16, 0), _at_least(4), "requires 4 or more arguments"),
    "snapshot-merge": _Known((1, 5, 0), _at_least(4), "requires 4 or more arguments"),
    "snapshot-origin": _Known((1, 9, 0), _one_of(1), "origin: incorrect number of arguments"),
    "switch": _Known((1, 1, 0), _at_least(1), "Invalid number of paths"),
    "thin": _Known((1, 22, 0), _one_of(2, 3), "Invalid argument count"),
    "thin-pool": _Known((1, 22, 0), _at_least(4), "Invalid argument count"),
}

NAMES = tuple(_KNOWN)


@cache
def unemulated(name: str) -> type[Target] | None:
    """The stand-in for a target of the kernel's, None where the kernel has none of this name."""
    known = _KNOWN.get(name)
    if known is None:
        return None
    params = type("UnemulatedParams", (_UnemulatedParams,), {"target": name, "known": known, "__slots__": ()})
    return type("Unemulated", (_Unemulated,), {"name": name, "version": known.version, "params": params})


@dataclass(frozen=True, slots=True)
class _UnemulatedParams(Params):
    target: ClassVar[str]
    known: ClassVar[_Known]
    texts: tuple[str, ...]

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if not cls.known.takes(len(words)):
            refusal = refused(cls.target, errno.EINVAL, cls.known.otherwise)
            return None, [Finding(rules.UNREAD_WORDS, f"{cls.target} has {len(words)} words", 0, refusal=refusal)]
        what = f"the words of {cls.target} are not checked, and dmtable cannot run it"
        return cls(tuple(words)), [Finding(rules.NOT_EMULATED, what, -1)]

    def words(self) -> list[str]:
        return list(self.texts)


class _Unemulated(Target):
    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: _UnemulatedParams) -> NoReturn:
        raise CtrError(errno.EOPNOTSUPP, "dmtable does not run this target", -1)

    def map(self, bio: Bio) -> MapResult:
        return MapResult.KILL

    def status(self, kind: StatusKind) -> str:
        return ""
