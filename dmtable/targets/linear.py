"""linear: a stretch of a device (kernel: dm-linear.c, version 1.4.0)."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from dmtable.core.bio import Bio
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.extents import Extent
from dmtable.core.target import Area, Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.core.words import device_findings, sector_findings
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, refused
from dmtable.language.numbers import scan_sector


@dataclass(frozen=True, slots=True)
class LinearParams(Params):
    """`DEVICE OFFSET`: the offset in sectors."""

    device: str
    offset: int

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if len(words) != 2:
            what = f"linear takes two words, a device and an offset, and not {len(words)}"
            fix = tuple((word, "") for word in range(2, len(words)))
            how = f"remove {' '.join(words[2:])}" if fix else ""
            text = refused("linear", errno.EINVAL, "Invalid argument count")
            return None, [Finding(rules.LINEAR_COUNT, what, 2, how, text, fix)]
        device, offset = words
        findings = [
            *sector_findings(rules.LINEAR_OFFSET, 1, offset, refused("linear", errno.EINVAL, "Invalid device sector")),
            *device_findings(0, device, lookup, lambda number: refused("linear", number, "Device lookup failed")),
        ]
        sector = scan_sector(offset)
        if sector is None or any(finding.refusal for finding in findings):
            return None, findings
        return cls(device, sector), findings

    def words(self) -> list[str]:
        return [self.device, str(self.offset)]

    def areas(self, length: int) -> Iterable[Area]:
        yield Area(0, self.offset, length)


class Linear(Target):
    """Sector s of the target is sector `offset` + s of the device."""

    name = "linear"
    version = (1, 4, 0)
    params = LinearParams

    def __init__(self, context: Context, begin: int, length: int, dm_dev: DmDev, offset: int) -> None:
        super().__init__(context, begin, length)
        self._dm_dev = dm_dev
        self._offset = offset

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: LinearParams) -> Self:
        return cls(context, begin, length, context.get_device(params.device), params.offset)

    @classmethod
    def column(cls, context: Context, begin: int, length: int, dm_dev: DmDev, offset: int) -> Self:
        """A row of a column run as the target it stands for; its device is open already."""
        return cls(context, begin, length, dm_dev, offset)

    def map(self, bio: Bio) -> MapResult:
        bio.device = self._dm_dev.device
        bio.sector += self._offset - self.begin
        return MapResult.REMAPPED

    def status(self, kind: StatusKind) -> str:
        return "" if kind is StatusKind.INFO else f"{self._dm_dev.name} {self._offset}"

    def measurement(self) -> str:
        return self.measured(f"device_name={self._dm_dev.name}", f"start={self._offset}")

    def iterate_devices(self) -> Iterable[DeviceRange]:
        yield DeviceRange(self._dm_dev, self._offset, self.length)

    def extents(self) -> Iterable[Extent]:
        yield Extent(self.begin, self.length, self._dm_dev.device, self._offset)
