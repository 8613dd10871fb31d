"""How the kernel keeps its log readable (kernel: printk_ratelimited)."""

from __future__ import annotations

from collections.abc import Callable

from dmtable.runtime.runtime import Runtime

_SECONDS, _LINES = 5.0, 10


class RateLimited:
    """A log that takes 10 lines in 5 seconds, and loses the others. One for each place that logs."""

    def __init__(self, runtime: Runtime, log: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._log = log
        self._begin = -_SECONDS
        self._lines = 0

    def __call__(self, text: str) -> None:
        now = self._runtime.now()
        if now > self._begin + _SECONDS or not self._lines:
            self._begin, self._lines = now, 0
        if self._lines < _LINES:
            self._lines += 1
            self._log(text)
