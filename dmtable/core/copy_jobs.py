"""The jobs of one client of the copy service: their order, how they end, and how often they have a turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dmtable.core.regions import Region
from dmtable.errors import UsageError
from dmtable.runtime.runtime import Runtime


@dataclass(frozen=True, slots=True)
class CopyResult:
    """How a job ended. `write_errors` has bit i set where destination i failed; a cancelled job is unfinished."""

    read_error: bool = False
    write_errors: int = 0
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        return not (self.read_error or self.write_errors or self.cancelled)


OnDone = Callable[[CopyResult], None]


@dataclass(slots=True, eq=False)
class CopyJob:
    """One request; without a source it writes zeroes. The pieces before `at` are under way or done."""

    source: Region | None
    sectors: int
    destinations: Sequence[Region]
    on_done: OnDone
    ignore_error: bool
    at: int = 0
    data_until: int = 0
    """Up to here the source is known to go on with data."""
    in_flight: int = 0
    read_error: bool = False
    write_errors: int = 0
    cancelled: bool = False

    @property
    def all_begun(self) -> bool:
        """Whether there is nothing more of it to begin."""
        return self.at == self.sectors

    @property
    def ended(self) -> bool:
        return self.all_begun and not self.in_flight

    def begin_no_more(self) -> None:
        self.at = self.sectors


class CopyQueue:
    """The jobs of one client: other threads add to them and wait for their reports, the Worker does the rest."""

    def __init__(self, runtime: Runtime, throttle: int) -> None:
        self.throttle = throttle
        self.rests_until = 0.0
        """When the throttle lets the next piece begin."""
        self.todo: deque[CopyJob] = deque()
        """The jobs of which there is something to begin."""
        self.in_flight = 0
        """Pieces under way."""
        self._unreported: deque[CopyJob] = deque()
        self._closed = False
        self._reported = runtime.condition()

    @property
    def throttle(self) -> int:
        """Per cent of the time that pieces are under way; below 100 they go one by one."""
        return self._throttle

    @throttle.setter
    def throttle(self, percent: int) -> None:
        if not 1 <= percent <= 100:
            raise UsageError(f"a throttle is 1 to 100 per cent, and not {percent}")
        self._throttle = percent

    # For all threads.

    @property
    def empty(self) -> bool:
        """Whether every job is reported."""
        return not self._unreported

    def add(self, job: CopyJob) -> None:
        """The job will be reported in its turn. Raises UsageError where the queue is closed."""
        with self._reported:
            if self._closed:
                raise UsageError("the client is closed")
            self._unreported.append(job)

    def close(self) -> None:
        """No job is added any more."""
        with self._reported:
            self._closed = True

    def wait_empty(self) -> None:
        """Returns when every job is reported. The queue is closed."""
        with self._reported:
            while self._unreported:
                self._reported.wait()

    # For the Worker.

    @property
    def first_ended(self) -> bool:
        """Whether there is a job to report now."""
        return bool(self._unreported) and self._unreported[0].ended

    def report_first(self) -> None:
        """Calls back; the job is reported then, whatever the callback raises."""
        job = self._unreported[0]
        try:
            job.on_done(CopyResult(job.read_error, job.write_errors, job.cancelled))
        finally:
            self._unreported.popleft()
            if self._closed:
                with self._reported:
                    self._reported.notify_all()

    def cancel(self) -> None:
        """What is not under way is given up."""
        while self.todo:
            job = self.todo.popleft()
            job.cancelled = True
            job.begin_no_more()
