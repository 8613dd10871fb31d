"""What pictures of quantities over time have in common: paper, colours, words, round numbers, the axis of time.

Colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from dmtable.cli.graph.type import text_width
from dmtable.cli.plan.amounts import show_time

SMALL, TITLE = 11.0, 13.0
"""Sizes of type."""
_STEPS_SECONDS = (1.0, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)

_STYLE = """
svg { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif }
.paper { fill: #ffffff }
.frame { fill: #f7f8fa; stroke: #cfd5de }
.grid { stroke: #e3e7ee }
.end { stroke: #5a6577; stroke-dasharray: 3 3 }
.name { fill: #1b2330; font-weight: 600 }
.note { fill: #5a6577 }
.outage { fill: #bf3f4f; opacity: .16 }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
.paper { fill: #12161c }
.frame { fill: #1c222b; stroke: #3a4452 }
.grid { stroke: #2e3743 }
.end { stroke: #a3afbf }
.name { fill: #eef2f7 }
.note { fill: #a3afbf }
.outage { opacity: .3 }
.line { filter: brightness(1.5) }
}
"""


def opening(title: str, width: float, height: float, more_style: str = "") -> Iterator[str]:
    """The document's first lines, with rules of style beside the common ones; `</svg>` ends it."""
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-labelledby="title">\n'
    )
    yield f'<title id="title">{escape(title)}</title>\n'
    yield f"<style>{_STYLE}{more_style}</style>\n"
    yield f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="10"/>\n'


def heading(x: float, y: float, text: str, kind: str = "name") -> str:
    """A title."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{TITLE:.0f}">{escape(text)}</text>\n'


def note(x: float, y: float, text: str, anchor: str = "start") -> str:
    """Small type."""
    at = f'x="{x:.1f}" y="{y:.1f}" font-size="{SMALL:.0f}" text-anchor="{anchor}"'
    return f'<text class="note" {at}>{escape(text)}</text>\n'


def round_step(highest: float, base: float) -> float:
    """Between two grid lines, of which there are two to four. `base` is what round numbers are made of: 10, or 60 for
    seconds; 0 for shares, whose axis ends at 1."""
    if not base:
        return 0.5
    if highest <= 0:
        return 1.0
    if base == 60 and highest > 4:
        return next((step for step in _STEPS_SECONDS if highest / step <= 4), math.ceil(highest / 4 / 86400) * 86400.0)
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (0.25, 0.5, 1, 2.5) if highest / (step * power) <= 4)


def time_axis(left: float, right: float, y: float, seconds: float) -> Iterator[str]:
    """Times below what ends at `y`; the paper ends a little right of `right`."""
    days = math.ceil(seconds / 9 / 86400) * 86400.0
    step = next((each for each in _STEPS_SECONDS if seconds / each <= 9), days) if seconds >= 1 else seconds
    for number in range(int(seconds / step + 1e-9) + 1):
        x = left + (right - left) * number * step / seconds
        label = show_time(number * step) if number else "0"
        anchor = "end" if x + text_width(label, SMALL) / 2 > right + 20 else "middle"
        yield note(x, y + 17, label, anchor)
