"""What came of a plan, in words, in a table, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dmtable.cli.plan.amounts import show_bytes, show_time
from dmtable.sim.planning.course import Course, Instant
from dmtable.sim.planning.load import Load
from dmtable.sim.planning.model import Model
from dmtable.sim.planning.wan import Wan

_SPELLS = 3
"""So many of the times without a usable copy are listed."""
_LOAD_ROWS, _REST_ROWS = 9, 4
"""Of the text's table of instants: while the load lasts, and behind it."""


@dataclass(frozen=True, slots=True)
class Report:
    """`courses` begins with the one that was asked for."""

    load: Load
    wan: Wan
    model: Model
    courses: list[Course]

    def text(self) -> str:
        """For people."""
        return "\n".join([*self._head(), "", *self._summary(), "", *self._over_time(), "", *self._side_by_side()])

    def json(self) -> str:
        """For programs: amounts in bytes and writes, times in seconds."""
        load, wan = self.load, self.wan
        shown = {
            "writes": load.count,
            "bytes": round(load.count * load.mean_sectors * 512),
            "duration_seconds": load.duration_seconds,
            "link_writes_per_second": 1 / wan.write_seconds(load.mean_sectors),
            "outages": [{"begin": begin, "seconds": seconds} for begin, seconds in wan.outages],
            "one_in": self.model.one_in,
            "plans": [_course(course) for course in self.courses],
        }
        return json.dumps(shown, indent=1)

    @property
    def grain_seconds(self) -> float:
        """To this times are exact."""
        return self.load.duration_seconds * self.model.one_in / self.load.count

    def _head(self) -> Iterator[str]:
        load, wan = self.load, self.wan
        size = load.mean_sectors * 512
        rate = load.count / load.duration_seconds if load.duration_seconds else 0.0
        devices = f"{load.devices} devices" if load.devices > 1 else "1 device"
        yield (
            f"load: {load.count:,} writes of {show_bytes(size)} to {devices} in {show_time(load.duration_seconds)}, "
            f"{rate:,.1f} a second, {show_bytes(rate * size)}/s"
        )
        each = wan.write_seconds(load.mean_sectors)
        if each:
            yield (
                f"link: one write in {show_time(each)}, of which {show_time(wan.rtt_seconds)} round trip: "
                f"{1 / each:,.1f} a second, {show_bytes(size / each)}/s"
            )
        if self.model.one_in > 1:
            grain = f"times are right to {show_time(self.grain_seconds)}, amounts to {self.model.one_in} writes"
            yield f"played as a model of 1:{self.model.one_in}: {grain}"

    def _summary(self) -> Iterator[str]:
        course = self.courses[0]
        worst = course.worst_behind
        yield f"{course.plan}:"
        if worst.behind_writes:
            yield (
                f"  furthest behind   {show_bytes(worst.behind_bytes)}, {worst.behind_writes:,} writes, "
                f"at {show_time(worst.seconds)}"
            )
        else:
            yield "  furthest behind   never behind"
        yield f"  recovery point    {_recovery_point(course)}"
        yield f"  log full          {_log_full(course)}"
        for spell in course.disordered[:_SPELLS]:
            end = "the end of the plan" if spell.end is None else show_time(spell.end)
            yield f"  no usable copy    from {show_time(spell.begin)} to {end}: the site is resynchronised"
        if len(course.disordered) > _SPELLS:
            more, total = len(course.disordered) - _SPELLS, show_time(course.disordered_seconds)
            yield f"                    and {more:,} times more, {total} together"
        if course.worst_resync_bytes:
            yield f"  to resynchronise  {show_bytes(course.worst_resync_bytes)} at most, in whole regions"
        yield f"  writers           {_waiting(course)}"
        yield f"  all equal again   {_caught_up(course, self.load)}"

    def _over_time(self) -> Iterator[str]:
        head = ("at", "behind", "would be lost", "log", "waiting", "to resync")
        instants, end = self.courses[0].instants, self.load.duration_seconds
        loaded = [at for at in instants if at.seconds <= end]
        shown = _some(loaded, _LOAD_ROWS) + _some(instants[len(loaded) :], _REST_ROWS)
        return _aligned([head, *map(_instant_row, shown)])

    def _side_by_side(self) -> Iterator[str]:
        head = ("policy", "furthest behind", "recovery point", "log full", "waited", "longest", "on time", "unusable")
        return _aligned([head, *map(_course_row, self.courses)])


def _instant_row(at: Instant) -> tuple[str, ...]:
    return (
        show_time(at.seconds),
        show_bytes(at.behind_bytes),
        "no usable copy" if at.loss_seconds is None else show_time(at.loss_seconds),
        f"{at.log_share:.0%}",
        f"{at.waiting_writes:,}",
        show_bytes(at.resync_bytes),
    )


def _course_row(course: Course) -> tuple[str, ...]:
    return (
        str(course.plan),
        show_bytes(course.worst_behind.behind_bytes),
        show_time(course.worst_loss_seconds),
        "never" if course.log_full_at is None else show_time(course.log_full_at),
        _share(course.waited_writes, course),
        show_time(course.longest_wait_seconds),
        _share(course.acknowledged, course),
        show_time(course.disordered_seconds),
    )


def _recovery_point(course: Course) -> str:
    if not course.worst_loss_seconds:
        return (
            "nothing acknowledged is ever lost" if not course.disordered else "nothing is lost while the copy is usable"
        )
    when = " while the copy is usable" if course.disordered else ""
    return f"the last {show_time(course.worst_loss_seconds)} may be lost{when}"


def _log_full(course: Course) -> str:
    if course.log_full_at is None:
        return f"never; {max(at.log_share for at in course.instants):.0%} at most"
    times = (
        f", {course.takeovers:,} times given up for a resync" if course.takeovers else ", and writers wait for space"
    )
    return f"at {show_time(course.log_full_at)}{times}"


def _waiting(course: Course) -> str:
    if not course.waited_writes:
        return "none ever waited"
    mean = course.total_wait_seconds / course.waited_writes
    waits = f"{show_time(mean)} each, {show_time(course.longest_wait_seconds)} at most"
    return f"{_share(course.waited_writes, course)} waited, {waits}; {_share(course.acknowledged, course)} were on time"


def _caught_up(course: Course, load: Load) -> str:
    if course.caught_up_at is None:
        return f"not within {show_time(course.instants[-1].seconds)}"
    behind = course.caught_up_at - load.duration_seconds
    return f"at {show_time(course.caught_up_at)}, {show_time(max(0.0, behind))} behind the load"


def _share(writes: int, course: Course) -> str:
    """Of all; the last few are fewer than the grain."""
    whole = course.writes // course.one_in * course.one_in
    share = min(1.0, writes / whole) if whole else 1.0
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def _course(course: Course) -> dict[str, object]:
    shown = {
        field.name: getattr(course, field.name)
        for field in dataclasses.fields(course)
        if field.name not in ("plan", "one_in", "instants", "worst_behind", "disordered")
    }
    return {
        "policy": " ".join(course.plan.words),
        "worst_behind": dataclasses.asdict(course.worst_behind),
        **shown,
        "disordered": [dataclasses.asdict(spell) for spell in course.disordered],
        "instants": [dataclasses.asdict(instant) for instant in course.instants],
    }


def _some(instants: Sequence[Instant], count: int) -> list[Instant]:
    """Evenly spread, the first and the last among them."""
    if not instants:
        return []
    share = (len(instants) - 1) / (count - 1)
    return [instants[at] for at in sorted({round(number * share) for number in range(count)})]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *rest])
