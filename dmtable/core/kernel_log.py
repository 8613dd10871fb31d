"""The log of the emulated kernel, which all of its mds write to."""

from __future__ import annotations

from collections import deque

from dmtable.runtime.runtime import Runtime

_KEPT_LINES = 10_000
_WINDOW_SECONDS, _WINDOW_LINES = 5.0, 10


class KernelLog:
    """The newest `lines`, newest last. Safe for threads."""

    def __init__(self, runtime: Runtime) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._runtime = runtime
        self._windows: dict[str, tuple[float, int]] = {}
        """By form: when its window began, and how many of its lines were written since."""

    def write(self, text: str) -> None:
        """Writes a line of device-mapper's (kernel: DMERR)."""
        self.lines.append(f"device-mapper: {text}")

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
