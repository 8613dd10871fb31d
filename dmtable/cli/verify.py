"""Compare the local devices of a replicated group with the copies at its sites, region by region.

    dmtable verify --root disks --settle 10 vol0.table vol1.table

The tables are run, as `dmtable read` runs them: the log is opened and recovered, and what sites are owed is sent.
So nobody else may use the group, and no table may say `create`. Regions for which entries or copies are still owed
are skipped, and counted; `--settle` waits for them first. Exit status: 0 nothing differs that should not, 1 a region
differs though nothing is owed, or cannot be read, 2 usage.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dmtable.cli.stack import add_stack_arguments, read_tables, running_stack
from dmtable.errors import UsageError

if TYPE_CHECKING:
    from dmtable.core.device_mapper import DeviceMapper
    from dmtable.targets.replicator.running import RunningGroup
    from dmtable.targets.replicator.verify import RegionCheck

_POLL_SECONDS = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable verify`."""
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="NAME=FILE, or FILE, `-` for standard input")
    add_stack_arguments(parser, "to find the files that tables name")
    parser.add_argument("--settle", type=float, default=0.0, metavar="SECONDS", help="wait so long for what is owed")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Prints what differs."""
    from dmtable.targets.replicator.paper import creators
    from dmtable.targets.replicator.verify import Outcome, verify

    tables = read_tables(arguments.tables, arguments.concise)
    if creating := creators({table.name: table.table for table in tables}):
        raise UsageError(f"{', '.join(creating)} would make a new log, and lose what is there: write open")
    if not arguments.settle >= 0:
        raise UsageError(f"--settle {arguments.settle}: give 0 or more seconds")
    with running_stack(tables, arguments.root) as mapper:
        groups = _groups(mapper)
        if not groups:
            raise UsageError("no table has a replicator line")
        _settle(groups, mapper, arguments.settle)
        checks = [check for group in groups for check in verify(group)]
    _show(checks, as_json=arguments.json)
    return 1 if any(check.outcome in (Outcome.DIFFERS, Outcome.UNREADABLE) for check in checks) else 0


def _groups(mapper: DeviceMapper) -> list[RunningGroup]:
    from dmtable.targets.replicator.target import Replicator, ReplicatorDev

    found: list[RunningGroup] = []
    for md in mapper:
        for target in md.live.targets() if md.live is not None else ():
            if isinstance(target, Replicator | ReplicatorDev) and target.running not in found:
                found.append(target.running)
    return found


def _settle(groups: list[RunningGroup], mapper: DeviceMapper, seconds: float) -> None:
    """Waits until all sites have everything, or the time is over."""
    runtime = mapper.runtime
    end = runtime.now() + seconds
    while runtime.now() < end and not all(group.settled for group in groups):
        runtime.sleep(_POLL_SECONDS)


def _show(checks: list[RegionCheck], *, as_json: bool) -> None:
    from dmtable.targets.replicator.verify import Outcome

    counts = {outcome.name.lower(): sum(check.outcome is outcome for check in checks) for outcome in Outcome}
    bad = [check for check in checks if check.outcome in (Outcome.DIFFERS, Outcome.UNREADABLE)]
    if as_json:
        import json

        shown = [
            {
                "site": check.site,
                "device": check.device,
                "region": check.region,
                "sector": check.first,
                "sectors": check.sectors,
                "outcome": check.outcome.name.lower(),
                "runs": check.runs,
                "why": check.why,
            }
            for check in bad
        ]
        print(json.dumps({**counts, "regions": shown}, indent=2))
        return
    for check in bad:
        where = f"site {check.site}, device {check.device}, region {check.region} (sectors {check.first} to"
        runs = ", ".join(f"{count} at {first}" for first, count in check.runs)
        print(f"{where} {check.first + check.sectors - 1}): {check.why or f'{check.outcome.value}: sectors {runs}'}")
    print(", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no regions")
