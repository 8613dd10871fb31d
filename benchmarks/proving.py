"""The proving ground: checks, and crash states, a second."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from itertools import islice

from benchmarks.measure import Row
from dmtable.sim.choices import exhaustive
from dmtable.sim.explorer import Explorer
from dmtable.sim.ink import stamp, tags_of_bytes
from dmtable.sim.order import History, Prefix
from dmtable.sim.replicator import Replicator
from dmtable.sim.torture import campaign
from dmtable.sim.workload import Flush, Workload, Write
from tests.proving.reference import Reference

_IMAGES = 20_000
_DEVICES, _DEVICE_SECTORS = 16, 1 << 17  # a GiB
_WORKLOADS: tuple[Workload, ...] = (
    ((Write(0, 0), Write(1, 0)), (Write(0, 0, fua=True),)),
    ((Write(0, 0), Write(1, 0), Write(0, 0), Write(1, 1)),),
)
_SIDE_BY_SIDE: tuple[Workload, ...] = (
    ((Write(0, 0),), (Write(0, 0),)),
    ((Write(0, 0, fua=True),), (Write(0, 0, fua=True),)),
    ((Write(0, 0),), (Write(0, 0), Flush(0))),
)
_FOUR_WRITES: Workload = ((Write(0, 0), Write(1, 0)), (Write(0, 0), Write(1, 1)))
_ROUNDS = 5
_CAMPAIGN_SECONDS = 20.0


def rows() -> list[Row]:
    return [
        Row(
            "order checker, 8 sectors and 6 writes: prefix or not",
            "four in five a prefix",
            _checks(),
            300_000,
            True,
            "/s",
        ),
        Row("order checker, 1 GiB of image", "stamps read, order judged", _gibibyte(), 20, unit=" s"),
        Row("explorer, reference replicator, one core", "crash states covered", _explored(), 20_000, True, "/s"),
        Row("explorer, the replicator, one core", "crash states covered", _replicated(), 10_000, True, "/s"),
        Row("the replicator, 4 writes, 320 orders of turns", "every power loss, twice", _four_writes(), 60, unit=" s"),
        Row("torture on two cores", "on one", _two_jobs(), 1.7, True),
    ]


def _checks() -> float:
    chance = random.Random(5)
    history = History((4, 4))
    for tag in range(1, 7):
        sector = chance.randrange(4)
        history.enter(chance.randrange(2), sector, chance.randint(1, 4 - sector), tag)
    images = []
    for _ in range(_IMAGES):
        number = chance.randrange(6)
        between = range(number, number + 2) if chance.random() < 0.75 else range(7)
        images.append([chance.choice([history.image(prefix)[at] for prefix in between]) for at in range(8)])

    def check() -> None:
        for shown in images:
            history.prefix(shown)

    return _IMAGES / _seconds(check)


def _gibibyte() -> float:
    history = History([_DEVICE_SECTORS] * _DEVICES)
    for device in range(_DEVICES):
        history.enter(device, 0, _DEVICE_SECTORS, device + 1)
    seconds, shown = 0.0, []
    for device in range(_DEVICES):
        image = stamp(device + 1, device, 0, _DEVICE_SECTORS)
        begin = time.perf_counter()
        shown += tags_of_bytes(image, device)
        seconds += time.perf_counter() - begin
    begin = time.perf_counter()
    assert history.judge(shown) == Prefix(_DEVICES, _DEVICES)
    return seconds + time.perf_counter() - begin


def _explored() -> float:
    """All orders of turns with up to two departures, recovery, work behind it and a second power loss included."""
    explorer = Explorer(Reference())
    begin = time.perf_counter()
    for workload in _WORKLOADS:
        explorer.explore(workload)
    return explorer.statistics.covered / (time.perf_counter() - begin)


def _replicated() -> float:
    """All workloads of up to two writes side by side, under all orders of turns with up to two departures."""
    explorer = Explorer(Replicator())
    begin = time.perf_counter()
    for workload in _SIDE_BY_SIDE:
        explorer.explore(workload)
    return explorer.statistics.covered / (time.perf_counter() - begin)


def _four_writes() -> float:
    explorer = Explorer(Replicator())
    begin = time.perf_counter()
    for choices in islice(exhaustive(2), 320):
        explorer.run(_FOUR_WRITES, choices)
    return time.perf_counter() - begin


def _two_jobs() -> float:
    one, two = (_campaign(jobs) for jobs in (1, 2))
    return two / one


def _campaign(jobs: int) -> float:
    end = campaign(Reference(), seed=1, small=3, jobs=jobs, seconds=_CAMPAIGN_SECONDS, tell=lambda progress: None)
    return end.statistics.covered / end.seconds


def _seconds(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)
