"""error: fails everything with EIO (kernel: dm-target.c, version 1.5.0)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from dmtable.core.bio import Bio
from dmtable.core.devices import Lookup
from dmtable.core.extents import Extent
from dmtable.core.target import Context, MapResult, Params, StatusKind, Target
from dmtable.io.constant import ERROR
from dmtable.language import rules
from dmtable.language.diagnostics import Finding


@dataclass(frozen=True, slots=True)
class ErrorParams(Params):
    """No words; the kernel ignores any that there are."""

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if not words:
            return cls(), []
        fix = tuple((word, "") for word in range(len(words)))
        return cls(), [Finding(rules.ERROR_WORDS, f"error takes no words, and the line has {len(words)}", 0, fix=fix)]

    def words(self) -> list[str]:
        return []


class Error(Target):
    """No sector can be read or written."""

    name = "error"
    version = (1, 5, 0)
    params = ErrorParams

    def __init__(self, context: Context, begin: int, length: int, params: ErrorParams) -> None:
        super().__init__(context, begin, length)

    def map(self, bio: Bio) -> MapResult:
        return MapResult.KILL

    def status(self, kind: StatusKind) -> str:
        return ""

    def extents(self) -> Iterable[Extent]:
        yield Extent(self.begin, self.length, ERROR, 0)
