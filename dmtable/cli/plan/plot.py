"""A plan as SVG: fall-behind, the log, the recovery point and waiting writers over time, a line for each policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from dmtable.cli.graph.type import text_width
from dmtable.cli.plan.amounts import show_bytes, show_time
from dmtable.cli.plan.axes import TITLE, heading, note, opening, round_step, time_axis
from dmtable.cli.plan.report import Report
from dmtable.sim.planning.course import Course, Instant

_WIDTH, _MARGIN = 860.0, 24.0
_LEFT, _PANEL, _HEAD, _GAP = 84.0, 112.0, 56.0, 46.0
_FOOT = 62.0
_COLOURS = ("#b05a1a", "#3b6fb6", "#1d7f73", "#7a52ab")
_DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True)
class _Panel:
    """One quantity over time; where the value is None the line has a gap."""

    title: str
    value: Callable[[Instant], float | None]
    label: Callable[[float], str]
    base: float
    """Of what the axis' round numbers are made: 10 or 60; 0 for shares, whose axis ends at 1."""


_PANELS = (
    _Panel("Acknowledged writes that the site lacks", lambda at: at.behind_bytes, show_bytes, 10),
    _Panel("Recovery point: so much of the past would be lost (no line: no usable copy)",
           lambda at: at.loss_seconds, show_time, 60),
    _Panel("Log in use", lambda at: at.log_share, lambda share: f"{share:.0%}", 0),
    _Panel("Writes that wait", lambda at: at.waiting_writes, lambda count: f"{count:,.0f}", 10),
)  # fmt: skip


def draw(report: Report) -> Iterator[str]:
    """The document in lines."""
    height = _HEAD + len(_PANELS) * (_PANEL + _GAP) - _GAP + _FOOT
    yield from opening("What a replicated group comes to over time", _WIDTH, height)
    yield from _legend(report)
    seconds = max(course.instants[-1].seconds for course in report.courses) or 1.0
    if any(course.caught_up_at is None for course in report.courses):
        # What goes on beyond all bounds would leave no room for the load.
        seconds = min(seconds, 2 * report.load.duration_seconds)
    for number, panel in enumerate(_PANELS):
        yield from _draw_panel(report, panel, _HEAD + number * (_PANEL + _GAP), seconds)
    yield from time_axis(_LEFT, _WIDTH - _MARGIN, height - _FOOT, seconds)
    yield from _notes(report, height)
    yield "</svg>\n"


def _draw_panel(report: Report, panel: _Panel, top: float, seconds: float) -> Iterator[str]:
    right = _WIDTH - _MARGIN
    shown = [[at for at in course.instants if at.seconds <= seconds] for course in report.courses]
    highest = max((panel.value(at) or 0.0 for instants in shown for at in instants), default=0.0)
    step = round_step(highest, panel.base)
    most = max(1, math.ceil(highest / step - 1e-9)) * step

    def place(at: float, value: float) -> tuple[float, float]:
        return _LEFT + (right - _LEFT) * at / seconds, top + _PANEL * (1 - value / most)

    yield heading(_LEFT, top - 8, panel.title)
    yield (f'<rect class="frame" x="{_LEFT:.0f}" y="{top:.1f}" width="{right - _LEFT:.1f}" height="{_PANEL:.0f}"/>\n')
    for begin, length in report.wan.outages:
        left, end = place(min(begin, seconds), 0)[0], place(min(begin + length, seconds), 0)[0]
        if end > left:
            yield (
                f'<rect class="outage" x="{left:.1f}" y="{top:.1f}" width="{max(1.0, end - left):.1f}" '
                f'height="{_PANEL:.0f}"><title>outage of {show_time(length)}</title></rect>\n'
            )
    for number in range(round(most / step) + 1):
        y = place(0, number * step)[1]
        if 0 < number * step < most:
            yield f'<path class="grid" d="M{_LEFT:.1f} {y:.1f}H{right:.1f}"/>\n'
        yield note(_LEFT - 7, y + 4, panel.label(number * step), "end")
    end, _ = place(report.load.duration_seconds, 0)
    if end < right - 1:
        yield f'<path class="end" d="M{end:.1f} {top:.1f}V{top + _PANEL:.1f}"/>\n'
    # The one that was asked for comes last, and lies above the others.
    for number in reversed(range(len(shown))):
        yield _line(report.courses[number], number, [(at.seconds, panel.value(at)) for at in shown[number]], place)


def _line(
    course: Course,
    number: int,
    points: Sequence[tuple[float, float | None]],
    place: Callable[[float, float], tuple[float, float]],
) -> str:
    path, pen_is_up = "", True
    for at, value in points:
        if value is None:
            pen_is_up = True
            continue
        x, y = place(at, value)
        path += f"{'M' if pen_is_up else 'L'}{x:.1f} {y:.1f}"
        pen_is_up = False
    dash = f' stroke-dasharray="{_DASHES[number]}"' if _DASHES[number] else ""
    tip = f"<title>{escape(str(course.plan))}</title>"
    return f'<path class="line" stroke="{_COLOURS[number]}"{dash} d="{path}">{tip}</path>\n'


def _legend(report: Report) -> Iterator[str]:
    x = _LEFT
    for number, course in enumerate(report.courses):
        dash = f' stroke-dasharray="{_DASHES[number]}"' if _DASHES[number] else ""
        yield f'<path class="line" stroke="{_COLOURS[number]}"{dash} d="M{x:.1f} 20h26"/>'
        name = str(course.plan)
        yield heading(x + 33, 24, name, "note" if number else "name")
        x += 33 + text_width(name, TITLE, bold=True) + 24


def _notes(report: Report, height: float) -> Iterator[str]:
    load, wan = report.load, report.wan
    size = load.mean_sectors * 512
    words = [f"{load.count:,} writes of {show_bytes(size)}", f"link {show_bytes(wan.bandwidth_bytes)}/s"]
    words += [f"round trip {show_time(wan.rtt_seconds)}", "dashed upright: the load ends"]
    if wan.outages:
        words.append("shaded: the link is down")
    yield note(_LEFT, height - 16, "  ·  ".join(words))
