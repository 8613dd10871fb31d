"""Sectors and bytes. A sector is 512 bytes everywhere in the device-mapper, whatever the disk says."""

from __future__ import annotations

import re

from dmtable.errors import UsageError

SECTOR_SHIFT = 9
SECTOR_BYTES = 1 << SECTOR_SHIFT

_AMOUNT = re.compile(r"([0-9]{1,40})([sbkmgt]?)", re.IGNORECASE)
_UNIT_BYTES = {"": SECTOR_BYTES, "s": SECTOR_BYTES, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_bytes(text: str) -> int:
    """The bytes that a person means by `8` (sectors), `4k`, `1m`, `512b`, `3s`.

    Raises UsageError where the text is none of these.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no amount: write sectors (8), or bytes with a unit (4k, 1m, 2g, 512b)")
    return int(match[1]) * _UNIT_BYTES[match[2].lower()]


def human_size(sectors: int) -> str:
    """`2048` sectors as `1 MiB`: the largest binary unit of which there is at least one, at most one decimal."""
    size = sectors * SECTOR_BYTES
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            number = f"{size / (1 << shift):.1f}".removesuffix(".0")
            return f"{number} {unit}"
    return f"{size} bytes"
