"""The slides' group of two devices, killed with SIGKILL at random points: the remote site is always a prefix.

A hundred kills of each dialect with DMTABLE_BRUTE set, a few otherwise.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from dmtable.sim.order import History, Prefix, Violation
from tests.replication.lives import (
    LOCAL,
    REMOTE,
    WINDOW_SECTORS,
    live,
    make_images,
    shown_by_images,
    write_tables,
    writes,
)

KILLS = 100 if "DMTABLE_BRUTE" in os.environ else 8
_HANGS_SECONDS = 60


class _Campaign:
    """The images, what was written to them, and what is known of it."""

    def __init__(self, root: Path, dialect: str) -> None:
        self.root = root
        self.random = random.Random(dialect)
        self.history = History([WINDOW_SECTORS] * 2)
        """What entered the log and was not lost with its memory; then what the life at hand wrote."""
        self.next_number = 1
        self.durable = 0
        """The newest entry that an acknowledged flush covers."""
        self.remote: Prefix | Violation = Prefix(0, 0)
        self._processes = get_context("forkserver")
        self._processes.set_forkserver_preload(["pytest", live.__module__])
        make_images(root)
        write_tables(root, dialect)
        self._cut = root / "cut"

    def cut(self) -> None:
        self._cut.touch()

    def heal(self) -> None:
        self._cut.unlink(missing_ok=True)

    def live(self, life: int, *, dies_early: bool, drain: bool, last: bool = False) -> None:
        """One life; the link is cut when it begins, so that what it says of the sites is what the last one left."""
        self.cut()
        ours, its = self._processes.Pipe()
        process = self._processes.Process(
            target=live, args=(its, self.root, life, self.next_number, life == 0, drain), daemon=True
        )
        process.start()
        its.close()
        try:
            assert _heard(ours) == "opening"
            if dies_early:
                time.sleep(self.random.random() * 0.02)
            else:
                self._be_told(*_heard(ours))
                if drain:
                    self._drain(ours)
                if not last:
                    self._harass()
        finally:
            process.kill()
            process.join()
        told = list(_rest(ours))
        if dies_early and told:
            self._be_told(*told.pop(0))
            dies_early = False
        if not dies_early:
            self._wrote(life, told)
        self._judge()

    def _be_told(self, shown: list[int], ordered: bool) -> None:
        """What the group held when it was opened: what the log had, and nothing was lost that may not be."""
        held = self.history.judge(shown)
        assert isinstance(held, Prefix), f"after the log's recovery: {held}"
        assert held.whole == held.partial >= self.durable
        if isinstance(self.remote, Prefix):
            assert self.remote.partial <= held.whole, "the remote site has what the log has not"
        else:
            assert not ordered, self.remote
        self.history = History(self.history.device_sectors, self.history.entries[: held.whole])

    def _drain(self, pipe: Connection) -> None:
        """All sites get everything, and are equal."""
        self.heal()
        assert _heard(pipe) == "drained"
        whole = len(self.history.entries)
        for names in (LOCAL, REMOTE):
            assert self.history.judge(shown_by_images(self.root, names)) == Prefix(whole, whole)
        pipe.send("go on")

    def _harass(self) -> None:
        """The link comes and goes while it writes."""
        for _ in range(self.random.randrange(1, 6)):
            if self.random.randrange(2):
                self.cut()
            else:
                self.heal()
            time.sleep(self.random.random() * 0.05)

    def _wrote(self, life: int, told: Sequence[tuple[str, int]]) -> None:
        """Enters what this life wrote. The last write may be in the log though nobody was told."""
        wrote = sum(what == "wrote" for what, _ in told)
        flushed = max([number for what, number in told if what == "flushed"], default=0)
        for write in islice(writes(life, self.next_number), wrote + 1):
            for part in write.parts:
                entry = self.history.enter(part.device, part.sector, part.sectors, part.number)
                if part.number == flushed:
                    self.durable = entry
                self.next_number += 1

    def _judge(self) -> None:
        """The remote pair, as the killed process left it."""
        self.remote = self.history.judge(shown_by_images(self.root, REMOTE))


def _heard(pipe: Connection) -> Any:
    """The next word. A life that says nothing for so long hangs."""
    assert pipe.poll(_HANGS_SECONDS), "it hangs"
    return pipe.recv()


def _rest(pipe: Connection) -> Iterator[Any]:
    """What was told before the pipe broke."""
    with suppress(EOFError, ConnectionResetError):
        while True:
            yield pipe.recv()


@pytest.mark.parametrize("dialect", ["2008", "2009"])
def test_the_remote_site_is_a_prefix_whenever_the_process_is_killed(dialect: str, tmp_path: Path) -> None:
    campaign = _Campaign(tmp_path, dialect)
    prefixes = 0
    for life in range(KILLS):
        early = life > 0 and campaign.random.random() < 0.15
        campaign.live(life, dies_early=early, drain=campaign.random.random() < 0.4)
        prefixes += isinstance(campaign.remote, Prefix)
    campaign.live(KILLS, dies_early=False, drain=True, last=True)
    assert prefixes >= KILLS // 4
    assert len(campaign.history.entries) > KILLS
