"""disk: a dirty log that remembers on a device which regions are clean (kernel: dm-log.c, disk_*)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from bitarray import bitarray

from dmtable.core.bio import Bio, Op
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.steps import Steps, request
from dmtable.core.target import Area, Context, StatusKind
from dmtable.core.words import device_findings
from dmtable.dirtylog.bitmaps import BitmapLog
from dmtable.dirtylog.format import BITMAP_OFFSET, MAGIC, VERSION, Header, clean_bits, log_bytes
from dmtable.dirtylog.log import LogParams, Place, nothing_to_flush
from dmtable.dirtylog.words import Sync, count_finding, region_findings, region_size
from dmtable.errors import CtrError, DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_REGIONS_SHIFT = SECTOR_SHIFT + 3
"""A sector of the bitmap holds 2^12 regions."""
_FIRST_SECTOR = BITMAP_OFFSET >> SECTOR_SHIFT


@dataclass(frozen=True, slots=True)
class DiskParams(LogParams):
    """`DEVICE REGION_SIZE [sync|nosync]`: the size in sectors."""

    device: str
    region_size: int
    sync: Sync = Sync.STORED

    @classmethod
    def inspect(cls, words: Sequence[str], place: Place) -> tuple[Self | None, list[Finding]]:
        if finding := count_finding(words, 2, place, "wrong number of arguments to disk dirty region log"):
            return None, [finding]
        device = words[0]
        findings = list(device_findings(place.at, device, place.lookup, lambda number: place.refusal))
        findings += region_findings(words, 1, place)
        size = region_size(words[1], place.length)
        if size is None or any(finding.refusal for finding in findings):
            return None, findings
        if place.lookup and (finding := _room_finding(place.lookup, device, size, place)):
            return None, [*findings, finding]
        return cls(device, size, Sync("".join(words[2:]))), findings

    def beginning(self, sync: str) -> Self:
        return replace(self, sync=Sync(sync))

    def words(self) -> list[str]:
        return [self.device, str(self.region_size), *self.sync.words]

    def areas(self, length: int) -> Iterable[Area]:
        yield Area(0, 0, log_bytes(-(-length // self.region_size), SECTOR_BYTES) >> SECTOR_SHIFT)


class DiskLog(BitmapLog):
    """Its bitmap of clean regions lies on a device, in the kernel's format.

    A log device that fails is said so in the status and by an event, once: D where it cannot be read or written,
    F where it cannot be flushed. Then everything is tried again by the next flush, and the letter stays.
    """

    name = "disk"
    params = DiskParams

    def __init__(
        self,
        context: Context,
        length: int,
        region_size: int,
        sync: Sync,
        dm_dev: DmDev,
        flush_data: Callable[[], Steps] = nothing_to_flush,
    ) -> None:
        self._dm_dev = dm_dev
        self._flush_data = flush_data
        self._block_sectors = dm_dev.block_sectors
        super().__init__(context, length, region_size, sync)
        if len(self._log) > dm_dev.device.size_bytes:
            raise CtrError(errno.EINVAL, _too_small(dm_dev, len(self._log)))
        self._version = VERSION
        self._failed = False
        self._flush_failed = False
        self._data_failed = False
        """A flush of the data devices failed: which regions are clean cannot be known any more, so none is."""
        self._has_cleaned = False
        self._has_dirtied = False
        self._changed: set[int] = set()
        """The sectors of the log that the device does not have as they are here."""

    @classmethod
    def construct(
        cls, context: Context, length: int, params: DiskParams, flush_data: Callable[[], Steps] = nothing_to_flush
    ) -> Self:
        dm_dev = context.get_device(params.device)
        return cls(context, length, params.region_size, params.sync, dm_dev, flush_data)

    def _make_clean_bits(self) -> bitarray:
        self._log = bytearray(log_bytes(self.region_count, self._block_sectors * SECTOR_BYTES))
        return clean_bits(self._log, self.region_count)

    # The kernel takes every bit that is set for a region that became clean, and every one that is cleared for one
    # that became dirty, whichever the bitmap: it decides when the next flush writes, and what it flushes before.

    def mark_region(self, region: int) -> None:
        self._clean[region] = 0
        self._has_dirtied = True
        self._changed.add(_FIRST_SECTOR + (region >> _REGIONS_SHIFT))

    def clear_region(self, region: int) -> None:
        if not self._data_failed:
            self._clean[region] = 1
            self._has_cleaned = True
            self._changed.add(_FIRST_SECTOR + (region >> _REGIONS_SHIFT))

    def set_region_sync(self, region: int, in_sync: bool) -> None:
        super().set_region_sync(region, in_sync)
        self._has_dirtied = True
        self._has_cleaned |= in_sync

    def get_resync_work(self) -> int | None:
        region = super().get_resync_work()
        self._has_cleaned |= region is not None
        return region

    # I/O. What changes while a flush is under way waits for the next one.

    def postsuspend(self) -> None:
        self.flush()

    def resuming(self) -> Steps:
        sectors = len(self._log) >> SECTOR_SHIFT
        self._version = VERSION
        known: int | None = None
        try:
            yield from request(self._dm_dev.device, Bio(Op.READ, 0, sectors, memoryview(self._log)))
        except OSError:
            # What could not be read now must not be believed later, even if the bits cannot be written now.
            Header(0, 0, self.region_count).pack_into(self._log)
        else:
            known = self._known_regions()
        if known is None:
            self._say("Failed to read header on dirty region log device")
            self._fail()
        self._take_over(known or 0)
        self._changed.update(range(sectors))
        self._has_dirtied = True
        try:
            yield from self._store(self._unstored())
        except OSError:
            self._say("Failed to write header on dirty region log device")
            raise

    def flushing(self) -> Steps:
        if not (self._has_cleaned or self._has_dirtied):
            return
        unstored = self._unstored()
        if unstored.has_cleaned:
            try:
                yield from self._flush_data()
            except OSError:
                self._data_failed = True
                self._clean.setall(0)
                self._changed = {*range(len(self._log) >> SECTOR_SHIFT)}
                self._has_dirtied = True
                unstored = self._unstored()
            except BaseException:
                self._put_back(unstored)
                raise
        yield from self._store(unstored)

    def _unstored(self) -> _Unstored:
        """Takes what is to be stored, as it is now."""
        changed, self._changed = self._changed, set()
        dirtied, self._has_dirtied = self._has_dirtied, False
        cleaned, self._has_cleaned = self._has_cleaned, False
        # The kernel writes all of it, even where no bit of its bitmap changed; the first block does then.
        block = self._block_sectors
        first, last = min(changed, default=0) // block, max(changed, default=0) // block
        data = bytes(memoryview(self._log)[first * block << SECTOR_SHIFT : (last + 1) * block << SECTOR_SHIFT])
        return _Unstored(changed, dirtied, cleaned, first * block, data)

    def _put_back(self, unstored: _Unstored) -> None:
        self._changed |= unstored.changed
        self._has_dirtied |= unstored.has_dirtied
        self._has_cleaned |= unstored.has_cleaned

    def _store(self, unstored: _Unstored) -> Steps:
        device, data = self._dm_dev.device, memoryview(unstored.data)
        try:
            yield from request(device, Bio(Op.WRITE, unstored.first, len(data) >> SECTOR_SHIFT, data))
            if unstored.has_dirtied:
                yield from self._flush_log()
        except BaseException as error:
            # An interrupt, perhaps: what was taken is still to be stored.
            self._put_back(unstored)
            if isinstance(error, OSError):
                self._fail()
            raise
        if self._renew_header():
            yield from self._store(self._unstored())

    def _renew_header(self) -> bool:
        """Once the bits of all regions are durable the header may count them, and not before: of one request that
        writes both, as the kernel's, a power loss may leave the header and lose the bits."""
        header = Header(MAGIC, self._version, self.region_count)
        if Header.unpack(self._log) == header:
            return False
        header.pack_into(self._log)
        self._changed.add(0)
        self._has_dirtied = True
        return True

    def _flush_log(self) -> Steps:
        try:
            yield from request(self._dm_dev.device, Bio(Op.FLUSH, 0, 0))
        except OSError:
            self._flush_failed = True
            raise

    def _known_regions(self) -> int | None:
        """How many regions the log that was read has something to say of; None where its version is unknown."""
        header = Header.unpack(self._log)
        if self.sync or header.magic != MAGIC:
            return 0
        if header.version not in (1, VERSION):
            # The kernel keeps the number, and so the log stays what nobody can read.
            self._version = header.version
            self.context.log("dirty region log: incompatible disk log version")
            return None
        return header.regions & 0xFFFFFFFF

    def _take_over(self, known: int) -> None:
        """Begins with what was read of so many regions; the others are new (kernel: disk_resume)."""
        count = self.region_count
        self._clean[min(known, count) : count] = self.sync is Sync.ALL
        self._clean[count:] = 0
        self._in_sync[:] = self._clean[:count]
        self._sync_count = self._in_sync.count()
        self._cursor = 0

    def _fail(self) -> None:
        if not self._failed:
            self._failed = True
            self.context.event()

    def _say(self, text: str) -> None:
        self.context.log(f"dirty region log: {self._dm_dev.name}: {text}")

    def status(self, kind: StatusKind) -> str:
        if kind is StatusKind.INFO:
            return f"3 {self.name} {self._dm_dev.name} {'F' if self._flush_failed else 'D' if self._failed else 'A'}"
        words = [self._dm_dev.name, str(self.region_size), *self.sync.words]
        return f"{self.name} {len(words)} {' '.join(words)} "


@dataclass(frozen=True, slots=True)
class _Unstored:
    """What a flush stores: the `changed` sectors of the log, within `data` from sector `first` on."""

    changed: set[int]
    has_dirtied: bool
    has_cleaned: bool
    first: int
    data: bytes


def _room_finding(lookup: Lookup, device: str, size: int, place: Place) -> Finding | None:
    """Whether the log fits its device, where the device's size is known."""
    try:
        dm_dev = lookup(device)
    except DeviceLookupError:
        return None
    regions, room = -(-place.length // size), dm_dev.device.size_bytes
    need = log_bytes(regions, dm_dev.device.logical_block_size)
    if room == 0 or need <= room:
        return None
    what = f"a log of {regions} regions takes {need} bytes, and {device} has {room}"
    return Finding(rules.LOG_DEVICE_SMALL, what, place.at, refusal=place.refused(_too_small(dm_dev, need)))


def _too_small(dm_dev: DmDev, need: int) -> str:
    return f"log device {dm_dev.name} too small: need {need} bytes"
