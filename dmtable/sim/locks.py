"""Locks and conditions among tasks of which only one runs at a time."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from dmtable.errors import UsageError
from dmtable.sim.task import Task


class Parking(Protocol):
    """What locks ask of the runtime."""

    running: Task
    """Whoever runs now."""

    def park(self, what: object) -> None:
        """The running task waits until it is woken, or a little less: test again. Raises where it must not block."""

    def wake(self, task: Task) -> None:
        """Lets a parked task run again."""


class SimLock:
    """A lock that its holder may take again; whoever waits when it gets free competes for it anew."""

    kind = "lock"

    def __init__(self, runtime: Parking, number: int) -> None:
        self.holder: Task | None = None
        self._runtime = runtime
        self._number = number
        self._depth = 0
        self._waiting: list[Task] = []

    def __str__(self) -> str:
        return f"{self.kind} {self._number}"

    def __enter__(self) -> None:
        self._take(1)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Whoever was killed, or lost the power, while it waited to have the lock again does not hold it.
        if self.holder is self._runtime.running:
            self._depth -= 1
            if not self._depth:
                self._free()

    def _take(self, depth: int) -> None:
        who = self._runtime.running
        while self.holder is not None and self.holder is not who:
            self._waiting.append(who)
            self._runtime.park(self)
        self.holder = who
        self._depth += depth

    def _free(self) -> None:
        self.holder = None
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for task in waiting:
                self._runtime.wake(task)


class SimCondition(SimLock):
    """A condition with its own lock. Raises UsageError where it is used without being held."""

    kind = "condition"

    def __init__(self, runtime: Parking, number: int) -> None:
        super().__init__(runtime, number)
        self._listening: list[Task] = []

    def wait(self) -> None:
        """Frees the lock until somebody notifies, then has it again."""
        who = self._check_held()
        depth, self._depth = self._depth, 0
        self._free()
        self._listening.append(who)
        while who in self._listening:
            self._runtime.park(f"a notification of {self}")
        self._take(depth)

    def notify_all(self) -> None:
        """Lets everybody go on who waits."""
        self._check_held()
        listening, self._listening = self._listening, []
        for task in listening:
            self._runtime.wake(task)

    def _check_held(self) -> Task:
        who = self._runtime.running
        if self.holder is not who:
            raise UsageError(f"{who.name} uses {self} without holding it")
        return who
