"""A volatile cache over a medium, which remembers every version that a power loss might leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dmtable.units import SECTOR_BYTES

Image = tuple[bytes, ...]
"""The content of a disk, sector by sector. Equal sectors are mostly the same object, which makes comparing cheap."""
State = tuple[Image, tuple[tuple[int, tuple[bytes, ...]], ...]]
"""What is durable, and of each sector the versions that are not yet, oldest first."""
Covers = dict[int, int]
"""What a flush under way will make durable: of each sector, how many of its unflushed versions."""

ZERO_SECTOR = bytes(SECTOR_BYTES)
_known_sectors: dict[bytes, bytes] = {}
_MOST_KNOWN = 1 << 16


class Cache:
    """The sectors of a disk: as a read sees them, as the last flush left them, and what was written since."""

    __slots__ = ("_durable_image", "_flushes", "_state", "durable", "newest", "unflushed")

    def __init__(self, image: Iterable[bytes]) -> None:
        self.newest = [*image]
        self.durable = self.newest.copy()
        self.unflushed: dict[int, list[bytes]] = {}
        """The versions of each sector that were written since the last flush, oldest first."""
        self._flushes: list[Covers] = []
        self._durable_image: Image | None = None
        self._state: State | None = None

    @property
    def durable_image(self) -> Image:
        if self._durable_image is None:
            self._durable_image = tuple(self.durable)
        return self._durable_image

    @property
    def state(self) -> State:
        """All that a power loss depends on, as a value: the same object until something changes."""
        if self._state is None:
            unflushed = tuple([(at, tuple(versions)) for at, versions in self.unflushed.items()])
            self._state = self.durable_image, unflushed
        return self._state

    def put(self, at: int, sector: bytes) -> None:
        """Writes a sector."""
        self._state = None
        self.newest[at] = sector
        versions = self.unflushed.get(at)
        if versions is None:
            self.unflushed[at] = [sector]
        else:
            versions.append(sector)

    def flush(self) -> None:
        """Makes all durable at once; no other flush may be under way."""
        unflushed = self.unflushed
        if unflushed:
            durable = self.durable
            for at, versions in unflushed.items():
                durable[at] = versions[-1]
            unflushed.clear()
            self._durable_image = self._state = None

    def flush_begins(self) -> Covers:
        """A flush that takes time: it need not make durable what is written from now on. It may never end."""
        covers = {at: len(versions) for at, versions in self.unflushed.items()}
        self._flushes.append(covers)
        return covers

    def flush_ends(self, covers: Covers) -> None:
        """It has made durable what it covers."""
        self._flushes = [flush for flush in self._flushes if flush is not covers]
        for at, count in covers.items():
            self.settle(at, count)

    def settle(self, at: int, count: int | None = None) -> None:
        """Makes so many versions of one sector durable, the last of them, or all. The older ones are gone."""
        versions: Sequence[bytes] = self.unflushed.get(at, ())
        settled = versions[:count]
        if not settled:
            return
        self.durable[at] = settled[-1]
        self._durable_image = self._state = None
        if left := [*versions[len(settled) :]]:
            self.unflushed[at] = left
        else:
            del self.unflushed[at]
        for covers in self._flushes:
            covers[at] = max(covers.get(at, 0) - len(settled), 0)

    def damage(self, at: int, sector: bytes) -> None:
        """The medium has this there, and the cache nothing."""
        self.settle(at)
        self.newest[at] = self.durable[at] = sector
        self._durable_image = self._state = None

    def copy(self) -> Cache:
        """The same, but for flushes under way."""
        copy = Cache(self.durable)
        copy.newest[:] = self.newest
        copy.unflushed = {at: [*versions] for at, versions in self.unflushed.items()}
        return copy


def durable(image: Image) -> State:
    """The state of a disk with nothing in its cache."""
    return image, ()


def shown(state: State) -> Image:
    """What reads of such a disk see."""
    image, unflushed = state
    if not unflushed:
        return image
    newest = [*image]
    for at, versions in unflushed:
        newest[at] = versions[-1]
    return tuple(newest)


def known_sector(content: bytes) -> bytes:
    """The same object for the same content, as long as there is room to remember."""
    found = _known_sectors.get(content)
    if found is None:
        if len(_known_sectors) >= _MOST_KNOWN:
            _known_sectors.clear()
        found = _known_sectors[content] = ZERO_SECTOR if content == ZERO_SECTOR else content
    return found


def split(content: bytes) -> list[bytes]:
    """The sectors that it consists of."""
    return [known_sector(content[at : at + SECTOR_BYTES]) for at in range(0, len(content), SECTOR_BYTES)]


def blank(sectors: int) -> Image:
    """The image of a disk that nobody has written."""
    return (ZERO_SECTOR,) * sectors


def turn_bit(sector: bytes) -> bytes:
    """The sector with one bit in its middle turned."""
    turned = bytearray(sector)
    turned[len(turned) // 2] ^= 0x10
    return bytes(turned)
