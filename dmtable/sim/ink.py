"""What simulated writes consist of: every sector tells which write it belongs to, and where it belongs.

A sector is sixteen bytes again and again: the tag of the write, the number of the device, and the sector's. So a
torn, rotten or misdirected sector is known for what it is, without any memory of what was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_UNIT = struct.Struct("<QHHI")
_REPEATS = SECTOR_BYTES // _UNIT.size
_MOST_SECTORS = 1 << 32
_known: dict[bytes, tuple[int, int, int] | None] = {}
_MOST_KNOWN = 1 << 16


class Blot(ValueError):
    """A sector that no write could have left, or one of another place. `at` is where it was found."""

    def __init__(self, device: int, sector: int, what: str) -> None:
        super().__init__(f"device {device}, sector {sector} {what}")
        self.device = device
        self.sector = sector


def stamp(tag: int, device: int, sector: int, sectors: int) -> bytes:
    """The content of a write: `tag` from 1 on names it; it covers `sectors` from `sector` of the device."""
    if not (tag > 0 and 0 <= device < 1 << 16 and 0 <= sector <= sector + sectors <= _MOST_SECTORS):
        raise ValueError(f"no stamp says tag {tag}, device {device}, sectors {sector}+{sectors}")
    pack = _UNIT.pack
    return b"".join([pack(tag, device, 0, number) * _REPEATS for number in range(sector, sector + sectors)])


def tag_of(content: bytes | memoryview) -> int:
    """The tag that the first sector of some data carries; 0 for zeroes. Raises Blot where it is neither."""
    read = _read(bytes(content[:SECTOR_BYTES]))
    if read is None:
        raise Blot(0, 0, "carries no stamp")
    return read[0]


def tags(image: Iterable[bytes], device: int) -> list[int]:
    """The tag of each sector of a device's image, given sector by sector. Raises Blot."""
    found = []
    for sector, content in enumerate(image):
        read = _known.get(content) or _read(content)
        if read is None or (read[0] and read[1:] != (device, sector)):
            raise _blot(read, device, sector)
        found.append(read[0])
    return found


def tags_of_bytes(image: bytes | bytearray | memoryview, device: int) -> list[int]:
    """The same for a large image in one piece; sees each byte once."""
    view = memoryview(image).cast("B")
    words = view.cast("Q")
    found: list[int] = words[:: SECTOR_BYTES // 8].tolist()
    places: list[int] = words[1 :: SECTOR_BYTES // 8].tolist()
    for sector, (tag, place) in enumerate(zip(found, places, strict=True)):
        content = bytes(view[sector << SECTOR_SHIFT : (sector + 1) << SECTOR_SHIFT])
        if content[: -_UNIT.size] != content[_UNIT.size :] or place != ((sector << 32 | device) if tag else 0):
            raise _blot(_read(content), device, sector)
    return found


def _blot(read: tuple[int, int, int] | None, device: int, sector: int) -> Blot:
    if read is None:
        return Blot(device, sector, "holds what no write can have left there")
    return Blot(device, sector, f"holds what belongs to device {read[1]}, sector {read[2]}")


def _read(content: bytes) -> tuple[int, int, int] | None:
    if content[: -_UNIT.size] != content[_UNIT.size :]:
        return None
    tag, device, zero, sector = _UNIT.unpack_from(content)
    if zero or (not tag and (device or sector)):
        return None
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    read = _known[content] = (tag, device, sector)
    return read
