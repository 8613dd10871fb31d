"""striped: chunks dealt to several devices in turn (kernel: dm-stripe.c, version 1.6.0)."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from dmtable.core.bio import Bio
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.extents import StripedExtent
from dmtable.core.target import Area, Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.core.words import device_findings, sector_findings
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, Rule, refused
from dmtable.language.numbers import is_decimal, kstrtouint, scan_sector

_PAGE_SECTORS = 8


@dataclass(frozen=True, slots=True)
class StripedParams(Params):
    """`COUNT CHUNK DEVICE OFFSET …`: chunk and offsets in sectors, `legs` the (device, offset) pairs."""

    chunk: int
    legs: tuple[tuple[str, int], ...]

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if len(words) < 2:
            what = f"striped needs a count, a chunk size and its devices, and has only {len(words)} of these words"
            return None, [Finding(rules.STRIPED_SHORT, what, 0, refusal=_no("Not enough arguments"))]
        if kstrtouint(words[0]) and not is_decimal(words[1]) and len(words) % 2:
            return None, [_count_forgotten(words)]
        findings = list(_number_findings(words, length))
        count, chunk = kstrtouint(words[0]), kstrtouint(words[1])
        findings += _leg_findings(words, count, lookup)
        if not count or not chunk or any(finding.refusal for finding in findings):
            return None, findings
        offsets = (scan_sector(word) or 0 for word in words[3::2])
        return cls(chunk, tuple(zip(words[2::2], offsets, strict=True))), findings

    def words(self) -> list[str]:
        return [str(len(self.legs)), str(self.chunk), *(str(word) for leg in self.legs for word in leg)]

    def areas(self, length: int) -> Iterable[Area]:
        for index, (_device, offset) in enumerate(self.legs):
            yield Area(2 + 2 * index, offset, length // len(self.legs))


class Striped(Target):
    """Chunk c of the target is chunk c // n of leg c % n."""

    name = "striped"
    version = (1, 6, 0)
    params = StripedParams

    def __init__(
        self, context: Context, begin: int, length: int, chunk: int, legs: tuple[tuple[DmDev, int], ...]
    ) -> None:
        super().__init__(context, begin, length)
        self.io_boundary = chunk
        self._chunk = chunk
        self._legs = legs

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: StripedParams) -> Self:
        legs = tuple((context.get_device(device), offset) for device, offset in params.legs)
        return cls(context, begin, length, params.chunk, legs)

    def map(self, bio: Bio) -> MapResult:
        number, within = divmod(bio.sector - self.begin, self._chunk)
        row, leg = divmod(number, len(self._legs))
        dm_dev, offset = self._legs[leg]
        bio.device = dm_dev.device
        bio.sector = offset + row * self._chunk + within
        return MapResult.REMAPPED

    def status(self, kind: StatusKind) -> str:
        count = len(self._legs)
        if kind is StatusKind.INFO:
            return f"{count} {' '.join(dm_dev.name for dm_dev, _ in self._legs)} 1 {'A' * count}"
        return f"{count} {self._chunk} {' '.join(f'{dm_dev.name} {offset}' for dm_dev, offset in self._legs)}"

    def measurement(self) -> str:
        legs = (
            f"stripe_{leg}_device_name={dm_dev.name},stripe_{leg}_physical_start={offset},stripe_{leg}_status=A"
            for leg, (dm_dev, offset) in enumerate(self._legs)
        )
        return self.measured(f"stripes={len(self._legs)}", f"chunk_size={self._chunk}", *legs)

    def iterate_devices(self) -> Iterable[DeviceRange]:
        for dm_dev, offset in self._legs:
            yield DeviceRange(dm_dev, offset, self.length // len(self._legs))

    def extents(self) -> Iterable[StripedExtent]:
        legs = tuple((dm_dev.device, offset) for dm_dev, offset in self._legs)
        yield StripedExtent(self.begin, self.length, self._chunk, legs)


def _no(text: str, number: int = errno.EINVAL) -> Refusal:
    return refused("striped", number, text)


def _count_forgotten(words: Sequence[str]) -> Finding:
    """The chunk size stands first, and pairs of device and offset follow: one mistake, not one for each word."""
    numbers = f"{len(words) // 2} {words[0]}"
    what = f"{words[1]!r} is no chunk size; the number of stripes seems to be missing"
    how = f"write `striped {numbers} …`"
    return Finding(rules.STRIPE_CHUNK, what, 1, how, _no("Invalid chunk_size"), ((0, numbers),))


def _number_findings(words: Sequence[str], length: int) -> Iterable[Finding]:
    """Count, chunk size and length, in the order in which the kernel judges them."""
    count, chunk = kstrtouint(words[0]), kstrtouint(words[1])
    if not count:
        what = f"{words[0]!r} is no number of stripes"
        yield Finding(rules.STRIPE_COUNT, what, 0, refusal=_no("Invalid stripe count"))
    if not chunk:
        yield Finding(rules.STRIPE_CHUNK, f"{words[1]!r} is no chunk size", 1, refusal=_no("Invalid chunk_size"))
    if count and length % count:
        text = _no("Target length not divisible by number of stripes")
        what = f"{length} sectors cannot be dealt to {count} stripes"
        yield _length_finding(rules.STRIPE_LENGTH, what, length, count * (chunk or 1), text)
    elif count and chunk and length // count % chunk:
        text = _no("Target length not divisible by chunk size")
        what = f"{length} sectors on {count} stripes make {length // count} each, with chunks of {chunk}"
        yield _length_finding(rules.STRIPE_WIDTH, what, length, count * chunk, text)
    if chunk and (chunk < _PAGE_SECTORS or chunk & (chunk - 1)):
        yield Finding(rules.STRIPE_CHUNK_ADVICE, f"chunks of {chunk} sectors", 1)


def _length_finding(rule: Rule, what: str, length: int, step: int, refusal: Refusal) -> Finding:
    lower, upper = length - length % step, length - length % step + step
    how = f"write a length of {lower} or {upper}" if lower else f"write a length of {upper}"
    return Finding(rule, what, -2, how, refusal)


def _leg_findings(words: Sequence[str], count: int | None, lookup: Lookup | None) -> Iterable[Finding]:
    """The pairs of device and offset; in each the kernel reads the offset first."""
    if count and len(words) != 2 + 2 * count:
        pairs, odd = divmod(len(words) - 2, 2)
        what = f"{count} stripes and {pairs} pairs of device and offset" + (" and one word more" if odd else "")
        # No fix: another number of stripes deals the data out in another way.
        how = f"write {pairs} stripes, or correct the devices" if pairs and not odd else ""
        yield Finding(rules.STRIPE_DEVICES, what, 0, how, _no("Not enough destinations specified"))
    for at in range(2, len(words) - 1, 2):
        yield from sector_findings(rules.STRIPE_OFFSET, at + 1, words[at + 1], _no("Couldn't parse stripe destination"))
        yield from device_findings(at, words[at], lookup, partial(_no, "Couldn't parse stripe destination"))
