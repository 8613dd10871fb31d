"""What the verbs of `dmtable log` share: the log's file, and how its entries are shown."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dmtable.errors import CorruptLogError, UsageError

if TYPE_CHECKING:
    from dmtable.replog.inspection import LoggedEntry, LogImage
    from dmtable.replog.log import Damage
    from dmtable.runtime.runtime import Runtime

EXIT_NO_LOG = 2

COLUMNS = ("entry", "device", "sector", "length", "what", "time", "owed", "generation", "checksum", "at")


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    """LOG and `--start`."""
    parser.add_argument("log", metavar="LOG", help="the log's image file or device")
    parser.add_argument(
        "--start", type=int, metavar="SECTOR", help="where the log begins (0, or 32 if there is none at 0)"
    )


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[tuple[LogImage, Runtime]]:
    """The log as it stands. Raises UsageError where there is none: the exit status is 2, and nothing was done."""
    from dmtable.io.file import FileDevice
    from dmtable.replog.inspection import find_start, inspect
    from dmtable.runtime.threads import ThreadRuntime

    if arguments.start is not None and arguments.start < 0:
        raise UsageError(f"--start {arguments.start}: give a sector from 0 on")
    try:
        device = FileDevice(arguments.log, read_only=True)
    except OSError as error:
        raise UsageError(f"cannot open {arguments.log}: {error.strerror}") from error
    runtime = ThreadRuntime()
    try:
        start = find_start(device, arguments.log) if arguments.start is None else arguments.start
        image = inspect(device, start, arguments.log, runtime)
    except CorruptLogError as error:
        device.close()
        raise UsageError(str(error)) from error
    except OSError as error:
        device.close()
        raise UsageError(f"cannot read {arguments.log}: {error.strerror}") from error
    try:
        yield image, runtime
    finally:
        device.close()
        runtime.close()


def row(logged: LoggedEntry) -> tuple[str, ...]:
    """An entry as text, in the order of COLUMNS."""
    entry = logged.entry
    owed = ",".join(map(str, sites(entry.owed))) or "-"
    return (
        str(entry.number),
        str(entry.device),
        str(entry.sector),
        str(entry.sectors),
        entry.op.name.lower() + (", given up" if logged.void else ""),
        when(entry.time),
        owed + ("" if logged.owed == entry.owed else f" (header: {','.join(map(str, sites(logged.owed))) or '-'})"),
        str(logged.generation) if logged.checked else "-",
        _checksum(logged),
        str(logged.sector),
    )


def aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Rows as lines of columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def as_json(logged: LoggedEntry) -> dict[str, Any]:
    """An entry for programs; sectors and seconds."""
    entry = logged.entry
    return {
        "number": entry.number,
        "device": entry.device,
        "sector": entry.sector,
        "sectors": entry.sectors,
        "op": entry.op.name.lower(),
        "time": entry.time if logged.checked else None,
        "owed": sites(entry.owed),
        "owed_in_header": sites(logged.owed),
        "generation": logged.generation,
        "checksum": _checksum(logged),
        "given_up": logged.void,
        "at": logged.sector,
        "data_at": logged.data_sector if entry.op.name == "WRITE" else None,
    }


def damage_text(damage: Damage) -> str:
    """What is lost, and where it stood."""
    area = f", {damage.sectors} sectors at {damage.first} of device {damage.device}" if damage.area_known else ""
    name = f"entry {damage.number}" if damage.number else "the log"
    return f"{name} at sector {damage.sector}{area}: {damage.what}"


def damage_json(damage: Damage) -> dict[str, Any]:
    """The same for programs; `number` 0 is the log itself."""
    return {
        "number": damage.number,
        "at": damage.sector,
        "what": damage.what,
        "device": damage.device,
        "sector": damage.first,
        "sectors": damage.sectors,
    }


def when(seconds: float) -> str:
    """A time in UTC; the original wrote none."""
    if not seconds:
        return "unknown"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return "unknown"


def sites(owed: int) -> list[int]:
    """The numbers of the bits that are set."""
    return [site for site in range(owed.bit_length()) if owed >> site & 1]


def _checksum(logged: LoggedEntry) -> str:
    return "good" if logged.checked else "none"
