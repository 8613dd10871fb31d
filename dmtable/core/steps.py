"""I/O of a Worker as steps: a generator that yields what must be done before it is asked to go on.

A Worker may make one device call in each step and may not block; code that needs several calls is written as a
generator, and whoever may block carries it out in one go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from dmtable.core.bio import Bio, submit
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import Completion, RunningWorker, Runtime, Worker

Steps = Iterator[Completion]
"""I/O on its way: each item is to be waited for before the next is asked for, and that does at most one
device call, as its last act. Raises OSError where the I/O fails."""


class _Done:
    """A completion that was done before anybody asked."""

    done = True

    def on_done(self, callback: Callable[[], None]) -> None:
        callback()


DONE: Completion = _Done()
"""What steps yield behind a call that waited by itself."""

IDLE: Completion = _Done()
"""What the steps of a Worker yield that finds nothing to do until it is woken."""


class StepsWorker(Worker):
    """A Worker whose work is written as steps, which go on for ever, or end. It begins when it is given them."""

    def __init__(self, name: str, start: Callable[[Worker], RunningWorker], steps: Steps) -> None:
        self.name = name
        self._steps = steps
        self._waits_for: Completion = DONE
        # Until its thread is known here: it may have begun before `start` returned.
        self._rests = True
        self._running = start(self)
        self._rests = False
        self._running.wake()

    def wake(self) -> None:
        """There may be something to do."""
        self._running.wake()

    def stop(self) -> None:
        """Ends the Worker, wherever it is."""
        self._running.stop()

    def step(self) -> bool:
        if self._rests or not self._waits_for.done:
            return False
        try:
            item = next(self._steps)
        except BaseException as error:
            self._rests = True
            if isinstance(error, StopIteration):
                return False
            raise
        if item is IDLE:
            return False
        self._waits_for = item
        if not item.done:
            item.on_done(self._running.wake)
        return True


def carry_out(steps: Steps, runtime: Runtime) -> None:
    """Waits for all steps. Raises what they raise."""
    for completion in steps:
        runtime.wait(completion)


def request(device: BlockDevice, bio: Bio) -> Steps:
    """One bio as steps. Raises OSError where it fails."""
    submit(device, bio)
    yield bio
    if bio.error:
        raise OSError(bio.error, f"{os.strerror(bio.error)}: {bio.op.name}")
