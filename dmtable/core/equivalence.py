"""Do two tables send each sector to the same place? Compared as flattened maps, stripes by arithmetic.

Two maps are cut at the boundaries of both. Where both are striped alike, leg is held against leg, however
many chunks there are. Where their stripes differ, chunks are walked; two common periods without a
difference prove that there is none, because in each period either side moves on by a constant.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import lcm
from typing import TypeVar

from dmtable.core.extents import Backend, ExtentMap, Piece, Shortcut, Stripes, extent_sector, leg_sector
from dmtable.core.paper import Layer, OpaqueDevice
from dmtable.errors import DmtableError
from dmtable.io.constant import ERROR, ZERO
from dmtable.io.device import BlockDevice

_T = TypeVar("_T")

Place = tuple[BlockDevice, int]
"""(device, its sector)."""

_WITHOUT_SECTORS: tuple[BlockDevice, ...] = (ZERO, ERROR)
"""Devices that are the same everywhere."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Sectors that two tables send to different places; `one` and `other` are where the first of them goes.

    The rest of the range follows on both sides without a break.
    """

    start: int
    length: int
    one: Place
    other: Place


_Side = tuple[Backend | ExtentMap, int]
_Row = tuple[Backend, int]


def differences(one: ExtentMap, other: ExtentMap) -> Iterator[Difference]:
    """Every difference among the sectors that both have, in rising order; the first is cheap, the rest follow.

    Raises DmtableError at sectors whose way is not static.
    """
    return _joined(_differ((one, 0), (other, 0), min(one.size, other.size)))


def equivalent(one: ExtentMap, other: ExtentMap) -> bool:
    """Whether both have as many sectors and send each to the same place."""
    return one.size == other.size and next(differences(one, other), None) is None


def same_device(one: BlockDevice, other: BlockDevice) -> bool:
    """Whether two devices are one: identical, or layers that are equivalent, or opaque lines with the same words."""
    if one is other:
        return True
    if isinstance(one, Layer) and isinstance(other, Layer):
        return equivalent(one.map, other.map)
    return isinstance(one, OpaqueDevice) and isinstance(other, OpaqueDevice) and _same_line(one, other)


def _same_line(one: OpaqueDevice, other: OpaqueDevice) -> bool:
    """Whether two lines differ in nothing but the spelling of their devices."""
    if (one.name, one.sectors, len(one.words)) != (other.name, other.sectors, len(other.words)):
        return False
    for at, (left, right) in enumerate(zip(one.words, other.words, strict=True)):
        if at in one.used and at in other.used:
            if not same_device(one.used[at].device, other.used[at].device):
                return False
        elif left != right:
            return False
    return True


def _differ(one: _Side, other: _Side, count: int) -> Iterator[Difference]:
    """The differences within `count` sectors, counted from 0."""
    for start, here, left, right in _refined(_rows(one, count), _rows(other, count)):
        if left == right and left[0] is not None:
            continue
        for difference in _rows_differ(left, right, here):
            yield replace(difference, start=start + difference.start)


def _rows_differ(one: _Row, other: _Row, count: int) -> Iterator[Difference]:
    a, b = one[0], other[0]
    if isinstance(a, Stripes) and isinstance(b, Stripes) and _striped_alike(a, one[1], b, other[1]):
        return _legs_differ(a, one[1], b, other[1], count)
    if isinstance(a, Stripes) or isinstance(b, Stripes):
        return _chunks_differ(one, other, count)
    return _pieces_differ(_pieces(*one, count), _pieces(*other, count))


def _pieces_differ(one: Iterable[Piece], other: Iterable[Piece]) -> Iterator[Difference]:
    for start, count, (a, at), (b, bt) in _refined(one, other):
        if a is None or b is None:
            raise DmtableError("a mapping that is not static, or stripes nested too deep, cannot be compared")
        if not same_device(a, b) or (at != bt and a not in _WITHOUT_SECTORS):
            yield Difference(start, count, (a, at), (b, bt))


def _chunks_differ(one: _Row, other: _Row, count: int) -> Iterator[Difference]:
    """Piece by piece, where stripes meet something else; in most cases two common periods decide."""
    (a, at), (b, bt) = one, other
    proof = min(2 * (_period(a, b) or count), count)
    found = _pieces_differ(_pieces(a, at, proof), _pieces(b, bt, proof))
    first = next(found, None)
    if first is None:
        return
    yield first
    yield from found
    rest = count - proof
    for difference in _pieces_differ(_pieces(a, at + proof, rest), _pieces(b, bt + proof, rest)):
        yield replace(difference, start=proof + difference.start)


def _legs_differ(a: Stripes, at: int, b: Stripes, bt: int, count: int) -> Iterator[Difference]:
    """Leg against leg. The legs may be turned and the rows shifted, yet each leg's part is one range."""
    turn = (bt - at) // a.chunk
    stripe = a.chunk * len(a.legs)
    found = []
    for leg, (device, offset) in enumerate(a.legs):
        begin = leg_sector(at, leg, a.chunk, stripe)
        here = leg_sector(at + count, leg, a.chunk, stripe) - begin
        rows, partner = divmod(leg + turn, len(a.legs))
        its_device, its_offset = b.legs[partner]
        other = (its_device, its_offset + begin + rows * a.chunk)
        on_leg = _differ((device, offset + begin), other, here)
        found.append(_spread(on_leg, begin, leg, a.chunk, stripe, at))
    return heapq.merge(*found, key=lambda difference: difference.start)


