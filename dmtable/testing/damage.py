"""A Hypothesis strategy for tables that are wrong in one place, with the finding that this must cause.

    @given(damaged_tables())
    def test_my_linter(table: DamagedTable) -> None:
        assert (table.code, table.line) in my_linter(table.text, table.devices.sizes)

`DAMAGES` has every kind of damage by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

import dmtable.testing.catalogue
import dmtable.testing.kernel_catalogue
import dmtable.testing.replicator_catalogue  # noqa: F401  all three fill DAMAGES
from dmtable.errors import UsageError
from dmtable.testing.draft import DAMAGES as DAMAGES
from dmtable.testing.draft import LENGTH, LOG, MD, Damage, Draft, paths
from dmtable.testing.replicators import replicators
from dmtable.testing.valid_tables import TARGETS, Devices, DeviceSet, check_mix, devices_of, layouts, lines, tokens

AMBIENT = frozenset({"DM207", "DM418"})
"""Warnings that sound tables have too: lines that share sectors, and chunks of odd sizes."""


@dataclass(frozen=True, slots=True)
class DamagedTable:
    """A table with one damage: `check(text, devices=devices.sizes, md=md)` must report `code` at `line` (from 1)."""

    text: str
    devices: DeviceSet
    md: str
    damage: str
    code: str
    line: int
    consequences: frozenset[str]
    """Other codes that the damage may cause."""


def damaged_tables(
    *,
    devices: Devices = None,
    targets: Sequence[str] = TARGETS,
    damages: Sequence[str] | None = None,
    max_lines: int = 4,
    tidy: bool = False,
) -> st.SearchStrategy[DamagedTable]:
    """Draws a sound table with exactly one damage, any of `DAMAGES` or of those named.

    `targets` are those of the lines around it. What is drawn is a pair of damage and devices that can have it; a
    damage that the devices cannot have is not drawn (DM206 and DM211 need blocks larger than 512 bytes). Besides
    `code` and `consequences` only warnings of `AMBIENT` may be found.
    """
    check_mix(targets, 1, max_lines)
    names = list(DAMAGES) if damages is None else list(damages)
    if unknown := [name for name in names if name not in DAMAGES]:
        raise UsageError(f"there is no damage {', '.join(map(repr, unknown))}; dmtable.testing.damage.DAMAGES has all")
    if not names:
        raise UsageError("name one damage at least")

    def suit(given: DeviceSet) -> bool:
        room = any(device.sectors >= 2 * given.block_sectors for device in given.devices)
        return room and any(DAMAGES[name].needs(given) for name in names)

    if isinstance(devices, DeviceSet) and not suit(devices):
        raise UsageError(
            f"no table over {list(devices.sizes)} can have such a damage: give larger devices, or other blocks"
        )

    sets = devices_of(devices)

    @st.composite
    def drawn(draw: st.DrawFn) -> DamagedTable:
        given = draw(sets.filter(suit))
        damage = DAMAGES[draw(st.sampled_from([name for name in names if DAMAGES[name].needs(given)]))]
        draft = draw(_drafts(damage, given, targets, max_lines))
        damage.strike(draw, draft)
        text, numbers = draw(layouts(draft.rows, tidy, draft.tails))
        line = numbers[draft.at] + draft.lower if draft.rows else 1
        if damage.on == "replicator":
            given = DeviceSet((*given.devices, LOG))
        return DamagedTable(text, given, MD, damage.name, damage.code, line, damage.consequences)

    return drawn()


@st.composite
def _drafts(draw: st.DrawFn, damage: Damage, devices: DeviceSet, targets: Sequence[str], max_lines: int) -> Draft:
    before = 1 if damage.place in ("later", "inner") else 0
    behind = 1 if damage.place in ("earlier", "inner") else 0
    fewest = before + 1 + behind
    count = draw(st.integers(fewest, max(max_lines, fewest)))
    at = count - 1 if damage.place == "last" else draw(st.integers(before, count - 1 - behind))
    unit = devices.block_sectors
    rows: list[list[str]] = []
    start = 0
    for index in range(count):
        target = damage.on if index == at and damage.on else draw(st.sampled_from(targets))
        if target == "replicator":
            length = 2 * unit
            words = draw(replicators(max_sites=2, length=length, log=LOG.path, dirty_logs=["core"])).words()
            room = paths(_roomy(devices))
            known = [draw(room) if word.startswith("/") and word != LOG.path else word for word in words]
            rows.append([str(start), str(length), target, *known])
        else:
            many = 2 if index == at else 1
            rows.append(tokens(draw(lines(start, target, _roomy(devices), unit, min_stripes=many, min_chunks=many))))
        start += int(rows[-1][LENGTH])
    return Draft(rows, at, devices, unit)


def _roomy(devices: DeviceSet) -> DeviceSet:
    """The devices that have room for two of the largest blocks. Raises UsageError where there is none."""
    room = 2 * devices.block_sectors
    return DeviceSet(tuple(device for device in devices.devices if device.sectors >= room))
