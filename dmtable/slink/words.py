"""The words of a site link: its policy, and how far its site may fall behind.

They are `POLICY [KIND LIMIT]`, the last two also as one word, `ios=100`. A policy is one or more of `asynchronous`,
`synchronous` and `stall`, or of our `epoch` and `hold`, each as any beginning of it and joined by `+`. Kinds of limits
are `ios`, `size`, which LVM2 calls `data`, and `timeout`. Source: constructors of the blockdev slink of 2009; units
mean what its documentation says, where its code was off by a factor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dmtable.language.numbers import U64
from dmtable.slink.link import FallBehind, Measure, Policy

_NAMES = ("stall", "synchronous", "asynchronous", "epoch", "hold")
"""In this order a beginning is looked for: `s` is `stall`, and `sy` is `synchronous`."""

_MEASURES = {"ios": Measure.IOS, "size": Measure.SIZE, "data": Measure.SIZE, "timeout": Measure.TIMEOUT}
_UNITS: dict[Measure, dict[str, int]] = {
    Measure.IOS: {"": 1},
    Measure.SIZE: {"": 1, "s": 1, "k": 1 << 1, "m": 1 << 11, "g": 1 << 21, "t": 1 << 31, "p": 1 << 41, "e": 1 << 51},
    Measure.TIMEOUT: {"": 1, "t": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000},
}
"""What a unit makes of a number: sectors, milliseconds."""

_LIMIT = re.compile(r"([0-9]{1,20})([A-Za-z]?)")
"""2^64 has 20 digits, and no limit is larger."""


def read_policy(text: str) -> Policy:
    """The policy that a word such as `async+stall` means. Raises ValueError, which says what is wrong."""
    chosen: set[str] = set()
    for part in text.split("+"):
        name = next((name for name in _NAMES if part and name.startswith(part)), None)
        if name is None:
            raise ValueError(f"{part!r} is no policy: there are {', '.join(sorted(_NAMES))}")
        chosen.add(name)
    if chosen >= {"synchronous", "asynchronous"}:
        raise ValueError(f"{text} is synchronous and asynchronous at once")
    return Policy("synchronous" in chosen, "stall" in chosen, "epoch" in chosen, "hold" in chosen)


def policy_words(policy: Policy) -> str:
    """The policy in full words: `asynchronous+stall`."""
    words = ["synchronous" if policy.synchronous else "asynchronous"]
    words += [name for name in ("stall", "epoch", "hold") if getattr(policy, name)]
    return "+".join(words)


def read_limit(words: Sequence[str]) -> FallBehind | None:
    """The limit that `ios 100` or `ios=100` means, None for no words. Raises ValueError, which says what is wrong."""
    if not words:
        return None
    kind, _, text = "=".join(words).partition("=")
    measure = _MEASURES.get(kind.lower())
    if measure is None or len(words) > 2:
        raise ValueError(f"{' '.join(words)!r} is no fall-behind limit: there are ios, size and timeout")
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no limit: write a number, and a unit if need be")
    value, unit = int(match[1]), match[2]
    factor = _UNITS[measure].get(unit.lower())
    if factor is None:
        known = " ".join(filter(None, _UNITS[measure]))
        raise ValueError(f"{unit!r} is no unit of {kind}: " + (f"there are {known}" if known else "it counts entries"))
    if value * factor >= U64:
        raise ValueError(f"{kind} {text} is too large: limits are below 2^64")
    return FallBehind(measure, value * factor, value, unit)


def limit_words(limit: FallBehind | None) -> tuple[str, ...]:
    """The limit again, in two words and in the unit it was given in."""
    return () if limit is None else (limit.measure.value, f"{limit.value}{limit.unit}")


def judge_together(policy: Policy, limit: FallBehind | None) -> None:
    """A synchronous site is never behind. Raises ValueError where it has a limit all the same; 0 is none."""
    if policy.synchronous and limit is not None and limit.limit:
        raise ValueError(f"a synchronous site never falls behind: leave out {' '.join(limit_words(limit))}")
