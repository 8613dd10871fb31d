"""zero: reads as zeroes, forgets writes (kernel: dm-zero.c, version 1.1.0)."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from dmtable.core.bio import Bio
from dmtable.core.devices import Lookup
from dmtable.core.extents import Extent
from dmtable.core.target import Context, MapResult, Params, StatusKind, Target
from dmtable.io.constant import ZERO
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, refused


@dataclass(frozen=True, slots=True)
class ZeroParams(Params):
    """No words."""

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if not words:
            return cls(), []
        refusal = refused("zero", errno.EINVAL, "No arguments required")
        fix = tuple((word, "") for word in range(len(words)))
        return None, [
            Finding(
                rules.ZERO_WORDS, f"zero takes no words, and the line has {len(words)}", 0, refusal=refusal, fix=fix
            )
        ]

    def words(self) -> list[str]:
        return []


class Zero(Target):
    """All sectors are zero."""

    name = "zero"
    version = (1, 1, 0)
    params = ZeroParams

    def __init__(self, context: Context, begin: int, length: int, params: ZeroParams) -> None:
        super().__init__(context, begin, length)

    def map(self, bio: Bio) -> MapResult:
        bio.device = ZERO
        return MapResult.REMAPPED

    def status(self, kind: StatusKind) -> str:
        return ""

    def extents(self) -> Iterable[Extent]:
        yield Extent(self.begin, self.length, ZERO, 0)
