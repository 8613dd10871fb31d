"""libdm's own log, which a second `-v` asks for."""

from __future__ import annotations

from collections.abc import Callable


class Log:
    """Takes the lines of the log; without a place to write it has none.

    What a third `-v` adds is left out: the moments at which requests were answered.
    """

    def __init__(self, out: Callable[[str], object] | None) -> None:
        self._out = out
        self._said: set[str] = set()

    def line(self, text: str) -> None:
        if self._out is not None:
            self._out(f"{text}\n")

    def once(self, text: str) -> None:
        """As `line`, for what libdm finds out once and then knows."""
        if text not in self._said:
            self._said.add(text)
            self.line(text)

    def backtrace(self, count: int = 1) -> None:
        """A line for each function that hands a failure on."""
        for _ in range(count):
            self.line("<backtrace>")
