"""A crew: Workers on one thread, until one of them waits."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from dmtable.runtime import crew as crew_module
from dmtable.runtime.runtime import Worker
from dmtable.runtime.threads import ThreadRuntime


@pytest.fixture
def runtime() -> Iterator[ThreadRuntime]:
    runtime = ThreadRuntime()
    yield runtime
    runtime.close()


class Jobs(Worker):
    """Does what it is given, and tells on which thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: list[str] = []
        self.done: list[str] = []
        self.threads: list[int] = []
        self.idle = threading.Semaphore(0)

    def step(self) -> bool:
        if not self.jobs:
            self.idle.release()
            return False
        self.threads.append(threading.get_ident())
        job = self.jobs.pop(0)
        if job == "raise":
            raise ValueError("a bad step")
        self.done.append(job)
        return True


class Sleeping(Jobs):
    """Its steps wait, as for a slow device."""

    def step(self) -> bool:
        if self.jobs:
            time.sleep(0.002)
        return super().step()


def test_members_share_a_thread_and_each_is_stepped_when_it_is_woken(runtime: ThreadRuntime) -> None:
    start = runtime.crew()
    workers = [Jobs("a"), Jobs("b")]
    running = [start(worker) for worker in workers]
    for worker in workers:
        worker.idle.acquire()
    for turn in range(3):
        for worker, each in zip(workers, running, strict=True):
            worker.jobs.append(str(turn))
            each.wake()
        for worker in workers:
            worker.idle.acquire()
    assert [worker.done for worker in workers] == [["0", "1", "2"]] * 2
    assert len({thread for worker in workers for thread in worker.threads}) == 1


def test_a_member_with_much_to_do_does_not_keep_the_others_from_their_turns(runtime: ThreadRuntime) -> None:
    start = runtime.crew()
    other = Jobs("other")
    seen: list[int] = []

    class Busy(Worker):
        name = "busy"
        steps = 0

        def step(self) -> bool:
            self.steps += 1
            if self.steps == 1:
                other.jobs.append("job")
                running.wake()
            seen.append(len(other.done))
            return self.steps < 1000

    running = start(other)
    other.idle.acquire()
    busy = start(Busy())
    other.idle.acquire()
    while len(seen) < 1000:
        busy.wake()
    assert 0 < seen.count(0) <= 300


def test_a_member_that_waits_gets_a_thread_of_its_own(runtime: ThreadRuntime) -> None:
    start = runtime.crew()
    quick, slow = Jobs("quick"), Sleeping("slow")
    quick_running, slow_running = start(quick), start(slow)
    for job in map(str, range(12)):
        slow.jobs.append(job)
        quick.jobs.append(job)
        slow_running.wake()
        quick_running.wake()
        for worker in (quick, slow):
            while worker.jobs:
                worker.idle.acquire()
    assert slow.done == quick.done == list(map(str, range(12)))
    assert slow.threads[0] == quick.threads[0]
    assert slow.threads[-1] != quick.threads[-1]


def test_a_member_that_was_stopped_is_stepped_no_more_and_the_thread_ends_with_the_last(runtime: ThreadRuntime) -> None:
    before = threading.active_count()
    start = runtime.crew()
    workers = [Jobs("a"), Jobs("b")]
    running = [start(worker) for worker in workers]
    for worker in workers:
        worker.idle.acquire()
    running[0].stop()
    workers[0].jobs.append("never")
    running[0].wake()
    workers[1].jobs.append("job")
    running[1].wake()
    workers[1].idle.acquire()
    assert (workers[0].done, workers[1].done) == ([], ["job"])
    running[1].stop()
    running[1].stop()
    assert threading.active_count() == before


def test_stopping_waits_for_the_step_under_way(runtime: ThreadRuntime) -> None:
    inside, go = threading.Event(), threading.Event()
    ended: list[bool] = []

    class Long(Worker):
        name = "long"

        def step(self) -> bool:
            inside.set()
            go.wait()
            ended.append(True)
            return False

    running = runtime.crew()(Long())
    inside.wait()
    stopping = threading.Thread(target=running.stop)
    stopping.start()
    assert stopping.is_alive()
    go.set()
    stopping.join()
    assert ended == [True]


def test_a_step_that_raises_is_told_and_keeps_nobody_from_going_on(
    runtime: ThreadRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    start = runtime.crew()
    bad, good = Jobs("bad"), Jobs("good")
    bad_running, good_running = start(bad), start(good)
    for worker in (bad, good):
        worker.idle.acquire()
    bad.jobs += ["raise", "later"]
    good.jobs.append("job")
    bad_running.wake()
    good_running.wake()
    good.idle.acquire()
    bad_running.wake()
    bad.idle.acquire()
    assert (bad.done, good.done, [str(error) for error in told]) == (["later"], ["job"], ["a bad step"])


def test_computing_is_not_waiting(runtime: ThreadRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long step during which the processor was used, here or by others, says nothing of the device."""
    clock = itertools.count()
    clocks = SimpleNamespace(monotonic=lambda: float(next(clock)), process_time=lambda: float(next(clock)))
    monkeypatch.setattr(crew_module, "time", clocks)
    start = runtime.crew()
    workers = [Jobs("a"), Jobs("b")]
    running = [start(worker) for worker in workers]
    for worker, each in zip(workers, running, strict=True):
        worker.idle.acquire()
        for job in range(40):
            worker.jobs.append(str(job))
            each.wake()
            worker.idle.acquire()
    assert len({thread for worker in workers for thread in worker.threads}) == 1
