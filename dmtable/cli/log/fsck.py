"""Say what a recovery of a replication log would do, without doing it.

    dmtable log fsck log.img

Exit status: 0 nothing is lost, 1 something is, and the regions that it wrote must be copied to the sites again,
2 not a log, or one that no recovery could begin with.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dmtable.cli.log.reading import add_log_arguments, damage_json, damage_text, opened, sites, when
from dmtable.units import human_size

if TYPE_CHECKING:
    from dmtable.replog.inspection import LogImage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable log fsck`."""
    add_log_arguments(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Prints what was found."""
    with opened(arguments) as (image, _):
        if arguments.json:
            import json

            print(json.dumps(_json(image), indent=2))
        else:
            for line in _lines(image):
                print(line)
        return 1 if image.report.damage else 0


def _lines(image: LogImage) -> Iterator[str]:
    report, log = image.report, image.log
    whose = f"log {log.id.hex()}" if log.id else "a log of the original module"
    version = ".".join(map(str, log.version))
    yield f"{image.where}, sector {image.start}: {whose}, version {version}, {human_size(log.size)}"
    if image.retired:
        yield "retired: another log took its place, and it refuses to be opened"
    elif image.buffer.id is None:
        yield "recovery: would make it a log of dmtable, which the original can read as long as no entry lacks data"
    if report.first <= report.last:
        yield f"recovery: would take entries {report.first} to {report.last}, and begin generation {report.generation}"
    else:
        yield f"recovery: would find no entries, and begin generation {report.generation}"
    yield f"recovery: would end at {report.end}"
    for site in _owing(image):
        entries = image.owed_to(site)
        count = f"{len(entries)} entr{'y' if len(entries) == 1 else 'ies'}"
        yield f"site {site}: is owed {count} from {entries[0].number} on, of {when(entries[0].time)} and later"
    for logged in image.entries:
        if logged.owed != logged.entry.owed:
            more = sorted({*sites(logged.entry.owed)} - {*sites(logged.owed)})
            told = ", ".join(map(str, more))
            yield f"entry {logged.entry.number}: would be sent to site {told} once more, as an entry before it"
    from dmtable.replog.log import UNLISTED

    for (site, device), membership in image.members:
        if (site, device) == UNLISTED:
            yield "copies that the log does not know are to be copied whole: what was lost may be theirs"
        elif membership.name == "RESYNC_OWED":
            yield f"site {site}, device {device}: is to be copied whole"
    for damage in report.damage:
        yield f"lost: {damage_text(damage)}"
    if report.everything_suspect:
        yield "what was written there cannot be known: all devices are to be copied whole"
    elif report.damage:
        yield "the regions of these are to be copied to all sites"
    else:
        yield "clean"


def _json(image: LogImage) -> dict[str, Any]:
    report, log = image.report, image.log
    return {
        "start": image.start,
        "id": log.id.hex() if log.id else None,
        "version": ".".join(map(str, log.version)),
        "sectors": log.size,
        "retired": image.retired,
        "first": report.first,
        "last": report.last,
        "generation": report.generation,
        "end": report.end,
        "owed": {str(site): [entry.number for entry in image.owed_to(site)] for site in _owing(image)},
        "members": [
            {"site": site, "device": device, "state": membership.name.lower()}
            for (site, device), membership in image.members
        ],
        "damage": [damage_json(damage) for damage in report.damage],
        "everything_suspect": report.everything_suspect,
    }


def _owing(image: LogImage) -> list[int]:
    owed = 0
    for entry in image.owed:
        owed |= entry.owed
    return sites(owed)
