"""Sectors of a device that a table uses twice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from operator import gt

from dmtable.checks.areas import Use
from dmtable.checks.columns import Run
from dmtable.core.numbers import Number
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Label, diagnose
from dmtable.language.tree import Line, Source, column_lines


class Sharing:
    """All areas of a table, in its order."""

    def __init__(self) -> None:
        self._owners: list[tuple[Line, Use] | Run] = []
        self._devices: dict[Number, int] = {}
        """Every device that is used, counted from 0."""
        self._furthest = 0

    def add(self, line: Line, uses: Iterable[Use]) -> None:
        """The areas of a line."""
        for use in uses:
            self._owners.append((line, use))
            self._devices.setdefault(use.dm_dev.number, len(self._devices))
            self._furthest = max(self._furthest, use.end)

    def add_run(self, run: Run) -> None:
        """The areas of many lines."""
        self._owners.append(run)
        for dm_dev in run.dm_devs:
            if dm_dev is not None:
                self._devices.setdefault(dm_dev.number, len(self._devices))
        self._furthest = max(self._furthest, max(run.ends))

    def diagnostics(self, source: Source, repeats: Collection[int]) -> Iterator[tuple[Line, Diagnostic]]:
        """A finding for each line that uses what an earlier one does, unless it stands at one of `repeats`."""
        areas = _Areas()
        bits = self._furthest.bit_length()
        shifts = {number: index << bits for number, index in self._devices.items()}
        for owner in self._owners:
            areas.add(owner, shifts)
        if areas.are_apart():
            return
        pairs = areas.pairs()
        lines = areas.lines(source, pairs.keys() | pairs.values())
        for later, earlier in pairs.items():
            line, word = lines[later]
            if line.span.start not in repeats:
                begin = max(areas.starts[later], areas.starts[earlier])
                end = min(areas.ends[later], areas.ends[earlier])
                first = begin % (1 << bits)
                yield line, _shared(line, word, *lines[earlier], first, first + end - begin - 1)


class _Areas:
    """Starts and ends of all areas on one line of numbers, where one device lies behind another."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._owners: list[tuple[Line, Use] | Run] = []
        self._firsts: list[int] = []
        """For each owner the index of its first area."""

    def add(self, owner: tuple[Line, Use] | Run, shifts: Mapping[Number, int]) -> None:
        self._owners.append(owner)
        self._firsts.append(len(self.starts))
        if isinstance(owner, Run):
            starts, ends = owner.shifted([shifts[dm_dev.number] if dm_dev else 0 for dm_dev in owner.dm_devs])
            self.starts.extend(starts)
            self.ends.extend(ends)
        else:
            use = owner[1]
            self.starts.append(use.area.start + shifts[use.dm_dev.number])
            self.ends.append(use.end + shifts[use.dm_dev.number])

    def are_apart(self) -> bool:
        """Whether no two areas meet. They are just when the n-th end is never behind the start after the n-th."""
        return not any(map(gt, sorted(self.ends), islice(sorted(self.starts), 1, None)))

    def pairs(self) -> dict[int, int]:
        """For each area that meets one before it in the table, the index of such a one."""
        starts, ends = self.starts, self.ends
        pairs: dict[int, int] = {}
        order = iter(sorted(range(len(starts)), key=starts.__getitem__))
        furthest = next(order)
        for index in order:
            if starts[index] < min(ends[furthest], ends[index]):
                pairs.setdefault(max(index, furthest), min(index, furthest))
            if ends[index] > ends[furthest]:
                furthest = index
        return pairs

    def lines(self, source: Source, indexes: Iterable[int]) -> dict[int, tuple[Line, int]]:
        """For each of these areas its line, and the word that names the device."""
        lines: dict[int, tuple[Line, int]] = {}
        rows: dict[int, list[int]] = {}
        for index in sorted(indexes):
            at = bisect_right(self._firsts, index) - 1
            owner = self._owners[at]
            if isinstance(owner, Run):
                rows.setdefault(at, []).append(index - self._firsts[at])
            else:
                lines[index] = owner[0], owner[1].area.word
        for at, wanted in rows.items():
            run = self._owners[at]
            assert isinstance(run, Run)
            for row, line in zip(wanted, column_lines(source, run.columns, wanted), strict=True):
                lines[self._firsts[at] + row] = line, 0
        return lines


def _shared(line: Line, word: int, other: Line, other_word: int, first: int, last: int) -> Diagnostic:
    device, there = line.token(word), other.token(other_word)
    known_as = "" if there.text == device.text else f" (there {there.text})"
    where = "twice in this line" if line.span == other.span else f"in line {other.span.line} too"
    what = f"sectors {first} to {last} of {device.text} are used {where}{known_as}"
    return diagnose(rules.SHARED_SECTORS, device.span, what, labels=[Label(there.span, "first used here")])
