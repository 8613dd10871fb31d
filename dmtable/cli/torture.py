"""Looks for a power loss, a fault or an order of events that breaks what a replicated group promises."""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dmtable.errors import DmtableError, UsageError

if TYPE_CHECKING:
    from dmtable.sim.subject import Subject
    from dmtable.sim.torture import Failure, Progress

_BUILT_IN = "dmtable.sim.replicator:replicator"
_BAR = 24
_MOST_JOBS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subject",
        nargs="?",
        default=_BUILT_IN,
        metavar="MODULE:NAME",
        help="what to torture: a dmtable.sim.Subject, or a class of one; without it, the replicator",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the first seed; without it, any")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side (default: 1)")
    parser.add_argument("--minutes", type=float, default=1.0, metavar="M", help="how long (default: 1)")
    parser.add_argument(
        "--small", type=int, default=1, metavar="K", help="first all workloads of up to K writes (default: 1)"
    )
    parser.add_argument("--replay", metavar="SCRIPT", help="play the script of a failed run, or a file that holds it")


def run(arguments: argparse.Namespace) -> int:
    subject = _subject(arguments.subject)
    if arguments.replay is not None:
        return _replay(subject, arguments.replay)
    if not 1 <= arguments.jobs <= _MOST_JOBS:
        raise UsageError(f"--jobs {arguments.jobs}: give a number from 1 to {_MOST_JOBS}")
    if not arguments.minutes > 0:
        raise UsageError(f"--minutes {arguments.minutes}: give more than 0")
    if arguments.small < 0:
        raise UsageError(f"--small {arguments.small}: give 0 or more writes")
    seed = random.randrange(1 << 32) if arguments.seed is None else arguments.seed
    return _torture(subject, arguments, seed)


def _torture(subject: Subject, arguments: argparse.Namespace, seed: int) -> int:
    from dmtable.sim.torture import campaign

    seconds = arguments.minutes * 60
    bar = _Bar(seconds, len(subject.sometimes))
    end = campaign(subject, seed=seed, small=arguments.small, jobs=arguments.jobs, seconds=seconds, tell=bar.show)
    bar.clear()
    _print_statistics(end, seed)
    if end.failure is not None:
        _print_failure(end.failure, arguments.subject)
        return 1
    never = [state for state in subject.sometimes if not end.statistics.sightings[state]]
    if never:
        print(f"never reached, so nothing is known about it: {', '.join(never)}")
        print("how: give it more time (--minutes), or a workload, a size or a fault that leads there")
        return 1
    print("no failure")
    return 0


def _print_statistics(end: Progress, seed: int) -> None:
    statistics = end.statistics
    rate = statistics.covered / end.seconds if end.seconds else 0
    print(f"first seed {seed}; {end.seconds:.1f} seconds, {statistics.runs:,} runs, {statistics.moments:,} moments")
    print(
        f"{statistics.covered:,} crash states covered ({rate:,.0f} a second), {statistics.visited:,} of them distinct"
    )
    print(f"{statistics.recoveries:,} recoveries")
    for state, times in sorted(statistics.sightings.items()):
        print(f"  {state}: {times:,} times")


def _print_failure(failure: Failure, name: str) -> None:
    print(f"\nfailure in {failure.unit}: {failure.breach}\n")
    print(failure.script.story())
    words = ["dmtable", "torture", *([] if name == _BUILT_IN else [name]), "--replay", failure.script.dumps()]
    print(f"\nreplay: {shlex.join(words)}")


def _replay(subject: Subject, given: str) -> int:
    from dmtable.sim.playback import replay
    from dmtable.sim.runtime import Event
    from dmtable.sim.script import Script

    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text()
        except (OSError, ValueError) as error:
            raise UsageError(f"--replay: {given}: {error}; give a script, or a file that holds one") from None
    script = Script.loads(text)
    trace: list[Event] = []
    breach = replay(subject, script, trace)
    for time, who, what in trace:
        print(f"{time:10.3f}  {who}: {what}")
    print(f"\n{script.story()}\n")
    print("no failure" if breach is None else f"failure: {breach}")
    return 0 if breach is None else 1


def _subject(name: str) -> Subject:
    from dmtable.sim.subject import Subject

    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise UsageError(f"{name!r} does not say what to torture; write MODULE:NAME, as in my.tests:my_subject")
    sys.path.insert(0, os.getcwd())
    try:
        home = importlib.import_module(module)
        found = getattr(home, attribute, None)
        subject = found() if isinstance(found, type) and issubclass(found, Subject) else found
    except ModuleNotFoundError as error:
        raise UsageError(f"{name}: {error}; run this in a folder and a Python that can import it") from None
    except Exception as error:
        raise DmtableError(f"{name}: importing or making it failed: {type(error).__name__}: {error}") from error
    finally:
        del sys.path[0]
    if not hasattr(home, attribute):
        raise UsageError(f"{name}: the module {module} has no {attribute!r}")
    if not isinstance(subject, Subject):
        raise UsageError(f"{name} is no dmtable.sim.Subject, nor a class of one, but {subject!r}")
    return subject


class _Bar:
    """A line on a terminal that tells how far the campaign is; nothing elsewhere."""

    def __init__(self, seconds: float, states: int) -> None:
        self._seconds = seconds
        self._states = states
        self._shown = sys.stderr.isatty()

    def show(self, progress: Progress) -> None:
        if not self._shown:
            return
        statistics = progress.statistics
        done = min(progress.seconds / self._seconds, 1.0)
        bar = "#" * int(done * _BAR)
        reached = f", {len(statistics.sightings)} of {self._states} states seen" if self._states else ""
        states = f"{statistics.covered:,} crash states, {statistics.visited:,} distinct"
        print(f"\r\x1b[K[{bar:<{_BAR}}] {done:4.0%}  {states}{reached}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
