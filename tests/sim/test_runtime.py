"""The simulated runtime: turns, preemptions, parked processes, the clock, and how a run ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.errors import UsageError
from dmtable.runtime.runtime import RunningWorker, Worker
from dmtable.sim.choices import Choices, Ordinary, Scripted, Seeded, exhaustive
from dmtable.sim.deadlock import Deadlock, Livelock, WouldBlock
from dmtable.sim.runtime import SimRuntime


class Does(Worker):
    """A Worker whose step is told."""

    def __init__(self, name: str, step: Callable[[], object]) -> None:
        self.name = name
        self._step = step

    def step(self) -> bool:
        return bool(self._step())


class Countdown(Worker):
    """Has so many steps to do, and writes its name down for each."""

    def __init__(self, name: str, steps: int, done: list[str]) -> None:
        self.name = name
        self.left = steps
        self._done = done

    def step(self) -> bool:
        self.left -= 1
        self._done.append(self.name)
        return self.left > 0


class PowerCut(BaseException):
    """As a simulated power loss: no Exception."""


@pytest.fixture
def runtime() -> Iterator[SimRuntime]:
    runtime = SimRuntime()
    yield runtime
    runtime.close()


# Turns and preemptions.


def orders(left: dict[str, int], preemptions: float, last: str = "") -> Iterator[str]:
    """Every order of the steps of tasks, found the naive way: a switch from a task with steps left costs one."""
    if not any(left.values()):
        yield ""
    for name, steps in left.items():
        cost = last != "" and name != last and left[last] > 0
        if steps and cost <= preemptions:
            for rest in orders({**left, name: steps - 1}, preemptions - cost, name):
                yield name + rest


def run_workers(choices: Choices, steps: dict[str, int], preemptions: int | None) -> str:
    runtime, done = SimRuntime(choices, preemptions=preemptions), list[str]()
    for name, count in steps.items():
        runtime.start(Countdown(name, count, done))
    runtime.settle()
    return "".join(done)


def run_processes(choices: Choices, steps: dict[str, int], preemptions: int | None) -> str:
    runtime, done = SimRuntime(choices, preemptions=preemptions), list[str]()

    def work(name: str, count: int) -> None:
        for step in range(count):
            if step:
                runtime.checkpoint()
            done.append(name)

    for name, count in steps.items():
        runtime.spawn(partial(work, name, count), name)
    runtime.settle()
    runtime.close()
    return "".join(done)


@pytest.mark.parametrize("preemptions", [0, 1, 2, 3, None])
@pytest.mark.parametrize("steps", [{"a": 1}, {"a": 3, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 2, "c": 3}])
@pytest.mark.parametrize("run", [run_workers, run_processes])
def test_bounded_schedules_are_all_there_and_each_is_there_once(
    run: Callable[[Choices, dict[str, int], int | None], str], steps: dict[str, int], preemptions: int | None
) -> None:
    ran = [run(choices, steps, preemptions) for choices in exhaustive()]
    assert sorted(ran) == sorted(orders(steps, float("inf") if preemptions is None else preemptions))


def test_without_preemptions_tasks_run_in_every_order_but_in_one_piece() -> None:
    ran = {run_workers(choices, {"a": 5, "b": 5, "c": 5, "d": 5}, 0) for choices in exhaustive()}
    assert len(ran) == 24
    assert all(len(list(groupby(order))) == 4 for order in ran)


def test_the_ordinary_course_goes_on_and_then_goes_round() -> None:
    assert run_workers(Ordinary(), {"a": 2, "b": 3, "c": 1}, None) == "aabbbc"
    runtime, done = SimRuntime(), list[str]()
    running: dict[str, RunningWorker] = {}

    def woken(name: str, other: str, times: list[None]) -> bool:
        done.append(name)
        if times:
            times.pop()
            running[other].wake()
        return False

    # a and b wake each other; c has its turn all the same.
    for name, other, times in (("a", "b", 3), ("b", "a", 3), ("c", "c", 0)):
        running[name] = runtime.start(Does(name, partial(woken, name, other, [None] * times)))
    runtime.settle()
    assert "".join(done) == "abcababa"


def test_nothing_is_asked_where_only_one_can_run() -> None:
    choices = Scripted([])
    assert run_workers(choices, {"a": 9}, None) == "a" * 9
    assert choices.script == []
    run_workers(choices, {"a": 3, "b": 2}, 0)
    assert choices.script == [0], "who begins, and nothing after that"


def test_an_idle_worker_sleeps_until_woken(runtime: SimRuntime) -> None:
    steps: list[int] = []
    worker = runtime.start(Does("w", lambda: steps.append(1)))
    runtime.settle()
    runtime.settle()
    assert len(steps) == 1, "it starts awake"
    worker.wake()
    worker.wake()
    runtime.settle()
    assert len(steps) == 2
    worker.stop()
    worker.wake()
    runtime.settle()
    assert len(steps) == 2


def test_a_wake_during_the_step_is_not_lost(runtime: SimRuntime) -> None:
    steps: list[int] = []

    def step() -> bool:
        steps.append(1)
        if len(steps) < 4:
            worker.wake()
        return False

    worker = runtime.start(Does("w", step))
    runtime.start(Does("other", lambda: steps.append(0)))
    runtime.settle()
    assert steps == [1, 0, 1, 1], "the others first"


def test_a_worker_may_stop_itself_and_others(runtime: SimRuntime) -> None:
    done: list[str] = []

    def step() -> bool:
        done.append("first")
        other.stop()
        mine.stop()
        mine.wake()
        return True

    mine = runtime.start(Does("first", step))
    other = runtime.start(Countdown("other", 5, done))
    runtime.settle()
    assert done == ["first"]


# Processes.


def test_processes_wait_for_bios_locks_conditions_and_each_other(runtime: SimRuntime) -> None:
    lock, condition, bio, log = runtime.lock(), runtime.condition(), Bio(Op.FLUSH, 0, 0), list[str]()

    def first() -> str:
        with lock, lock:
            runtime.wait(bio)
            log.append("first had the bio")
        with condition:
            log.append("first notifies")
            condition.notify_all()
        return "result"

    def second() -> None:
        with condition:
            condition.wait()
            log.append("second was notified")

    def third() -> None:
        with lock:
            log.append("third had the lock")

    one, two = runtime.spawn(first), runtime.spawn(second)
    runtime.spawn(third)
    follower = runtime.spawn(lambda: runtime.wait(one))
    runtime.settle()
    assert (log, one.done, follower.done) == ([], False, False)
    bio.complete()
    runtime.wait(follower)
    assert log == ["first had the bio", "first notifies", "second was notified", "third had the lock"]
    assert (one.result(), two.result(), follower.done) == ("result", None, True)


def order_of_lock(choices: Choices) -> str:
    runtime, inside, order = SimRuntime(choices, preemptions=2), list[str](), list[str]()
    lock = runtime.lock()

    def work(name: str) -> None:
        runtime.checkpoint()
        with lock:
            inside.append(name)
            runtime.checkpoint()
            assert inside == [name]
            inside.clear()
            order.append(name)

    processes = [runtime.spawn(partial(work, name), name) for name in "abc"]
    runtime.run()
    assert [process.result() for process in processes] == [None] * 3
    runtime.close()
    return "".join(order)


def test_only_one_process_holds_a_lock_and_all_orders_are_reached() -> None:
    assert len({order_of_lock(choices) for choices in exhaustive()}) == 6


def test_a_process_keeps_its_exception_for_whoever_asks(runtime: SimRuntime) -> None:
    def fail() -> None:
        raise OSError("no")

    process = runtime.spawn(fail, "failing")
    with pytest.raises(UsageError, match="failing has not ended"):
        process.result()
    runtime.run()
    with pytest.raises(OSError, match="no"):
        process.result()


def test_a_killed_process_ends_when_what_it_waits_for_has_come(runtime: SimRuntime) -> None:
    bio, log = Bio(Op.FLUSH, 0, 0), list[str]()

    def work() -> None:
        try:
            runtime.wait(bio)
            log.append("went on")
        finally:
            log.append("cleaned up")

    process = runtime.spawn(work)
    runtime.settle()
    process.killed = True
    runtime.settle()
    assert not process.done
    bio.complete()
    runtime.settle()
    assert (process.done, process.result(), log) == (True, None, ["cleaned up"])


def test_a_condition_must_be_held(runtime: SimRuntime) -> None:
    condition = runtime.condition()
    with pytest.raises(UsageError, match="the driver uses condition 1 without holding it"):
        condition.notify_all()
    with pytest.raises(UsageError, match="without holding it"):
        condition.wait()


# The clock.


def test_the_clock_stands_while_anything_runs_and_jumps_from_timer_to_timer(runtime: SimRuntime) -> None:
    log: list[tuple[float, str]] = []

    def at(what: str) -> Callable[[], None]:
        return lambda: log.append((runtime.now(), what))

    runtime.call_later(2.0, at("late"))
    runtime.call_later(1.0, at("first of two"))
    runtime.call_later(1.0, at("second of two"))
    cancelled = runtime.call_later(9.0, at("never"))
    runtime.call_later(0.0, at("now"))
    cancelled.cancel()

    def sleep() -> None:
        runtime.sleep(1.5)
        at("slept")()

    sleeper = runtime.spawn(sleep)
    runtime.settle()
    assert (runtime.now(), log) == (0.0, [(0.0, "now")])
    runtime.run()
    assert log[1:] == [(1.0, "first of two"), (1.0, "second of two"), (1.5, "slept"), (2.0, "late")]
    assert runtime.now() == 2.0, "a cancelled timer moves no clock"
    assert sleeper.done
    runtime.sleep(0.5)
    assert runtime.now() == 2.5


def test_time_passes_to_its_end_or_until_it_holds(runtime: SimRuntime) -> None:
    fired: list[float] = []
    for seconds in (1.0, 2.0, 3.0):
        runtime.call_later(seconds, lambda: fired.append(runtime.now()))
    runtime.pass_time(10.0, until=lambda: len(fired) == 2)
    assert (runtime.now(), fired) == (2.0, [1.0, 2.0])
    runtime.pass_time(0.5)
    assert (runtime.now(), fired) == (2.5, [1.0, 2.0])
    runtime.pass_time(10.0)
    assert (runtime.now(), fired) == (12.5, [1.0, 2.0, 3.0])


def test_a_worker_that_sleeps_in_its_step_is_busy_for_that_time(runtime: SimRuntime) -> None:
    steps: list[float] = []

    def step() -> bool:
        steps.append(runtime.now())
        runtime.sleep(1.0)
        runtime.sleep(0.5)
        return len(steps) < 3

    worker = runtime.start(Does("disk", step))
    runtime.pass_time(1.0)
    worker.wake()
    runtime.settle()
    assert steps == [0.0], "a wake does not end its business"
    runtime.pass_time(1.0)
    assert steps == [0.0, 1.5]
    worker.stop()
    runtime.run()
    assert steps == [0.0, 1.5]


def test_the_driver_waits_through_steps_and_timers(runtime: SimRuntime) -> None:
    bio = Bio(Op.FLUSH, 0, 0)
    worker = runtime.start(Does("log", lambda: bio.complete() if runtime.now() > 0 else None))
    runtime.call_later(5.0, worker.wake)
    runtime.call_later(7.0, lambda: None)
    runtime.wait(bio)
    assert (bio.done, runtime.now()) == (True, 5.0)


# Waiting for ever.


def test_a_deadlock_tells_who_waits_for_whom(runtime: SimRuntime) -> None:
    bio, one, two = Bio(Op.WRITE, 0, 8, memoryview(bytes(4096))), runtime.lock(), runtime.lock()
    condition = runtime.condition()
    runtime.start(Does("log", lambda: False))
    runtime.start(Does("link 1", lambda: False))

    def holds_and_waits() -> None:
        with one:
            runtime.wait(bio)

    def wants() -> None:
        with two, one:
            pass

    def wants_more() -> None:
        with two:
            pass

    def listens() -> None:
        with condition:
            condition.wait()

    for work in (holds_and_waits, wants, wants_more, listens):
        runtime.spawn(work, work.__name__)
    with pytest.raises(Deadlock) as ended:
        runtime.run()
    lines = str(ended.value).splitlines()
    assert [line.partition(" in ")[0] for line in lines] == [
        "nothing can run and no timer is left:",
        "  holds_and_waits waits for WRITE of 8 sectors at 0",
        "  wants waits for lock 1, held by holds_and_waits, which waits for WRITE of 8 sectors at 0",
        "  wants_more waits for lock 2, held by wants, which waits for lock 1, held by holds_and_waits, "
        "which waits for WRITE of 8 sectors at 0",
        "  listens waits for a notification of condition 3",
        "  idle: log, link 1",
    ]
    assert "<locals>.holds_and_waits (test_runtime.py:" in lines[1]
    # The driver waits too; and once the bio is done, all is well.
    with pytest.raises(Deadlock, match="the driver waits for lock 1, held by holds_and_waits, which waits for WRITE"):
        one.__enter__()
    bio.complete()
    with one:
        pass


def test_a_circle_of_locks_is_told_and_ends() -> None:
    runtime = SimRuntime(Scripted([0, 1]))
    locks = [runtime.lock(), runtime.lock()]

    def work(first: int) -> None:
        with locks[first]:
            runtime.checkpoint()
            with locks[1 - first]:
                pass

    runtime.spawn(lambda: work(0), "a")
    runtime.spawn(lambda: work(1), "b")
    with pytest.raises(Deadlock, match="a waits for lock 2, held by b, which waits for lock 1, held by a in "):
        runtime.run()
    runtime.close()


def test_the_driver_is_told_what_it_would_wait_for(runtime: SimRuntime) -> None:
    class Unspoken:
        done = False

        def on_done(self, callback: Callable[[], None]) -> None: ...

    with pytest.raises(
        Deadlock, match=r"the driver waits for a Unspoken in test_the_driver_is_told.*test_runtime\.py:"
    ):
        runtime.wait(Unspoken())
    condition = runtime.condition()
    with condition, pytest.raises(Deadlock, match="the driver waits for a notification of condition 1"):
        condition.wait()
    with condition:
        condition.notify_all()
    # It neither waits nor holds anything any more.
    lock = runtime.lock()
    with lock:
        runtime.spawn(lock.__enter__, "p")
        runtime.spawn(condition.__enter__, "q")
        with pytest.raises(Deadlock, match=r"left:\n  p waits for lock 2, held by the driver in [^\n]*$"):
            runtime.run()


def test_a_condition_waits_for_a_notification_and_nothing_else(runtime: SimRuntime) -> None:
    bio, condition = Bio(Op.FLUSH, 0, 0), runtime.condition()

    def notify() -> None:
        with condition:
            condition.notify_all()

    with pytest.raises(Deadlock):
        runtime.wait(bio)
    runtime.call_later(1.0, bio.complete)
    runtime.call_later(2.0, notify)
    with condition:
        with condition:
            condition.wait()
            assert runtime.now() == 2.0, "the end of what was waited for before is no notification"
        process = runtime.spawn(notify)
        runtime.settle()
        assert not process.done, "it is held once more"
    runtime.run()
    assert process.done


def test_a_step_must_not_block(runtime: SimRuntime) -> None:
    lock, bio = runtime.lock(), Bio(Op.READ, 4, 1, memoryview(bytearray(512)))

    def holds() -> None:
        with lock:
            runtime.wait(bio)

    runtime.spawn(holds, "holder")
    runtime.settle()
    blocking: dict[str, Callable[[], None]] = {
        "READ of 1 sectors at 4": lambda: runtime.wait(bio),
        "lock 1, held by holder, which waits for READ of 1 sectors at 4": lock.__enter__,
    }
    for words, what in blocking.items():
        runtime.start(Does("log", what))
        with pytest.raises(WouldBlock, match=f"^log must not block: it would wait for {words}$"):
            runtime.settle()
        runtime.call_later(0, what)
        with pytest.raises(WouldBlock, match=f"^timer must not block: it would wait for {words}$"):
            runtime.settle()
    runtime.call_later(0, lambda: runtime.sleep(1))
    with pytest.raises(WouldBlock, match="timer must not sleep"):
        runtime.settle()
    runtime.start(Does("fine", lambda: runtime.wait(bio)))
    bio.complete()
    runtime.run()


def test_only_the_driver_drives(runtime: SimRuntime) -> None:
    runtime.start(Does("log", lambda: runtime.settle()))
    with pytest.raises(UsageError, match="log must not drive the simulation"):
        runtime.settle()
    process = runtime.spawn(runtime.run, "p")
    runtime.settle()
    with pytest.raises(UsageError, match="p must not drive the simulation"):
        process.result()


# Errors and the end.


@pytest.mark.parametrize("error", [PowerCut, ValueError])
def test_what_a_step_or_a_timer_raises_reaches_the_driver_and_the_others_go_on(error: type[BaseException]) -> None:
    runtime, done = SimRuntime(preemptions=0), list[str]()

    def fail() -> None:
        done.append("failing")
        raise error

    def fail_soon() -> bool:
        if done:
            fail()
        done.append("going on")
        return True

    worker = runtime.start(Does("failing", fail_soon))
    runtime.start(Countdown("other", 2, done))
    runtime.start(Countdown("third", 1, done))
    with pytest.raises(error):
        runtime.settle()
    if error is PowerCut:
        worker.wake()
    runtime.call_later(1.0, fail)
    runtime.call_later(1.0, lambda: done.append("next timer"))
    with pytest.raises(error):
        runtime.run()
    runtime.run()
    assert done == ["going on", "failing", "other", "other", "third", "failing", "next timer"]
    runtime.close()


def test_a_worker_whose_step_raised_goes_on_when_it_is_woken(runtime: SimRuntime) -> None:
    steps: list[int] = []

    def fail_first() -> bool:
        steps.append(len(steps))
        if len(steps) == 1:
            raise ValueError("a defect")
        return False

    worker = runtime.start(Does("failing", fail_first))
    with pytest.raises(ValueError, match="a defect"):
        runtime.settle()
    runtime.settle()
    assert steps == [0]
    worker.wake()
    runtime.settle()
    assert steps == [0, 1]


def test_a_power_cut_in_a_process_reaches_the_driver(runtime: SimRuntime) -> None:
    lock = runtime.lock()

    def fail() -> None:
        with lock:
            runtime.checkpoint()
            raise PowerCut

    process = runtime.spawn(fail)
    other = runtime.spawn(lambda: lock.__enter__())
    with pytest.raises(PowerCut):
        runtime.run()
    assert process.done
    with pytest.raises(PowerCut):
        process.result()
    runtime.run()
    assert other.done


def test_choices_that_raise_leave_all_as_it_was() -> None:
    class Fed(Choices):
        def _pick(self, count: int, what: str) -> int:
            raise PowerCut

    runtime, done = SimRuntime(Fed()), list[str]()
    runtime.start(Countdown("a", 2, done))
    last = runtime.start(Countdown("b", 2, done))
    with pytest.raises(PowerCut):
        runtime.settle()
    last.stop()
    runtime.settle()
    assert done == ["a", "a"]


def test_close_ends_every_thread_and_forgets_the_rest() -> None:
    before = threading.enumerate()
    runtime, log, bio = SimRuntime(), list[str](), Bio(Op.FLUSH, 0, 0)
    lock, condition = runtime.lock(), runtime.condition()

    def waits() -> None:
        try:
            with lock, condition:
                condition.wait()
        finally:
            log.append("cleaned up")
            runtime.wait(bio)
            log.append("never")

    worker = runtime.start(Does("w", lambda: log.append("step")))
    parked = [runtime.spawn(work) for work in (waits, lambda: lock.__enter__(), lambda: runtime.sleep(1))]
    runtime.spawn(lambda: None)
    runtime.settle()
    unborn = runtime.spawn(lambda: log.append("never"))
    runtime.call_later(1, lambda: log.append("never"))
    assert len(threading.enumerate()) > len(before)
    runtime.close()
    assert threading.enumerate() == before
    runtime.close()
    assert all(process.done for process in [*parked, unborn])
    worker.wake()
    bio.complete()
    runtime.run()
    assert log == ["step", "cleaned up"]
    with lock, condition:
        pass


def test_a_process_may_close_the_runtime() -> None:
    before = threading.enumerate()
    runtime, bio = SimRuntime(), Bio(Op.FLUSH, 0, 0)
    other = runtime.spawn(lambda: runtime.wait(bio))

    def end() -> str:
        runtime.close()
        return "closed"

    process = runtime.spawn(end)
    runtime.settle()
    assert (other.killed, process.result()) == (True, "closed")
    runtime.close()
    assert threading.enumerate() == before


# The trace.


def mixed(seed: int) -> SimRuntime:
    """A run with something of everything in it."""
    runtime = SimRuntime(Seeded(seed), preemptions=20)
    lock, condition, done = runtime.lock(), runtime.condition(), list[str]()
    bios = {Bio(Op.WRITE, at, 1, memoryview(bytes(512))): f"{at}" for at in range(4)}
    todo = list(bios)

    def complete() -> bool:
        if todo:
            todo.pop().complete()
        return bool(todo)

    def work(name: str) -> None:
        for bio in bios:
            with lock:
                runtime.checkpoint()
                done.append(name)
            runtime.wait(bio)
        runtime.sleep(float(len(done) % 3))
        with condition:
            condition.notify_all()
        runtime.note(name, "notified")
        runtime.sometimes(f"length {len(done) % 2}")

    def listen() -> None:
        with condition:
            while len(done) < 12:
                condition.wait()

    runtime.spawn(listen)
    for name in "xyz":
        runtime.spawn(partial(work, name), name)
        runtime.start(Countdown(name.upper(), 3, done))
    runtime.call_later(0.5, runtime.start(Does("completer", complete)).wake)
    runtime.run()
    runtime.close()
    return runtime


def test_the_same_choices_are_the_same_run() -> None:
    runs = [mixed(seed) for seed in range(20)]
    assert [mixed(seed).digest() for seed in range(20)] == [run.digest() for run in runs]
    assert len({run.digest() for run in runs}) > 10
    assert all(sum(run.sightings.values()) == 3 for run in runs)


def test_the_trace_does_not_depend_on_hashes() -> None:
    code = "from tests.sim.test_runtime import mixed; print(*(mixed(seed).digest() for seed in range(5)))"
    digests = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert digests[0] == digests[1]
    assert digests[0].decode().split() == [mixed(seed).digest() for seed in range(5)]


def test_without_a_trace_the_run_is_the_same_but_has_no_digest() -> None:
    traced, untraced = SimRuntime(Seeded(4)), SimRuntime(Seeded(4), traced=False)
    orders = []
    for runtime in (traced, untraced):
        done: list[str] = []
        for name in "abc":
            runtime.start(Countdown(name, 5, done))
        runtime.note("test", "begins")
        runtime.settle()
        orders.append(done)
    assert orders[0] == orders[1]
    assert traced.trace is not None
    assert traced.trace[0] == (0.0, "test", "begins")
    assert [who for _, who, what in traced.trace if what == "runs"] == orders[0]
    assert untraced.trace is None
    with pytest.raises(UsageError, match="no trace is kept"):
        untraced.digest()


def test_whoever_never_pauses_is_named() -> None:
    runtime = SimRuntime(traced=False)

    class Busy(Worker):
        name = "the busy one"

        def step(self) -> bool:
            return True

    runtime.start(Busy())
    with pytest.raises(Livelock, match="work for the busy one"):
        runtime.settle()
