"""Hunts the planted defects and prints what found them: `python -m tests.proving.defects [PAGE]`.

With a page, the table there between `<!-- defects -->` and `<!-- /defects -->` is written anew.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dmtable.sim.breach import Breach
from dmtable.sim.explorer import Explorer, Flawed
from dmtable.sim.playback import shrink
from dmtable.sim.script import Script
from dmtable.sim.workload import small_workloads
from tests.proving.reference import Defect, Reference

_MOST_WRITES = 4
_MARKED = re.compile(r"(<!-- defects -->\n).*?(<!-- /defects -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """A defect that was found, and by what."""

    defect: Defect
    breach: Breach
    script: Script
    covered: int
    """Crash states before it was found."""


def hunt(defect: Defect) -> Found | None:
    """Explores small workloads, the smallest and the ordinary order of turns first."""
    explorer = Explorer(Reference(defect))
    for departures in (0, 1):
        for writes in range(1, _MOST_WRITES + 1):
            for workload in small_workloads(Reference.device_sectors, writes):
                try:
                    explorer.explore(workload, departures=departures)
                except Flawed as flawed:
                    return Found(defect, flawed.breach, flawed.script, explorer.statistics.covered)
    return None


def table() -> str:
    """The table of all defects, as Markdown."""
    lines = [
        "| defect | found by | after crash states | in seconds | steps of the script | shrunk to |",
        "|---|---|---|---|---|---|",
    ]
    for defect in Defect:
        begin = time.perf_counter()
        found = hunt(defect)
        seconds = time.perf_counter() - begin
        if found is None:
            raise SystemExit(f"not found: {defect.value}")
        shrunk = shrink(Reference(defect), found.script, found.breach.flaw)
        cells = [defect.value, str(found.breach), f"{found.covered:,}", f"{seconds:.2f}"]
        lines.append(f"| {' | '.join([*cells, str(len(found.script)), str(len(shrunk))])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    text = table()
    print(text, end="")
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(_MARKED.sub(lambda match: f"{match[1]}{text}{match[2]}", page.read_text()))


if __name__ == "__main__":
    main()
