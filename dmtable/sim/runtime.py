"""The runtime of a simulation: everything in turn, on a clock that only moves when nothing can run.

Three sorts of code run here, one at a time. Workers are stepped on the thread of whoever drives the simulation.
Processes are blocking code, on threads of their own that run only in their turn. The driver is the code that
made the runtime: it starts things, and lets them run by `settle`, `pass_time`, `run`, or by waiting itself.
Who has the next turn is decided by the choices, so the same choices are the same run.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from typing import Any

from dmtable.errors import UsageError
from dmtable.runtime.runtime import Completion, RunningWorker, Runtime, Timer, Worker
from dmtable.sim.choices import Choices, Ordinary
from dmtable.sim.deadlock import WouldBlock, chain, deadlock, described, livelock
from dmtable.sim.locks import SimCondition, SimLock
from dmtable.sim.task import Carrier, Process, Task

Event = tuple[float, str, str]
"""(time, who, what)."""

_NOBODY = -1
_MOST_TURNS = 100_000
"""Whoever needs more of them without a pause is taken to run for ever: the clock could never move."""


class SimRuntime(Runtime):
    """Workers, processes and timers of one simulation.

    After each turn the next is chosen among all that can run; choice 0 goes on with the same task, or else with
    the next in the order of starting. To switch away from a task that could go on is a preemption; at most
    `preemptions` of them are offered, where that is given (context bounding). What raises out of a step, a timer
    or, unless it is an Exception, a process comes out of the driver's call. That task never runs again, save
    a Worker after an Exception: it goes on when it is woken, as in production.
    """

    def __init__(self, choices: Choices | None = None, *, preemptions: int | None = None, traced: bool = True) -> None:
        self.trace: list[Event] | None = [] if traced else None
        """What happened, in order; None keeps no trace and is quicker."""
        self.sightings: Counter[str] = Counter()
        """How often production code came into each state that it calls worth reaching."""
        self.running: Task = Task("the driver", _NOBODY, lambda: False)
        """Whoever runs now."""
        self._driver = self.running
        self._driver.held = True
        self._choices = choices or Ordinary()
        self._preemptions_left: float = math.inf if preemptions is None else preemptions
        self._now = 0.0
        self._drawn = 0
        self._numbers = itertools.count()
        self._lock_numbers = itertools.count(1)
        self._tasks: dict[int, Task] = {}
        self._ready: list[int] = []
        """The numbers of the tasks that may have the next turn, sorted; the running one is among them."""
        self._first = 0
        """Choice 0 is the first of them from this number on."""
        self._goes_on = False
        """Whether that is the task that had the last turn, and could go on."""
        self._chosen = _NOBODY
        """Who has the next turn, where that is decided."""
        self._timers: list[tuple[float, int, _Timer]] = []
        self._carriers: list[Carrier] = []
        """Threads with no process to carry."""

    # For the driver.

    def spawn(self, work: Callable[[], Any], name: str | None = None) -> Process:
        """A new process. It has its first turn when the driver lets things run."""
        number = next(self._numbers)
        process = Process(work, name or f"process {number}", number, self._carriers)
        self._tasks[number] = process
        process.on_done(lambda: self._ended(process))
        self.wake(process)
        return process

    def settle(self) -> None:
        """Runs until nothing can run now; the clock does not move."""
        self._check_driver()
        self._run_ready()
        while self._fire_next(self._now):
            self._run_ready()

    def pass_time(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Lets time pass, timer by timer; stops early when `until` holds at a timer."""
        end = self._now + seconds
        self.settle()
        while not until() and self._fire_next(end):
            self.settle()
        if not until():
            self._now = end

    def run(self) -> None:
        """Runs until nothing can run and no timer is left. Raises Deadlock where a process is still parked then."""
        self.settle()
        while self._fire_next():
            self.settle()
        if self._parked():
            raise deadlock(self._parked(), self._idle())

    def close(self) -> None:
        """Kills the processes that are parked, forgets Workers and timers. The clock and the trace may go on."""
        for task in list(self._tasks.values()):
            if not isinstance(task, Process):
                self._forget(task)
            elif task is not self.running:
                runner, self.running = self.running, task
                task.kill()
                self.running = runner
        self._timers.clear()
        while self._carriers:
            self._carriers.pop().end()

    # For all.

    def now(self) -> float:
        return self._now

    def date(self) -> float:
        """The first hour of 2008, and what went by since."""
        return 1_199_145_600.0 + self._now

    def random_bytes(self, count: int) -> bytes:
        """The same in every life of every world: who draws again after a power loss must mix in what it finds."""
        self._drawn += 1
        return hashlib.shake_128(b"%d" % self._drawn).digest(count)

    def sleep(self, seconds: float) -> None:
        """Returns after that time, to a process or the driver.

        A Worker's step cannot be parked, so there it returns at once, and the Worker is busy for that time, which
        begins where this step ends: its device call, which takes the time, is its last act.
        """
        who = self.running
        if who is self._driver:
            self.pass_time(seconds)
        elif isinstance(who, Process):
            timer = self._at(self._now + seconds, lambda: self.wake(who), who.name)
            while timer.pending:
                self.park(f"{seconds} seconds to pass")
        elif isinstance(who, _Timer):
            raise WouldBlock(f"{who.name} must not sleep")
        elif seconds > 0:
            self._rest(who, seconds)

    def lock(self) -> SimLock:
        return SimLock(self, next(self._lock_numbers))

    def condition(self, *, interruptible: bool = False) -> SimCondition:
        return SimCondition(self, next(self._lock_numbers))

    def wait(self, completion: Completion) -> None:
        """Returns when it is done. Raises Deadlock where the driver would wait for ever, WouldBlock in a step."""
        if completion.done:
            return
        who = self.running
        completion.on_done(lambda: self.wake(who))
        while not completion.done:
            self.park(completion)

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        """Calls when nothing else can run; those due at the same time in the order in which they were asked for."""
        return self._at(self._now + delay_seconds, call, "timer")

    def start(self, worker: Worker) -> RunningWorker:
        number = next(self._numbers)
        running = _SteppedWorker(self, worker, number)
        self._tasks[number] = running
        self.wake(running)
        return running

    def checkpoint(self) -> None:
        """Others may have a turn here, in a process; elsewhere nothing happens."""
        who = self.running
        if isinstance(who, Process):
            self.note(who.name, "checkpoint")
            self._first, self._goes_on = who.number, True
            chosen = self._choose()
            if chosen != who.number:
                self._chosen = chosen
                who.give_turn_back(goes_on=True)

    def sometimes(self, state: str) -> None:
        self.sightings[state] += 1

    def note(self, who: str, what: str) -> None:
        """Adds to the trace. The words must not depend on anything but the choices: no addresses, no hashes."""
        if self.trace is not None:
            self.trace.append((self._now, who, what))

    def digest(self) -> str:
        """The SHA-256 of the trace: two runs that agree in it were the same run."""
        if self.trace is None:
            raise UsageError("no trace is kept, so it has no digest")
        digest = hashlib.sha256()
        for event in self.trace:
            digest.update(repr(event).encode())
        return digest.hexdigest()

    # For locks and tasks.

    def park(self, what: object) -> None:
        """The running task waits until it is woken: a process gives its turn back, the driver lets others run."""
        who = self.running
        if who is not self._driver and not isinstance(who, Process):
            raise WouldBlock(f"{who.name} must not block: it would wait for {chain(who, what)}")
        if self.trace is not None:
            self.note(who.name, f"waits for {described(what)}")
        who.waits_for = what
        try:
            if isinstance(who, Process):
                who.give_turn_back(goes_on=False)
            else:
                self._let_others_run()
        finally:
            who.waits_for = None

    def wake(self, task: Task) -> None:
        """The task may have a turn, even if it has one now and finds nothing to do."""
        task.woken = True
        if not (task.ready or task.held):
            task.ready = True
            insort(self._ready, task.number)

    def stop(self, worker: Task) -> None:
        """Never steps the Worker again."""
        if worker.number in self._tasks:
            self._forget(worker)

    # Turns.

    def _run_ready(self) -> None:
        """Gives turns until nobody can have one. The inner loop of every simulation: kept flat and quick."""
        ready, tasks, driver = self._ready, self._tasks, self._driver
        turns = _MOST_TURNS
        while ready:
            turns -= 1
            if not turns:
                raise livelock([tasks[number] for number in ready], _MOST_TURNS)
            number = self._chosen
            if number < 0:
                number = self._choose()
            else:
                self._chosen = _NOBODY
            self.running = task = tasks[number]
            task.woken = False
            if self.trace is not None:
                self.trace.append((self._now, task.name, "runs"))
            try:
                goes_on = task.step()
            except Exception:
                self._first, self._goes_on = number + 1, False
                if task.ready and not task.woken:
                    self._unready(task)
                raise
            except BaseException:
                self.stop(task)
                raise
            finally:
                self.running = driver
            if goes_on and task.ready:
                self._first, self._goes_on = number, True
                continue
            self._first, self._goes_on = number + 1, False
            if task.ready and not task.woken:
                self._unready(task)

    def _choose(self) -> int:
        ready = self._ready
        count = len(ready)
        if count == 1:
            return ready[0]
        at = bisect_left(ready, self._first)
        if not self._goes_on:
            return ready[(at + self._choices.pick(count, "who runs")) % count]
        if self._preemptions_left and (picked := self._choices.pick(count, "who runs")):
            self._preemptions_left -= 1
            return ready[(at + picked) % count]
        return self._first

    def _let_others_run(self) -> None:
        """The driver waits: time passes until it is woken."""
        self._driver.woken = False
        self.settle()
        while not self._driver.woken:
            if not self._fire_next():
                raise deadlock([*self._parked(), self._driver], self._idle())
            self.settle()

    def _check_driver(self) -> None:
        if self.running is not self._driver:
            raise UsageError(f"{self.running.name} must not drive the simulation: only the driver lets others run")

    def _ended(self, process: Process) -> None:
        self._forget(process)
        self.note(process.name, "ends")

    def _forget(self, task: Task) -> None:
        del self._tasks[task.number]
        self._hold(task)

    def _hold(self, task: Task) -> None:
        """From now on no wake makes the task ready."""
        task.held = True
        self._goes_on = False
        if task.ready:
            self._unready(task)

    def _unready(self, task: Task) -> None:
        task.ready = False
        self._ready.pop(bisect_left(self._ready, task.number))

    def _parked(self) -> list[Task]:
        return [task for task in self._tasks.values() if isinstance(task, Process)]

    def _idle(self) -> list[Task]:
        return [task for task in self._tasks.values() if not isinstance(task, Process)]

    # Time.

    def _at(self, time: float, call: Callable[[], None], name: str) -> _Timer:
        timer = _Timer(call, name, next(self._numbers))
        heapq.heappush(self._timers, (max(time, self._now), timer.number, timer))
        return timer

    def _fire_next(self, end: float = math.inf) -> bool:
        """Moves the clock to the next timer and fires it; False where none is due by `end`."""
        timers = self._timers
        while timers and not timers[0][2].pending:
            heapq.heappop(timers)
        if not timers or timers[0][0] > end:
            return False
        self._now, _, timer = heapq.heappop(timers)
        self.note(timer.name, "fires")
        self.running = timer
        try:
            timer.step()
        finally:
            self.running = self._driver
        return True

    def _rest(self, worker: Task, seconds: float) -> None:
        worker.busy_until = max(worker.busy_until, self._now) + seconds
        self._hold(worker)
        self._at(worker.busy_until, lambda: self._rested(worker), worker.name)

    def _rested(self, worker: Task) -> None:
        if worker.number in self._tasks and worker.busy_until <= self._now:
            worker.held = False
            self.wake(worker)


class _SteppedWorker(Task):
    """A Worker and when it is stepped."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: SimRuntime, worker: Worker, number: int) -> None:
        super().__init__(worker.name, number, worker.step)
        self._runtime = runtime

    def wake(self) -> None:
        self._runtime.wake(self)

    def stop(self) -> None:
        self._runtime.stop(self)


class _Timer(Task):
    """A call that is still to come; never ready, but it runs too."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None], name: str, number: int) -> None:
        super().__init__(name, number, self._fire)
        self.held = True
        self._call: Callable[[], None] | None = call

    @property
    def pending(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return self._call is not None

    def cancel(self) -> None:
        self._call = None

    def _fire(self) -> bool:
        call, self._call = self._call, None
        if call is not None:
            call()
        return False
