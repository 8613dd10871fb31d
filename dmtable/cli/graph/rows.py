"""Rows of boxes with links between neighbouring rows: an order with few crossings, and places without overlaps.

Sugiyama's method: each box moves to the middle of what it is linked with, row by row, up and down. Knows
nothing of tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

_ORDER_SWEEPS = 12
_PLACE_SWEEPS = 24


@dataclass(frozen=True, slots=True)
class Item:
    """A box, or the place where a link passes through a row."""

    key: str
    width: float


@dataclass(frozen=True, slots=True)
class Link:
    """Joins two items of neighbouring rows; where it touches them is measured from their left edges."""

    upper: str
    upper_at: float
    lower: str
    lower_at: float


def arrange(rows: Sequence[Sequence[Item]], links: Sequence[Link], gap: float) -> dict[str, float]:
    """The left edge of every item; the leftmost of all is 0. Rows come from the top, and none is empty."""
    above, below = _pulls(links)
    order = [list(row) for row in rows]
    place = _packed(order, gap)
    best, fewest = [list(row) for row in order], _crossings(order, below, place)
    for sweep in range(_ORDER_SWEEPS):
        pulls = (above,) if sweep % 2 else (below,)
        for row in order if sweep % 2 else order[::-1]:
            wishes = {item.key: _wish(item, pulls, place) for item in row}
            row.sort(key=lambda item: wishes[item.key] + item.width / 2)
            place |= _placed(row, wishes, gap)
        if (crossings := _crossings(order, below, place)) < fewest:
            best, fewest = [list(row) for row in order], crossings
    place = _packed(best, gap)
    for sweep in range(_PLACE_SWEEPS):
        for row in best if sweep % 2 else best[::-1]:
            place |= _placed(row, {item.key: _wish(item, (above, below), place) for item in row}, gap)
    leftmost = min(place.values())
    return {key: x - leftmost for key, x in place.items()}


_Pulls = dict[str, list[tuple[str, float]]]
"""For each item the others that it is linked with, and how far from their left edges its own would be."""


def _pulls(links: Iterable[Link]) -> tuple[_Pulls, _Pulls]:
    above: _Pulls = {}
    below: _Pulls = {}
    for link in links:
        above.setdefault(link.lower, []).append((link.upper, link.upper_at - link.lower_at))
        below.setdefault(link.upper, []).append((link.lower, link.lower_at - link.upper_at))
    return above, below


def _wish(item: Item, pulls: Iterable[_Pulls], place: dict[str, float]) -> float:
    """Where an item would like its left edge: the mean of its links, or where it is if it has none."""
    wishes = [place[other] + away for pull in pulls for other, away in pull.get(item.key, ())]
    return sum(wishes) / len(wishes) if wishes else place[item.key]


def _placed(row: Sequence[Item], wishes: dict[str, float], gap: float) -> dict[str, float]:
    """The places nearest to the wishes (least squares) that keep the order and the gaps."""
    packed = _side_by_side(row, gap)
    blocks: list[tuple[float, int]] = []
    # Without their widths, items must only not overtake one another: pool those that would, at their mean.
    for item, x in zip(row, packed, strict=True):
        mean, count = wishes[item.key] - x, 1
        while blocks and blocks[-1][0] > mean:
            before, members = blocks.pop()
            mean, count = (before * members + mean * count) / (members + count), members + count
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    return {item.key: x + shift for item, x, shift in zip(row, packed, shifts, strict=True)}


def _packed(rows: Iterable[Sequence[Item]], gap: float) -> dict[str, float]:
    return {item.key: x for row in rows for item, x in zip(row, _side_by_side(row, gap), strict=True)}


def _side_by_side(row: Iterable[Item], gap: float) -> list[float]:
    places, x = [], 0.0
    for item in row:
        places.append(x)
        x += item.width + gap
    return places


def _crossings(rows: Iterable[Iterable[Item]], below: _Pulls, place: dict[str, float]) -> int:
    """How many pairs of links cross between neighbouring rows."""
    crossings = 0
    for row in rows:
        ends = [(place[item.key], place[other]) for item in row for other, _ in below.get(item.key, ())]
        crossings += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(ends, 2))
    return crossings
