"""The words of a ring-buffer log: `DEVICE START [MODE [SIZE]]`, all in sectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from dmtable.core.devices import DmDev, Lookup
from dmtable.core.target import Area, Context
from dmtable.core.words import device_findings, sector_findings
from dmtable.errors import CtrError, DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding
from dmtable.language.numbers import scan_sector
from dmtable.replog.log import MAX_ENTRY_SECTORS, LogPlace, ReplogParams

MIN_SECTORS = 2 * MAX_ENTRY_SECTORS
"""No ring in a table is smaller (kernel: 2 x BIO_MAX_SECTORS)."""


class Mode(StrEnum):
    """What is done where there is a log already, and where there is none; in the order in which prefixes match."""

    CREATE = "create"
    """A new log, whatever is there."""
    OPEN = "open"
    """The log that is there, or none."""
    AUTO = "auto"
    """The log that is there, or a new one where there is nothing like one."""

    @classmethod
    def read(cls, word: str) -> Mode | None:
        """The mode that the word is, or begins as."""
        return next((mode for mode in cls if word and mode.startswith(word)), None)


@dataclass(frozen=True, slots=True)
class RingParams(ReplogParams):
    """`start` and `size` in sectors; no mode is `open`."""

    device: str
    start: int
    mode: Mode | None = None
    size: int | None = None

    @classmethod
    def inspect(cls, words: Sequence[str], place: LogPlace) -> tuple[Self | None, list[Finding]]:
        mode = Mode.read(words[2]) if len(words) > 2 else None
        if not 2 <= len(words) <= 4 or (mode is Mode.OPEN) != (len(words) == 3 and mode is not None):
            return None, [_count_finding(words, mode, place)]
        findings = [*device_findings(place.at, words[0], place.lookup, lambda number: place.refusal)]
        findings += sector_findings(rules.REPLICATOR_SHAPE, place.at + 1, words[1], place.refusal)
        if len(words) > 2 and mode is None:
            what = f"{words[2]!r} is none of create, open and auto"
            findings.append(Finding(rules.REPLICATOR_SHAPE, what, place.at + 2, refusal=place.refusal))
        size = scan_sector(words[3]) if len(words) > 3 else None
        if len(words) > 3 and (size is None or size < MIN_SECTORS):
            what = f"{words[3]!r} is no size of a log: it has at least {MIN_SECTORS} sectors"
            findings.append(Finding(rules.REPLICATOR_SHAPE, what, place.at + 3, refusal=place.refusal))
        if any(finding.refusal for finding in findings):
            return None, findings
        params = cls(words[0], scan_sector(words[1]) or 0, mode, size)
        if place.lookup and (finding := params._room_finding(place.lookup, place)):
            return None, [*findings, finding]
        return params, findings

    def words(self) -> list[str]:
        given = [self.device, str(self.start)]
        given += [self.mode.value] if self.mode else []
        return given + ([str(self.size)] if self.size is not None else [])

    def key(self, context: Context) -> object:
        try:
            return "ringbuffer", context.get_device(self.device).number, self.start
        except DeviceLookupError as error:
            raise CtrError(error.errno, error.text, 0) from error

    @property
    def creates(self) -> bool:
        return self.mode is Mode.CREATE

    def areas(self) -> Iterable[Area]:
        yield Area(0, self.start, self.size or MIN_SECTORS)

    def _room_finding(self, lookup: Lookup, place: LogPlace) -> Finding | None:
        """Whether the log fits its device, where the device's size is known."""
        try:
            dm_dev = lookup(self.device)
        except DeviceLookupError:
            return None
        text = too_small(dm_dev, self.start, self.size or MIN_SECTORS)
        if not dm_dev.size_sectors or text is None:
            return None
        return Finding(rules.REPLICATOR_SHAPE, text, place.at, refusal=place.refusal)


def too_small(dm_dev: DmDev, start: int, size: int) -> str | None:
    """What is wrong with the size of the device for a log of that size there, if anything."""
    if start + size <= dm_dev.size_sectors:
        return None
    return f"a log of {size} sectors from {start} on does not fit {dm_dev.name}, which has {dm_dev.size_sectors}"


def _count_finding(words: Sequence[str], mode: Mode | None, place: LogPlace) -> Finding:
    takes = {
        Mode.OPEN: "open takes nothing behind it",
        Mode.AUTO: "auto takes a size behind it",
        Mode.CREATE: "create takes a size behind it",
        None: "a device, its first sector, and perhaps a mode and a size",
    }
    what = f"the log has {len(words)} words: {takes[mode]}"
    return Finding(rules.REPLICATOR_LOG_COUNT, what, place.at - 1, refusal=place.refusal)
