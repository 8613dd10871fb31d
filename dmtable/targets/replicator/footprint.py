"""Where entries wrote, by their numbers: quick to note, quick to ask."""

from __future__ import annotations

from dmtable.replog.log import Entry

_CHUNK_SHIFT = 3
"""What shares a chunk of 4 KiB is taken to overlap."""
_BLOCK_SHIFT = 7
"""A block of 64 KiB: what is not smaller is noted by its blocks alone."""
_BLOCK_SECTORS = 1 << _BLOCK_SHIFT
_DEVICE_SHIFT = 60
_MANY = 1 << 16


class Footprint:
    """The newest entry that wrote to each place. Entries come in the order of their numbers.

    What is older than anybody asks for may be forgotten at any time, so nothing need be taken out one by one.
    """

    __slots__ = ("_blocks", "_chunks", "_large")

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}
        """By chunk: the newest of the entries that are smaller than a block."""
        self._large: dict[int, int] = {}
        """By block: the newest of the others."""
        self._blocks: dict[int, int] = {}
        """By block: the newest of all."""

    def add(self, entry: Entry) -> int:
        """Notes an entry. Returns the newest before it that shares a chunk with it, 0 where there is none; what lies
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
        if last - sector >= _BLOCK_SECTORS:
            _put(self._large, block, last_block, number)
            return before
        chunk, last_chunk = base + (sector >> _CHUNK_SHIFT), base + (last >> _CHUNK_SHIFT)
        if not before:
            _put(self._chunks, chunk, last_chunk, number)
            return 0
        before = _put(self._chunks, chunk, last_chunk, number)
        if self._large:
            before = max(before, *(self._large.get(each, 0) for each in (block, last_block)))
        return before

    def newest(self, device: int, sector: int, sectors: int, since: int) -> int:
        """The newest entry behind number `since` that shares a chunk with the sectors, 0 where there is none.

        It may be said of a neighbour in a large entry's blocks, and where the sectors are many.
        """
        blocks, base = self._blocks, device << _DEVICE_SHIFT
        last = sector + sectors - 1
        block, last_block = base + (sector >> _BLOCK_SHIFT), base + (last >> _BLOCK_SHIFT)
        found = (
            max(blocks.get(each, 0) for each in range(block, last_block + 1))
            if block != last_block
            else (blocks.get(block, 0))
        )
        if found <= since:
            return 0
        if sectors > _BLOCK_SECTORS:
            return found
        found = since
        for each in range(block, last_block + 1):
            found = max(found, self._large.get(each, 0))
        for each in range(base + (sector >> _CHUNK_SHIFT), base + (last >> _CHUNK_SHIFT) + 1):
            found = max(found, self._chunks.get(each, 0))
        return found if found > since else 0

    def forget(self, upto: int, newest: int) -> None:
        """Nobody asks for entries up to this number any more; `newest` is the last that was added."""
        if upto >= newest:
            if self._blocks:
                self._chunks.clear()
                self._large.clear()
                self._blocks.clear()
        elif len(self._chunks) + len(self._large) > _MANY:
            self._chunks = _behind(upto, self._chunks)
            self._large = _behind(upto, self._large)
            self._blocks = _behind(upto, self._blocks)


def _put(places: dict[int, int], first: int, last: int, number: int) -> int:
    """Notes the number at all places, and returns the highest that was there."""
    before = 0
    for each in range(first, last + 1):
        if (there := places.get(each, 0)) > before:
            before = there
        places[each] = number
    return before


def _behind(upto: int, places: dict[int, int]) -> dict[int, int]:
    return {place: number for place, number in places.items() if number > upto}
