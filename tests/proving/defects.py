"""Hunts the planted defects, of the reference and of the replicator, and prints what found them.

    python -m tests.proving.defects [PAGE]

With a page, the tables there between `<!-- defects -->` and `<!-- /defects -->`, and between those of
`replicator-defects`, are written anew.
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
from tests.proving import replicator_defects
from tests.proving.reference import Defect, Reference

_MOST_WRITES = 4


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


def replicator_table() -> str:
    """The table of those of the production replicator."""
    lines = ["| defect | found by | after crash states | in seconds |", "|---|---|---|---|"]
    for defect in replicator_defects.DEFECTS:
        begin = time.perf_counter()
        found = defect.hunt()
        seconds = time.perf_counter() - begin
        if found is None:
            raise SystemExit(f"not found: {defect}")
        where = "" if found.script is not None else "a storm: "
        lines.append(f"| {defect} | {where}{found.breach} | {found.covered:,} | {seconds:.2f} |")
    for name, (_, check) in replicator_defects.BY_NAMED_TESTS.items():
        lines.append(f"| {name} | the test `{check}` | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    tables = {"defects": table(), "replicator-defects": replicator_table()}
    for mark, text in tables.items():
        print(text, end="")
        marked = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
        for name in sys.argv[1:]:
            page = Path(name)
            page.write_text(marked.sub(rf"\g<1>{text}\g<2>", page.read_text()))


if __name__ == "__main__":
    main()
