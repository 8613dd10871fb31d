"""Words of the command line that stand for numbers, read as dmsetup has C read them."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from dmtable.language.numbers import atoi

_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX](?=[0-9A-Fa-f]))?([0-9A-Fa-f]+)")
_DIGITS = {8: frozenset("01234567"), 10: frozenset("0123456789"), 16: frozenset("0123456789abcdefABCDEF")}
_MOST_DIGITS = 22
"""Of a number of 64 bits, in base 8."""
_BLANKS = " \t\n\v\f\r"
_U64 = 1 << 64
_I64_MAX = (1 << 63) - 1
_U32 = 1 << 32
_LEAVE_READ_AHEAD = _U32 - 1

_UNITS = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)?([a-zA-Z])")
_BYTES_OF_UNIT = {"b": 1, "s": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}
_READABLE_UNITS = "hr"

DEFAULT_MODE = 0o660
_BLOCK_DEVICE = 0o060000
_TYPE_BITS = 0o170000


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """What `--readahead` asks for: sectors, or with `at_least` no fewer than these."""

    sectors: int
    at_least: bool


class OutOfRange(ValueError):
    """A number that does not fit (C: ERANGE)."""


def whole_number(word: str, base: int, *, signed: bool = False) -> int | None:
    """strtoul() or strtol() of 64 bits, where nothing may follow the number; None where it is none.

    Base 0 takes 0x and 0 in front for 16 and 8. A minus sign wraps an unsigned number. Raises OutOfRange.
    """
    match = _NUMBER.fullmatch(word)
    if match is None:
        return None
    sign, prefix, digits = match.groups()
    if prefix:
        if base not in (0, 16):
            return None
        base = 16
    elif base == 0:
        base = 8 if digits.startswith("0") else 10
    if not _DIGITS[base].issuperset(digits):
        return None
    significant = digits.lstrip("0") or "0"
    # int() refuses thousands of digits.
    value = int(significant, base) if len(significant) <= _MOST_DIGITS else _U64
    if value > (_I64_MAX if signed else _U64 - 1):
        raise OutOfRange
    if sign == "-":
        value = -value if signed else -value % _U64
    return value


def read_cookie(word: str) -> int:
    """The cookie of a udev transaction. Raises ValueError with dmsetup's words where it is none."""
    try:
        value = whole_number(word, 0)
    except OutOfRange:
        value = None
    if not value or value >= _U32:
        raise ValueError("Incorrect cookie value.")
    return value


def read_mode(word: str) -> int:
    """The mode of a node, in octal digits. Raises ValueError with dmsetup's words."""
    reason = ""
    try:
        value = whole_number(word, 8, signed=True) or 0
    except OutOfRange:
        value, reason = 0, os.strerror(errno.ERANGE)
    if not value % _U32:
        raise ValueError(f"Invalid argument for --mode: {word}. {reason}")
    return value % _U32


def can_be_mode(mode: int) -> bool:
    """Whether mknod() takes it for a block device: bits of another type are not refused by dmsetup."""
    return (mode | _BLOCK_DEVICE) & _TYPE_BITS == _BLOCK_DEVICE


def read_read_ahead(word: str) -> ReadAhead | None:
    """What `--readahead` asks for, None where that is what the kernel chose. Raises ValueError."""
    match word.lower():
        case "auto":
            return None
        case "none":
            return ReadAhead(0, at_least=False)
    sectors = atoi(word)
    if sectors < -1:
        raise ValueError(f"Negative read ahead value ({sectors}) is not understood.")
    if sectors % _U32 == _LEAVE_READ_AHEAD:
        return None
    return ReadAhead(sectors, at_least=word.lstrip(_BLANKS).startswith("+"))


def are_units(word: str) -> bool:
    """Whether `--units` takes a word: a letter, perhaps behind a number."""
    match = _UNITS.match(word)
    if match is None:
        return False
    number, unit = match[1], match[2].lower()
    return unit in _READABLE_UNITS or float(number or 1) * _BYTES_OF_UNIT.get(unit, 0) >= 1
