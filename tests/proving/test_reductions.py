"""The explorer's reductions, against brute force that makes none of them.

A selection runs with the other tests: every workload of one write for every defect that it shows, and all first
lives of two writes. `make brute` (DMTABLE_BRUTE=1) runs every defect in every workload of up to two writes, which takes
the better part of an hour.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from dmtable.sim.cache import Image
from dmtable.sim.cache import State as DiskState
from dmtable.sim.choices import Seeded, exhaustive
from dmtable.sim.explorer import Explorer, Flawed
from dmtable.sim.life import Life, created
from dmtable.sim.order import History
from dmtable.sim.workload import Flush, Workload, Write, small_workloads
from tests.proving.brute import (
    AFTERWARDS,
    BLANK,
    Brute,
    Flaw,
    Images,
    Machine,
    Place,
    contents,
    every_way,
    surviving,
)
from tests.proving.reference import Defect, Reference, sound

ALL = os.environ.get("DMTABLE_BRUTE") == "1"
DEPARTURES = 2
State = tuple[tuple[Image, ...], tuple[Place, ...]]
"""What a power loss leaves, and what was entered before it."""

ONE_WRITE: Workload = ((Write(0, 0),),)
DURABLE_WRITE: Workload = ((Write(0, 0, fua=True),),)
TWO_WRITES: Workload = ((Write(0, 0), Write(0, 0)),)
QUICK: list[tuple[Defect | None, Workload]] = [
    (None, ONE_WRITE),
    (None, DURABLE_WRITE),
    (Defect.EARLY_ACK, DURABLE_WRITE),
    *((defect, ONE_WRITE) for defect in (Defect.EARLY_CLEAR, Defect.EARLY_HEAD, Defect.TORN_HEADER)),
    (Defect.REORDER, TWO_WRITES),
    (Defect.DEVICE_BLIND, ((Write(0, 0), Write(1, 0)),)),
]
WHOLE: list[tuple[Defect | None, Workload]] = [
    (defect, workload)
    for defect in (None, *Defect)
    for writes in (1, 2)
    for workload in small_workloads(Reference.device_sectors, writes)
]


def brutes(memory: dict[Defect | None, Brute], defect: Defect | None) -> Brute:
    """One for each defect: what it knows of recoveries serves all workloads."""
    if defect not in memory:
        memory.clear()
        memory[defect] = Brute(defect)
    return memory[defect]


@pytest.fixture(scope="module")
def memory() -> dict[Defect | None, Brute]:
    return {}


def told(case: object) -> str:
    if case is None or isinstance(case, Defect):
        return "sound" if case is None else case.name
    assert isinstance(case, tuple)
    letters = {Write: "W", Flush: "F"}
    return "+".join(
        "".join(
            letters[type(one)] + (f"{one.device}{one.sector}{'!' * one.fua}" if isinstance(one, Write) else "")
            for one in client
        )
        for client in case
    )


@pytest.mark.parametrize(("defect", "workload"), WHOLE if ALL else QUICK, ids=told)
def test_whatever_brute_force_finds_the_explorer_finds(
    defect: Defect | None, workload: Workload, memory: dict[Defect | None, Brute]
) -> None:
    explorer, brute = Explorer(Reference(defect)), brutes(memory, defect)
    by_explorer = by_brute = ""
    try:
        explorer.explore(workload, departures=DEPARTURES)
    except Flawed as flawed:
        by_explorer = str(flawed)
    try:
        brute.explore(workload)
    except Flaw as flaw:
        by_brute = str(flaw)
    # The explorer may find more: its crashes include those in which only a process dies, and work beside a recovery.
    assert by_explorer or not by_brute, by_brute
    if defect is None:
        assert not by_explorer, by_explorer


def seen_by_brute_force(workload: Workload) -> set[State]:
    """What power losses in the first life can leave."""
    ways = every_way(lambda: Machine(None, BLANK, workload))
    assert not ways.wrong
    return {(contents(images), seen.entered) for seen in ways.seen for images in surviving(seen.state)}


def seen_by_the_explorer(workload: Workload, departures: int) -> set[State]:
    """The same as the explorer comes by it: power losses before calls only, few orders of turns."""
    images = created(sound)
    states: set[State] = set()
    for choices in exhaustive(departures):
        history = History(sound.device_sectors)
        life = Life(sound, images, history, choices=choices, watched=True)
        assert life.live(workload) is None
        life.close()
        for moment in life.moments:
            entered = tuple((entry.device, entry.sector, entry.tag) for entry in history.entries[: moment.entered])
            states.update((left, entered) for left in itertools.product(*map(of_one_disk, moment.disks)))
    return states


def of_one_disk(state: DiskState) -> Iterator[Image]:
    durable, unflushed = state
    for chosen in itertools.product(*[{durable[at], *versions} for at, versions in unflushed]):
        kept = dict(zip([at for at, _ in unflushed], chosen, strict=True))
        yield tuple([kept.get(at, sector) for at, sector in enumerate(durable)])


def test_with_enough_departures_the_explorer_sees_all_that_there_is() -> None:
    """So it is enough to let the power fail before calls that change a disk: the first reduction is exact."""
    assert seen_by_the_explorer(ONE_WRITE, 3) == seen_by_brute_force(ONE_WRITE)


TWOS = [*small_workloads(Reference.device_sectors, 2)] if ALL else [TWO_WRITES]


@pytest.mark.parametrize("workload", TWOS, ids=told)
def test_what_the_explorer_sees_is_possible(workload: Workload) -> None:
    """With two departures it sees at least four fifths of what there is."""
    everything, few, more = seen_by_brute_force(workload), *(seen_by_the_explorer(workload, d) for d in (1, 2))
    assert few < more <= everything
    assert len(more) > 0.8 * len(everything)


def owed_by_both_sites() -> Images:
    """The disks of a group whose only entry is in the log, and on one site, but no bit of it is cleared."""
    machine = Machine(None, BLANK, ONE_WRITE)
    local = list(Reference.disks).index("here 0")
    while not any(machine.images()[local]):
        machine.take(machine.ready()[0])
    return machine.images()


def test_equal_states_have_equal_futures() -> None:
    """Of a small recovery every order is followed to its end, equal states or not: the same is seen."""
    images = owed_by_both_sites()
    merged = every_way(lambda: Machine(None, images, ()))
    unmerged = every_way(lambda: Machine(None, images, ()), merged=False)
    assert unmerged.runs > 100 * merged.runs
    assert merged.seen == unmerged.seen
    assert merged.ends == unmerged.ends


@pytest.mark.parametrize("workload", [ONE_WRITE, TWO_WRITES], ids=told)
def test_any_order_at_all_is_among_those_that_were_merged(workload: Workload) -> None:
    merged = every_way(lambda: Machine(None, BLANK, workload, AFTERWARDS if workload is ONE_WRITE else ()))
    for seed in range(300):
        choices = Seeded(seed)
        machine = Machine(None, BLANK, workload, AFTERWARDS if workload is ONE_WRITE else ())
        while ready := machine.ready():
            machine.take(ready[choices.pick(len(ready), "who runs")])
        assert machine.seen <= merged.seen
        assert (machine.images(), tuple(machine.entered), machine.rest) in merged.ends
