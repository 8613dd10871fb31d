"""Looks at the replicator's status ten times a second, and remembers what it said."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

from dmtable.control.client import IoctlControl
from dmtable.control.interface import DmIoctl
from dmtable.control.machine import FolderTransport
from dmtable.errors import DmtableError
from examples.demo.failure import DemoError
from examples.demo.primary import Link, Primary

_PERIOD_SECONDS = 0.1
_PATIENCE_SECONDS = 120.0
_STATUS = re.compile(
    r" [AS],(?P<here>\d+),\d+ (?P<mode>[AS]),(?P<behind>\d+),\d+ \d+/\d+/(?P<log>\d+) .*ring_free=(?P<free>\d+)"
)


@dataclass(frozen=True, slots=True)
class Instant:
    """What the status of `vol0` said: writes that the sites lack, whether writers wait for Tokyo, the log's use."""

    seconds: float
    link: Link
    here: int
    behind: int
    waits: bool
    log_share: float


class Watch(Thread):
    """While the machine is without power there is nothing to be seen, and no instant."""

    def __init__(self, primary: Primary) -> None:
        super().__init__(name="watch", daemon=True)
        self._primary = primary
        self._end = Event()
        self.begin = time.monotonic()
        self.instants: list[Instant] = []

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    def run(self) -> None:
        self.begin = time.monotonic()
        while not self._end.wait(_PERIOD_SECONDS):
            self.look()

    def look(self) -> None:
        """Remembers the status as it is now."""
        try:
            with FolderTransport(self._primary.machine) as transport:
                _, [line] = IoctlControl(transport).table_status(DmIoctl("vol0"))
        except (DmtableError, ValueError):
            return
        if (said := _STATUS.match(line.params)) is not None:
            behind, here = int(said["behind"]), int(said["here"])
            share = 1 - int(said["free"]) / int(said["log"])
            self.instants.append(Instant(self.now(), self._primary.link, here, behind, said["mode"] == "S", share))

    def until(self, holds: Callable[[Instant], bool], what: str, check: Callable[[], None]) -> Instant:
        """Waits for an instant of which something holds, and returns it. Raises DemoError after very long, and what
        `check` raises meanwhile."""
        at, end = len(self.instants), time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            check()
            for instant in self.instants[at:]:
                at += 1
                if holds(instant):
                    return instant
            time.sleep(_PERIOD_SECONDS / 2)
        raise DemoError(f"{what}: that did not come in {_PATIENCE_SECONDS:.0f} s")

    def stop(self) -> None:
        """Looks no more."""
        self._end.set()
        if self.is_alive():
            self.join()
