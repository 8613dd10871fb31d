"""Who waits for a condition can be interrupted, once, and only where it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from dmtable.runtime.threads import Interruption, ThreadRuntime, spawn

PATIENCE_SECONDS = 60.0
ROUNDS = 300


class Waiter:
    """A thread that waits until `done`, as production code does, `times` times in a row."""

    def __init__(self, interruption: Interruption | None, times: int = 1, *, interruptible: bool = True) -> None:
        self.condition = ThreadRuntime().condition(interruptible=interruptible)
        self.done = False
        self.inside = threading.Event()
        self.ends: list[str] = []
        self._interruption = interruption
        self._times = times
        self._thread = spawn("waiter", self._run)

    def _run(self) -> None:
        if self._interruption is None:
            self._wait_all()
        else:
            with self._interruption:
                self._wait_all()

    def _wait_all(self) -> None:
        for _ in range(self._times):
            try:
                with self.condition:
                    self.inside.set()
                    while not self.done:
                        self.condition.wait()
            except InterruptedError:
                self.ends.append("interrupted")
            else:
                self.ends.append("done")

    def finish(self) -> None:
        with self.condition:
            self.done = True
            self.condition.notify_all()

    def joined(self) -> list[str]:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        return self.ends


def test_a_wait_ends_whenever_the_interruption_comes() -> None:
    for number in range(ROUNDS):
        interruption = Interruption()
        waiter = Waiter(interruption)
        if number % 3:
            waiter.inside.wait(PATIENCE_SECONDS)
        if number % 3 == 2:
            # Once the lock is free the thread waits.
            with waiter.condition:
                pass
        interruption.interrupt()
        assert waiter.joined() == ["interrupted"]


def test_it_comes_once() -> None:
    interruption = Interruption()
    waiter = Waiter(interruption, times=2)
    waiter.inside.wait(PATIENCE_SECONDS)
    interruption.interrupt()
    waiter.finish()
    assert waiter.joined().count("interrupted") <= 1
    early = Interruption()
    early.interrupt()
    late = Waiter(early, times=2)
    late.inside.wait(PATIENCE_SECONDS)
    late.finish()
    assert late.joined() in (["interrupted", "done"], ["done", "done"])


def test_what_must_not_be_interrupted_is_not() -> None:
    interruption = Interruption()
    waiter = Waiter(interruption, interruptible=False)
    waiter.inside.wait(PATIENCE_SECONDS)
    interruption.interrupt()
    with waiter.condition:
        waiter.condition.notify_all()
    waiter.finish()
    assert waiter.joined() == ["done"]


@pytest.mark.parametrize("own", [lambda: None, Interruption])
def test_others_are_not_concerned(own: Callable[[], Interruption | None]) -> None:
    interruption = Interruption()
    waiter = Waiter(own())
    waiter.inside.wait(PATIENCE_SECONDS)
    with waiter.condition:
        pass
    interruption.interrupt()
    with waiter.condition:
        waiter.condition.notify_all()
    assert waiter.ends == []
    waiter.finish()
    assert waiter.joined() == ["done"]


def test_an_interruption_is_over_with_its_work() -> None:
    interruption = Interruption()
    with interruption:
        pass
    interruption.interrupt()
    condition = ThreadRuntime().condition(interruptible=True)
    timer = threading.Timer(0.01, lambda: _notify(condition))
    timer.start()
    with condition:
        assert condition.wait()
    timer.join()


def _notify(condition: object) -> None:
    assert isinstance(condition, threading.Condition)
    with condition:
        condition.notify_all()
