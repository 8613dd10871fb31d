"""Plans against closed forms: what a constant load, an outage and a round trip come to can be told beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtable.errors import UsageError
from dmtable.sim.planning import model as model_module
from dmtable.sim.planning.course import Course
from dmtable.sim.planning.load import Burst, Load, Steady, Trace, Write
from dmtable.sim.planning.model import Model, Plan
from dmtable.sim.planning.play import play
from dmtable.sim.planning.wan import Wan
from dmtable.slink.link import FallBehind, Measure, Policy

SECTORS = 128
SIZE = SECTORS * 512
ENTRY_SECTORS = SECTORS + 8
REGION = 2048
LARGE_LOG = 1 << 21
STALL = Plan(Policy(stall=True))
SYNC = Plan(Policy(synchronous=True))


def steady(writes_a_second: float, seconds: float, devices: int = 1) -> Steady:
    return Steady(writes_a_second * SIZE, SECTORS, seconds, 64 * REGION, devices)


def wan(writes_a_second: float, rtt: float = 0.0, *outages: tuple[float, float]) -> Wan:
    return Wan(writes_a_second * SIZE, rtt, outages)


def played(load: Load, link: Wan, plan: Plan, log_sectors: int = LARGE_LOG) -> Course:
    return play(load, link, Model.of(load, log_sectors, REGION, [plan]), plan)


def limited(measure: Measure, limit: int) -> Plan:
    return Plan(limit=FallBehind(measure, limit, limit, "s" if measure is Measure.SIZE else ""))


# Against closed forms.


def test_what_the_link_cannot_carry_falls_behind_steadily() -> None:
    course = played(steady(20, 60, devices=2), wan(8), STALL)
    assert course.one_in == 1
    for at in course.instants:
        if at.seconds <= 60:
            assert at.behind_writes == pytest.approx((20 - 8) * at.seconds, abs=2)
            # Entries go out of the log 64 at a time.
            assert -3 <= at.log_share * LARGE_LOG / ENTRY_SECTORS - at.behind_writes <= 66
            # The oldest that is lacking came when the link was that far.
            assert at.loss_seconds == pytest.approx(at.seconds * (1 - 8 / 20), abs=0.2)
    assert course.caught_up_at == pytest.approx(60 * 20 / 8, abs=0.3)
    assert course.log_full_at is None
    assert not course.waited_writes


@pytest.mark.parametrize("entries", [300, 500])
def test_the_log_is_full_when_the_difference_fills_it(entries: int) -> None:
    log = 24 + entries * ENTRY_SECTORS
    stalled = played(steady(40, 60), wan(20), STALL, log)
    # What the site has leaves the log 64 at a time, until somebody waits.
    assert stalled.log_full_at is not None
    assert -66 <= stalled.log_full_at * (40 - 20) - entries <= 2
    assert not stalled.takeovers
    assert not stalled.disordered
    # From then on writers are as fast as the link.
    assert stalled.acknowledged == pytest.approx(60 * 20 + entries, abs=5)
    dropping = played(steady(40, 60), wan(20), Plan(), log)
    assert dropping.log_full_at == stalled.log_full_at
    assert dropping.takeovers
    # The site loses its order a second behind, and a copy of regions is in none.
    assert dropping.disordered[0].begin == pytest.approx(entries / (40 - 20) + 1, abs=0.7)
    assert dropping.worst_resync_bytes >= REGION * 512
    assert any(at.loss_seconds is None and at.resync_bytes for at in dropping.instants)
    assert dropping.caught_up_at is not None


def test_a_synchronous_write_takes_a_round_trip() -> None:
    link = wan(100, 0.05)
    course = played(steady(5, 20), link, SYNC)
    assert course.waited_writes == course.writes == 100
    assert course.longest_wait_seconds == pytest.approx(0.05 + 1 / 100)
    assert course.total_wait_seconds == pytest.approx(100 * link.write_seconds(SECTORS))
    assert not course.worst_behind.behind_writes


def test_a_round_trip_bounds_what_a_site_takes() -> None:
    course = played(steady(20, 30), wan(1e6, 0.1), STALL)
    assert course.caught_up_at == pytest.approx(20 * 30 * 0.1, abs=0.3)


def test_an_outage_is_made_good() -> None:
    course = played(steady(10, 30), wan(100, 0.0, (5, 4)), Plan())
    assert all(not at.behind_writes or at.loss_seconds is not None for at in course.instants)
    assert [at.behind_writes for at in course.instants if 4.5 < at.seconds < 5] == [0, 0, 0]
    # Tested after 1, 3 and 7 seconds, it is found to be up at 12.
    assert course.worst_behind.behind_writes == pytest.approx(10 * 7, abs=2)
    assert course.worst_loss_seconds == pytest.approx(7, abs=0.3)
    assert course.caught_up_at == pytest.approx(30, abs=0.2)
    assert not course.disordered


# The numbers are the replicator's own.


@given(
    rate=st.integers(1, 40),
    carried=st.integers(1, 40),
    rtt=st.sampled_from([0.0, 0.03]),
    limit=st.integers(1, 30),
    measure=st.sampled_from([Measure.IOS, Measure.SIZE]),
    outage=st.booleans(),
    stall=st.booleans(),
)
@settings(max_examples=25)
def test_no_more_is_acknowledged_and_lacking_than_the_limit(
    rate: int, carried: int, rtt: float, limit: int, measure: Measure, outage: bool, stall: bool
) -> None:
    plan = limited(measure, limit * (SECTORS if measure is Measure.SIZE else 1))
    plan = replace(plan, policy=Policy(stall=stall))
    course = played(steady(rate, 10, 2), wan(carried, rtt, *([(3, 2)] if outage else [])), plan)
    assert max(at.behind_writes for at in (course.worst_behind, *course.instants)) <= limit
    if rate > carried:
        assert course.waited_writes


def test_an_old_write_holds_the_others_up() -> None:
    course = played(steady(20, 30), wan(10), limited(Measure.TIMEOUT, 2000))
    assert course.waited_writes
    # None is acknowledged once the oldest is older; those before it may be as old as all of them take.
    assert 2 < course.worst_loss_seconds < 4.5


# Scale.


def test_a_scale_model_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    load, link, log = steady(40, 60), wan(20, 0.01), 24 + 800 * ENTRY_SECTORS
    whole = [played(load, link, plan, log) for plan in (Plan(), STALL, SYNC)]
    monkeypatch.setattr(model_module, "MOST_WRITES", 400)
    for plan, full in zip((Plan(), STALL, SYNC), whole, strict=True):
        scaled = played(load, link, plan, log)
        assert (full.one_in, scaled.one_in) == (1, 6)
        assert scaled.worst_behind.behind_bytes == pytest.approx(full.worst_behind.behind_bytes, abs=12 * SIZE)
        assert scaled.worst_loss_seconds == pytest.approx(full.worst_loss_seconds, rel=0.05)
        assert scaled.log_full_at == pytest.approx(full.log_full_at, abs=4)
        assert scaled.acknowledged == pytest.approx(full.acknowledged, rel=0.02)
        assert scaled.longest_wait_seconds == pytest.approx(full.longest_wait_seconds, abs=1)
        assert len(scaled.disordered) == len(full.disordered)


def test_a_wait_of_the_model_is_told_without_what_the_model_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "MOST_WRITES", 10)
    course = played(steady(5, 20), wan(100, 0.05), SYNC)
    assert course.one_in == 10
    assert course.longest_wait_seconds == pytest.approx(0.06)


def test_what_cannot_be_seen_at_the_scale_is_refused() -> None:
    load = steady(1000, 200)
    with pytest.raises(UsageError, match=r"must be played at 1:\d+, at which async ios=2 cannot be seen; give a"):
        Model.of(load, LARGE_LOG, REGION, [limited(Measure.IOS, 2)])
    with pytest.raises(UsageError, match="size=300s cannot be seen"):
        Model.of(load, LARGE_LOG, REGION, [limited(Measure.SIZE, 300)])
    with pytest.raises(UsageError, match="a log of 4,096 KiB cannot be seen"):
        Model.of(load, 8192, REGION, [Plan()])
    with pytest.raises(UsageError, match="would be split: writes may have 1024 KiB"):
        Model.of(Steady(1e6, 4096, 10, 1 << 20), LARGE_LOG, REGION, [Plan()])


# Loads.


def test_a_steady_load_writes_in_turn_and_begins_anew() -> None:
    load = Steady(1024 * 10, 2, 0.6, 4, 2)
    assert load.count == 6
    writes = list(load.every(1))
    assert [(write.device, write.sector) for write in writes] == [(0, 0), (1, 0), (0, 2), (1, 2), (0, 0), (1, 0)]
    assert [write.seconds for write in writes] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [write.seconds for write in load.every(2)] == pytest.approx([0.2, 0.4, 0.6])


def test_bursts_come_at_the_end_of_their_periods() -> None:
    load = Steady(512, 1, 20, 1000, bursts=[Burst(5120, 2, 10)])
    assert load.count == 8 + 20 + 8 + 20
    times = [write.seconds for write in load.every(1)]
    assert len(times) == load.count
    assert sum(8 < time <= 10.01 for time in times) == 20
    assert sum(time < 8.01 for time in times) == 8


def test_random_writes_are_the_same_in_each_run() -> None:
    load = Steady(1e6, 8, 1, 1 << 20, at_random=True)
    first, second = list(load.every(1)), list(load.every(1))
    assert first == second
    assert len({write.sector for write in first}) > len(first) // 2


def test_a_trace_is_played_as_it_stands() -> None:
    trace = Trace([Write(0, 0, 0, 8), Write(0.5, 1, 8, 16, True), Write(2, 0, 4096, 8)])
    assert (trace.devices, trace.device_sectors, trace.max_sectors, trace.count) == (2, 4104, 16, 3)
    assert list(trace.every(3)) == [Write(2, 0, 4096, 8)]
    course = played(trace, wan(100, 0.01), SYNC)
    assert course.waited_writes == 3
    assert course.longest_wait_seconds == pytest.approx(0.01 + 16 / SECTORS / 100)
    with pytest.raises(UsageError, match="goes back in time"):
        Trace([Write(1, 0, 0, 8), Write(0, 0, 0, 8)])
    with pytest.raises(UsageError, match="no writes"):
        Trace([])
