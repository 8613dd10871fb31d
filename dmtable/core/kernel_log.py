"""The log of the emulated kernel, which all of its mds write to."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dmtable.errors import IoctlError
from dmtable.runtime.runtime import Runtime

_KEPT_LINES = 10_000
_WINDOW_SECONDS, _WINDOW_LINES = 5.0, 10


class KernelLog:
    """The newest `lines`, newest last. Safe for threads."""

    def __init__(self, runtime: Runtime) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.written = 0
        """How many lines there ever were."""
        self._runtime = runtime
        self._lock = runtime.lock()
        self._windows: dict[str, tuple[float, int]] = {}
        """By form: when its window began, and how many of its lines were written since."""

    def write(self, text: str) -> None:
        """Writes a line of device-mapper's (kernel: DMERR)."""
        self.add([f"device-mapper: {text}"])

    def add(self, lines: Sequence[str]) -> None:
        """Writes whole lines."""
        with self._lock:
            self.lines.extend(lines)
            self.written += len(lines)

    def since(self, written: int) -> tuple[list[str], int]:
        """(the lines kept of those after the first `written`, how many there are now)."""
        with self._lock:
            new = max(min(self.written - written, len(self.lines)), 0)
            return list(self.lines)[len(self.lines) - new :], self.written

    def refusal(self, number: int, *lines: str, before: Sequence[str] = ()) -> IoctlError:
        """Writes why a request is refused, the first of `lines` above all, and returns what to raise."""
        log = [f"device-mapper: {line}" for line in (*before, *lines)]
        self.add(log)
        return IoctlError(number, lines[0], log)

    def write_limited(self, form: str, *values: object) -> None:
        """Writes `form.format(*values)`, or loses it: of one form, whichever mds write it, the log takes 10 lines in
        5 seconds (kernel: DMERR_LIMIT, which counts at each place of its source)."""
        now = self._runtime.now()
        begin, written = self._windows.get(form, (now, 0))
        if now > begin + _WINDOW_SECONDS:
            begin, written = now, 0
        if written < _WINDOW_LINES:
            self._windows[form] = begin, written + 1
            self.write(form.format(*values))
