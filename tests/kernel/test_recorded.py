"""Every answer that a real kernel and dmsetup gave, the emulator gives too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.play import UNSUPPORTED, answers

FOLDER = Path(__file__).parents[2] / "fixtures" / "kernel"

MIRRORS = ("mirrors", "broken_mirror", "mirror_fault", "mirror_life")
DIRTY_LOGS = ("dirtylog", "dirtylog_words", "dirtylog_made")
MADE_OF_STATIC = ("valid", "broken", "stacked", "preload", "words")
OF_DMSETUP = ("control", "life", "concise", "text", "forms", "mangling", "reports", "verbs")
WHOLE = (*MADE_OF_STATIC, *OF_DMSETUP, "heads", *MIRRORS, *DIRTY_LOGS, "flakey", "delay")
"""Files of which every step can be played."""

COMPARED = {"args": 110}
"""Files with targets that dmtable does not run, and how many of their steps at least are compared."""

_LOOP = "Linux 6.1 lets an md map itself; later kernels refuse that, and so does the emulator"
_LOOP_DRIVER = "the loop driver invents a device for any number that it is asked for"
_MD_DRIVER = "the md driver invents a device for any number that it is asked for"
_LEFT_ALONE = "the kernel calls a region clean at the next flush, the emulator when nobody wrote to it for a while"
_HEADER = "the emulator writes the header of a new log when its bits are durable, and here no flush succeeds"
_CRASH = "dmsetup crashes"
_READS = "flakey in Linux 6.1 forgets to corrupt reads; `make corrupting read bios work` has mended that since"
EXCEPTIONS = {
    ("life", "self-load"): _LOOP,
    ("life", "self-load-path"): _LOOP,
    ("life", "loop-2"): _LOOP,
    ("words", "lin-7-99"): _LOOP_DRIVER,
    ("words", "lin-unconfigured"): _LOOP_DRIVER,
    ("words", "lin-devname-missing"): _LOOP_DRIVER,
    ("words", "str-99"): _LOOP_DRIVER,
    ("mirror_life", "word-dev-none"): _LOOP_DRIVER,
    ("dirtylog_words", "disk-all-wrong"): _LOOP_DRIVER,
    ("dirtylog_words", "disk-no-number"): _MD_DRIVER,
    ("dirtylog", "dirty-at-once"): _LEFT_ALONE,
    ("dirtylog", "log-flush-default"): _HEADER,
    ("text", "text-type-5000"): _CRASH,
    ("text", "text-type-9000"): _CRASH,
    ("text", "file-name"): "names files of the recording machine",
    ("flakey", "flakey-down-corrupt-r"): _READS,
    ("flakey", "flakey-down-corrupt-r-drop"): _READS,
    ("flakey", "flakey-down-corrupt-r-error"): _READS,
}
"""The cases that the emulator answers differently, and why that is right; they must differ."""


@cache
def recording(file: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FOLDER / f"{file}.json").read_text())["cases"]
    return cases


@cache
def played(file: str, number: int) -> list[tuple[list[Any], dict[str, Any], dict[str, Any]]]:
    """(step, the kernel's answer, ours), but for what the emulator cannot do, and the step behind that."""
    case = recording(file)[number]
    steps = []
    is_behind = False
    for step, expected, answer in zip(case["steps"], case["answers"], answers(case), strict=True):
        if answer != UNSUPPORTED and not is_behind:
            steps.append((step, expected, answer))
        is_behind = answer == UNSUPPORTED
    return steps


def every_case() -> Iterator[Any]:
    for file in (*WHOLE, *COMPARED):
        for number, case in enumerate(recording(file)):
            reason = EXCEPTIONS.get((file, case["id"]))
            marks = pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError) if reason else ()
            yield pytest.param(file, number, id=f"{file}:{case['id']}", marks=marks)


@pytest.mark.parametrize(("file", "number"), list(every_case()))
def test_the_emulator_answers_as_the_kernel_did(file: str, number: int) -> None:
    steps = played(file, number)
    for step, expected, answer in steps:
        assert answer == expected, step
    assert len(steps) == len(recording(file)[number]["steps"]) or file not in WHOLE


@pytest.mark.parametrize("file", COMPARED)
def test_enough_is_compared(file: str) -> None:
    assert sum(len(played(file, number)) for number in range(len(recording(file)))) >= COMPARED[file]
