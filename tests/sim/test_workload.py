"""Workloads: the small ones all and once, the drawn ones within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.sim.choices import Ordinary, Seeded
from dmtable.sim.workload import Flush, Workload, Write, Zero, any_workload, small_workloads

GROUPS = [(1,), (2,), (1, 1), (2, 2), (3,), (2, 1)]


def naive(device_sectors: Sequence[int], writes: int) -> Iterator[Workload]:
    """All of them, without any thought of which are the same."""
    everywhere = [(device, at) for device, sectors in enumerate(device_sectors) for at in range(sectors)]
    for places in product(everywhere, repeat=writes):
        for first in range(1, writes + 1):
            for fua in (False, True):
                ones = [Write(*place, fua=fua) for place in places]
                yield tuple(tuple(client) for client in (ones[:first], ones[first:]) if client)
            plain = [Write(*place) for place in places]
            for flushing in range(1 if first == writes else 2):
                clients = [client for client in (plain[:first], plain[first:]) if client]
                ends = [(Flush(0),) if at == flushing else () for at in range(len(clients))]
                yield tuple((*client, *end) for client, end in zip(clients, ends, strict=True))


def renamed(workload: Workload, device_sectors: Sequence[int]) -> str:
    """The same for all workloads that differ in the names of equal devices, sectors and clients only."""
    spelled = []
    for clients in permutations(workload):
        devices: dict[int, str] = {}
        sectors: dict[tuple[int, int], int] = {}
        words = []
        for client in clients:
            for one in client:
                if isinstance(one, Flush):
                    words.append("flush")
                    continue
                assert isinstance(one, Write)
                size = device_sectors[one.device]
                alike = sum(device_sectors[other] == size for other in devices)
                device = devices.setdefault(one.device, f"{size}:{alike}")
                known = sum(of == one.device for of, _ in sectors)
                sector = sectors.setdefault((one.device, one.sector), known)
                words.append(f"{device}.{sector}{'!' if one.fua else ''}")
            words.append("|")
        spelled.append(" ".join(words))
    return min(spelled)


@pytest.mark.parametrize("device_sectors", GROUPS, ids=str)
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_small_workloads_are_distinct_and_all_there(device_sectors: tuple[int, ...], writes: int) -> None:
    """The flush is at the end of the shorter client, or of the second of two that are equally long.

    Clients that are equally long are told apart where their devices are: it may matter who begins.
    """
    spelled = [renamed(workload, device_sectors) for workload in small_workloads(device_sectors, writes)]
    if len(set(device_sectors)) == 1:
        assert len(set(spelled)) == len(spelled)
    wanted = {
        renamed(workload, device_sectors)
        for workload in naive(device_sectors, writes)
        if all(isinstance(workload[-1][-1], Flush) or not isinstance(client[-1], Flush) for client in workload)
        and sum(isinstance(one, Write) for one in workload[0]) * 2 >= writes
    }
    assert set(spelled) == wanted


def test_small_workloads_stay_within_their_devices() -> None:
    for workload in small_workloads((2, 1), 3):
        for client in workload:
            for one in client:
                assert isinstance(one, Flush) or one.sector < (2, 1)[one.device]


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(0, 1 << 32),
    st.integers(1, 16),
)
def test_what_is_drawn_keeps_to_the_devices_and_the_boundaries(
    device_sectors: list[int], seed: int, boundary: int
) -> None:
    workload = any_workload(device_sectors, Seeded(seed), boundary_sectors=boundary)
    assert workload
    assert all(workload)
    for client in workload:
        for one in client:
            assert 0 <= one.device < len(device_sectors)
            if not isinstance(one, Flush):
                assert one.sectors >= 1
                assert one.sector >= 0
                assert one.sector + one.sectors <= device_sectors[one.device]
                assert one.sector // boundary == (one.sector + one.sectors - 1) // boundary


def test_all_kinds_are_drawn() -> None:
    drawn: Counter[str] = Counter()
    clients, lengths = set(), set()
    for seed in range(300):
        workload = any_workload((4, 4), Seeded(seed), boundary_sectors=2)
        clients.add(len(workload))
        for client in workload:
            lengths.add(len(client))
            for one in client:
                drawn[type(one).__name__] += 1
                drawn["fua"] += isinstance(one, Write) and one.fua
                drawn["discard"] += isinstance(one, Zero) and one.discard
                drawn["long"] += not isinstance(one, Flush) and one.sectors == 2
    assert clients == {1, 2, 3}
    assert lengths == {1, 2, 3, 4, 5}
    assert all(drawn[kind] > 20 for kind in ("Write", "Zero", "Flush", "fua", "discard", "long"))


def test_the_ordinary_workload_is_one_write() -> None:
    assert any_workload((4,), Ordinary(), boundary_sectors=2) == ((Write(0, 0),),)
