"""The geometry of the ring: the worked example, and any life of a ring against a list of sectors."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from dmtable.replog.format import Wrap
from dmtable.replog.ring import KEPT_SECTORS, Place, Ring, data_sectors


def put(ring: Ring, sectors: int) -> Place | None:
    place = ring.place(data_sectors(sectors))
    if place is not None:
        ring.next = place[3]
    return place


def test_the_worked_example() -> None:
    """§4.7 of the specification: a log of 4096 sectors from sector 0 on."""
    ring = Ring.of(0, 4096)
    assert (ring.start, ring.end, ring.head, ring.next, ring.free) == (16, 4096, 16, 16, 4080)
    assert put(ring, 1000) == (16, 24, Wrap.NONE, 1024)
    assert ring.free == 3072
    assert put(ring, 1000) == (1024, 1032, Wrap.NONE, 2032)
    assert ring.free == 2064
    assert put(ring, 1000) == (2032, 2040, Wrap.NONE, 3040)
    assert ring.free == 1056
    assert put(ring, 1000) == (3040, 3048, Wrap.NONE, 4048)
    assert ring.free == 48
    assert put(ring, 1000) is None
    ring.head = 2032
    assert ring.free == 2064
    assert put(ring, 1000) == (4048, 16, Wrap.DATA, 1016)
    assert ring.free == 1016
    ring.head = 4048
    assert ring.free == 3032
    assert put(ring, 1) == (1016, 1024, Wrap.NONE, 1032)
    assert ring.free == 3016
    ring.head = 1016
    assert ring.free == 4064


def test_the_next_header_goes_to_the_start_where_there_is_no_room_for_it() -> None:
    ring = Ring.of(0, 16 + 32 + 7)
    assert put(ring, 24) is None, "8 sectors stay free"
    assert put(ring, 16) == (16, 24, Wrap.NONE, 40)
    ring.head = 40
    assert put(ring, 0) == (40, 48, Wrap.NEXT, 16), "7 sectors are left, and belong to this entry"
    assert ring.free == 39 - 8 - 7


def test_data_may_end_where_the_ring_does() -> None:
    ring = Ring.of(0, 16 + 64)
    ring.head = ring.next = 40
    assert put(ring, 32) == (40, 48, Wrap.NEXT, 16)
    assert ring.free == 24


def test_no_header_is_looked_for_where_none_has_room() -> None:
    """Such an entry would have wrapped; one that says that it did not is damaged."""
    ring = Ring.of(0, 16 + 64)
    assert ring.behind(16, Wrap.NONE, 24, 48) == 72
    assert ring.behind(16, Wrap.NONE, 24, 49) is None
    assert ring.behind(16, Wrap.NEXT, 24, 49) == 16


def test_no_entry_fills_the_ring() -> None:
    """The original took an exactly full ring for an empty one."""
    ring = Ring.of(0, 16 + 64)
    assert put(ring, 48) == (16, 24, Wrap.NONE, 72)
    assert (ring.free, put(ring, 0)) == (8, None)


class Sectors:
    """The naive ring: one flag for each sector, and the entries in order."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.used: dict[int, int] = {}
        self.entries: deque[tuple[int, int]] = deque()
        """(number, sector of the next header)."""

    def take(self, number: int, place: Place, data: int) -> None:
        header, data_at, wrap, behind = place
        mine = [*range(header, header + 8), *range(data_at, data_at + data)]
        if wrap == Wrap.DATA:
            mine += range(header + 8, self.ring.end)
        elif wrap == Wrap.NEXT:
            mine += range(data_at + data, self.ring.end)
        assert all(self.ring.start <= sector < self.ring.end for sector in mine), "out of the ring"
        assert not self.used.keys() & {*mine}, "over another entry"
        assert len({*mine}) == len(mine), "over itself"
        self.used.update(dict.fromkeys(mine, number))
        self.entries.append((number, behind))

    def release(self) -> int:
        number, behind = self.entries.popleft()
        self.used = {sector: owner for sector, owner in self.used.items() if owner != number}
        return behind

    @property
    def free(self) -> int:
        return self.ring.end - self.ring.start - len(self.used)


@given(
    first=st.integers(0, 20),
    size=st.integers(48, 260),
    steps=st.lists(st.one_of(st.integers(0, 90), st.none()), max_size=60),
)
def test_any_life_of_a_ring(first: int, size: int, steps: list[int | None]) -> None:
    ring = Ring.of(first, size)
    naive = Sectors(ring)
    for number, step in enumerate(steps):
        if step is None:
            if naive.entries:
                ring.head = naive.release()
            continue
        before, free = ring.next, ring.free
        place = put(ring, step)
        data = data_sectors(step)
        if place is not None:
            naive.take(number, place, data)
            header, data_at, wrap, behind = place
            assert header == before
            assert ring.behind(header, wrap, data_at, data) == behind, "a walk would go elsewhere"
            assert ring.free >= KEPT_SECTORS
        else:
            room = ring.end - ring.next
            skipped = 0 if room >= 8 + data else room - 8
            # It did not fit: with what it would have skipped, and up to 7 sectors behind it, 8 would not stay free.
            assert free - skipped - 8 - data < KEPT_SECTORS + 8
        assert ring.free == naive.free


@given(size=st.integers(16 + 2056 + 2056, 16 + 9000), at=st.integers(0, 1000), data=st.integers(0, 2048))
def test_an_empty_ring_of_the_least_size_takes_any_entry_at_its_start(size: int, at: int, data: int) -> None:
    ring = Ring.of(at, size)
    assert put(ring, data) is not None