def _spread(
    found: Iterator[Difference], begin: int, leg: int, chunk: int, stripe: int, at: int
) -> Iterator[Difference]:
    """What differs on a leg, as the chunks of the extent that it is."""
    for difference in found:
        done = 0
        while done < difference.length:
            leg_at = begin + difference.start + done
            here = min(chunk - leg_at % chunk, difference.length - done)
            start = extent_sector(leg_at, leg, chunk, stripe) - at
            yield Difference(start, here, _further(difference.one, done), _further(difference.other, done))
            done += here


def _striped_alike(a: Stripes, at: int, b: Stripes, bt: int) -> bool:
    return a.chunk == b.chunk and len(a.legs) == len(b.legs) and (at - bt) % a.chunk == 0


def _period(*backends: Backend) -> int | None:
    """After how many sectors each side has been through all its legs; None where legs have parts of their own."""
    period = 1
    for backend in backends:
        if isinstance(backend, Stripes):
            if any(isinstance(device, ExtentMap) for device, _ in backend.legs):
                return None
            period = lcm(period, backend.chunk * len(backend.legs))
    return period


def _rows(side: _Side, count: int) -> Iterator[tuple[Backend, int, int]]:
    """The rows of a side; stripes with a single leg are none."""
    backend, at = side
    if isinstance(backend, ExtentMap):
        for below, sector, here in backend.rows(at, count):
            yield from _rows((below, sector), here)
    elif isinstance(backend, Stripes) and len(backend.legs) == 1:
        device, offset = backend.legs[0]
        yield from _rows((device, offset + at), count)
    else:
        yield backend, at, count


def _pieces(backend: Backend, at: int, count: int) -> Iterable[Piece]:
    if isinstance(backend, Stripes):
        return backend.pieces(at, count)
    return [(None if isinstance(backend, Shortcut) else backend, at, count)]


def _refined(
    one: Iterable[tuple[_T, int, int]], other: Iterable[tuple[_T, int, int]]
) -> Iterator[tuple[int, int, tuple[_T, int], tuple[_T, int]]]:
    """Both sides cut at the ends of either: (start, sectors, place in one, place in the other)."""
    left, right = iter(one), iter(other)
    start = 0
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        here = min(a[2], b[2])
        yield start, here, a[:2], b[:2]
        start += here
        a = (a[0], a[1] + here, a[2] - here) if a[2] > here else next(left, None)
        b = (b[0], b[1] + here, b[2] - here) if b[2] > here else next(right, None)


def _joined(found: Iterator[Difference]) -> Iterator[Difference]:
    """Differences that follow one another on both sides, as one."""
    last = next(found, None)
    for each in found:
        assert last is not None
        joins = last.start + last.length == each.start
        if joins and _goes_on(last.one, last.length, each.one) and _goes_on(last.other, last.length, each.other):
            last = replace(last, length=last.length + each.length)
        else:
            yield last
            last = each
    if last is not None:
        yield last


def _goes_on(place: Place, length: int, then: Place) -> bool:
    return place[0] is then[0] and (place[1] + length == then[1] or place[0] in _WITHOUT_SECTORS)


def _further(place: Place, sectors: int) -> Place:
    return place[0], place[1] + sectors
