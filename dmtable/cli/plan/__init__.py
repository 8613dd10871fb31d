"""What a replicated group will come to under a load, over a link: fall-behind, log, recovery point, waiting writers.

    dmtable plan --rate 20MB/s --size 64K --duration 1h --bandwidth 100Mbit/s --rtt 40ms --outage 10m+2m --log-size 1G

The production replicator is run in simulated time, once for each policy. A load of more than some ten thousand writes
is run as a scale model, and the grain is told. Local disks take no time. Writes come when the load says, however long
those before them wait.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import TYPE_CHECKING

from dmtable.cli.files import display_name, read_text
from dmtable.cli.plan.amounts import read_rate, read_sectors, read_time
from dmtable.cli.stack import read_tables
from dmtable.errors import DmtableError, UsageError

if TYPE_CHECKING:
    from dmtable.sim.planning.load import Burst, Load
    from dmtable.sim.planning.model import Plan
    from dmtable.sim.planning.wan import Wan
    from dmtable.targets.replicator.paper import PaperGroup

_MOST_DEVICES = 64
_MOST_OUTAGES = 1000
_STANDARD = ("async", "async+stall", "sync")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable plan`."""
    load = parser.add_argument_group("the load")
    load.add_argument("--trace", metavar="FILE", help="writes: seconds,device,sector,sectors[,flush], or blkparse's")
    load.add_argument("--rate", metavar="RATE", help="what is written, as 20MB/s or 160Mbit/s")
    load.add_argument("--size", metavar="SIZE", default="64K", help="of a write (default: 64K)")
    load.add_argument("--duration", metavar="TIME", default="1h", help="how long (default: 1h)")
    load.add_argument(
        "--burst", action="append", default=[], metavar="RATE:TIME/PERIOD", help="RATE for TIME at each PERIOD's end"
    )
    load.add_argument("--random", action="store_true", help="at random places, and not from begin to end")
    load.add_argument("--devices", type=int, metavar="N", help="written in turn (default: 1)")
    load.add_argument("--device-size", metavar="SIZE", help="of each device (default: 100G)")
    link = parser.add_argument_group("the link to the remote site")
    link.add_argument("--bandwidth", required=True, metavar="RATE", help="as 100Mbit/s")
    link.add_argument("--rtt", required=True, metavar="TIME", help="of a round trip, as 40ms")
    link.add_argument(
        "--outage", action="append", default=[], metavar="BEGIN+TIME", help="the link is down, as 10m+2m; repeatable"
    )
    group = parser.add_argument_group("the group")
    group.add_argument("--table", action="append", default=[], metavar="FILE", help="take it from replicator tables")
    group.add_argument("--site", type=int, metavar="N", help="the remote site, where the tables have several")
    group.add_argument("--log-size", metavar="SIZE", help="of the replication log")
    group.add_argument("--region-size", metavar="SIZE", help="of the dirty log (default: 1M)")
    group.add_argument("--policy", metavar="POLICY", help="async (default), sync, async+stall, async+epoch …")
    group.add_argument("--limit", metavar="KIND=LIMIT", help="of fall-behind: ios=…, size=… or timeout=…")
    parser.add_argument("--json", action="store_true", help="for programs, with the state at many instants")
    parser.add_argument("--svg", metavar="FILE", help="draw it as well")


def run(arguments: argparse.Namespace) -> int:
    """Plays the load for each policy, and prints what came of it."""
    from dmtable.cli.plan.report import Report
    from dmtable.sim.planning.model import Model
    from dmtable.sim.planning.play import play

    group = _group(arguments)
    load, wan = _load(arguments, group), _wan(arguments)
    plans = _plans(arguments, group)
    regions = _region_sectors(arguments, group, plans)
    model = Model.of(load, _log_sectors(arguments, group), regions, plans)
    report = Report(load, wan, model, [play(load, wan, model, plan) for plan in plans])
    if arguments.svg is not None:
        from dmtable.cli.plan.plot import draw

        _write(arguments.svg, "".join(draw(report)))
    print(report.json() if arguments.json else report.text())
    return 0


def _load(arguments: argparse.Namespace, group: PaperGroup | None) -> Load:
    from dmtable.sim.planning.load import Steady, Trace

    if (arguments.trace is None) == (arguments.rate is None):
        raise UsageError("give either a trace (--trace FILE) or a rate (--rate 20MB/s)")
    if arguments.trace is not None:
        from dmtable.cli.plan.trace import read_trace

        trace = Trace(read_trace(read_text(arguments.trace), display_name(arguments.trace)))
        return _few(trace, "the trace")
    lengths = [device.length for device in group.devices] if group else []
    if arguments.device_size is not None or not lengths:
        lengths = [read_sectors(arguments.device_size or "100G", "--device-size")]
    count = arguments.devices or (len(group.devices) if group and group.devices else 1)
    sectors = read_sectors(arguments.size, "--size")
    if sectors > min(lengths):
        raise UsageError(f"--size {arguments.size} is more than a device holds")
    seconds = read_time(arguments.duration)
    bursts = [_burst(text) for text in arguments.burst]
    load = Steady(read_rate(arguments.rate), sectors, seconds, min(lengths), count, bursts, arguments.random)
    if not 1 <= load.count < 1 << 40:
        raise UsageError(f"{load.count:,} writes in {arguments.duration}: give another --duration, --rate or --size")
    return _few(load, f"--devices {count}")


