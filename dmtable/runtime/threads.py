"""The runtime of production: each Worker is a thread, waiting is parking, time is the system's."""

from __future__ import annotations

import errno
import heapq
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from dmtable.runtime.crew import Crew
from dmtable.runtime.runtime import Completion, Condition, RunningWorker, Runtime, Timer, Worker


class ThreadRuntime(Runtime):
    """Threads start on the first Worker or timer; a program that only does static I/O has none."""

    def __init__(self) -> None:
        self._workers: set[_WorkerThread] = set()
        self._guard = threading.Lock()
        self._timers: _TimerThread | None = None

    def now(self) -> float:
        return time.monotonic()

    def date(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def lock(self) -> AbstractContextManager[object]:
        return threading.RLock()

    def condition(self, *, interruptible: bool = False) -> Condition:
        return _InterruptibleCondition() if interruptible else threading.Condition()

    def wait(self, completion: Completion) -> None:
        if completion.done:
            return
        event = threading.Event()
        completion.on_done(event.set)
        event.wait()

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        with self._guard:
            if self._timers is None:
                self._timers = _TimerThread()
            return self._timers.add(time.monotonic() + delay_seconds, call)

    def start(self, worker: Worker) -> RunningWorker:
        running = _WorkerThread(worker, self._workers.discard)
        with self._guard:
            self._workers.add(running)
        running.begin()
        return running

    def crew(self) -> Callable[[Worker], RunningWorker]:
        return Crew(self.start).start

    def close(self) -> None:
        with self._guard:
            workers, timers = list(self._workers), self._timers
            self._timers = None
        for running in workers:
            running.stop()
        if timers is not None:
            timers.stop()


class Interruption:
    """What a thread does for somebody who may go away meanwhile.

    After `interrupt`, the thread's next wait for an interruptible condition of a ThreadRuntime, or the one it is in,
    ends with InterruptedError. All other waits go on.

        with interruption:      # in the thread
            work()
        interruption.interrupt()  # in another
    """

    def __init__(self) -> None:
        self._wanted = False
        self._waits_for: threading.Condition | None = None

    def __enter__(self) -> Interruption:
        _current.interruption = self
        return self

    def __exit__(self, *_: object) -> None:
        _current.interruption = None

    def interrupt(self) -> None:
        """Once; whoever waits next is none the wiser."""
        self._wanted = True
        # Set before it looks: whoever is about to wait either sees the one or shows the other.
        condition = self._waits_for
        if condition is not None:
            with condition:
                condition.notify_all()

    def wait(self, condition: threading.Condition, wait: Callable[[], bool]) -> bool:
        """Waits for a condition that the thread has entered."""
        self._waits_for = condition
        try:
            woken = self._wanted or wait()
        finally:
            self._waits_for = None
        if self._wanted:
            self._wanted = False
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
        return woken


class _InterruptibleCondition(threading.Condition):
    def wait(self, timeout: float | None = None) -> bool:
        interruption: Interruption | None = getattr(_current, "interruption", None)
        if interruption is None:
            return super().wait(timeout)
        return interruption.wait(self, partial(super().wait, timeout))


_current = threading.local()


class _WorkerThread:
    """Steps one Worker until it has nothing to do, then sleeps until woken."""

    def __init__(self, worker: Worker, on_stop: Callable[[_WorkerThread], None]) -> None:
        self._worker = worker
        self._on_stop = on_stop
        self._awake = threading.Event()
        self._awake.set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=worker.name, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._awake.set()

    def stop(self) -> None:
        self._stopping = True
        self._awake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._on_stop(self)

    def _run(self) -> None:
        while True:
            self._awake.wait()
            # Cleared before the step: whoever wakes us during it is seen in the next round.
            self._awake.clear()
            try:
                while not self._stopping and self._worker.step():
                    pass
            except Exception as error:
                _tell(error)
            if self._stopping:
                return


class _PendingCall:
    __slots__ = ("_call", "at")

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self._call: Callable[[], None] | None = call

    def __lt__(self, other: _PendingCall) -> bool:
        return self.at < other.at

    def cancel(self) -> None:
        self._call = None

    def fire(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class _TimerThread:
    """All timers of a runtime, on one thread."""

    def __init__(self) -> None:
        self._heap: list[_PendingCall] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dmtable timers", daemon=True)
        self._thread.start()

    def add(self, at: float, call: Callable[[], None]) -> Timer:
        pending = _PendingCall(at, call)
        with self._changed:
            heapq.heappush(self._heap, pending)
            self._changed.notify_all()
        return pending

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._heap.clear()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                due.fire()
            except Exception as error:
                _tell(error)

    def _next(self) -> _PendingCall | None:
        with self._changed:
            while not self._stopping:
                if not self._heap:
                    self._changed.wait()
                    continue
                remaining = self._heap[0].at - time.monotonic()
                if remaining <= 0:
                    return heapq.heappop(self._heap)
                self._changed.wait(remaining)
            return None


def _tell(error: Exception) -> None:
    """Tells of a defect as of one that ends this thread; but the thread goes on, for others may wait for it."""
    hook_args = (type(error), error, error.__traceback__, threading.current_thread())
    threading.excepthook(threading.ExceptHookArgs(hook_args))


def spawn(name: str, call: Callable[..., object], *args: object) -> threading.Thread:
    """Begins a thread that does not keep the process alive, for what serves others: a socket, a mount."""
    thread = threading.Thread(target=call, args=args, name=name, daemon=True)
    thread.start()
    return thread
