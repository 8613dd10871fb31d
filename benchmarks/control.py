"""What a command costs from its first byte to its last, and requests to a machine that runs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measure import Row, timed
from dmtable.control.client import IoctlControl
from dmtable.control.folder import MachineFolder
from dmtable.control.interface import DmIoctl
from dmtable.control.machine import FolderTransport
from dmtable.daemon.starting import start
from dmtable.daemon.stopping import stop

_RUNS = 31
_ROUNDS = 5
_PAIRS = 1_000


def rows() -> list[Row]:
    with _machine() as folder:
        return [
            Row("`dmtable info`, the whole process", "", _info(folder) * 1000, 150, unit=" ms"),
            Row("1,000 times create and remove, one client", "", _pairs(folder) * 1000, 3_000, unit=" ms"),
        ]


@contextmanager
def _machine() -> Iterator[MachineFolder]:
    with tempfile.TemporaryDirectory() as above:
        folder = MachineFolder(f"{above}/machine")
        start(folder)
        try:
            yield folder
        finally:
            stop(folder)


def _info(folder: MachineFolder) -> float:
    """Seconds, the median of some runs, with one md there."""
    words = [sys.executable, "-m", "dmtable", "--dir", folder.path]
    subprocess.run([*words, "create", "vol", "--table", "0 2048 zero"], check=True)
    with tempfile.TemporaryDirectory() as compiled:
        # Compiled as after an installation.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
        run = timed(lambda: subprocess.run([*words, "info"], env=environment, stdout=subprocess.DEVNULL, check=True))
        run()
        return statistics.median(run() for _ in range(_RUNS))


def _pairs(folder: MachineFolder) -> float:
    """Seconds, the median of some rounds."""
    with FolderTransport(folder) as transport:
        control = IoctlControl(transport)

        def work() -> None:
            for _ in range(_PAIRS):
                control.dev_create(DmIoctl("one"))
                control.dev_remove(DmIoctl("one"))

        run = timed(work)
        return statistics.median(run() for _ in range(_ROUNDS))
