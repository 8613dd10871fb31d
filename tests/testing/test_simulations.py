"""The strategies for simulations: workloads stay on their devices, and Hypothesis drives and shrinks the choices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from dmtable.errors import UsageError
from dmtable.sim.choices import Scripted
from dmtable.sim.faults import Call, Fault, Faults, Ill
from dmtable.sim.workload import Flush, Operation, Workload, Write, Zero
from dmtable.testing.simulations import DrawnChoices, fault_schedules, faults, operations, workloads

SIZES = (5, 12)


@given(workloads(sizes=SIZES, max_clients=2, max_operations=3, max_sectors=2))
def test_workloads_stay_on_their_devices(workload: Workload) -> None:
    assert 1 <= len(workload) <= 2
    for client in workload:
        assert 1 <= len(client) <= 3
        for operation in client:
            if not isinstance(operation, Flush):
                assert 1 <= operation.sectors <= 2
                assert 0 <= operation.sector <= SIZES[operation.device] - operation.sectors


@pytest.mark.parametrize(
    "wanted",
    [
        lambda one: isinstance(one, Write) and one.fua and one.sectors == 4,
        lambda one: isinstance(one, Write) and not one.fua and one.device == 1,
        lambda one: isinstance(one, Zero) and one.discard,
        lambda one: isinstance(one, Zero) and not one.discard,
        lambda one: isinstance(one, Flush) and one.device == 1,
    ],
)
def test_every_kind_of_operation_is_drawn(wanted: Callable[[Operation], bool]) -> None:
    find(operations(), wanted)


@given(operations(kinds=[Flush]))
def test_kinds_can_be_chosen(operation: Operation) -> None:
    assert isinstance(operation, Flush)


def run(choices: DrawnChoices | Scripted) -> list[int]:
    """A run that goes wrong when 3 is picked among 5, and ends then."""
    picked = []
    for number in range(6):
        picked.append(choices.pick(5, f"way {number}"))
        if picked[-1] == 3:
            break
    return picked


@given(st.data())
def test_a_script_replays_what_hypothesis_chose(data: st.DataObject) -> None:
    choices = DrawnChoices(data)
    assert run(choices) == choices.script == run(Scripted(choices.script))


def test_a_failing_run_shrinks_to_the_ordinary_course_but_for_what_matters() -> None:
    @st.composite
    def runs(draw: st.DrawFn) -> list[int]:
        return run(DrawnChoices(draw))

    assert find(runs(), lambda picked: 3 in picked) == [3]
    assert find(runs(), lambda picked: len(picked) == 6 and 2 in picked) == [0, 0, 0, 0, 0, 2]


@given(st.data())
def test_behind_the_limit_comes_the_ordinary_course(data: st.DataObject) -> None:
    choices = DrawnChoices(data, limit=2)
    assert [choices.pick(9, "way") for _ in range(5)][2:] == [0, 0, 0]
    assert len(choices.script) == 5


@given(fault_schedules(max_faults=2, last_call=4))
def test_schedules_strike_the_calls_they_name(placed: dict[int, Fault]) -> None:
    schedule = Faults(placed)
    struck = [schedule.strike("disk", call) for call in (Call.READ, Call.WRITE, Call.FLUSH, Call.DISCARD)]
    assert len(placed) <= 2
    # Calls of different kinds: what lasts does not meet another of its own.
    assert {number: fault for number, fault in enumerate(struck, 1) if fault} == placed


@pytest.mark.parametrize("ill", Ill)
def test_every_ill_is_drawn(ill: Ill) -> None:
    fault = find(faults(), lambda fault: fault.ill is ill)
    assert (fault.seconds > 0) == (ill is Ill.SLOW)
    assert not fault.lasting
    find(faults(ills=[Ill.ERROR]), lambda fault: fault.lasting)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: operations(sizes=[]),
        lambda: operations(sizes=[4, 0]),
        lambda: operations(max_sectors=0),
        lambda: operations(kinds=[]),
        lambda: workloads(min_clients=0),
        lambda: workloads(max_operations=0),
        lambda: faults(ills=[]),
        lambda: faults(max_seconds=0),
        lambda: fault_schedules(last_call=0),
        lambda: DrawnChoices(st.data(), limit=-1),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused_at_once(wrong: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        wrong()
