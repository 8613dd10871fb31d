"""What happened as a picture: four lanes over one axis of time. Colours follow the reader's light or dark setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise

from dmtable.cli.graph.type import text_width
from dmtable.cli.plan.axes import SMALL, heading, note, opening, round_step, time_axis
from examples.demo.primary import Link
from examples.demo.watch import Instant

_WIDTH, _LEFT, _RIGHT = 1024.0, 84.0, 886.0
_HEAD, _GAP, _FOOT = 92.0, 44.0, 40.0
_BAR, _BEHIND, _LOG, _STRIP, _ROW = 26.0, 150.0, 84.0, 20.0, 19.0
_LINKS = {Link.GOOD: "good", Link.SLOW: "slow", Link.CUT: "cut"}
_DARK = "off"
_STYLE = """
.good { fill: #1d7f73 } .slow { fill: #b7791f } .cut { fill: #bf3f4f } .dark { fill: #4b5567 }
.word { fill: #ffffff; font-weight: 600 }
.area { opacity: .14 }
.behind { stroke: #3b6fb6 } .area.behind { fill: #3b6fb6; stroke: none }
.log { stroke: #7a52ab } .area.log { fill: #7a52ab; stroke: none }
.waits { fill: #b7791f; opacity: .2 }
.shadow { fill: #4b5567; opacity: .13 }
.limit { stroke: #bf3f4f; stroke-dasharray: 6 4 }
.event { stroke: #9aa4b3; stroke-width: .8 }
.dot { fill: #5a6577 }
.sale { stroke: #1d7f73; stroke-width: .9; opacity: .8 }
.title { font-weight: 700 }
@media (prefers-color-scheme: dark) {
.shadow { fill: #a3afbf } .dot { fill: #a3afbf } .event { stroke: #5f6b7c }
.sale { filter: brightness(1.5) } .limit { filter: brightness(1.3) } .area { opacity: .28 }
}
"""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is worth a word."""

    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Course:
    """What was seen. `commits` are times in seconds, `limit` is how many writes Tokyo may lack, `dark` is from when to
    when there was no power."""

    instants: Sequence[Instant]
    events: Sequence[Event]
    commits: Sequence[float]
    limit: int
    dark: tuple[float, float]

    @property
    def seconds(self) -> float:
        return max(self.instants[-1].seconds, self.events[-1].seconds)

    def runs(self) -> Iterator[list[Instant]]:
        """The instants before the power loss, and those after it."""
        for _, run in groupby(self.instants, lambda at: at.seconds >= self.dark[1]):
            yield [at for at in run if not self.dark[0] <= at.seconds < self.dark[1]]


def draw(course: Course) -> Iterator[str]:
    """The document in lines."""
    rows = _rows(course)
    tops = [_HEAD]
    for height in (_BAR, _BEHIND, _LOG):
        tops.append(tops[-1] + height + _GAP)
    bottom = tops[3] + _STRIP + (max(rows) + 1) * _ROW + 8
    yield from opening("A day of a replicated group", _WIDTH, bottom + _FOOT, _STYLE)
    yield f'<text class="name title" x="{_LEFT:.0f}" y="34" font-size="17">Berlin writes, Tokyo follows</text>\n'
    yield note(_LEFT, 53, "two volumes, one log, one order of writes; sampled from `dmtable status`")
    yield from _link_lane(course, tops[0])
    yield from _curve_lane(
        course, tops[1], _BEHIND, "behind", "Fall-behind: writes that Tokyo lacks", _most(course), "{:,.0f}".format,
        lambda at: at.behind,
    )  # fmt: skip
    yield from _limit(course, tops[1])
    yield from _curve_lane(course, tops[2], _LOG, "log", "Log in use", 1.0, "{:.0%}".format, lambda at: at.log_share)
    yield from _event_lane(course, tops, rows, bottom)
    yield from time_axis(_LEFT, _RIGHT, bottom, course.seconds)
    yield "</svg>\n"


def _x(course: Course, seconds: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * seconds / course.seconds


def _most(course: Course) -> float:
    """The top of the lane of fall-behind: round, and above the limit."""
    highest = max(course.limit, *(at.behind for at in course.instants)) * 1.05
    step = round_step(highest, 10)
    return math.ceil(highest / step) * step


# Lanes.


def _link_lane(course: Course, top: float) -> Iterator[str]:
    yield _lane("Link to Tokyo", top)
    parts: list[tuple[float, float, str, str]] = []
    for run in course.runs():
        ends = [at.seconds for at in run[1:]] + [course.dark[0] if run[-1].seconds < course.dark[0] else course.seconds]
        for link, group in groupby(zip(run, ends, strict=True), lambda each: each[0].link):
            spans = list(group)
            parts.append((spans[0][0].seconds, spans[-1][1], link.name.lower(), _LINKS[link]))
    parts.append((*course.dark, "dark", _DARK))
    for begin, end, kind, word in sorted(parts):
        left, right = _x(course, begin), _x(course, end)
        yield (
            f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{max(1.0, right - left - 1):.1f}" '
            f'height="{_BAR:.0f}" rx="3"><title>{word}: {begin:.1f} s to {end:.1f} s</title></rect>\n'
        )
        if text_width(word, SMALL) < right - left:
            yield (
                f'<text class="word" x="{(left + right) / 2:.1f}" y="{top + 17:.1f}" font-size="{SMALL:.0f}" '
                f'text-anchor="middle">{word}</text>\n'
            )


def _curve_lane(
    course: Course,
    top: float,
    height: float,
    kind: str,
    title: str,
    most: float,
    label: Callable[[float], str],
    value: Callable[[Instant], float],
) -> Iterator[str]:
    yield _lane(title, top)
    yield f'<rect class="frame" x="{_LEFT:.0f}" y="{top:.1f}" width="{_RIGHT - _LEFT:.0f}" height="{height:.0f}"/>\n'
    yield _shadow(course, *course.dark, top, height, "shadow", _DARK)
    step = round_step(most, 10 if most > 1 else 0)
    for number in range(round(most / step) + 1):
        y = top + height * (1 - number * step / most)
        if 0 < number * step < most:
            yield f'<path class="grid" d="M{_LEFT:.1f} {y:.1f}H{_RIGHT:.1f}"/>\n'
        yield note(_LEFT - 7, y + 4, label(number * step), "end")
    for run in course.runs():
        points = [(_x(course, at.seconds), top + height * (1 - value(at) / most)) for at in run]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        floor = top + height
        yield f'<path class="area {kind}" d="M{points[0][0]:.1f} {floor:.1f}L{path}V{floor:.1f}Z"/>\n'
        yield f'<path class="line {kind}" d="M{path}"/>\n'


def _limit(course: Course, top: float) -> Iterator[str]:
    """The limit's line, and where the site was beyond it: writers wait there."""
    y = top + _BEHIND * (1 - course.limit / _most(course))
    yield f'<path class="limit" d="M{_LEFT:.1f} {y:.1f}H{_RIGHT:.1f}"/>\n'
    yield note(_RIGHT + 8, y + 4, f"limit {course.limit:,}")
    for run in course.runs():
        for waits, group in groupby(pairwise(run), lambda pair: pair[0].waits):
            if waits:
                pairs = list(group)
                begin, end = pairs[0][0].seconds, pairs[-1][1].seconds
                yield _shadow(course, begin, end, top, _BEHIND, "waits", "synchronous: writers wait")
    if any(at.waits for at in course.instants):
        yield note(_RIGHT + 8, y + 20, "shaded: writers wait")


def _event_lane(course: Course, tops: Sequence[float], rows: Sequence[int], bottom: float) -> Iterator[str]:
    top = tops[3]
    yield _lane("Events", top)
    yield f'<rect class="frame" x="{_LEFT:.0f}" y="{top:.1f}" width="{_RIGHT - _LEFT:.0f}" height="{_STRIP:.0f}"/>\n'
    strokes = "".join(f"M{_x(course, at):.1f} {top + 3:.1f}v{_STRIP - 6:.0f}" for at in course.commits)
    yield f'<path class="sale" d="{strokes}"><title>{len(course.commits)} transactions committed</title></path>\n'
    yield note(_RIGHT + 8, top + 14, "| a transaction")
    for event, row in zip(course.events, rows, strict=True):
        x, y = _x(course, event.seconds), top + _STRIP + (row + 1) * _ROW
        # Not through what stands between the lanes.
        spans = [(tops[1], tops[1] + _BEHIND), (tops[2], tops[2] + _LOG), (top, y - 4)]
        path = "".join(f"M{x:.1f} {begin:.1f}V{end:.1f}" for begin, end in spans)
        yield f'<path class="event" d="{path}"/>\n'
        tip = f"<title>{event.seconds:.1f} s</title>"
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y - 4:.1f}" r="2.4">{tip}</circle>\n'
        yield note(x + 6, y, event.text)


def _rows(course: Course) -> list[int]:
    """For each event how far down its words stand: below those of whatever comes where they would reach."""
    rows: list[int] = []
    for number in range(len(course.events) - 1, -1, -1):
        event = course.events[number]
        end = _x(course, event.seconds) + 12 + text_width(event.text, SMALL)
        later = zip(course.events[number + 1 :], rows, strict=True)
        rows.insert(0, max((row + 1 for other, row in later if _x(course, other.seconds) < end), default=0))
    return rows


def _lane(title: str, top: float) -> str:
    return heading(_LEFT, top - 9, title)


def _shadow(course: Course, begin: float, end: float, top: float, height: float, kind: str, tip: str) -> str:
    left, right = _x(course, begin), _x(course, end)
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{max(0.0, right - left):.1f}" '
        f'height="{height:.0f}"><title>{escape(tip)}</title></rect>\n'
    )
