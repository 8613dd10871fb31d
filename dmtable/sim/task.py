"""What a simulated runtime runs, one at a time: Workers, by steps, and processes, whose blocking code can be parked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dmtable.errors import UsageError


class Task:
    """Whoever may be running: a Worker, a process, a timer's call, or the driver."""

    __slots__ = ("busy_until", "held", "name", "number", "ready", "step", "waits_for", "woken")

    def __init__(self, name: str, number: int, step: Callable[[], bool]) -> None:
        self.name = name
        self.number = number
        """Its place in the order of starting."""
        self.step = step
        """Runs it for one turn; says whether it can go on at once."""
        self.ready = False
        """Whether it stands in the list of those that may have the next turn."""
        self.woken = False
        """Whether it was woken since its turn began."""
        self.held = False
        """No wake makes it ready: it was stopped, or is busy."""
        self.busy_until = 0.0
        self.waits_for: object = None
        """What it is parked for; a lock, a completion, or words."""


class Killed(BaseException):
    """Raised in a process that was killed while it waited, so that it ends there."""


class Carrier:
    """A thread that carries one process after another; it runs only while its process has the turn."""

    def __init__(self) -> None:
        self.load: Callable[[], None] | None = None
        """What it runs next; None ends it."""
        self._turn = threading.Lock()
        self._back = threading.Lock()
        self._turn.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._run, name="simulated process", daemon=True)
        self._thread.start()

    @property
    def thread_id(self) -> int | None:
        return self._thread.ident

    def give_turn(self) -> None:
        """Returns when the turn comes back."""
        self._turn.release()
        self._back.acquire()

    def give_turn_back(self) -> None:
        """Called on the carrier's thread: returns at the next turn."""
        self._back.release()
        self._turn.acquire()

    def end(self) -> None:
        """Ends the thread, which must have nothing to run."""
        self._turn.release()
        self._thread.join()

    def _run(self) -> None:
        self._turn.acquire()
        while (load := self.load) is not None:
            self.load = None
            load()
            self.give_turn_back()


class Process(Task):
    """Blocking code under way, on a thread of its own.

    A Completion: others may wait for its end. Setting `killed` on a process that waits ends it as soon as what
    it waits for has come, as the kernel does with a process in uninterruptible sleep.
    """

    __slots__ = ("_callbacks", "_carrier", "_error", "_escaped", "_goes_on", "_idle", "_result", "_work", "done",
                 "killed")  # fmt: skip

    def __init__(self, work: Callable[[], Any], name: str, number: int, idle: list[Carrier]) -> None:
        super().__init__(name, number, self._take_turn)
        self.done = False
        self.killed = False
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self._escaped = False
        self._goes_on = False
        self._callbacks: list[Callable[[], None]] = []
        self._idle = idle
        """Carriers with nothing to carry; its own will be among them when it has ended."""
        self._carrier: Carrier | None = None

    def __str__(self) -> str:
        return f"the end of {self.name}"

    def result(self) -> Any:
        """What the work returned; None where it was killed. Raises what it raised, and UsageError before its end."""
        if not self.done:
            raise UsageError(f"{self.name} has not ended")
        if self._error is not None:
            raise self._error
        return self._result

    def on_done(self, callback: Callable[[], None]) -> None:
        """Calls back when the process has ended, at once where it has."""
        if self.done:
            callback()
        else:
            self._callbacks.append(callback)

    @property
    def thread_id(self) -> int | None:
        """The thread it is on; None before its first turn and after its end."""
        return None if self._carrier is None else self._carrier.thread_id

    def give_turn_back(self, *, goes_on: bool) -> None:
        """Called by the process itself: parks it until its next turn. Raises Killed where it was killed."""
        if not self.killed and self._carrier is not None:
            self._goes_on = goes_on
            self._carrier.give_turn_back()
        if self.killed:
            raise Killed

    def kill(self) -> None:
        """Ends a parked process now. What its clean-up raises is kept for `result`."""
        self.killed = True
        if self._carrier is None:
            self._end()
        else:
            self._carrier.give_turn()

    def _take_turn(self) -> bool:
        self._goes_on = False
        carrier = self._carrier
        if carrier is None:
            carrier = self._carrier = self._idle.pop() if self._idle else Carrier()
            carrier.load = self._run
        carrier.give_turn()
        if self._escaped and self._error is not None:
            raise self._error
        return self._goes_on

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Killed:
            pass
        except Exception as error:
            self._error = error
        except BaseException as error:
            self._error, self._escaped = error, True
        if self._carrier is not None:
            self._idle.append(self._carrier)
            self._carrier = None
        self._end()

    def _end(self) -> None:
        self.done = True
        self._goes_on = False
        for callback in self._callbacks:
            callback()
