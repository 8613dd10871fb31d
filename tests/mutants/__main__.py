"""Spoils replication logs and checks, and tells which mutants no test notices: `make mutants`.

    python -m tests.mutants [--minutes 10] [--all] [--seed 1] [--jobs N] [PART OF A PATH …]

Mutants are drawn by seed until the minutes are over. A mutant is killed where a test fails, or goes on for ever. Tests
that start a process of their own meet the code unspoilt there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.machinery
import importlib.util
import itertools
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import CodeType

import coverage
import hypothesis  # noqa: F401  (here once, and not in each child)
import lark  # noqa: F401
import pytest

from tests.mutants.spoil import Mutant, mutants

ROOT = Path(__file__).parent.parent.parent
_JUDGED_BY = {
    ("tests/replog",): ["replog/*.py"],
    ("tests/checks", "tests/language", "tests/targets/replicator/test_convert.py"): [
        "checks/*.py",
        "language/diagnostics.py",
        "language/numbers.py",
    ],
}
"""Tests, and the files that they concern."""
_MOST_BYTES = 4 << 30


class Recorder:
    """Learns which lines each test reaches, and how long it takes."""

    def __init__(self, covered: coverage.Coverage) -> None:
        self._covered = covered
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """What follows is of this test."""
        self._covered.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds up set-up, call and teardown."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


class Chosen:
    """Leaves out the tests that do not concern a mutant, and runs the quick ones first."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Also drops what other plugins put before or behind."""
        items[:] = sorted(
            (each for each in items if each.nodeid in self._seconds), key=lambda each: self._seconds[each.nodeid]
        )


class Spoilt(importlib.machinery.SourceFileLoader):
    """Finds one module only, and loads the mutant in its place."""

    def __init__(self, mutant: Mutant) -> None:
        self._text = mutant.text
        super().__init__(".".join(mutant.path.relative_to(ROOT).with_suffix("").parts), str(mutant.path))

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """None for any other module."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """The code of the mutant, which no file holds."""
        return compile(self._text, self.path, "exec")


class Judge:
    """The tests of some folders, of which it knows what they reach, and how long they take."""

    def __init__(self, folders: Sequence[str], seed: int, scratch: Path) -> None:
        scratch.mkdir()
        self._seed, self._scratch = seed, scratch
        self._data = coverage.CoverageData(str(scratch / "coverage"))
        _, status = os.waitpid(_fork(lambda: self._learn(folders)), 0)
        if os.waitstatus_to_exitcode(status):
            sys.exit(f"{' '.join(folders)}: a test fails where nothing is spoilt")
        self._data.read()
        self._seconds: dict[str, float] = json.loads((scratch / "seconds").read_text())

    def _learn(self, folders: Sequence[str]) -> int:
        covered = coverage.Coverage(self._data.data_filename(), config_file=False, source=[str(ROOT / "dmtable")])
        recorder = Recorder(covered)
        with covered.collect():
            code = self._pytest(folders, recorder)
        covered.save()
        (self._scratch / "seconds").write_text(json.dumps(recorder.seconds))
        return code

    def begin(self, mutant: Mutant) -> int:
        """A process whose exit status is 0 where all its tests pass. Endless ones are ended."""
        reached = self._data.contexts_by_lineno(str(mutant.path))
        names = {name for line in mutant.lines for name in reached.get(line, ()) if name}
        # What runs at import is the affair of all tests of the module.
        names = names or {name for line in reached.values() for name in line if name}
        tests = {name: self._seconds[name] for name in names}

        def attempt() -> int:
            seconds = int(20 + 5 * sum(tests.values()))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
            signal.alarm(3 * seconds)  # for what waits, and computes nothing
            sys.meta_path.insert(0, Spoilt(mutant))
            return self._pytest({name.partition("::")[0] for name in tests}, Chosen(tests)) if tests else 0

        return _fork(attempt)

    def _pytest(self, files: Collection[str], plugin: object) -> int:
        mine = tempfile.mkdtemp(dir=self._scratch)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{mine}/hypothesis"
        words = [
            "-x",
            "--tb=no",
            "-W",
            "ignore:Module already imported",
            f"--basetemp={mine}/tmp",
            f"--hypothesis-seed={self._seed}",
            *sorted(files),
        ]
        return int(pytest.main(words, plugins=[plugin]))


def _fork(work: Callable[[], int]) -> int:
    """A process, with a group of its own, that does the work and says nothing; its exit status is the outcome."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    try:
        os._exit(work())
    finally:
        os._exit(70)


def _verdicts(drawn: Iterator[tuple[Judge, Mutant]], jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """(mutant, whether it survived) as the tests end; as many at once as there are jobs."""
    running: dict[int, Mutant] = {}
    while True:
        while len(running) < jobs and (pair := next(drawn, None)):
            judge, mutant = pair
            running[judge.begin(mutant)] = mutant
        if not running:
            return
        pid, status = os.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what a test has left running
        yield running.pop(pid), status == 0


def main() -> None:
    """Draws, judges, lists the survivors and tells the score: the part of the mutants that were killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("paths", nargs="*", default=[""], metavar="PATH", help="only files with this in their path")
    parser.add_argument("--minutes", type=float, default=10, help="begin no mutant after that")
    parser.add_argument("--all", action="store_true", help="judge every mutant, however long it takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    until = float("inf") if options.all else time.monotonic() + 60 * options.minutes

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        pairs = []
        for number, (folders, patterns) in enumerate(_JUDGED_BY.items()):
            files = [path for pattern in patterns for path in sorted((ROOT / "dmtable").glob(pattern))]
            named = [path for path in files if any(part in str(path) for part in options.paths)]
            if found := [mutant for path in named for mutant in mutants(path)]:
                judge = Judge(folders, options.seed, Path(scratch, str(number)))
                pairs += [(judge, mutant) for mutant in found]
        random.Random(options.seed).shuffle(pairs)
        drawn = itertools.takewhile(lambda _: time.monotonic() < until, pairs)
        judged = killed = 0
        for mutant, survived in _verdicts(drawn, options.jobs):
            judged += 1
            killed += not survived
            if survived:
                print(f"{mutant.path.relative_to(ROOT)}:{mutant.line}\n{mutant.diff()}", flush=True)
    print(f"{killed} of {judged} mutants killed: {killed / max(judged, 1):.1%}. Of {len(pairs)}, seed {options.seed}")


if __name__ == "__main__":
    main()
