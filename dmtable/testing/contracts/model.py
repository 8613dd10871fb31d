"""What an md with a target must hold, sector by sector, told from what was asked of it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from dmtable.core.mapped_device import MappedDevice
from dmtable.io.device import BlockDevice
from dmtable.testing.contracts.bench import LEAD, TRAIL, Bench, cut, fill, told_as_contract
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

Origin = tuple[str, int] | Literal["zero", "error"]
"""Where a sector lies: (device, its sector), or with one of the two that hold no data."""

_ZERO = bytes(SECTOR_BYTES)


class Model:
    """Requests to an md, each compared with what it should do, for a target of `length` sectors.

    `origin` says where each sector of the target lies, None where nobody knows: such a sector is only asked to
    hold what was written to it.
    """

    def __init__(self, bench: Bench, md: MappedDevice, length: int, origin: Callable[[int], Origin | None]) -> None:
        self.size = LEAD + length + TRAIL
        self._md = md
        self._written: dict[Origin, bytes] = {}
        self._origins: list[Origin] = [
            (origin(at - LEAD) or ("", at)) if LEAD <= at < LEAD + length else "zero" for at in range(self.size)
        ]
        for where in self._origins:
            if isinstance(where, tuple) and where[0]:
                self._written[where] = bench.disks[where[0]].image[where[1]]
            elif isinstance(where, tuple):
                with told_as_contract():
                    self._written[where] = md.pread(SECTOR_BYTES, where[1] << SECTOR_SHIFT)

    def fails(self, first: int, sectors: int) -> bool:
        """Whether some of the sectors cannot be read nor written."""
        return "error" in self._origins[first : first + sectors]

    def content(self, first: int, sectors: int) -> bytes:
        """What a read must return."""
        return b"".join(self._written.get(where, _ZERO) for where in self._origins[first : first + sectors])

    def note_write(self, first: int, data: bytes) -> None:
        """The sectors were written; those that can be."""
        for where, sector in zip(self._origins[first:], cut(data), strict=False):
            if isinstance(where, tuple):
                self._written[where] = sector

    def read(self, device: BlockDevice, first: int, sectors: int) -> None:
        if read := self._done(lambda: device.pread(sectors << SECTOR_SHIFT, first << SECTOR_SHIFT), first, sectors):
            self.check(read, first, "a read")

    def check(self, read: bytes, first: int, what: str) -> None:
        """What was read from sector `first` on is right."""
        expected = self.content(first, len(read) >> SECTOR_SHIFT)
        for at, (mine, right) in enumerate(zip(cut(read), cut(expected), strict=True), first):
            assert mine == right, (
                f"{what} of sector {at - LEAD} of the target (md sector {at}) returns {_short(mine)}…, "
                f"and {_short(right)}… should be there{self._whence(at)}"
            )

    def _whence(self, at: int) -> str:
        where = self._origins[at]
        return "" if where[0] == "" else f", as in {where}"

    def write(self, device: BlockDevice, first: int, sectors: int, tag: int) -> None:
        data = fill(tag, sectors)
        self._done(lambda: device.pwrite(data, first << SECTOR_SHIFT), first, sectors)
        self.note_write(first, data)

    def write_zeroes(self, device: BlockDevice, first: int, sectors: int) -> None:
        self._done(lambda: device.write_zeroes(first << SECTOR_SHIFT, sectors << SECTOR_SHIFT), first, sectors)
        self.note_write(first, bytes(sectors << SECTOR_SHIFT))

    def discard(self, device: BlockDevice, first: int, sectors: int) -> None:
        """What it leaves is the target's affair, and it may be refused."""
        with told_as_contract():
            with suppress(OSError):
                device.discard(first << SECTOR_SHIFT, sectors << SECTOR_SHIFT)
            for at in range(first, first + sectors):
                if isinstance(where := self._origins[at], tuple):
                    self._written[where] = self._md.pread(SECTOR_BYTES, at << SECTOR_SHIFT)

    def _done(self, request: Callable[[], bytes | int | None], first: int, sectors: int) -> bytes | None:
        """What a read returned. The request fails with EIO where a sector does, and only there."""
        failed: OSError | None = None
        result: bytes | int | None = None
        try:
            with told_as_contract():
                result = request()
        except OSError as error:
            failed = error
        where = f"sectors {first}+{sectors} of the md"
        if self.fails(first, sectors):
            assert failed is not None, f"a request of {where} succeeds, and one of them lies on `error`"
            assert failed.errno == errno.EIO, f"a request of {where} fails with {failed}; `error` fails with EIO"
        else:
            assert failed is None, f"a request of {where} fails, and no device has: {failed}"
        return result if isinstance(result, bytes) else None


def _short(sector: bytes) -> str:
    return repr(sector.split(b"\n")[0][:24])
