"""A stack as SVG: a card for each table and disk, bars to scale, a band from each segment to what it stands on.

Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise
from zlib import crc32

from dmtable.cli.graph.layout import FILE_HEIGHT, MARGIN, PADDING, SMALL, TITLE, Band, Card, Layout, lay_out
from dmtable.cli.graph.picture import Picture, Segment
from dmtable.cli.graph.type import shortened, text_width

_BAR = 26.0
_STRIP = 7.0
_LEGEND = 30.0

_COLOURS = {
    "linear": "#3b6fb6",
    "striped": "#1d7f73",
    "mirror": "#7a52ab",
    "replicator": "#b05a1a",
    "replicator-dev": "#b05a1a",
    "zero": "#6d7683",
    "error": "#bf3f4f",
    "mixed": "#4b5567",
}
_MORE_COLOURS = ("#8a6a12", "#a0457f", "#4d7a2a", "#2f7d9c", "#8b5a4a", "#5b62b5")

_STYLE = """
svg { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif }
.paper { fill: #ffffff }
.card { fill: #f7f8fa; stroke: #cfd5de }
.track { fill: #e3e7ee }
.name { fill: #1b2330; font-weight: 600 }
.note { fill: #5a6577 }
.tick { stroke: #9aa4b3 }
.label { fill: #ffffff }
.band { opacity: .3 }
.vague { opacity: .16 }
.band:hover, .vague:hover { opacity: .6 }
@media (prefers-color-scheme: dark) {
.paper { fill: #12161c }
.card { fill: #1c222b; stroke: #3a4452 }
.track { fill: #2e3743 }
.name { fill: #eef2f7 }
.note { fill: #a3afbf }
.tick { stroke: #5f6b7c }
.band { opacity: .5 }
.vague { opacity: .28 }
}
"""


def draw(picture: Picture) -> Iterator[str]:
    """The document in lines."""
    layout = lay_out(picture)
    targets = list(dict.fromkeys(s.target for node in picture.nodes.values() for s in node.segments))
    width = max(layout.width, sum(_legend_width(target) for target in targets) + 2 * MARGIN)
    height = layout.height + _LEGEND
    names = ", ".join(node.name for node in picture.nodes.values() if node.segments)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-labelledby="title">\n'
    )
    yield f'<title id="title">Device-mapper stack: {escape(names)}</title>\n'
    yield f"<style>{_STYLE}</style>\n"
    yield f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="10"/>\n'
    yield f'<g transform="translate({(width - layout.width) / 2:.1f} 0)">\n'
    for band in layout.bands:
        yield _band(layout, band)
    for card in layout.cards.values():
        yield from _card(card, [band for band in layout.bands if band.use.node == card.node.id])
    yield "</g>\n"
    yield from _legend(targets, height)
    yield "</svg>\n"


def _band(layout: Layout, band: Band) -> str:
    """A closed path: down along the left edges, up along the right ones, upright where it leaves and lands."""
    left = [(x, y) for y, x, _ in band.edges]
    right = [(x, y) for y, _, x in reversed(band.edges)]
    path = f"M{_point(*left[0])}{_curve(left)}L{_point(*right[0])}{_curve(right)}Z"
    name = layout.cards[band.use.node].node.name
    line = f"{band.table.name} {band.segment.sectors} {band.segment.label}"
    tip = escape(f"{line} on {name} {band.use.sectors}".rstrip())
    kind = "band" if band.use.length else "vague"
    return f'<path class="{kind}" fill="{_colour(band.segment.target)}" d="{path}"><title>{tip}</title></path>\n'


def _curve(points: list[tuple[float, float]]) -> str:
    parts = []
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = (y + to_y) / 2
        parts.append(f"C{_point(x, middle)} {_point(to_x, middle)} {_point(to_x, to_y)}")
    return "".join(parts)


def _card(card: Card, landing: Iterable[Band]) -> Iterator[str]:
    node, x, y, width, height = card.node, card.x, card.y, card.width, card.height
    clip = f"clip-{node.id}"
    outline = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="7"'
    yield f'<clipPath id="{clip}"><rect {outline}/></clipPath>\n<rect class="card" {outline}/>\n'
    yield f'<g clip-path="url(#{clip})">\n'
    landing = list(landing)
    if landing or not node.segments:
        yield f'<rect class="track" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_STRIP}"/>\n'
    for band in landing:
        _, left, right = band.edges[-1]
        opacity = "" if band.use.length else ' opacity=".4"'
        yield (
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" height="{_STRIP}" '
            f'fill="{_colour(band.segment.target)}"{opacity}/>\n'
        )
    for segment in node.segments:
        yield _segment(card, segment)
    yield "</g>\n"
    if node.segments:
        yield from _words(card, y + _STRIP + 18)
        yield from _ticks(card, [s.start for s in node.segments[1:]], y + height - _BAR, -6)
    else:
        starts = sorted({band.use.start for band in landing if band.use.length})
        if starts or node.sectors:
            yield from _ticks(card, starts, y + _STRIP, 14)
        yield from _words(card, y + _STRIP + 36)


def _words(card: Card, y: float) -> Iterator[str]:
    node, left, right = card.node, card.x + PADDING, card.x + card.width - PADDING
    room = card.width - 3 * PADDING - text_width(node.size, SMALL)
    name = escape(shortened(node.name, room, TITLE, bold=True))
    yield f'<text class="name" x="{left:.1f}" y="{y:.1f}" font-size="{TITLE:.0f}">{name}'
    yield f"<title>{escape(node.name)}</title></text>\n"
    note = f'<text class="note" y="{y:.1f}" font-size="{SMALL:.0f}"'
    yield f'{note} x="{right:.1f}" text-anchor="end">{node.size}</text>\n'
    if node.file:
        file = escape(shortened(node.file, card.width - 2 * PADDING, SMALL))
        yield f'<text class="note" x="{left:.1f}" y="{y + FILE_HEIGHT:.1f}" font-size="{SMALL:.0f}">{file}</text>\n'


def _segment(card: Card, segment: Segment) -> str:
    left, right = card.x + card.scale.at(segment.start), card.x + card.scale.at(segment.start + segment.length)
    y = card.y + card.height - _BAR
    label = next((t for t in (segment.label, segment.target) if text_width(t, SMALL) + 8 <= right - left), "")
    text = (
        f'<text class="label" x="{(left + right) / 2:.1f}" y="{y + 17:.1f}" font-size="{SMALL:.0f}" '
        f'text-anchor="middle">{escape(label)}</text>'
    )
    # The gap to the next segment is drawn by leaving a little of each out.
    gap = min(1.0, (right - left) / 4)
    bar = f'x="{left:.1f}" y="{y:.1f}" width="{right - left - gap:.1f}" height="{_BAR}"'
    return (
        f"<g><title>{escape(f'{segment.sectors} {segment.label}')}</title>"
        f'<rect {bar} fill="{_colour(segment.target)}"/>{text if label else ""}</g>\n'
    )


def _ticks(card: Card, inner: Iterable[int], edge: float, below: float) -> Iterator[str]:
    """Sector numbers at a bar's edge: both ends, and between them those that find room."""
    sectors = card.scale.sectors
    taken: list[tuple[float, float]] = []
    for sector in (0, sectors[-1], *inner):
        x, text = card.x + card.scale.at(sector), str(sector)
        width = text_width(text, SMALL - 1)
        anchor = "start" if sector == 0 else "end" if sector == sectors[-1] else "middle"
        left = x + 4 if anchor == "start" else x - width - 4 if anchor == "end" else x - width / 2
        if any(left < end + 6 and begin < left + width + 6 for begin, end in taken):
            continue
        taken.append((left, left + width))
        at = {"start": x + 4, "end": x - 4, "middle": x}[anchor]
        yield (
            f'<text class="note" x="{at:.1f}" y="{edge + below:.1f}" font-size="{SMALL - 1:.0f}" '
            f'text-anchor="{anchor}">{text}</text>\n'
        )


def _legend(targets: Iterable[str], height: float) -> Iterator[str]:
    x = MARGIN
    for target in targets:
        y = height - _LEGEND
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="12" height="12" rx="3" fill="{_colour(target)}"/>'
        yield f'<text class="note" x="{x + 18:.1f}" y="{y + 10:.1f}" font-size="{SMALL:.0f}">{escape(target)}</text>\n'
        x += _legend_width(target)


def _legend_width(target: str) -> float:
    return 18 + text_width(target, SMALL) + 18


def _colour(target: str) -> str:
    return _COLOURS.get(target) or _MORE_COLOURS[crc32(target.encode()) % len(_MORE_COLOURS)]


def _point(x: float, y: float) -> str:
    return f"{x:.1f} {y:.1f}"
