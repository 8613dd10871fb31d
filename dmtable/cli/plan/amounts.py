"""Amounts, rates and times as people write them, and back. Nothing is taken without its unit."""

from __future__ import annotations

import re

from dmtable.errors import UsageError

_NUMBER = r"([0-9]{1,18}(?:\.[0-9]{1,9})?)"
_PREFIXES = ("", "k", "m", "g", "t")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(rf"{_NUMBER}([kmgt]?)(i?b)?", re.IGNORECASE)
_RATE = re.compile(rf"{_NUMBER}([kmgt]?)(i?)(bit|b)/s", re.IGNORECASE)
_TIME = re.compile(rf"{_NUMBER}({'|'.join(_SECONDS)})")


def read_size(text: str) -> int:
    """Bytes: `64K`, `64KiB`, `1G` are powers of 1024, `64kB`, `1GB` of 1000. Raises UsageError."""
    match = _SIZE.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise UsageError(f"{text!r} is no size: write a number and a unit (64K, 1G, 512B; 1GB has powers of 1000)")
    is_binary = (match[3] or "ib").lower() == "ib"
    return round(float(match[1]) * _factor(match[2], is_binary))


def read_sectors(text: str, what: str) -> int:
    """A size in whole sectors, at least one. Raises UsageError, which says `what` is wrong."""
    size = read_size(text)
    if size <= 0 or size % 512:
        raise UsageError(f"{what} {text}: give a multiple of 512 bytes")
    return size // 512


def read_rate(text: str) -> float:
    """Bytes a second, more than none: `20MB/s`, `20MiB/s`, `100Mbit/s`. Raises UsageError."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no rate: write a number and a unit (20MB/s, 20MiB/s, 100Mbit/s)")
    rate = float(match[1]) * _factor(match[2], bool(match[3]))
    if not rate:
        raise UsageError(f"{text!r} moves nothing: give more than 0")
    return rate / 8 if match[4].lower() == "bit" else rate


def read_time(text: str) -> float:
    """Seconds: `40ms`, `10m`, `1.5h`. Raises UsageError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no time: write a number and a unit ({', '.join(_SECONDS)})")
    return float(match[1]) * _SECONDS[match[2]]


def show_bytes(size: float) -> str:
    """`1.5 GB`: powers of 1000, three digits."""
    for unit, least in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least * 0.9995:
            return f"{_short(size / least)} {unit}"
    return f"{size:.0f} B"


def show_time(seconds: float) -> str:
    """`1 h 4 min`, `53.4 s`, `46 ms`: two units at most."""
    if seconds >= 3599.5:
        return _two(round(seconds / 60), 60, "h", "min")
    if seconds >= 59.95:
        return _two(round(seconds), 60, "min", "s")
    if seconds >= 0.9995:
        return f"{_short(seconds)} s"
    return f"{_short(seconds * 1000)} ms" if seconds >= 1e-5 else "0 s"


def _factor(prefix: str, is_binary: bool) -> float:
    return (1024.0 if is_binary else 1000.0) ** _PREFIXES.index(prefix.lower())


def _two(count: int, base: int, large: str, small: str) -> str:
    many, few = divmod(count, base)
    return f"{many:,} {large} {few} {small}" if few else f"{many:,} {large}"


def _short(number: float) -> str:
    digits = 0 if number >= 99.95 else 1 if number >= 9.995 else 2
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
