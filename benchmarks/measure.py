"""How a ratio is measured: subject and baseline in turn, many times, and the median of the quotients.

Machines drift; two runs next to one another drift together. The garbage collector is off on both
sides: a baseline that keeps many lists would pay for it far more than we do, and flatter us.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 31

Seconds = Callable[[], float]
"""Does some work and says how long it took."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratio` is what was measured, `goal` what it should not exceed (or not fall below)."""

    what: str
    baseline: str
    ratio: float
    goal: float
    at_least: bool = False
    unit: str = "×"

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal


def timed(work: Callable[[], object]) -> Seconds:
    """The work as something that can be measured."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


def ratio(subject: Seconds, baseline: Seconds, rounds: int = ROUNDS) -> float:
    """The median over the rounds of subject / baseline."""
    gc.collect()
    gc.disable()
    try:
        subject(), baseline()
        return statistics.median(subject() / baseline() for _ in range(rounds))
    finally:
        gc.enable()


def writes(write: Callable[[bytes, int], int], data: bytes, offsets: list[int]) -> Seconds:
    def run() -> float:
        begin = time.perf_counter()
        for offset in offsets:
            write(data, offset)
        return time.perf_counter() - begin

    return run


def raw_writes(fd: int, data: bytes, offsets: list[int]) -> Seconds:
    pwrite = os.pwrite

    def run() -> float:
        begin = time.perf_counter()
        for offset in offsets:
            pwrite(fd, data, offset)
        return time.perf_counter() - begin

    return run


def print_table(rows: list[Row]) -> None:
    """The rows as Markdown, ready for the README."""
    print("| what | against | measured | goal |")
    print("|---|---|---|---|")
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        number = f"{row.ratio:.2f}" if row.unit == "×" else f"{row.ratio:,.0f}"
        goal = f"{row.goal:,g}"
        mark = "" if row.met else " **missed**"
        print(f"| {row.what} | {row.baseline} | {number}{row.unit}{mark} | {sign} {goal}{row.unit} |")
