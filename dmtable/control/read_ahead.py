"""How far the kernel reads ahead on mds: as it chose when their tables came, or as it was told since."""

from __future__ import annotations

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.numbers import Number
from dmtable.core.table import LiveTable

DEFAULT_SECTORS = 256
"""VM_READAHEAD_PAGES. That the kernel reads further ahead where stripes are wide is left out."""
_PAGE_SECTORS = 8


class ReadAhead:
    """Of all mds of a machine."""

    def __init__(self, mapper: DeviceMapper) -> None:
        self._mapper = mapper
        self._told: dict[Number, tuple[LiveTable | None, int]] = {}
        """What was asked for, and the live table at that time: the next one undoes it."""

    def of(self, number: Number) -> int:
        """Sectors. The number is that of a disk, or of an md that ever had a table."""
        md = self._mapper.by_number(number)
        told_with, told = self._told.get(number, (None, None))
        if md is None or told is None or told_with is not md.live:
            return DEFAULT_SECTORS
        return told

    def tell(self, number: Number, sectors: int) -> None:
        """Rounds as sysfs does: up to whole KiB, then down to whole pages."""
        md = self._mapper.by_number(number)
        if md is not None:
            self._told[number] = md.live, (sectors + sectors % 2) // _PAGE_SECTORS * _PAGE_SECTORS
