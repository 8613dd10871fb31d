"""Recorded writes: CSV with one write a line, or what blkparse prints."""

from __future__ import annotations

import re

from dmtable.errors import UsageError
from dmtable.sim.planning.load import Write

_CSV_HEAD = "seconds,device,sector,sectors"
_BLKPARSE = re.compile(
    r"\s*(\d+,\d+)\s+\d+\s+\d+\s+(\d+\.\d+)\s+\d+\s+(\w)\s+(\w+)(?:\s+(\d+) \+ (\d+))?(?: \[.*\])?\s*"
)
_QUEUED = "Q"
_MOST_SECTOR = 1 << 54


def read_trace(text: str, source: str) -> list[Write]:
    """The writes of a trace, by time from 0 on. Raises UsageError, with the line at fault."""
    lines = text.splitlines()
    blktrace = next((line for line in lines if line.strip()), "")
    writes = _blkparse(lines) if _BLKPARSE.fullmatch(blktrace) else _csv(lines, source)
    if not writes:
        raise UsageError(f"{source} holds no writes; lines are {_CSV_HEAD}[,flush], or blkparse's")
    writes.sort(key=lambda write: write.seconds)
    first = writes[0].seconds
    return [Write(each.seconds - first, each.device, each.sector, each.sectors, each.flush) for each in writes]


def _csv(lines: list[str], source: str) -> list[Write]:
    """Devices are numbered by their names, in the order in which they come."""
    devices: dict[str, int] = {}
    writes: list[Write] = []
    for number, line in enumerate(lines, 1):
        words = [word.strip() for word in line.split(",")]
        if not line.strip() or line.startswith("#") or ",".join(words[:4]) == _CSV_HEAD:
            continue
        try:
            if len(words) not in (4, 5) or (len(words) == 5 and words[4] not in ("", "0", "1")):
                raise ValueError
            seconds, sector, sectors = float(words[0]), int(words[2]), int(words[3])
            if not (0 <= seconds < 1e9 and 0 <= sector < _MOST_SECTOR and 0 < sectors < _MOST_SECTOR):
                raise ValueError
        except ValueError:
            raise UsageError(
                f"{source}:{number}: {line!r} is not {_CSV_HEAD}[,flush], the last of them 0 or 1"
            ) from None
        device = devices.setdefault(words[1], len(devices))
        writes.append(Write(seconds, device, sector, sectors, words[4:] == ["1"]))
    return writes


def _blkparse(lines: list[str]) -> list[Write]:
    """The writes that were queued; other lines, and the summary at the end, are left aside."""
    devices: dict[str, int] = {}
    writes: list[Write] = []
    for line in lines:
        match = _BLKPARSE.fullmatch(line)
        if match is None or match[3] != _QUEUED or "W" not in match[4] or not match[6] or not int(match[6]):
            continue
        device = devices.setdefault(match[1], len(devices))
        writes.append(Write(float(match[2]), device, int(match[5]), int(match[6]), "F" in match[4]))
    return writes
