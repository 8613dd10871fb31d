"""Stacks of tables beside variations of them: the same in other words, or changed here and there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from dmtable.core.paper import Disks, PaperStack
from dmtable.language.parser import parse
from tests.core.disks import NaiveLine

Tables = dict[str, list[NaiveLine]]
DISK_SECTORS = 96


def on_paper(tables: Mapping[str, Sequence[NaiveLine]], disks: Disks | None = None) -> PaperStack:
    stack = PaperStack(disks or Disks())
    for name, lines in tables.items():
        stack.add(name, parse("\n".join(line.text() for line in lines)).pieces)
    return stack


@st.composite
def stacks(draw: st.DrawFn) -> Tables:
    """Up to four mds of up to four lines, over two disks and the mds before."""
    tables: Tables = {}
    sizes = {"/dev/d0": DISK_SECTORS, "/dev/d1": DISK_SECTORS}
    for index in range(draw(st.integers(1, 4))):
        lines: list[NaiveLine] = []
        start = 0
        for _ in range(draw(st.integers(1, 4))):
            lines.append(draw(_line(start, sizes)))
            start += lines[-1].length
        tables[f"m{index}"] = lines
        sizes[f"/dev/mapper/m{index}"] = start
    return tables


@st.composite
def variations(draw: st.DrawFn) -> tuple[Tables, Tables]:
    """A stack and another with the same names: lines cut in two, and sometimes one that leads elsewhere."""
    tables = draw(stacks())
    changes = draw(st.booleans())
    others: Tables = {}
    for name, lines in tables.items():
        others[name] = [part for line in lines for part in draw(_varied(line, changes))]
    return tables, others


@st.composite
def _line(draw: st.DrawFn, start: int, sizes: dict[str, int]) -> NaiveLine:
    target = draw(st.sampled_from(["linear", "linear", "striped", "striped", "zero", "error"]))
    if target in ("zero", "error"):
        return NaiveLine(start, draw(st.integers(1, 12)), target, 0, ())
    count = draw(st.integers(1, 3)) if target == "striped" else 1
    devices = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=count, max_size=count))
    width = draw(st.integers(1, min(32, *(sizes[device] for device in devices))))
    chunk = draw(st.sampled_from([c for c in range(1, width + 1) if width % c == 0])) if target == "striped" else 0
    legs = tuple((device, draw(st.integers(0, sizes[device] - width))) for device in devices)
    return NaiveLine(start, width * count, target, chunk, legs)


@st.composite
def _varied(draw: st.DrawFn, line: NaiveLine, changes: bool) -> list[NaiveLine]:
    how = draw(st.sampled_from(["keep", "cut", "cut", "change"] if changes else ["keep", "cut", "rewrite"]))
    step = line.chunk * len(line.legs) or 1
    if how == "cut" and line.length > step:
        first = step * draw(st.integers(1, line.length // step - 1))
        legs = tuple((device, at + first // len(line.legs)) for device, at in line.legs)
        return [
            replace(line, length=first),
            replace(line, start=line.start + first, length=line.length - first, legs=legs),
        ]
    if how == "rewrite" and line.target == "linear":
        chunk = draw(st.sampled_from([c for c in range(1, line.length + 1) if line.length % c == 0]))
        return [replace(line, target="striped", chunk=chunk)]
    if how == "change" and line.legs:
        legs = tuple((device, draw(st.integers(0, at))) for device, at in line.legs)
        return [replace(line, legs=legs[::-1])]
    return [line]
