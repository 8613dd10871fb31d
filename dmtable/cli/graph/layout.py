"""Where everything of an SVG lies: cards with their bars to scale, and the bands between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dmtable.cli.graph.picture import Node, Picture, Segment, Use
from dmtable.cli.graph.rows import Item, Link, arrange
from dmtable.cli.graph.type import text_width

MARGIN, GAP = 24.0, 28.0
PADDING = 12.0
TABLE_HEIGHT, DISK_HEIGHT, FILE_HEIGHT = 84.0, 56.0, 17.0
TITLE, SMALL = 14.0, 11.0
_NARROWEST, _WIDEST_TABLE, _WIDEST_DISK = 150.0, 620.0, 380.0
_THINNEST_SEGMENT, _THINNEST_BAND = 3.0, 2.0
_BEND_WIDTH, _WIDEST_BEND = 6.0, 36.0
_TICKS = 5
_LEAST_ROW_GAP, _MOST_ROW_GAP, _SLOPE = 92.0, 170.0, 0.04
"""Bands run far in a wide picture, and are to be told apart where they do."""
_LEAST_LABELLED = 16
"""The part of a table that a segment must be for its label to widen the card."""

Edge = tuple[float, float, float]
"""(y, left, right) of a band at some height."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Sectors as distances from a bar's left edge: straight between the marks, so that no segment vanishes."""

    sectors: tuple[int, ...]
    marks: tuple[float, ...]

    @property
    def width(self) -> float:
        return self.marks[-1]

    def at(self, sector: int) -> float:
        """The distance of a sector's beginning; that of the end for what lies behind it."""
        row = min(max(bisect_right(self.sectors, sector) - 1, 0), len(self.sectors) - 2)
        first, last = self.sectors[row], self.sectors[row + 1]
        part = min((sector - first) / (last - first), 1.0)
        return self.marks[row] + part * (self.marks[row + 1] - self.marks[row])


@dataclass(frozen=True, slots=True)
class Card:
    """A node in its place. Its bar is as wide as itself: at the bottom of a table, at the top of a disk."""

    node: Node
    x: float
    y: float
    scale: Scale

    @property
    def width(self) -> float:
        return self.scale.width

    @property
    def height(self) -> float:
        if self.node.segments:
            return TABLE_HEIGHT
        return DISK_HEIGHT + FILE_HEIGHT if self.node.file else DISK_HEIGHT

    def stretch(self, start: int, length: int) -> tuple[float, float]:
        """From where to where sectors reach, wide enough to be seen; the whole width for no length."""
        if not length:
            return self.x, self.x + self.width
        left, right = self.scale.at(start), self.scale.at(start + length)
        missing = max(_THINNEST_BAND - (right - left), 0.0)
        left = min(max(left - missing / 2, 0.0), self.width - _THINNEST_BAND)
        return self.x + left, self.x + max(right, left + _THINNEST_BAND)


@dataclass(frozen=True, slots=True)
class Band:
    """One use of a segment's, from the segment of a table down to where it lands."""

    table: Node
    segment: Segment
    use: Use
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """All cards and bands, and the space that they take."""

    width: float
    height: float
    cards: dict[str, Card]
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class _Route:
    """All bands from one table to one node below it, and the items by which they pass the rows between."""

    upper: str
    below: str
    uses: tuple[tuple[Segment, Use], ...]
    bends: tuple[tuple[int, Item], ...]
    """(level, item), downwards."""


def lay_out(picture: Picture) -> Layout:
    """Tables above what they stand on, disks at the bottom."""
    levels = _levels(picture)
    routes = [_route(node, below, levels) for node in picture.nodes.values() for below in node.below]
    scales = _scales(picture, routes)
    rows = _rows(levels, scales, routes)
    place = {key: MARGIN + x for key, x in arrange(rows, list(_links(routes, scales)), GAP).items()}
    right = max(place[item.key] + item.width for row in rows for item in row)
    step = TABLE_HEIGHT + min(max(right * _SLOPE, _LEAST_ROW_GAP), _MOST_ROW_GAP)
    tops = {item.key: MARGIN + number * step for number, row in enumerate(rows) for item in row}
    cards = {node.id: Card(node, place[node.id], tops[node.id], scales[node.id]) for node in picture.nodes.values()}
    bands: list[Band] = []
    for card in cards.values():
        bands += _bands(card, cards, [route for route in routes if route.upper == card.node.id], place, tops)
    bottom = max(card.y + card.height for card in cards.values())
    return Layout(right + MARGIN, bottom + MARGIN, cards, tuple(bands))


def _levels(picture: Picture) -> dict[str, int]:
    """How high each node stands: disks on 0, each table just above the highest that it stands on."""
    levels: dict[str, int] = {}
    # Tables come before what they stand on, so from the back everything below is known.
    for node in reversed(picture.nodes.values()):
        levels[node.id] = 1 + max((levels[below] for below in node.below), default=0) if node.segments else 0
    return levels


