"""A machine with one processor and no preemption: a process runs until it ends or must wait.

Each process is a thread, but only the one that holds the processor runs; so the outcome is the same every
time, and that a process waits is known at once. Time passes only when every process waits.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from dmtable.runtime.runtime import Completion, Condition, RunningWorker, Runtime, Timer, Worker


class Killed(BaseException):
    """Raised in a process that was killed while it waited, as soon as what it waits for has come."""


class Process:
    """Some work under way."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.done = False
        self.killed = False
        self.turn = threading.Semaphore(0)
        self._work = work
        self._result: Any = None
        self._error: Exception | None = None

    def result(self) -> Any:
        """What the work returned, once it is done. Raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def run(self) -> None:
        """The thread's life, begun in its first turn."""
        self.turn.acquire()
        try:
            self._result = self._work()
        except Killed:
            pass
        except Exception as error:
            self._error = error
        finally:
            self.done = True


class Machine(Runtime):
    """The runtime of a DeviceMapper whose callers are processes of this machine."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[Process] = deque()
        self._running: Process | None = None
        self._processor_free = threading.Semaphore(0)
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()

    # For whoever drives the machine.

    def spawn(self, work: Callable[[], Any]) -> Process:
        """A new process, which runs at the next `settle` or `pass_time`."""
        process = Process(work)

        def life() -> None:
            try:
                process.run()
            finally:
                self._processor_free.release()

        threading.Thread(target=life, daemon=True).start()
        self._ready.append(process)
        return process

    def settle(self) -> None:
        """Runs every process until all have ended or wait."""
        while self._ready:
            self._running = self._ready.popleft()
            self._running.turn.release()
            self._processor_free.acquire()
        self._running = None

    def pass_time(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Lets time pass, timer by timer, and stops early when `until` holds."""
        end = self._now + seconds
        self.settle()
        while not until() and self._timers and self._timers[0][0] <= end:
            self._now, _, timer = heapq.heappop(self._timers)
            timer.fire()
            self.settle()
        if not until():
            self._now = end

    # For the processes.

    def sleep(self, seconds: float) -> None:
        """The running process waits for time to pass."""
        process = self._current()
        self.call_later(seconds, lambda: self._ready.append(process))
        self._park(process)

    def now(self) -> float:
        return self._now

    def lock(self) -> AbstractContextManager[object]:
        return _Lock(self)

    def condition(self) -> Condition:
        return _Condition(self)

    def wait(self, completion: Completion) -> None:
        if not completion.done:
            process = self._current()
            completion.on_done(lambda: self._ready.append(process))
            self._park(process)

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        timer = _Timer(call)
        heapq.heappush(self._timers, (self._now + delay_seconds, next(self._order), timer))
        return timer

    def start(self, worker: Worker) -> RunningWorker:
        return _RunningWorker(self, worker)

    def close(self) -> None:
        self._timers.clear()

    # For the locks and conditions.

    def queue(self, waiting: list[Process]) -> None:
        """Who waits in this list will run again."""
        self._ready.extend(waiting)
        waiting.clear()

    def wait_in(self, waiting: list[Process]) -> None:
        """The running process waits in this list."""
        process = self._current()
        waiting.append(process)
        self._park(process)

    @property
    def running(self) -> Process | None:
        """The process that runs; None is whoever drives the machine."""
        return self._running

    def _current(self) -> Process:
        if self._running is None:
            raise RuntimeError("whoever drives the machine would wait for ever")
        return self._running

    def _park(self, process: Process) -> None:
        self._processor_free.release()
        process.turn.acquire()
        if process.killed:
            raise Killed


class _Timer:
    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self._call = None

    def fire(self) -> None:
        if self._call is not None:
            self._call()


class _Lock:
    """A lock that its holder may take again; a process may wait for something else while it holds it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._holder: Process | None = None
        self._depth = 0
        self._waiting: list[Process] = []

    def __enter__(self) -> None:
        while self._depth and self._holder is not self._machine.running:
            self._machine.wait_in(self._waiting)
        self._holder = self._machine.running
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._machine.queue(self._waiting)


class _Condition(_Lock):
    """As its own lock it never keeps anybody waiting: nobody waits for something else while holding it."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._sleeping: list[Process] = []

    def wait(self) -> None:
        depth, self._depth = self._depth, 0
        self._machine.queue(self._waiting)
        self._machine.wait_in(self._sleeping)
        self._holder, self._depth = self._machine.running, depth

    def notify_all(self) -> None:
        self._machine.queue(self._sleeping)


class _RunningWorker:
    """A Worker as a process that waits while there is nothing to do."""

    def __init__(self, machine: Machine, worker: Worker) -> None:
        self._machine = machine
        self._worker = worker
        self._idle: list[Process] = []
        self._awake = True
        self._stopped = False
        machine.spawn(self._run)

    def wake(self) -> None:
        self._awake = True
        self._machine.queue(self._idle)

    def stop(self) -> None:
        self._stopped = True
        self.wake()

    def _run(self) -> None:
        while not self._stopped:
            if not self._awake:
                self._machine.wait_in(self._idle)
            self._awake = False
            while not self._stopped and self._worker.step():
                pass
