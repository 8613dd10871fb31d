"""Berlin: an emulated machine of its own, with the slides' two replicated volumes and a link to Tokyo.

Tokyo's disks stand below an md each, `tokyo0` and `tokyo1`, that are the link: a table of another target makes it slow,
cuts it, or heals it, while the replicator above is at work.
"""

from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from enum import Enum
from pathlib import Path

from dmtable.cli.main import main
from dmtable.control.folder import MachineFolder, machine_folder
from dmtable.daemon.presence import serving
from dmtable.daemon.stopping import stop
from examples.demo.failure import DemoError
from examples.demo.measures import Measures

_INTERRUPTED = 130
_PATIENCE_SECONDS = 30.0
_DIRTY_LOG_BYTES = 64 << 10


class Link(Enum):
    """What the way to Tokyo is like: the target that stands for it."""

    GOOD = "linear {disk} 0"
    SLOW = "delay {disk} 0 20"
    CUT = "error"


class Primary:
    """The machine in Berlin, switched off. Image files of both sites are in `folder`/disks, tables in /tables."""

    def __init__(self, folder: Path, measures: Measures) -> None:
        self.disks = folder / "disks"
        self.tables = folder / "tables"
        self.measures = measures
        self.link = Link.GOOD
        self.machine: MachineFolder = machine_folder(str(folder / "machine"))

    def make_disks(self) -> None:
        """Empty image files, full of holes."""
        volume = self.measures.volume << 9
        log = (self.measures.log + 64) << 9
        sizes = {f"{site}/vol{n}": volume for site in ("berlin", "tokyo") for n in (0, 1)}
        sizes |= {"berlin/log": log, "berlin/dirty0": _DIRTY_LOG_BYTES, "berlin/dirty1": _DIRTY_LOG_BYTES}
        for name, size in sizes.items():
            path = self.disks / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as image:
                image.truncate(size)

    def node(self, name: str) -> Path:
        """An md as a file."""
        return Path(self.machine.mapper, name)

    # Tables.

    def write_tables(self, *, log_is_new: bool) -> None:
        """The tables of a start, in the order of their names in `_ORDER`."""
        size, journal = self.measures.volume, self.measures.journal
        self.tables.mkdir(exist_ok=True)
        opened = "ringbuffer 3 /berlin/log 0 open"
        first = f"ringbuffer 4 /berlin/log 0 create {self.measures.log}" if log_is_new else opened
        for name, lines in {
            "tokyo0": [f"# The link to Tokyo, for the first volume: {self.link.name.lower()}.", self._link_table(0)],
            "tokyo1": [f"# The link to Tokyo, for the second volume: {self.link.name.lower()}.", self._link_table(1)],
            "vol0": [
                f"# Tokyo (site 1) may lack {self.measures.limit} writes; beyond that writers wait for it.",
                self._replicated(0, first),
            ],
            "vol1": ["# The same log: one group, one order of writes.", self._replicated(1, opened)],
            "db": ["# The database has the second volume …", f"0 {size - journal} linear /dev/mapper/vol1 0"],
            "db-journal": [
                "# … but for its end, where SQLite has its rollback journal.",
                f"0 {journal} linear /dev/mapper/vol1 {size - journal}",
            ],
        }.items():  # fmt: skip
            (self.tables / f"{name}.dm").write_text("".join(f"{line}\n" for line in lines))

    def _replicated(self, number: int, log: str) -> str:
        return (
            f"0 {self.measures.volume} replicator {log} "
            f"blockdev 2 0 asynchronous 2 {number} /berlin/vol{number} - 0 "
            f"blockdev 3 1 asynchronous ios={self.measures.limit} 2 {number} /dev/mapper/tokyo{number} "
            f"disk 3 /berlin/dirty{number} 2048 nosync"
        )

    def _link_table(self, number: int) -> str:
        return f"0 {self.measures.volume} {self.link.value.format(disk=f'/tokyo/vol{number}')}"

    # Power.

    def switch_on(self, *, log_is_new: bool) -> str:
        """Starts the daemon and makes all mds; what the daemon had to say beside."""
        self.write_tables(log_is_new=log_is_new)
        said = self.dmtable("daemon", "start", "--root", str(self.disks))
        for name in _ORDER:
            self.dmtable("create", name, str(self.tables / f"{name}.dm"))
        self.dmtable("message", "vol0", "0", "replog statistics on")
        return said.partition("\n")[2].strip().removeprefix("dmtable: ")

    def lose_power(self) -> bool:
        """Kills the daemon, wherever it is; whether there was one."""
        there = serving(self.machine)
        if there is None:
            return False
        with there:
            os.kill(there.pid, signal.SIGKILL)
            if not there.wait(_PATIENCE_SECONDS):
                raise DemoError(f"the daemon {there.pid} does not die")
        return True

    def switch_off(self) -> None:
        """Lets all I/O end, removes everything and ends the daemon; clears away what a killed one left."""
        stop(self.machine)

    # Orders.

    def set_link(self, link: Link) -> None:
        """Gives the link's mds another table while they are in use."""
        self.link = link
        for number in (0, 1):
            self.dmtable("reload", f"tokyo{number}", "--table", self._link_table(number))
            self.dmtable("resume", f"tokyo{number}")

    def dmtable(self, *words: str) -> str:
        """What `dmtable --dir … WORDS` says. Raises DemoError where it fails."""
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            status = main(["--dir", self.machine.path, *words])
        if status == _INTERRUPTED:
            raise KeyboardInterrupt
        if status:
            raise DemoError(f"dmtable {' '.join(words)}: {said.getvalue().strip()}")
        return said.getvalue()


_ORDER = ("tokyo0", "tokyo1", "vol0", "vol1", "db", "db-journal")
