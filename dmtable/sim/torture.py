"""Campaigns: small groups exhaustively, then one seed after the other, on several processors, until time is up."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess
from multiprocessing.synchronize import Event

from dmtable.errors import DmtableError
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.breach import Breach
from dmtable.sim.choices import Choices, Seeded, exhaustive
from dmtable.sim.explorer import Explorer, Flawed, Statistics
from dmtable.sim.playback import shrink
from dmtable.sim.script import Script
from dmtable.sim.subject import Subject
from dmtable.sim.workload import Workload, Write, any_workload, small_workloads

_MOST_DEPARTURES = 2
_MOST_IMAGES = 256
_MOST_IMAGES_IN_WEATHER = 16
_RUNS_IN_WEATHER = 8
"""Weather is drawn, never exhausted: many runs find more than much of each."""
_MOST_REMEMBERED = 200_000
"""Crash states that one process remembers; then it begins anew, for memory has an end."""
_REPORT_SECONDS = 0.2
_GRACE_SECONDS = 60.0
"""A run that is under way when time is up may take so much longer."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a campaign: a small workload under all orders of turns, or what a seed makes."""

    name: str
    workload: Workload
    departures: int = 0
    """Without a seed: how often an order of turns may leave the ordinary one."""
    seed: int | None = None
    kin: int = 0
    """Units of the same number come to many of the same states: whoever explored one has it easy with the others."""

    @property
    def weather(self) -> bool:
        """Every other seed goes out in it."""
        return self.seed is not None and self.seed % 2 == 1

    def runs(self) -> Iterator[Choices]:
        """The choices of its runs, one by one."""
        if self.seed is None:
            return exhaustive(self.departures)
        runs = range(_RUNS_IN_WEATHER if self.weather else 1)
        return (Seeded(self.seed, f"run {number}") for number in runs)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a campaign found, and the script that shows it again; `unit` says where it was."""

    unit: str
    breach: Breach
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
        yield Unit(f"seed {number}", drawn, seed=number, kin=number)


def _small_units(subject: Subject, small: int, departures: int) -> Iterator[Unit]:
    places: dict[tuple[tuple[int, int], ...], int] = {}
    for writes in range(1, small + 1):
        for number, workload in enumerate(small_workloads(subject.device_sectors, writes), 1):
            name = f"small workload {number} of {writes} writes, {departures} departures from the ordinary order"
            written = tuple((one.device, one.sector) for ones in workload for one in ones if isinstance(one, Write))
            yield Unit(name, workload, departures, kin=places.setdefault(written, len(places)))


def share_of(all_units: Iterator[Unit], job: int, jobs: int) -> Iterator[Unit]:
    """What one of so many jobs does; kin stays together."""
    return (unit for unit in all_units if unit.kin % jobs == job)


def work(subject: Subject, share: Iterator[Unit], stopped: Callable[[], bool]) -> Iterator[Statistics | Failure]:
    """Explores unit by unit until stopped, and tells now and then what was reached since; a failure is the last."""
    small = Explorer(subject)
    for unit in share:
        if small.visited > _MOST_REMEMBERED:
            small = Explorer(subject)
        # What two seeds have made seldom meets, so it is not remembered.
        if unit.seed is None:
            explorer = small
        elif unit.weather:
            explorer = Explorer(subject, crashes=1, most_images=_MOST_IMAGES_IN_WEATHER, seed=unit.seed)
        else:
            explorer = Explorer(subject, most_images=_MOST_IMAGES, seed=unit.seed)
        for choices in unit.runs():
            if stopped():
                return
            try:
                explorer.run(unit.workload, choices, weather=unit.weather, stopped=stopped)
            except Flawed as flawed:
                yield explorer.take_statistics()
                yield Failure(unit.name, flawed.breach, shrink(subject, flawed.script, flawed.breach.flaw))
                return
            yield explorer.take_statistics()


def campaign(
    subject: Subject, *, seed: int, small: int = 2, jobs: int = 1, seconds: float, tell: Callable[[Progress], None]
) -> Progress:
    """Runs for so long on so many processors, or to the first failure. `tell` is called a few times a second.

    Raises DmtableError where a process dies, or does not end when it should.
    """
    clock = ThreadRuntime()
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    begun, stopped_at = clock.now(), math.inf
    running = [
        _start(context, subject, share_of(units(subject, small=small, seed=seed), job, jobs), stop)
        for job in range(jobs)
    ]
    everyone = list(running)
    total, failure = Statistics(), None
    try:
        while running:
            for pipe in wait([job.pipe for job in running], _REPORT_SECONDS):
                job = next(job for job in running if job.pipe is pipe)
                told = job.told()
                if told is None:
                    running.remove(job)
                elif isinstance(told, Statistics):
                    total.add(told)
                elif isinstance(told, Failure):
                    failure = failure or told
                    stop.set()
            now = clock.now()
            tell(Progress(total, now - begun))
            if now - begun >= seconds:
                stop.set()
            if stop.is_set():
                stopped_at = min(stopped_at, now)
            if now - stopped_at > _GRACE_SECONDS:
                raise DmtableError(f"a process does not end: in {running[0].unit} some step seems to take for ever")
    finally:
        stop.set()
        for job in everyone:
            job.end()
    return Progress(total, clock.now() - begun, failure)


@dataclass(slots=True)
class _Job:
    """One process of a campaign, seen from the one that started it."""

    process: ForkProcess
    pipe: Connection
    unit: str = "its first unit"

    def told(self) -> Statistics | Failure | str | None:
        """The next thing it says; None is its last. Raises DmtableError where it died."""
        try:
            told: Statistics | Failure | str | None = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise DmtableError(f"a process died in {self.unit}, with the exit code {self.process.exitcode}") from None
        if isinstance(told, str):
            self.unit = told
        return told

    def end(self) -> None:
        """Waits a moment for it, and ends it by force where that is not enough."""
        self.process.join(_REPORT_SECONDS)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()
        self.pipe.close()


def _start(context: ForkContext, subject: Subject, share: Iterator[Unit], stop: Event) -> _Job:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(subject, share, stop, there), daemon=True)
    process.start()
    there.close()
    return _Job(process, here)


def _work(subject: Subject, share: Iterator[Unit], stop: Event, pipe: Connection) -> None:
    """The life of one of the processes. It ends with its parent, however that ended."""
    parent = os.getppid()
    clock = ThreadRuntime()
    since, told_at = Statistics(), clock.now()

    def announced() -> Iterator[Unit]:
        for unit in share:
            pipe.send(unit.name)
            yield unit

    # Interrupts and lost pipes: whoever started the campaign says what there is to say.
    with suppress(KeyboardInterrupt, BrokenPipeError):
        for told in work(subject, announced(), lambda: stop.is_set() or os.getppid() != parent):
            if isinstance(told, Failure):
                pipe.send(told)
            else:
                since.add(told)
            if clock.now() - told_at > _REPORT_SECONDS:
                pipe.send(since)
                since, told_at = Statistics(), clock.now()
        pipe.send(since)
        pipe.send(None)
