"""The runtime's interface: what dmtable needs of time, threads and waiting.

Production code runs under ThreadRuntime. A simulation implements the same interface over a virtual
clock and steps the Workers itself, so that one code serves for use and for proof.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Completion(Protocol):
    """Something that is done once, as a bio: `on_done` calls back at once where it is done already."""

    @property
    def done(self) -> bool: ...

    def on_done(self, callback: Callable[[], None]) -> None: ...


class Condition(AbstractContextManager[object], Protocol):
    """A condition with its own lock: enter it, test, `wait`, test again."""

    def wait(self) -> object: ...

    def notify_all(self) -> None: ...


class Worker(ABC):
    """What the kernel would run in a thread of its own.

    `step` does one small piece of work and says whether there was any. It makes at most one device
    call, as its last act, and holds no lock meanwhile. An Exception that it raises is a defect, which is
    told; the Worker then goes on when it is woken, for others may wait for it.
    """

    name: str

    @abstractmethod
    def step(self) -> bool: ...


class RunningWorker(Protocol):
    """A worker that the runtime steps."""

    def wake(self) -> None:
        """There may be work: step until there is none. Cheap, and never blocks."""

    def stop(self) -> None:
        """Step no more; returns when the step under way has ended."""


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Runtime(ABC):
    """Time, locks, waiting, timers and Workers."""

    @abstractmethod
    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    @abstractmethod
    def date(self) -> float:
        """Seconds since 1970, for people to read; it may go back."""

    def random_bytes(self, count: int) -> bytes:
        """Bytes that nobody else draws; a simulation draws the same in the same run."""
        return os.urandom(count)

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Returns after that time."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[object]:
        """A new lock that its holder may take again."""

    @abstractmethod
    def condition(self, *, interruptible: bool = False) -> Condition:
        """A new condition; a wait for one that is `interruptible` may raise InterruptedError."""

    @abstractmethod
    def wait(self, completion: Completion) -> None:
        """Returns when the completion is done: parks this thread, or steps the Workers until it is."""

    @abstractmethod
    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        """Calls once, after the delay, on no thread in particular. The call must not block."""

    @abstractmethod
    def start(self, worker: Worker) -> RunningWorker:
        """Begins to step a Worker whenever it is woken; it starts awake."""

    def crew(self) -> Callable[[Worker], RunningWorker]:
        """As `start`, for Workers that hand work to one another: they may share a thread, where there are any."""
        return self.start

    @abstractmethod
    def close(self) -> None:
        """Stops all Workers and drops all timers."""

    def sometimes(self, state: str) -> None:  # noqa: B027 - nothing to do is the ordinary answer
        """Production code tells here that it reached a state worth reaching in tests: log full, wrap, fall-behind.

        A simulation counts them, so that a search that never gets there is seen to be blind.
        """
