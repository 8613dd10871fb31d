"""Faults strike where they are placed or drawn, every call once, and can be written down."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.sim.cache import blank
from dmtable.sim.choices import Ordinary, Scripted, Seeded, exhaustive
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, FaultRates, Faults, Ill, Strike, every_call
from dmtable.sim.power import Power

ERROR = Fault(Ill.ERROR)


def three_writes(faults: Faults) -> list[bool]:
    """Writes thrice and flushes once; which of the four calls failed."""
    disk = SimDisk("disk", blank(4), Power(), faults=faults)
    failed = []
    calls: list[Callable[[], object]] = [partial(disk.pwrite, bytes(512), at * 512) for at in range(3)]
    for call in (*calls, disk.flush):
        try:
            call()
        except OSError:
            failed.append(True)
        else:
            failed.append(False)
    return failed


def test_every_call_fails_once() -> None:
    runs = [three_writes(faults) for faults in every_call(ERROR)]
    assert runs == [[number == failing for number in range(4)] for failing in range(5)]


def test_every_call_fails_from_then_on() -> None:
    """A lasting error concerns its kind of call alone: the flush goes on."""
    runs = [three_writes(faults) for faults in every_call(Fault(Ill.ERROR, lasting=True))]
    assert runs == [
        [True, True, True, False],
        [False, True, True, False],
        [False, False, True, False],
        [False, False, False, True],
        [False, False, False, False],
    ]


def test_only_what_is_concerned_is_struck() -> None:
    runs = [three_writes(faults) for faults in every_call(ERROR, lambda disk, call: call is Call.FLUSH)]
    assert runs == [[False, False, False, True], [False] * 4]
    assert [three_writes(faults) for faults in every_call(ERROR, lambda disk, call: disk == "other")] == [[False] * 4]


def test_a_lasting_fault_strikes_one_disk_until_it_is_healed() -> None:
    faults = Faults({2: Fault(Ill.ERROR, lasting=True), 6: Fault(Ill.SLOW)})
    calls = [("a", Call.WRITE), ("b", Call.WRITE), ("b", Call.READ), ("a", Call.WRITE), ("b", Call.WRITE)]
    assert [faults.strike(*call) is not None for call in calls] == [False, True, False, False, True]
    faults.heal()
    assert faults.strike("b", Call.WRITE) == Fault(Ill.SLOW)
    assert faults.strike("b", Call.WRITE) is None


def test_healed_for_good() -> None:
    faults = Faults({1: Fault(Ill.ERROR, lasting=True), 2: ERROR})
    faults.healed = True
    assert faults.strike("a", Call.WRITE) is None
    assert faults.calls == 0


def test_drawn_faults_need_choices() -> None:
    with pytest.raises(ValueError, match="choices"):
        Faults(rates=FaultRates())


def test_in_the_ordinary_course_nothing_is_drawn() -> None:
    faults = Faults(rates=FaultRates(((Call.WRITE, Ill.ERROR, 1),)), choices=Ordinary())
    assert not any(three_writes(faults))


def test_every_rate_is_drawn_by_some_choice() -> None:
    rates = FaultRates(
        ((Call.WRITE, Ill.ERROR, 1), (Call.WRITE, Ill.SLOW, 1), (Call.READ, Ill.ROT, 1)), lasting_one_in=1
    )
    drawn = [Faults(rates=rates, choices=choices).strike("disk", Call.WRITE) for choices in exhaustive()]
    assert drawn == [None, Fault(Ill.SLOW, seconds=0.01), ERROR, Fault(Ill.ERROR, lasting=True)]


@given(st.integers(0, 1 << 20))
def test_what_was_drawn_comes_again(seed: int) -> None:
    rates = FaultRates(((Call.WRITE, Ill.ERROR, 3), (Call.FLUSH, Ill.ERROR, 2)), lasting_one_in=2)
    seeded = Seeded(seed)
    drawn = Faults(rates=rates, choices=seeded)
    failed = three_writes(drawn)
    for again in (Faults(rates=rates, choices=Scripted(seeded.script)), Faults(drawn.as_placed())):
        assert three_writes(again) == failed
        assert again.struck == drawn.struck


some_faults = st.builds(
    Fault,
    st.sampled_from(Ill),
    st.sampled_from([errno.EIO, errno.ENOSPC, errno.ENOLINK, 9999]),
    st.booleans(),
    st.floats(0, 1e6),
)
some_rates = st.builds(
    FaultRates,
    st.lists(st.tuples(st.sampled_from(Call), st.sampled_from(Ill), st.integers(1, 999)), max_size=4).map(tuple),
    st.integers(0, 9),
    st.floats(0, 1e6),
)


@given(some_faults, some_rates)
def test_faults_can_be_written_down(fault: Fault, rates: FaultRates) -> None:
    assert Fault.parse(str(fault)) == fault
    assert FaultRates.parse(str(rates)) == rates
    assert len({fault, Fault.parse(str(fault))}) == 1
    assert len({rates, FaultRates.parse(str(rates))}) == 1


def test_their_words() -> None:
    assert str(Fault(Ill.SLOW, seconds=0.5)) == "slow, 0.5 s"
    assert str(Fault(Ill.HALF, errno.ENOSPC, lasting=True)) == "half done, ENOSPC, lasting"
    rates = FaultRates(((Call.WRITE, Ill.ROT, 50),), lasting_one_in=4)
    assert str(rates) == "write bit rot 1/50, lasting 1/4, slow 0.01 s"


@pytest.mark.parametrize("text", ["", "eror", "error, EWHAT", "slow, x s"])
def test_bad_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Fault.parse(text)


@pytest.mark.parametrize("text", ["", "write error, slow 1 s", "wrote error 1/2, slow 1 s", "lasting 1/x, slow 1 s"])
def test_bad_rates(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FaultRates.parse(text)


def test_the_summary() -> None:
    faults = Faults({1: ERROR, 2: Fault(Ill.ERROR, lasting=True), 4: Fault(Ill.LOST)})
    assert faults.summary() == "nothing went wrong in 0 calls"
    three_writes(faults)
    assert faults.struck[0] == Strike(1, "disk", Call.WRITE, ERROR)
    assert faults.summary().splitlines() == [
        "call 1, write of disk: error",
        "call 2, write of disk: error, lasting (2 times)",
        "call 4, flush of disk: lost",
    ]
