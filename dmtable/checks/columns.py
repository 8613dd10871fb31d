"""Many lines judged at once: which rows of a run need a closer look. All of it is iteration in C."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, count, islice, repeat
from operator import add, gt, mod, or_, sub

from dmtable.core.devices import DmDev
from dmtable.core.layout import MAX_SECTORS
from dmtable.language.tree import Columns


@dataclass(frozen=True, slots=True)
class Run:
    """Columns with what is worked out once for all rows: lengths, and where each row's area ends on its device.

    `dm_devs` has a device for each of the columns', None where there is none; `in_doubt` says of each
    whether there is something to say about the word that names it.
    """

    columns: Columns
    dm_devs: Sequence[DmDev | None]
    in_doubt: Sequence[bool]
    lengths: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, columns: Columns, dm_devs: Sequence[DmDev | None], in_doubt: Sequence[bool]) -> Run:
        lengths = list(map(sub, islice(columns.starts, 1, None), columns.starts))
        return cls(columns, dm_devs, in_doubt, lengths, list(map(add, columns.offsets, lengths)))

    def suspects(self) -> set[int]:
        """The rows of which something may be wrong, other than the first one's place behind the line before."""
        suspects = set(compress(count(), map(gt, self.ends, self._room())))
        if self.columns.starts[-1] > MAX_SECTORS:
            suspects.update(compress(count(), map(gt, islice(self.columns.starts, 1, None), repeat(MAX_SECTORS))))
        if any(self.in_doubt):
            suspects.update(compress(count(), self._by_device(self.in_doubt)))
        if max(self.blocks()) > 1:
            suspects.update(compress(count(), self._misaligned()))
        return suspects

    def blocks(self) -> list[int]:
        """The logical block of each device, in sectors."""
        return [dm_dev.block_sectors if dm_dev else 1 for dm_dev in self.dm_devs]

    def line_blocks(self) -> Iterator[tuple[int, int, int]]:
        """Start, length and logical block of each row, in sectors."""
        return zip(self.columns.starts, self.lengths, self._by_device(self.blocks()), strict=False)

    def shifted(self, shifts: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Where each row's area starts and ends, plus the shift of its device; without a device it ends at once."""
        if not any(shifts) and None not in self.dm_devs:
            return self.columns.offsets, self.ends
        starts = list(map(add, self.columns.offsets, self._by_device(shifts)))
        ends = list(map(add, self.ends, self._by_device(shifts)))
        if None in self.dm_devs:
            exists = self._by_device([dm_dev is not None for dm_dev in self.dm_devs])
            ends = [end if is_there else start for start, end, is_there in zip(starts, ends, exists, strict=True)]
        return starts, ends

    def _by_device(self, values: Sequence[int]) -> Iterator[int]:
        """For each row the value of its device."""
        if len(values) == 1:
            return repeat(values[0], len(self.columns))
        return map(values.__getitem__, self.columns.device_index)

    def _room(self) -> Iterator[int]:
        """For each row the size of its device; a device of size 0 is never judged."""
        enough = max(self.ends)
        return self._by_device([(dm_dev.size_sectors if dm_dev else 0) or enough for dm_dev in self.dm_devs])

    def _misaligned(self) -> Iterator[int]:
        blocks = self.blocks()
        offsets = map(mod, self.columns.offsets, self._by_device(blocks))
        return map(or_, offsets, map(mod, self.lengths, self._by_device(blocks)))
