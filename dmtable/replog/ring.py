"""The geometry of the ring: where the next entry goes, and how much is free. Sectors of the device, and no I/O.

An entry is a header of 8 sectors and its data, rounded up to 8. The header never wraps: where fewer than 8 sectors
are left the next entry begins at the start. The data does: a header may be the last thing in the ring and its data
the first. What an entry skips at the ring's end belongs to it. 8 sectors always stay free, so that equal positions
of head and next mean an empty ring (the original took an exactly full ring for an empty one).
"""

from __future__ import annotations

from dataclasses import dataclass

from dmtable.replog.format import HEADER_SECTORS, RING_SECTOR, Wrap

KEPT_SECTORS = HEADER_SECTORS
"""Never used."""

_NO_WRAP, _WRAP_DATA, _WRAP_NEXT = int(Wrap.NONE), int(Wrap.DATA), int(Wrap.NEXT)

Place = tuple[int, int, int, int]
"""(sector of the header, sector of the data, Wrap, sector of the next header)."""


def data_sectors(sectors: int) -> int:
    """The space for that much data."""
    return (sectors + 7) & ~7


@dataclass(slots=True)
class Ring:
    """Sectors `start` to `end`, in use from `head` to `next`."""

    start: int
    end: int
    head: int
    next: int

    @classmethod
    def of(cls, first: int, size: int) -> Ring:
        """The empty ring of a log of `size` sectors from sector `first` on."""
        start = first + RING_SECTOR
        return cls(start, first + size, start, start)

    @property
    def free(self) -> int:
        """What is not in use, what is always kept included (kernel: ring_free)."""
        return (self.head - self.next - 1) % (self.end - self.start) + 1

    def place(self, data: int) -> Place | None:
        """Where an entry with so many sectors of rounded data would go; None where there is no room."""
        start, end, header = self.start, self.end, self.next
        room = end - header
        behind = header + HEADER_SECTORS + data
        if behind <= end:
            at, wrap, taken = header + HEADER_SECTORS, _NO_WRAP, HEADER_SECTORS + data
        else:
            at, wrap, taken = start, _WRAP_DATA, room + data
            behind = start + data
        if end - behind < HEADER_SECTORS:
            taken += end - behind
            behind, wrap = start, _WRAP_NEXT
        if taken + KEPT_SECTORS > (self.head - header - 1) % (end - start) + 1:
            return None
        return header, at, wrap, behind

    def behind(self, at: int, wrap: int, data_at: int, data: int) -> int | None:
        """The header behind that of an entry as its header tells; None where the entry cannot be in the ring.

        The ring may have had another end when the entry was written: the entry knows where it wrapped.
        """
        if data_at != (self.start if wrap == _WRAP_DATA else at + HEADER_SECTORS) or wrap > _WRAP_NEXT:
            return None
        behind = data_at + data
        if not self.holds_header(at) or behind > self.end:
            return None
        if wrap == _WRAP_NEXT:
            return self.start
        return behind if self.end - behind >= HEADER_SECTORS else None

    def holds_header(self, at: int) -> bool:
        """Whether a header can stand there."""
        return self.start <= at <= self.end - HEADER_SECTORS

    def fits(self, end: int) -> bool:
        """Whether the ring could end there, with all that is in use where it is."""
        return self.head <= self.next <= end - HEADER_SECTORS
