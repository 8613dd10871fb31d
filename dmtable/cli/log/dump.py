"""Show the entries of a replication log, oldest first.

    dmtable log dump log.img
    dmtable log dump --json log.img | jq .entries[].time

Each entry has its number, the device's number in the group, sector and length, what it was, its time (UTC), the
sites that still lack it, the generation (how often the log was opened before), its checksum (`none` where the
original module wrote it) and the sector of the log where it stands. A site that is owed an entry is owed all behind
it; where a header says less, it is shown as well. Exit status: 0 shown, 1 some of the log is lost, 2 not a log.
"""

from __future__ import annotations

import argparse

from dmtable.cli.log.reading import COLUMNS, add_log_arguments, aligned, as_json, damage_json, damage_text, opened, row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dmtable log dump`."""
    add_log_arguments(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    """Prints the entries."""
    with opened(arguments) as (image, _):
        report = image.report
        if arguments.json:
            import json

            entries = [as_json(logged) for logged in image.entries]
            lost = [damage_json(damage) for damage in report.damage]
            print(json.dumps({"start": image.start, "entries": entries, "damage": lost, "end": report.end}, indent=2))
        else:
            for line in aligned([COLUMNS, *map(row, image.entries)]):
                print(line)
            for damage in report.damage:
                print(f"lost: {damage_text(damage)}")
        return 1 if report.damage else 0
