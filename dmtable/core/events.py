"""A counter of events, and waiting for the next."""

from __future__ import annotations

from dmtable.runtime.runtime import Runtime

_COUNTER_END = 1 << 32


class EventCounter:
    """Counts modulo 2^32, as the kernel does. Safe for threads."""

    def __init__(self, runtime: Runtime) -> None:
        self.number = 0
        self._changed = runtime.condition(interruptible=True)

    def happened(self) -> None:
        """There was one more event."""
        with self._changed:
            self.number = (self.number + 1) % _COUNTER_END
            self._changed.notify_all()

    def wait(self, number: int) -> None:
        """Returns when the counter differs from `number`. Raises InterruptedError."""
        with self._changed:
            while self.number == number:
                self._changed.wait()
