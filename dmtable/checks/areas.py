"""The sectors that a line uses, against the devices that have them: sizes, logical blocks, bytes for sectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dmtable.core.devices import DmDev, Lookup
from dmtable.core.layout import area_block_refusals, size_refusal
from dmtable.core.target import Area, Params
from dmtable.errors import DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Edit, Fix, Refusal, diagnose
from dmtable.language.numbers import scan_sector
from dmtable.language.tree import Line, Word
from dmtable.units import SECTOR_BYTES, human_size


@dataclass(frozen=True, slots=True)
class Use:
    """An area of a line with the device that it lies on."""

    area: Area
    dm_dev: DmDev

    @property
    def end(self) -> int:
        """The first sector of the device behind the area."""
        return self.area.start + self.area.length


def uses_of(line: Line, params: Params, lookup: Lookup) -> Iterator[Use]:
    """The areas of a line whose devices are known."""
    for area in params.areas(line.length):
        if area.length:
            with suppress(DeviceLookupError):
                yield Use(area, lookup(line.words[area.word].text))


def block_of(uses: Iterable[Use]) -> int:
    """The largest logical block of the devices, in sectors."""
    return max((use.dm_dev.block_sectors for use in uses), default=1)


def area_diagnostics(line: Line, uses: Sequence[Use], *, is_last: bool) -> Iterator[Diagnostic]:
    """Every area of the line that its device has not, or cannot address; `is_last` where no line follows."""
    block = block_of(uses)
    for use in uses:
        area = use.area
        refusal = size_refusal(use.dm_dev, area.start, area.length)
        if refusal is not None:
            yield from _too_small(line, use, refusal, is_last)
        elif block > 1:
            imposing = max(uses, key=lambda each: each.dm_dev.block_sectors)
            for refusal in area_block_refusals(use.dm_dev, area.start, area.length, block):
                yield _misaligned(line, use, imposing, block, refusal)


def _too_small(line: Line, use: Use, refusal: Refusal, is_last: bool) -> Iterator[Diagnostic]:
    area, size = use.area, use.dm_dev.size_sectors
    device = line.token(area.word)
    in_bytes = list(_in_bytes(line, use, is_last))
    has = f"{device.text} has {size} sectors ({human_size(size)})"
    how, fix = "", None
    if area.start >= size:
        what = f"{has}; sector {area.start} lies behind its end"
    else:
        excess, room = use.end - size, size - area.start
        used = f"of sectors {area.start} to {use.end - 1}"
        what = f"{has}; {used} the last {excess} ({excess * SECTOR_BYTES} bytes) are not there"
        how = f"from sector {area.start} on it has room for {room} sectors"
        if area.length == line.length:
            how = f"the largest length that fits is {room}"
            edit = Edit(line.token(-2).span, str(room))
            fix = None if in_bytes else Fix(f"write a length of {room}", (edit,))
    yield diagnose(rules.TOO_SMALL, device.span, what, how=how, refusal=refusal, fix=fix)
    yield from in_bytes


def _in_bytes(line: Line, use: Use, is_last: bool) -> Iterator[Diagnostic]:
    """Says which numbers of an area that does not fit would, were they bytes."""
    area = use.area
    start, length = _fitting(area, use.dm_dev.size_sectors)
    if start is not None and (offset := _offset_word(line, area)):
        what = f"{area.start} bytes are {start} sectors, and from there on the device is large enough"
        fix = Fix(f"write {start}", (Edit(offset.span, str(start)),))
        yield diagnose(rules.OFFSET_IN_BYTES, offset.span, what, how=fix.title, fix=fix)
    if length is not None and area.length == line.length:
        span = line.token(-2).span
        what = f"{length * SECTOR_BYTES} bytes are {length} sectors, and end where the device does"
        fix = Fix(f"write {length}", (Edit(span, str(length)),))
        yield diagnose(rules.LENGTH_IN_BYTES, span, what, how=fix.title, fix=fix if is_last else None)


def _fitting(area: Area, size: int) -> tuple[int | None, int | None]:
    """Start and length in sectors, where taking one or both of them for bytes makes the area fit."""
    start, length = _sectors(area.start), _sectors(area.length)
    if length is not None and area.start + length == size:
        return None, length
    if start is not None and start + area.length <= size:
        return start, None
    if start is not None and length is not None and start + length == size:
        return start, length
    return None, None


def _sectors(number: int) -> int | None:
    """A number of bytes in sectors, None where it is no whole number of them, or 0."""
    sectors, rest = divmod(number, SECTOR_BYTES)
    return sectors if sectors and not rest else None


def _misaligned(line: Line, use: Use, imposing: Use, block: int, refusal: Refusal) -> Diagnostic:
    is_start = refusal.text.startswith("start=")
    offset = _offset_word(line, use.area) or line.token(use.area.word)
    name, value, token = ("offset", use.area.start, offset) if is_start else ("length", use.area.length, line.token(-2))
    lower, upper = value - value % block, value - value % block + block
    device = line.token(imposing.area.word).text
    what = f"{name} {value} is no multiple of {block} sectors, the logical block of {device} ({human_size(block)})"
    how = f"write {lower} or {upper}" if lower or is_start else f"write {upper}"
    if name == "length" and value != line.length:
        how = f"let each device have {lower} or {upper} sectors"
    return diagnose(rules.BLOCK_MISALIGNED, token.span, what, how=how, refusal=refusal)


def block_cut(line: Line, index: int, block: int, refusal: Refusal) -> Diagnostic:
    """The finding on a line, by its index in the table, that begins inside a logical block or ends the table there."""
    is_end = refusal.text.startswith(f"table line {index + 1} ")
    name, value = ("ends", line.end) if is_end else ("begins", line.start)
    lower, upper = value - value % block, value - value % block + block
    what = f"the line {name} at sector {value}, inside a block of {block} sectors ({human_size(block)})"
    how = (
        f"let it {name.removesuffix('s')} at {lower} or {upper}"
        if lower
        else f"let it {name.removesuffix('s')} at {upper}"
    )
    return diagnose(rules.BLOCK_CUT, line.token(-2 if is_end else -3).span, what, how=how, refusal=refusal)


def _offset_word(line: Line, area: Area) -> Word | None:
    """The word of an area's first sector, where it stands behind the device as it does nearly everywhere."""
    if area.word + 1 < len(line.words):
        word = line.words[area.word + 1]
        if scan_sector(word.text) == area.start:
            return word
    return None
