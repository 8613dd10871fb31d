"""Where entries wrote, by their numbers: quick to note, quick to ask."""

from __future__ import annotations

from dmtable.replog.log import Entry

_BLOCK_SHIFT = 7
"""A block of 64 KiB: what is not smaller is noted by its blocks alone."""
_BLOCK_SECTORS = 1 << _BLOCK_SHIFT
_DEVICE_SHIFT = 60
_MANY = 1 << 16


class Footprint:
    """The newest entry that wrote to each place. Entries come in the order of their numbers.

    What is older than anybody asks for may be forgotten at any time, so nothing need be taken out one by one.
    """

    __slots__ = ("_blocks", "_large", "_many", "_sectors")

    def __init__(self) -> None:
        self._sectors: dict[int, int] = {}
        """By sector: the newest of the entries that are smaller than a block."""
        self._large: dict[int, int] = {}
        """By block: the newest of the others."""
        self._blocks: dict[int, int] = {}
        """By block: the newest of all."""
        self._many = _MANY

    def add(self, entry: Entry) -> int:
        """Notes an entry. Returns the newest before it that shares a sector with it, 0 where there is none; what lies
        in the same large blocks may be taken for one."""
        number, sector = entry.number, entry.sector
        base = entry.device << _DEVICE_SHIFT
        last = sector + entry.sectors - 1
        block, last_block = base + (sector >> _BLOCK_SHIFT), base + (last >> _BLOCK_SHIFT)
        if block == last_block:
            before = self._blocks.get(block, 0)
            self._blocks[block] = number
        else:
            before = _put(self._blocks, block, last_block, number)
        if entry.sectors >= _BLOCK_SECTORS:
            _put(self._large, block, last_block, number)
            return before
        if not before:
            self._sectors.update(dict.fromkeys(range(base + sector, base + last + 1), number))
            return 0
        before = _put(self._sectors, base + sector, base + last, number)
        if self._large:
            before = max(before, self._large.get(block, 0), self._large.get(last_block, 0))
        return before

    def newest(self, device: int, sector: int, sectors: int, since: int) -> int:
        """The newest entry behind number `since` that shares a sector with the sectors, 0 where there is none.

        It may be said of a neighbour in a large entry's blocks, and where the sectors are many.
        """
        blocks, base = self._blocks, device << _DEVICE_SHIFT
        last = sector + sectors - 1
        block, last_block = base + (sector >> _BLOCK_SHIFT), base + (last >> _BLOCK_SHIFT)
        found = (
            blocks.get(block, 0)
            if block == last_block
            else max(blocks.get(each, 0) for each in range(block, last_block + 1))
        )
        if found <= since:
            return 0
        if sectors >= _BLOCK_SECTORS:
            return found
        first, end = base + sector, base + last
        found = max(_highest(self._large, block, last_block), _highest(self._sectors, first, end))
        return found if found > since else 0

    def forget(self, upto: int, newest: int) -> None:
        """Nobody asks for entries up to this number any more; `newest` is the last that was added."""
        if upto >= newest:
            if self._blocks:
                self._sectors.clear()
                self._large.clear()
                self._blocks.clear()
        elif len(self._sectors) + len(self._large) > self._many:
            self._sectors = _behind(upto, self._sectors)
            self._large = _behind(upto, self._large)
            self._blocks = _behind(upto, self._blocks)
            # Where most of it is still asked for, it is not gone through again before it has doubled.
            self._many = max(_MANY, 2 * (len(self._sectors) + len(self._large)))


def _put(places: dict[int, int], first: int, last: int, number: int) -> int:
    """Notes the number at all places, and returns the highest that was there."""
    before = _highest(places, first, last)
    places.update(dict.fromkeys(range(first, last + 1), number))
    return before


def _highest(places: dict[int, int], first: int, last: int) -> int:
    """The highest number at any of the places."""
    return max([places.get(each, 0) for each in range(first, last + 1)])


def _behind(upto: int, places: dict[int, int]) -> dict[int, int]:
    return {place: number for place, number in places.items() if number > upto}