def _few(load: Load, what: str) -> Load:
    if not 1 <= load.devices <= _MOST_DEVICES:
        raise UsageError(f"{what} has {load.devices} devices: there may be 1 to {_MOST_DEVICES}")
    return load


def _burst(text: str) -> Burst:
    from dmtable.sim.planning.load import Burst

    rate, colon, times = text.rpartition(":")
    length, slash, period = times.partition("/")
    if not (colon and slash):
        raise UsageError(f"--burst {text}: write RATE:TIME/PERIOD, as 100MB/s:30s/5m")
    burst = Burst(read_rate(rate), read_time(length), read_time(period))
    if not 0 < burst.seconds <= burst.period_seconds or burst.period_seconds < 1:
        raise UsageError(f"--burst {text}: the period is a second or more, and no shorter than the burst")
    return burst


def _wan(arguments: argparse.Namespace) -> Wan:
    from dmtable.sim.planning.wan import Wan

    if len(arguments.outage) > _MOST_OUTAGES:
        raise UsageError(f"there may be {_MOST_OUTAGES} outages")
    outages: list[tuple[float, float]] = []
    for text in arguments.outage:
        begin, plus, length = text.partition("+")
        if not plus:
            raise UsageError(f"--outage {text}: write BEGIN+TIME, as 10m+2m")
        outages.append((read_time(begin), read_time(length)))
    outages.sort()
    for (begin, length), (after, _) in pairwise(outages):
        if after < begin + length:
            raise UsageError("outages overlap: give one that is longer")
    return Wan(read_rate(arguments.bandwidth), read_time(arguments.rtt), tuple(outages))


def _group(arguments: argparse.Namespace) -> PaperGroup | None:
    if not arguments.table:
        return None
    from dmtable.targets.replicator.paper import read_group

    return read_group({table.name: table.table for table in read_tables(arguments.table)})


def _site(arguments: argparse.Namespace, group: PaperGroup) -> int:
    remote = sorted(number for number in group.sites if number)
    if arguments.site is None and len(remote) == 1:
        return remote[0]
    if arguments.site not in remote:
        known = ", ".join(map(str, remote)) or "no site but the local one"
        raise UsageError(f"the tables have {known}: choose with --site")
    return int(arguments.site)


def _log_sectors(arguments: argparse.Namespace, group: PaperGroup | None) -> int:
    if arguments.log_size is not None:
        return read_sectors(arguments.log_size, "--log-size")
    size = getattr(group.log.params, "size", getattr(group.log.params, "sectors", None)) if group else None
    if size is None:
        raise UsageError("give the size of the log (--log-size 1G)" + (": the tables do not" if group else ""))
    return int(size)


def _region_sectors(arguments: argparse.Namespace, group: PaperGroup | None, plans: list[Plan]) -> int:
    if arguments.region_size is None and group is not None:
        number = _site(arguments, group)
        for device in group.devices:
            if number in device.copies and (sectors := device.copies[number].dirty_log.region_sectors):
                return sectors
    sectors = read_sectors(arguments.region_size or "1M", "--region-size")
    if sectors & (sectors - 1) or not 2048 <= sectors <= 1 << 30:
        raise UsageError(f"--region-size {arguments.region_size}: give a power of two of at least 1M")
    return sectors


def _plans(arguments: argparse.Namespace, group: PaperGroup | None) -> list[Plan]:
    """The wanted one, and the usual ones beside it."""
    from dmtable.sim.planning.model import Plan
    from dmtable.slink.words import judge_together, read_limit, read_policy

    wanted = Plan()
    if group is not None:
        site = group.sites[_site(arguments, group)]
        wanted = Plan(site.policy, site.fall_behind)
    try:
        if arguments.policy is not None:
            wanted = Plan(read_policy(arguments.policy), wanted.limit)
        if arguments.limit is not None:
            wanted = Plan(wanted.policy, read_limit([arguments.limit]))
        judge_together(wanted.policy, wanted.limit)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if wanted.limit is not None and not wanted.limit.limit:
        wanted = Plan(wanted.policy)
    usual = [Plan(read_policy(word)) for word in _STANDARD]
    return [wanted, *(plan for plan in usual if plan != wanted)]


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DmtableError(f"cannot write {path}: {error.strerror}") from error