def _route(node: Node, below: str, levels: dict[str, int]) -> _Route:
    uses = tuple((segment, use) for segment in node.segments for use in segment.uses if use.node == below)
    width = min(_BEND_WIDTH * len(uses), _WIDEST_BEND)
    between = range(levels[node.id] - 1, levels[below], -1)
    return _Route(node.id, below, uses, tuple((level, Item(f"{node.id}>{below}@{level}", width)) for level in between))


def _scales(picture: Picture, routes: Iterable[_Route]) -> dict[str, Scale]:
    uses_of: dict[str, list[Use]] = {}
    for route in routes:
        uses_of.setdefault(route.below, []).extend(use for _, use in route.uses)
    return {
        node.id: _table_scale(node) if node.segments else _disk_scale(node, uses_of.get(node.id, []))
        for node in picture.nodes.values()
    }


def _table_scale(node: Node) -> Scale:
    """As wide as the labels of its larger segments want it, and no segment too thin to be seen."""
    label_widths = [
        (text_width(segment.label, SMALL) + PADDING) * node.sectors / segment.length
        for segment in node.segments
        if segment.length * _LEAST_LABELLED > node.sectors
    ]
    starts = [segment.start for segment in node.segments]
    ticks = _ticks_width([*starts, node.sectors])
    wanted = max([_NARROWEST, _title_width(node), ticks, _THINNEST_SEGMENT * 2 * len(starts), *label_widths])
    width = min(wanted, _WIDEST_TABLE)
    thin = sum(segment.length * width < _THINNEST_SEGMENT * node.sectors for segment in node.segments)
    share = max(width - thin * _THINNEST_SEGMENT, 0.0)
    marks = [0.0]
    for segment in node.segments:
        marks.append(marks[-1] + max(segment.length / node.sectors * share, _THINNEST_SEGMENT))
    shrink = width / marks[-1]
    return Scale((*starts, node.sectors), tuple(mark * shrink for mark in marks))


def _disk_scale(node: Node, uses: Sequence[Use]) -> Scale:
    """From the disk's beginning to its end, or to the end of what is used where that is not known."""
    end = node.sectors or max((use.start + use.length for use in uses), default=0) or 1
    ticks = _ticks_width([0, end, *{use.start for use in uses}])
    wanted = max(_NARROWEST, _title_width(node), text_width(node.file, SMALL) + 2 * PADDING, ticks)
    return Scale((0, end), (0.0, min(wanted, _WIDEST_DISK)))


def _title_width(node: Node) -> float:
    return text_width(node.name, TITLE, bold=True) + text_width(node.size, SMALL) + 3 * PADDING + 1


def _ticks_width(sectors: Sequence[int]) -> float:
    """What a few numbers under a bar need; many need not all be shown."""
    return sum(text_width(str(sector), SMALL) + PADDING for sector in sectors[:_TICKS])


def _rows(levels: dict[str, int], scales: dict[str, Scale], routes: Iterable[_Route]) -> list[list[Item]]:
    """The items of each level from the top, empty levels left out."""
    rows: dict[int, list[Item]] = {level: [] for level in range(max(levels.values()), -1, -1)}
    for node_id, level in levels.items():
        rows[level].append(Item(node_id, scales[node_id].width))
    for route in routes:
        for level, item in route.bends:
            rows[level].append(item)
    return [row for row in rows.values() if row]


def _links(routes: Iterable[_Route], scales: dict[str, Scale]) -> Iterator[Link]:
    for route in routes:
        upper, below = scales[route.upper], scales[route.below]
        segments = [upper.at(segment.start + segment.length // 2) for segment, _ in route.uses]
        ends = [below.at(use.start + use.length // 2) if use.length else below.width / 2 for _, use in route.uses]
        stops = [
            (route.upper, sum(segments) / len(segments)),
            *((item.key, item.width / 2) for _, item in route.bends),
            (route.below, sum(ends) / len(ends)),
        ]
        for one, other in pairwise(stops):
            yield Link(*one, *other)


def _bands(
    card: Card, cards: dict[str, Card], routes: Iterable[_Route], place: dict[str, float], tops: dict[str, float]
) -> Iterator[Band]:
    """The bands of one table. The width of a segment is dealt out to its uses, in the order in which they lie below."""
    ways: dict[int, list[tuple[Use, list[Edge]]]] = {}
    for route in routes:
        for number, (segment, use) in enumerate(route.uses):
            edges = []
            for _, item in route.bends:
                width = item.width / len(route.uses)
                left = place[item.key] + number * width
                edges += [(y, left, left + width) for y in (tops[item.key], tops[item.key] + TABLE_HEIGHT)]
            below = cards[route.below]
            edges.append((below.y, *below.stretch(use.start, use.length)))
            ways.setdefault(segment.start, []).append((use, edges))
    for segment in card.node.segments:
        left, right = card.stretch(segment.start, segment.length)
        mine = sorted(ways.get(segment.start, []), key=lambda way: way[1][0][1])
        for number, (use, edges) in enumerate(mine):
            width = (right - left) / len(mine)
            first = (card.y + card.height, left + number * width, left + (number + 1) * width)
            yield Band(card.node, segment, use, (first, *edges))
