"""Campaigns: small groups exhaustively, then one seed after the other, on several processors, until time is up."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Event

from dmtable.errors import DmtableError
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.choices import Choices, Seeded, exhaustive
from dmtable.sim.explorer import Explorer, Flawed, Statistics
from dmtable.sim.finding import Finding
from dmtable.sim.playback import shrink
from dmtable.sim.script import Script
from dmtable.sim.subject import Subject
from dmtable.sim.workload import Workload, any_workload, small_workloads

_MOST_DEPARTURES = 2
_MOST_IMAGES = 256
_MOST_REMEMBERED = 200_000
"""Crash states that one process remembers; then it begins anew, for memory has an end."""
_REPORT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a campaign: a small workload under all orders of turns, or what a seed makes."""

    name: str
    workload: Workload
    departures: int = 0
    """Without a seed: how often an order of turns may leave the ordinary one."""
    seed: int | None = None

    def runs(self) -> Iterator[Choices]:
        """The choices of its runs, one by one."""
        # A number of its own for the run: which workload a seed makes is no part of the script.
        return exhaustive(self.departures) if self.seed is None else iter([Seeded(-1 - self.seed)])


@dataclass(frozen=True, slots=True)
class Failure:
    """What a campaign found, and the script that shows it again; `unit` says where it was."""

    unit: str
    finding: Finding
    script: Script


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is."""

    statistics: Statistics
    seconds: float
    failure: Failure | None = None


def units(subject: Subject, *, small: int, seed: int) -> Iterator[Unit]:
    """All small workloads of up to `small` writes, with few departures from the ordinary order of turns; then seeds
    without end, from `seed` on, and between them the small workloads with more departures."""
    for departures in range(_MOST_DEPARTURES):
        yield from _small_units(subject, small, departures)
    thorough = _small_units(subject, small, _MOST_DEPARTURES)
    for number in count(seed):
        yield from islice(thorough, 1)
        drawn = any_workload(subject.device_sectors, Seeded(number), boundary_sectors=subject.boundary_sectors)
        yield Unit(f"seed {number}", drawn, seed=number)


def _small_units(subject: Subject, small: int, departures: int) -> Iterator[Unit]:
    for writes in range(1, small + 1):
        for number, workload in enumerate(small_workloads(subject.device_sectors, writes), 1):
            name = f"small workload {number} of {writes} writes, {departures} departures from the ordinary order"
            yield Unit(name, workload, departures)


def work(subject: Subject, share: Iterator[Unit], stopped: Callable[[], bool]) -> Iterator[Statistics | Failure]:
    """Explores unit by unit until stopped, and tells now and then what was reached since; a failure is the last."""
    explorer = Explorer(subject)
    for unit in share:
        most_images = None if unit.seed is None else _MOST_IMAGES
        if explorer.most_images != most_images or explorer.visited > _MOST_REMEMBERED:
            explorer = Explorer(subject, most_images=most_images)
        for choices in unit.runs():
            if stopped():
                return
            try:
                explorer.run(unit.workload, choices, weather=unit.seed is not None and unit.seed % 2 == 1)
            except Flawed as flawed:
                yield explorer.take_statistics()
                yield Failure(unit.name, flawed.finding, shrink(subject, flawed.script, flawed.finding.flaw))
                return
            yield explorer.take_statistics()


def campaign(
    subject: Subject, *, seed: int, small: int = 2, jobs: int = 1, seconds: float, tell: Callable[[Progress], None]
) -> Progress:
    """Runs for so long on so many processors, or to the first failure. `tell` is called a few times a second.

    Raises DmtableError where a process dies.
    """
    clock = ThreadRuntime()
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    begun = clock.now()
    pipes: list[Connection] = []
    processes = []
    total = Statistics()
    for job in range(jobs):
        here, there = context.Pipe(duplex=False)
        share = islice(units(subject, small=small, seed=seed), job, None, jobs)
        process = context.Process(target=_job, args=(subject, share, stop, there), daemon=True)
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    failure: Failure | None = None
    try:
        while pipes:
            for pipe in wait(pipes, _REPORT_SECONDS):
                assert isinstance(pipe, Connection)
                try:
                    told = pipe.recv()
                except EOFError:
                    raise DmtableError("a process of the campaign died; its last words are above") from None
                if told is None:
                    pipes.remove(pipe)
                elif isinstance(told, Statistics):
                    total.add(told)
                else:
                    failure = failure or told
                    stop.set()
            elapsed = clock.now() - begun
            tell(Progress(total, elapsed))
            if elapsed >= seconds:
                stop.set()
    finally:
        stop.set()
        for process in processes:
            process.join()
    return Progress(total, clock.now() - begun, failure)


def _job(subject: Subject, share: Iterator[Unit], stop: Event, pipe: Connection) -> None:
    clock = ThreadRuntime()
    since, told_at = Statistics(), clock.now()
    try:
        for told in work(subject, share, stop.is_set):
            if isinstance(told, Failure):
                pipe.send(told)
            else:
                since.add(told)
            if clock.now() - told_at > _REPORT_SECONDS:
                pipe.send(since)
                since, told_at = Statistics(), clock.now()
        pipe.send(since)
        pipe.send(None)
    except KeyboardInterrupt:
        return
