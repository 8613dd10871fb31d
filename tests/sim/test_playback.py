"""Scripts played again: the same run to the last event, and simpler ones that show the same."""

from __future__ import annotations

import pytest

from dmtable.sim.breach import Breach, Flaw
from dmtable.sim.choices import Seeded
from dmtable.sim.life import Life, created
from dmtable.sim.order import History
from dmtable.sim.playback import replay, shrink
from dmtable.sim.runtime import Event
from dmtable.sim.script import Act, Script
from dmtable.sim.workload import Flush, Workload, Write, any_workload
from tests.proving.reference import Defect, Reference, sound
from tests.sim import tiny
from tests.sim.tiny import Asynchronous, Tiny

TWO: Workload = ((Write(0, 0),), (Write(0, 1),))


def lived(workload: Workload, seed: int, *, weather: bool) -> tuple[Life, Script]:
    """A life that was drawn, and the script of it."""
    choices = Seeded(seed)
    history = History(sound.device_sectors)
    life = Life(sound, created(sound), history, choices=choices, weather=weather, traced=True)
    assert life.live(workload) is None
    return life, Script((Act(workload, tuple(choices.script), weather=weather),))


@pytest.mark.parametrize("weather", [False, True], ids=["fair", "weather"])
def test_a_run_replays_to_the_last_event(weather: bool) -> None:
    traces, cut = set(), 0
    for seed in range(25):
        workload = any_workload(sound.device_sectors, Seeded(seed), boundary_sectors=2)
        life, script = lived(workload, seed, weather=weather)
        trace: list[Event] = []
        assert replay(sound, Script.loads(script.dumps()), trace) is None
        assert trace == life.world.trace
        traces.add(life.world.runtime.digest())
        cut += life.world.sightings["link down"]
        life.close()
    assert len(traces) > 20
    assert (cut > 0) == weather


def test_the_power_fails_where_the_script_says_and_leaves_what_it_says() -> None:
    """Behind the first write to the disk here either sector may survive, the other not."""
    long = ((Write(0, 0, 2),),)
    flawed = replay(Asynchronous(), Script((Act(long, (), 4, {"here": {0: 1}}), Act())))
    assert flawed == Breach(Flaw.TORN, "site 0 at rest has only some sectors of entry 1")
    for kept in ({}, {0: 1, 1: 1}):
        assert replay(Asynchronous(), Script((Act(long, (), 4, {"here": kept}), Act()))) is None
    # Before the write nothing can survive, whatever a script says.
    assert replay(Asynchronous(), Script((Act(long, (), 3, {"here": {0: 1}}), Act()))) is None


def test_what_was_promised_before_a_power_loss_must_be_there_after_the_next() -> None:
    workload = ((Write(0, 0), Flush(0)),)
    script = Script((Act(workload), Act(power_fails_before=1), Act()))
    assert replay(Tiny(), script) is None
    forgets = replay(Tiny(tiny.ForgetsAtOpening), Script((Act(workload, (), 99), Act())))
    assert forgets is not None
    assert forgets.flaw is Flaw.LOST


def test_the_trace_says_what_happened() -> None:
    trace: list[Event] = []
    replay(Tiny(), Script((Act(TWO, (), 4), Act(TWO))), trace)
    words = [f"{who} {what}" for _, who, what in trace]
    assert "client 1 runs" in words
    assert "here write 0+1" in words
    assert words.count("there flush") >= 2


def test_a_script_is_shrunk_to_what_matters() -> None:
    """All but the one write, and the power loss behind it, is noise."""
    subject = Tiny(tiny.Early)
    noise: Workload = ((Write(0, 1), Flush(0), Write(0, 0)), (Write(0, 1),), (Flush(0),))
    found = None
    for call in range(1, 30):
        script = Script((Act(noise, (0, 0, 1, 0, 2), call, {"here": {0: 1, 1: 1}}),))
        found = replay(subject, script)
        if found is not None:
            break
    assert found is not None
    assert found.flaw is Flaw.LOST
    shrunk = shrink(subject, script, Flaw.LOST)
    assert len(shrunk) == 2
    assert sum(map(len, shrunk.acts[0].workload)) == 1
    assert replay(subject, shrunk) is not None


def test_nothing_is_shrunk_to_another_flaw() -> None:
    subject = Reference(Defect.DEVICE_BLIND)
    script = Script((Act(((Write(0, 0), Write(1, 0)), (Write(1, 1),))),))
    found = replay(subject, script)
    assert found is not None
    assert shrink(subject, script, Flaw.STUCK) == script
    assert len(shrink(subject, script, found.flaw)) == 1
