"""Each planted defect is found, shown again and made simple; the sound replicator passes."""

from __future__ import annotations

from functools import cache

import pytest

from dmtable.sim.breach import Flaw
from dmtable.sim.explorer import Explorer, Statistics
from dmtable.sim.playback import replay, shrink
from dmtable.sim.script import Script, shortened
from dmtable.sim.workload import Client, Flush, Workload, Write, small_workloads
from tests.proving.defects import Found, hunt
from tests.proving.reference import SLOTS, Defect, Reference, sound

EXPECTED = {
    Defect.REORDER: (Flaw.DIVERGED, "at rest site 0 holds 2 entries, site 1 holds 1 entry"),
    Defect.EARLY_ACK: (Flaw.LOST, "at rest the group holds 0 entries, and must hold 1"),
    Defect.EARLY_CLEAR: (Flaw.DIVERGED, "at rest site 0 holds 0 entries, site 1 holds 1 entry"),
    Defect.EARLY_HEAD: (Flaw.DIVERGED, "at rest site 0 holds 1 entry, site 1 holds 0 entries"),
    Defect.STALE_LAP: (Flaw.DIVERGED, "at rest site 0 holds 3 entries, site 1 holds 2 entries"),
    Defect.DEVICE_BLIND: (Flaw.CORRUPT, "at rest: device 0, sector 0 holds what belongs to device 1, sector 0"),
    Defect.TORN_HEADER: (Flaw.ORDER, "shows a write with the tag 1, which is not in the history"),
    Defect.REPLAY_OVER: (Flaw.DIVERGED, "at rest site 0 holds 1 entry, site 1 holds 2 entries"),
    Defect.ABANDONED_TAIL: (Flaw.ORDER, "shows a write with the tag 2, which is not in the history"),
}
WRITES = {
    **dict.fromkeys(Defect, 1),
    **dict.fromkeys((Defect.DEVICE_BLIND, Defect.REPLAY_OVER, Defect.ABANDONED_TAIL), 2),
    Defect.STALE_LAP: 3,
}
"""So few show it."""
each_defect = pytest.mark.parametrize("defect", Defect, ids=lambda defect: defect.name)


@cache
def found(defect: Defect) -> Found:
    """The first thing that the explorer says of a defect."""
    found = hunt(defect)
    assert found is not None, f"nobody notices that it {defect.value}"
    return found


@cache
def simplest(defect: Defect) -> Script:
    return shrink(Reference(defect), found(defect).script, found(defect).breach.flaw)


def shown(defect: Defect, script: Script) -> Flaw | None:
    breach = replay(Reference(defect), script)
    return None if breach is None else breach.flaw


def explored(cases: list[tuple[int, int]]) -> Statistics:
    """The sound replicator, with so many writes and departures."""
    statistics = Statistics()
    for writes, departures in cases:
        explorer = Explorer(sound)
        for workload in small_workloads(Reference.device_sectors, writes):
            explorer.explore(workload, departures=departures)
        statistics.add(explorer.statistics)
    return statistics


def test_every_defect_has_its_flaw() -> None:
    assert set(EXPECTED) == set(Defect)


@each_defect
def test_a_defect_is_found_for_what_it_is(defect: Defect) -> None:
    flaw, text = EXPECTED[defect]
    assert found(defect).breach.flaw is flaw
    assert text in found(defect).breach.text
    asked = [one for client in found(defect).script.acts[0].workload for one in client]
    assert sum(isinstance(one, Write) for one in asked) == WRITES[defect]


@each_defect
def test_the_script_shows_it_again(defect: Defect) -> None:
    flawed = found(defect)
    assert replay(Reference(defect), flawed.script) == flawed.breach
    assert replay(Reference(defect), Script.loads(flawed.script.dumps())) == flawed.breach


@each_defect
def test_the_sound_replicator_passes_the_same_script(defect: Defect) -> None:
    assert replay(sound, found(defect).script) is None
    assert replay(sound, simplest(defect)) is None


@each_defect
def test_the_simplest_script_shows_it_and_nothing_in_it_can_go(defect: Defect) -> None:
    flawed = found(defect)
    script = simplest(defect)
    assert shown(defect, script) is flawed.breach.flaw
    assert len(script) <= len(flawed.script)
    for simpler in shortened(script):
        assert shown(defect, simpler) is not flawed.breach.flaw, simpler.story()


def test_the_sound_replicator_passes_whatever_the_order_and_wherever_the_power_fails() -> None:
    statistics = explored([(1, 2), (2, 1)])
    assert statistics.covered > 50_000
    assert statistics.visited > 500


LONG: tuple[Client, ...] = (
    tuple(Write(number % 2, 0) for number in range(SLOTS + 2)),
    (Write(0, 0, 2), Write(1, 1), Write(0, 1), Flush(1)),
)
SIDE_BY_SIDE: Workload = ((Write(0, 0),), (Write(1, 0),))


def test_every_state_worth_reaching_is_reached() -> None:
    explorer = Explorer(sound)
    explorer.explore(SIDE_BY_SIDE, departures=0)
    explorer.explore(LONG, departures=0)
    for state in Reference.sometimes:
        assert explorer.statistics.sightings[state], state
