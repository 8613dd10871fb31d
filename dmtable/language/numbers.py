"""Numbers as the kernel and dmsetup read them, which is not how Python does.

Python's int() takes `1_0`, `+5`, blanks and the digits of every script; none of these functions do.
"""

from __future__ import annotations

import re

U64 = 1 << 64
U32 = 1 << 32

_DECIMAL = re.compile(r"[0-9]+")
_KSTRTOUINT = re.compile(r"\+?([0-9]+)")
_STRTOULL = re.compile(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)")


def is_decimal(text: str) -> bool:
    """Whether text is ASCII digits and nothing else."""
    return _DECIMAL.fullmatch(text) is not None


def scan_sector(text: str) -> int | None:
    """The kernel's `sscanf("%llu%c") == 1`: digits only, and 2^64 is silently 0. None where it refuses."""
    return _modulo(text, U64) if is_decimal(text) else None


def scan_u32(text: str) -> int | None:
    """The kernel's `sscanf("%u")` of a whole word: as scan_sector, modulo 2^32."""
    return _modulo(text, U32) if is_decimal(text) else None


def kstrtouint(text: str) -> int | None:
    """The kernel's kstrtouint, base 10: digits with perhaps one `+`, below 2^32. None where it refuses."""
    match = _KSTRTOUINT.fullmatch(text)
    value = _at_most(match[1], U32) if match else U32
    return None if value == U32 else value


def strtoull(text: str, at: int) -> tuple[int, int] | None:
    """glibc's `%llu` at an offset of text: (value, offset behind it), or None without a digit.

    A minus sign wraps to 2^64 - n, and what does not fit in 64 bits becomes 2^64 - 1.
    """
    match = _STRTOULL.match(text, at)
    if match is None:
        return None
    value = _at_most(match[2], U64)
    if value == U64:
        value = U64 - 1
    elif match[1] == "-":
        value = -value % U64
    return value, match.end()


def atoi(text: str) -> int:
    """glibc's atoi(): the number that text begins with, 0 where it begins with none, cut to 32 bits with sign."""
    match = _STRTOULL.match(text)
    if match is None:
        return 0
    value = _at_most(match[2], 1 << 63)
    value = -value if match[1] == "-" else min(value, (1 << 63) - 1)
    return (value + (1 << 31)) % U32 - (1 << 31)


# int() refuses more than 4,300 digits, so neither of these gives it that many.


def _modulo(digits: str, modulus: int) -> int:
    value = 0
    for at in range(0, len(digits), 4000):
        piece = digits[at : at + 4000]
        value = (value * 10 ** len(piece) + int(piece)) % modulus
    return value


def _at_most(digits: str, limit: int) -> int:
    digits = digits.lstrip("0") or "0"
    return limit if len(digits) > len(str(limit)) else min(int(digits), limit)
