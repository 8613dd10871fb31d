"""Campaigns reach what they should, share the work, and tell a failure once and well."""

from __future__ import annotations

import multiprocessing
import os
from itertools import islice

import pytest

from dmtable.errors import DmtableError
from dmtable.sim.breach import Flaw
from dmtable.sim.explorer import Statistics
from dmtable.sim.playback import replay
from dmtable.sim.stack import Stack
from dmtable.sim.subject import Entered
from dmtable.sim.torture import Failure, Progress, Unit, campaign, share_of, units, work
from dmtable.sim.world import World
from tests.proving.reference import Defect, Reference, Replicator


def test_units_begin_with_small_groups_and_never_end() -> None:
    small = 3 + 18
    drawn = list(islice(units(Reference(), small=2, seed=7), 2 * small + 6))
    assert all(unit.seed is None and unit.departures == 0 for unit in drawn[:small])
    assert all(unit.seed is None and unit.departures == 1 for unit in drawn[small : 2 * small])
    assert [unit.seed for unit in drawn[2 * small :]] == [None, 7, None, 8, None, 9]
    assert [unit.seed for unit in islice(units(Reference(), small=0, seed=3), 3)] == [3, 4, 5]


def test_weather_strikes_a_workload_in_many_ways() -> None:
    def scripts(seed: int) -> set[tuple[int, ...]]:
        return {tuple(choices.pick(1000, "anything") for _ in range(9)) for choices in Unit("", (), seed=seed).runs()}

    assert len(scripts(3)) > 4
    assert len(scripts(4)) == 1
    assert not scripts(3) & scripts(5)


def test_jobs_share_all_units_and_keep_kin_together() -> None:
    drawn = list(islice(units(Reference(), small=2, seed=7), 60))
    shares = [list(share_of(iter(drawn), job, 2)) for job in (0, 1)]
    assert sorted(map(drawn.index, shares[0] + shares[1])) == list(range(60))
    assert not {unit.kin for unit in shares[0]} & {unit.kin for unit in shares[1]}
    assert abs(len(shares[0]) - len(shares[1])) <= 12


def test_the_same_seed_is_the_same_work() -> None:
    def told() -> list[Statistics | Failure]:
        left = iter(range(2))
        return list(work(Reference(), units(Reference(), small=0, seed=11), lambda: next(left, None) is None))

    assert told() == told()


def test_a_failure_ends_the_work_and_replays() -> None:
    subject = Reference(Defect.TORN_HEADER)
    *statistics, failure = work(subject, units(subject, small=1, seed=0), lambda: False)
    assert isinstance(failure, Failure)
    assert all(isinstance(told, Statistics) for told in statistics)
    assert failure.breach.flaw is Flaw.ORDER
    again = replay(subject, failure.script)
    assert again is not None
    assert again.flaw is Flaw.ORDER


def test_seeds_find_defects_and_their_scripts_replay() -> None:
    for defect in (Defect.REPLAY_OVER, Defect.EARLY_HEAD, Defect.ABANDONED_TAIL):
        subject = Reference(defect)
        *_, failure = work(subject, units(subject, small=0, seed=0), lambda: False)
        assert isinstance(failure, Failure)
        again = replay(subject, failure.script)
        assert again is not None
        assert again.flaw is failure.breach.flaw


def test_the_stack_of_mds_keeps_what_was_flushed() -> None:
    left = iter(range(8))
    sightings = Statistics()
    for told in work(Stack(), units(Stack(), small=0, seed=0), lambda: next(left, None) is None):
        assert isinstance(told, Statistics), told
        sightings.add(told)
    assert all(sightings.sightings[state] for state in Stack.sometimes)


def test_jobs_share_a_campaign_to_its_first_failure() -> None:
    told: list[Progress] = []
    subject = Reference(Defect.EARLY_CLEAR)
    end = campaign(subject, seed=0, small=1, jobs=2, seconds=60, tell=told.append)
    assert end.failure is not None
    assert end.failure.breach.flaw is Flaw.DIVERGED
    assert end.statistics.covered > 0
    assert told


def test_a_campaign_without_a_failure_ends_in_time() -> None:
    end = campaign(Reference(), seed=0, small=0, jobs=2, seconds=0.01, tell=lambda progress: None)
    assert end.failure is None


class Dying(Reference):
    """Takes its whole process along."""

    def open(self, world: World, entered: Entered) -> Replicator:
        os._exit(7)


class Endless(Reference):
    """Never comes back from opening."""

    def open(self, world: World, entered: Entered) -> Replicator:
        while True:
            pass


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(DmtableError, match=r"died in small workload 1 of 1 writes.*exit code 7"):
        campaign(Dying(), seed=0, jobs=1, seconds=60, tell=lambda progress: None)


def test_a_process_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmtable.sim.torture._GRACE_SECONDS", 0.0)
    with pytest.raises(DmtableError, match=r"in small workload 1 of 1 writes.* some step seems to take for ever"):
        campaign(Endless(), seed=0, jobs=1, seconds=0.01, tell=lambda progress: None)
    assert not multiprocessing.active_children()
