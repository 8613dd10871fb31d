"""Workers that share a thread, as long as none of them waits in its steps.

Workers that hand work to one another gain nothing from threads of their own while their steps only compute or copy
memory: the interpreter runs one of them at a time, and each hand-over costs more than a step. One that waits for its
devices would hold up the others, so it is moved to a thread of its own, for good, when it has been seen to wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dmtable.runtime.runtime import RunningWorker, Worker

_LONG_SECONDS = 0.0003
"""Where a step takes longer it may have waited, or others computed meanwhile."""
_LOOKS = 16
"""So many steps behind it are looked at then."""
_WAITS = 3
"""So many of them wait before the Worker gets a thread of its own."""
_TURN_STEPS = 256
"""After so many steps others have their turn."""


class Crew(Worker):
    """Steps its members in turn, on one thread."""

    name = "dmtable crew"

    def __init__(self, start_alone: Callable[[Worker], RunningWorker]) -> None:
        self._start_alone = start_alone
        self._stepping = threading.RLock()
        """Held during a member's step: whoever stops one waits for that."""
        self._members: list[_Member] = []
        self._current: _Member | None = None
        self._steps = 0
        self._running: RunningWorker | None = None

    def start(self, worker: Worker) -> RunningWorker:
        """A new member; it starts awake."""
        member = _Member(worker, self)
        with self._stepping:
            self._members.append(member)
            if self._running is None:
                self._running = self._start_alone(self)
        member.wake()
        return member

    def wake(self) -> None:
        """A member is awake."""
        if self._running is not None:
            self._running.wake()

    def remove(self, member: _Member) -> None:
        """Steps a member no more; returns when the step under way has ended. The thread ends with the last one."""
        with self._stepping:
            if member not in self._members:
                return
            self._members.remove(member)
            if self._current is member:
                self._current = None
            last, self._running = (None, self._running) if self._members else (self._running, None)
        if last is not None:
            last.stop()

    def step(self) -> bool:
        with self._stepping:
            member = self._current or self._next()
            if member is None:
                return False
            try:
                goes_on = self._step(member)
            except BaseException:
                self._current = None
                # The others may be awake, and nobody would look.
                self.wake()
                raise
            self._steps += 1
            if goes_on and self._steps < _TURN_STEPS:
                return True
            self._current = None
            if goes_on:
                member.woken = True
            if member.waits >= _WAITS and member in self._members:
                self._members.remove(member)
                member.alone = self._start_alone(member.worker)
                # Whoever woke it before that line may have found it awake, and here.
                member.alone.wake()
            return True

    def _next(self) -> _Member | None:
        """Whose turn it is, in the order of starting, behind whoever had the last one."""
        members = self._members
        for at, member in enumerate(members):
            if member.woken:
                members.append(members.pop(at))
                self._current, self._steps = member, 0
                # Before its step: a wake during the step is not lost.
                member.woken = False
                return member
        return None

    @staticmethod
    def _step(member: _Member) -> bool:
        cpu = time.process_time() if member.looks else 0.0
        begin = time.monotonic()
        goes_on = member.worker.step()
        seconds = time.monotonic() - begin
        if member.looks:
            member.looks -= 1
            if seconds > _LONG_SECONDS and time.process_time() - cpu < seconds / 2:
                member.waits += 1
                member.looks = _LOOKS
            elif not member.looks:
                member.waits = 0
        elif seconds > _LONG_SECONDS:
            member.looks = _LOOKS
        return goes_on


class _Member:
    """A Worker of a crew, or one that has left it for a thread of its own."""

    def __init__(self, worker: Worker, crew: Crew) -> None:
        self.worker = worker
        self.woken = False
        self.looks = 0
        """So many of its next steps are looked at: one took long."""
        self.waits = 0
        """So many of those waited, and did not compute."""
        self.alone: RunningWorker | None = None
        self._crew = crew

    def wake(self) -> None:
        if self.alone is not None:
            self.alone.wake()
        elif not self.woken:
            self.woken = True
            self._crew.wake()
            if self.alone is not None:
                # It left meanwhile.
                self.alone.wake()

    def stop(self) -> None:
        if self.alone is None:
            self._crew.remove(self)
        if self.alone is not None:
            self.alone.stop()
