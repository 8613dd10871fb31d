"""core: a dirty log that forgets everything with its table (kernel: dm-log.c, core_*)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from dmtable.core.steps import Steps
from dmtable.core.target import Context, StatusKind
from dmtable.dirtylog.bitmaps import BitmapLog
from dmtable.dirtylog.log import LogParams, Place, nothing_to_flush
from dmtable.dirtylog.words import Sync, count_finding, region_findings, region_size
from dmtable.language.diagnostics import Finding


@dataclass(frozen=True, slots=True)
class CoreParams(LogParams):
    """`REGION_SIZE [sync|nosync]`: the size in sectors."""

    region_size: int
    sync: Sync = Sync.STORED

    @classmethod
    def inspect(cls, words: Sequence[str], place: Place) -> tuple[Self | None, list[Finding]]:
        if finding := count_finding(words, 1, place, "wrong number of arguments to dirty region log"):
            return None, [finding]
        findings = list(region_findings(words, 0, place))
        size = region_size(words[0], place.length)
        if size is None or findings:
            return None, findings
        return cls(size, Sync("".join(words[1:]))), findings

    def beginning(self, sync: str) -> Self:
        return replace(self, sync=Sync(sync))

    def words(self) -> list[str]:
        return [str(self.region_size), *self.sync.words]


class CoreLog(BitmapLog):
    """Without `nosync` every region is out of sync when the table is new."""

    name = "core"
    params = CoreParams
    persistent = False

    @classmethod
    def construct(
        cls, context: Context, length: int, params: CoreParams, flush_data: Callable[[], Steps] = nothing_to_flush
    ) -> Self:
        return cls(context, length, params.region_size, params.sync)

    def resuming(self) -> Steps:
        self._cursor = 0
        return iter(())

    def status(self, kind: StatusKind) -> str:
        if kind is StatusKind.INFO:
            return f"1 {self.name}"
        words = [str(self.region_size), *self.sync.words]
        return f"{self.name} {len(words)} {' '.join(words)} "
