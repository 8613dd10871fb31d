"""Where entries wrote, against a list of all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Op
from dmtable.replog.log import Entry
from dmtable.targets.replicator import footprint
from dmtable.targets.replicator.footprint import Footprint

areas = st.tuples(st.integers(0, 1), st.integers(0, 700), st.sampled_from((1, 3, 8, 16, 100, 127, 128, 129, 300)))


def _overlaps(entry: Entry, device: int, sector: int, sectors: int) -> bool:
    return entry.device == device and entry.sector < sector + sectors and sector < entry.sector + entry.sectors


@given(st.lists(areas, min_size=1, max_size=30), areas, st.integers(0, 30), st.integers(0, 40))
def test_what_overlaps_is_never_missed_and_small_things_are_told_apart(
    entries: list[tuple[int, int, int]], asked: tuple[int, int, int], since: int, many: int
) -> None:
    prints = Footprint()
    all_entries: list[Entry] = []
    for number, (device, sector, sectors) in enumerate(entries, 1):
        entry = Entry(device, Op.WRITE, sector, sectors, None, 3)
        entry.number = number
        after = prints.add(entry)
        before = [each.number for each in all_entries if _overlaps(each, device, sector, sectors)]
        assert after >= max(before, default=0)
        assert after < number
        if all(each.sectors < 128 for each in (*all_entries, entry)):
            assert after == max(before, default=0)
        all_entries.append(entry)
    newest = prints.newest(*asked, since)
    wanted = [entry.number for entry in all_entries if entry.number > since and _overlaps(entry, *asked)]
    assert newest >= max(wanted, default=0)
    if all(each.sectors < 128 for each in all_entries) and asked[2] < 128:
        assert newest == max(wanted, default=0)


@given(st.lists(areas, min_size=2, max_size=30), areas, st.data())
def test_what_is_forgotten_is_only_what_nobody_asks_for(
    entries: list[tuple[int, int, int]], asked: tuple[int, int, int], data: st.DataObject
) -> None:
    prints, other, upto = Footprint(), Footprint(), 0
    for number, (device, sector, sectors) in enumerate(entries, 1):
        for each in (prints, other):
            entry = Entry(device, Op.WRITE, sector, sectors, None, 3)
            entry.number = number
            each.add(entry)
        upto = data.draw(st.integers(upto, number))
        limit, footprint._MANY = footprint._MANY, 4
        try:
            prints.forget(upto, number)
        finally:
            footprint._MANY = limit
        assert prints.newest(*asked, upto) == other.newest(*asked, upto)
