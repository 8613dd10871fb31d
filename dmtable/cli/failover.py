"""Swap the roles of a replicated group's sites: what is lost, the new tables, and the steps.

    dmtable failover --root disks --to 1 --log /new/log 0 65536 vol0.table vol1.table

The tables are those of the old primary. What would be lost is said first, from its log and its dirty logs, or that it
cannot be known; only then, and only with `--execute`, files are changed: the old log is retired and refuses to be
opened from then on, and the dirty logs of the new group are made to mark the regions that must be copied. Nobody may
use the group meanwhile. It may be done again after a failure, as long as the new group is not at work. Tables are
never loaded, only printed.

Where the old primary is lost and its log cannot be read, its devices get names in the new tables that do not exist.
When it is back, `--return` with the same arguments marks what its log names, and prints the tables with its devices.

Exit status: 0 nothing is lost, 1 something is or it cannot be known, or a failure, 2 usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dmtable.cli.stack import read_tables
from dmtable.errors import DeviceLookupError, DmtableError, UsageError

if TYPE_CHECKING:
    from dmtable.core.device_mapper import DeviceMapper
    from dmtable.targets.replicator.failover import Mark, Plan, Swap
    from dmtable.targets.replicator.losses import Area, Losses
    from dmtable.targets.replicator.paper import PaperGroup

_MOST_WRITES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable failover`."""
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="the old tables: NAME=FILE, or FILE")
    parser.add_argument("--root", metavar="DIR", required=True, help="the folder that stands in for /")
    parser.add_argument("--to", type=int, required=True, metavar="SITE", help="the site that takes over")
    parser.add_argument("--log", nargs=3, required=True, metavar=("DEVICE", "START", "SIZE"), help="the new log")
    parser.add_argument(
        "--map", action="append", default=[], metavar="OLD=NEW", help="what a device is called at the new primary"
    )
    parser.add_argument(
        "--dirty-log", action="append", default=[], metavar="NR=DEVICE", help="the old primary's for device NR"
    )
    parser.add_argument("--return", dest="returning", action="store_true", help="a lost primary is back")
    parser.add_argument("--execute", action="store_true", help="retire the old log and write the dirty logs")
    parser.add_argument("--output", metavar="DIR", help="write the new tables to NAME.table there")


def run(arguments: argparse.Namespace) -> int:
    """Prints what is lost, changes files if told to, and prints the tables."""
    from dmtable.core.device_mapper import DeviceMapper
    from dmtable.targets.replicator.failover import plan
    from dmtable.targets.replicator.losses import read_losses
    from dmtable.targets.replicator.paper import read_group

    old = read_group({table.name: table.table for table in read_tables(arguments.tables)})
    swap = _swap(arguments)
    if not Path(arguments.root).is_dir():
        raise UsageError(f"--root {arguments.root}: not a folder")
    with DeviceMapper(arguments.root) as mapper:
        losses = read_losses(old, swap.to, mapper.lookup, mapper.runtime)
        new = plan(old, swap, losses)
        _print(_loss_lines(losses))
        _print(_copy_lines(new))
        if arguments.execute:
            _execute(old, new, losses, swap, mapper)
    _show_tables(new.group, arguments.output)
    _print(_steps(old, new, losses, arguments))
    return 0 if losses.none else 1


def _swap(arguments: argparse.Namespace) -> Swap:
    from dmtable.replog.ring_words import MIN_SECTORS, Mode, RingParams
    from dmtable.targets.replicator.failover import Swap

    device, start, size = arguments.log
    if not (start.isdecimal() and size.isdecimal() and int(size) >= MIN_SECTORS):
        raise UsageError(f"--log {device} {start} {size}: give sectors, and a size of at least {MIN_SECTORS}")
    renamed = dict(_pair(text, "--map OLD=NEW") for text in arguments.map)
    dirty_logs: dict[int, str] = {}
    for text in arguments.dirty_log:
        number, word = _pair(text, "--dirty-log NR=DEVICE")
        if not number.isdecimal():
            raise UsageError(f"--dirty-log {text}: {number} is no number of a device")
        dirty_logs[int(number)] = word
    log = RingParams(device, int(start), Mode.CREATE, int(size))
    return Swap(arguments.to, log, renamed, dirty_logs, arguments.returning)


