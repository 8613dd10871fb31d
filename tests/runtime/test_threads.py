"""The runtime of production: Workers, waiting, timers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.runtime.runtime import Worker
from dmtable.runtime.threads import ThreadRuntime


@pytest.fixture
def runtime() -> Iterator[ThreadRuntime]:
    runtime = ThreadRuntime()
    yield runtime
    runtime.close()


class Counting(Worker):
    """Works off `jobs`, and tells when it has done one."""

    name = "counting"

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.done: list[str] = []
        self.idle = threading.Semaphore(0)

    def step(self) -> bool:
        if not self.jobs:
            self.idle.release()
            return False
        self.done.append(self.jobs.pop(0))
        return True


def test_a_worker_works_when_woken_and_sleeps_between(runtime: ThreadRuntime) -> None:
    worker = Counting()
    running = runtime.start(worker)
    worker.idle.acquire()
    for job in ("a", "b"):
        worker.jobs.append(job)
        running.wake()
        worker.idle.acquire()
        assert worker.done[-1] == job
    running.stop()
    worker.jobs.append("c")
    running.wake()
    assert worker.done == ["a", "b"]


def test_a_wake_during_a_step_is_not_lost(runtime: ThreadRuntime) -> None:
    inside, go = threading.Event(), threading.Event()
    steps: list[int] = []

    class Late(Worker):
        name = "late"

        def step(self) -> bool:
            steps.append(len(steps))
            if len(steps) == 1:
                inside.set()
                go.wait()
            if len(steps) == 2:
                second.set()
            return False

    second = threading.Event()
    running = runtime.start(Late())
    inside.wait()
    running.wake()
    go.set()
    second.wait()
    running.stop()
    assert steps == [0, 1]


def test_waiting_for_a_bio_parks_until_it_is_done(runtime: ThreadRuntime) -> None:
    bio = Bio(Op.FLUSH, 0, 0)
    waiting = threading.Thread(target=runtime.wait, args=(bio,))
    waiting.start()
    assert waiting.is_alive()
    bio.complete(5)
    waiting.join()
    runtime.wait(bio)
    assert bio.error == 5


def test_timers_fire_in_the_order_of_their_times_unless_cancelled(runtime: ThreadRuntime) -> None:
    fired: list[str] = []
    last = threading.Event()

    def late() -> None:
        fired.append("late")
        last.set()

    runtime.call_later(0.02, late)
    cancelled = runtime.call_later(0.01, lambda: fired.append("cancelled"))
    runtime.call_later(0.0, lambda: fired.append("soon"))
    cancelled.cancel()
    last.wait()
    assert fired == ["soon", "late"]


def test_a_timer_that_raises_does_not_stop_the_others(runtime: ThreadRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    fired = threading.Event()
    error = ValueError("a bad timer")

    def bad() -> None:
        raise error

    runtime.call_later(0, bad)
    runtime.call_later(0.001, fired.set)
    assert fired.wait(10)
    assert told == [error]


def test_a_worker_whose_step_raised_goes_on_when_it_is_woken(
    runtime: ThreadRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    seen = threading.Event()

    def tell(args: threading.ExceptHookArgs) -> None:
        told.append(args.exc_value)
        seen.set()

    monkeypatch.setattr(threading, "excepthook", tell)
    error = ValueError("a bad step")

    class Failing(Counting):
        def step(self) -> bool:
            if self.jobs == ["bad"]:
                self.jobs.clear()
                raise error
            return super().step()

    worker = Failing()
    worker.jobs.append("bad")
    running = runtime.start(worker)
    assert seen.wait(10)
    worker.jobs.append("good")
    running.wake()
    assert worker.idle.acquire(timeout=10)
    assert (worker.done, told) == (["good"], [error])


def test_closing_stops_everything() -> None:
    runtime = ThreadRuntime()
    worker = Counting()
    runtime.start(worker)
    runtime.call_later(3600, lambda: None)
    before = threading.active_count()
    worker.idle.acquire()
    runtime.close()
    assert threading.active_count() == before - 2


def test_the_clock_does_not_go_back(runtime: ThreadRuntime) -> None:
    assert runtime.now() <= runtime.now()
