"""The states of regions as bitmaps, for logs that keep them in memory: one bit a region and question."""

from __future__ import annotations

import errno

from bitarray import bitarray

from dmtable.core.target import Context
from dmtable.dirtylog.log import DirtyLog
from dmtable.dirtylog.words import Sync
from dmtable.errors import CtrError


class BitmapLog(DirtyLog):
    """A dirty log with its bitmaps in memory (kernel: struct log_c). Before the first resume all regions are clean.

    No method goes through the regions one by one, so that ten million of them are quick enough.
    """

    def __init__(self, context: Context, length: int, region_size: int, sync: Sync) -> None:
        super().__init__(context, length, region_size)
        self.sync = sync
        try:
            self._clean = self._make_clean_bits()
            self._in_sync = bitarray(self.region_count, endian="little")
            self._recovering = bitarray(self.region_count, endian="little")
        except MemoryError as error:
            what = f"there is no memory for a dirty log of {self.region_count} regions"
            raise CtrError(errno.ENOMEM, what) from error
        self._clean.setall(1)
        self._in_sync.setall(sync is Sync.ALL)
        self._sync_count = self.region_count if sync is Sync.ALL else 0
        self._cursor = 0

    def _make_clean_bits(self) -> bitarray:
        """A bitmap with a bit for each region at least."""
        return bitarray(self.region_count, endian="little")

    def is_clean(self, region: int) -> bool:
        return self._clean[region] == 1

    def in_sync(self, region: int) -> bool:
        return self._in_sync[region] == 1

    def mark_region(self, region: int) -> None:
        self._clean[region] = 0

    def clear_region(self, region: int) -> None:
        self._clean[region] = 1

    def set_region_sync(self, region: int, in_sync: bool) -> None:
        self._recovering[region] = 0
        # The kernel counts a region again that is in sync already; nobody would want that.
        self._sync_count += in_sync - self._in_sync[region]
        self._in_sync[region] = in_sync

    def get_resync_work(self) -> int | None:
        region = self._in_sync.find(0, self._cursor)
        while region >= 0 and self._recovering[region]:
            behind = self._recovering.find(0, region)
            region = self._in_sync.find(0, behind) if behind >= 0 else -1
        self._cursor = region + 1 if region >= 0 else self.region_count
        if region < 0:
            return None
        self._recovering[region] = 1
        return region

    def rewind(self, region: int) -> None:
        self._cursor = min(self._cursor, region)

    @property
    def sync_count(self) -> int:
        return self._sync_count