def _pair(text: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{text!r}: write {form}")
    return left, right


# ---- what is lost


def _loss_lines(losses: Losses) -> Iterator[str]:
    from dmtable.cli.log.reading import damage_text, when

    site = losses.site
    if losses.unknown:
        yield f"what is lost cannot be known: {losses.unknown}"
        yield f"it is every write that was acknowledged and had not reached site {site}"
        return
    if losses.none:
        yield f"nothing is lost: site {site} holds everything up to entry {losses.last}"
        return
    if losses.writes:
        first = losses.writes[0]
        count = _count(len(losses.writes), "write")
        yield f"lost, or not known to have arrived: {count}, since {when(first.time)} UTC"
        for entry in losses.writes[:_MOST_WRITES]:
            what = "" if entry.op.name == "WRITE" else f"{entry.op.name.lower()} of "
            where = f"{what}{_count(entry.sectors, 'sector')} at {entry.sector} of device {entry.device}"
            yield f"  entry {entry.number}: {where}, {when(entry.time)}"
        if len(losses.writes) > _MOST_WRITES:
            yield f"  … and {len(losses.writes) - _MOST_WRITES} more: see `dmtable log dump`"
    for device, areas in losses.dropped.items():
        yield f"lost: what was written to {_areas(areas)} of device {device}; when, nobody can know"
    for damage in losses.damage:
        yield f"lost in the log itself: {damage_text(damage)}"
    if not losses.ordered:
        yield f"site {site} was resynchronising: it holds no state that the group was ever in"


def _copy_lines(new: Plan) -> Iterator[str]:
    for each in new.marks:
        regions = f"{each.regions} of {_count(len(each.clean), 'region')}"
        more = ", and what it missed since" if each.keep else ""
        yield f"to be copied to site {each.site}: {regions} of device {each.device.number}{more}"
    for site, device in new.whole:
        yield f"to be copied to site {site}: all of device {device}"


def _areas(areas: tuple[Area, ...] | None) -> str:
    if areas is None:
        return "all"
    return "sectors " + ", ".join(f"{first} to {first + count - 1}" for first, count in areas)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# ---- what is done, and what is to be done


def _execute(old: PaperGroup, new: Plan, losses: Losses, swap: Swap, mapper: DeviceMapper) -> None:
    """Marks only behind the old log's end: nothing can enter it any more."""
    from dmtable.targets.replicator.failover import check_new_log, mark, retire

    try:
        check_new_log(swap, mapper.lookup)
        if not losses.unknown:
            retire(old, mapper.lookup, mapper.runtime)
            print(f"done: the old log, {old.log.params.words()[0]}, is retired")
        for each in new.marks:
            print(f"done: {_marked(each, mark(each, mapper.lookup))}")
    except (OSError, DeviceLookupError) as error:
        raise DmtableError(f"{error}; nothing may be loaded before this was done again, without a failure") from error


def _marked(mark: Mark, regions: int) -> str:
    marked = f"{_count(regions, 'region')} of device {mark.device.number}"
    return f"{mark.params.device} marks {marked} for site {mark.site}"


def _show_tables(group: PaperGroup, folder: str | None) -> None:
    from dmtable.targets.replicator.failover import tables

    for name, text in tables(group):
        print(f"\n# {name}.table\n{text}", end="")
        if folder is not None:
            try:
                Path(folder, f"{name}.table").write_text(text)
            except OSError as error:
                raise UsageError(f"cannot write {folder}/{name}.table: {error.strerror}") from error
    print()


def _steps(old: PaperGroup, new: Plan, losses: Losses, arguments: argparse.Namespace) -> Iterator[str]:
    from dmtable.targets.replicator.failover import tables

    names = [name for name, _ in tables(new.group)]
    steps: list[str] = []
    if arguments.returning:
        steps.append(f"at the new primary: stop the applications and remove {', '.join(reversed(names))}")
    elif not losses.unknown:
        gone = [*(device.table for device in old.devices), *([old.control[0]] if old.control else [])]
        steps.append(f"at the old primary, if it lives: stop the applications and remove {', '.join(gone)}")
    else:
        steps.append("make sure that the old primary is dead, or cut off from everybody who writes to it")
    if (new.marks or not losses.unknown) and not arguments.execute:
        steps.append("give this command again with --execute, before any table is loaded")
    steps.append(f"at the new primary: load and resume {', '.join(names)}, in this order")
    if not arguments.returning:
        steps.append("from the next time on the first table says open instead of create and the size")
    if losses.unknown and not arguments.returning:
        steps.append("when the old primary is back, do not start it: give this command with --return")
    if losses.writes and losses.ordered and not (losses.damage or arguments.execute):
        yield "To lose nothing, let the old primary run until its status says that nothing is owed, if it can."
    for number, step in enumerate(steps, 1):
        yield f"{number}. {step}"


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
