"""Draws new cases, plays them on a real kernel and on the emulator, and compares: `make test-kernel`.

    python -m tests.kernel.fresh [--cases 60] [--seed 7]

What differs is printed, and kept as a file that tests.kernel.play can play again. Exit status 1 where anything does.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from dmtable.testing import DeviceSet, NamedDevice, damaged_tables, tables
from tests.kernel.play import UNSUPPORTED, answers
from tests.kernel.vm import VmError, record

_DISKS = {"d0": 256, "d1": 512, "d2": 96}
_DEVICES = DeviceSet(tuple(NamedDevice(f"/dev/loop{name[1:]}", sectors) for name, sectors in _DISKS.items()))
_NAMES = ("a", "b", "c-d")
_REPORTS = (
    ["-c"],
    ["-c", "--noheadings"],
    ["-c", "-o", "name,attr,open,segments"],
    ["-c", "-O", "-minor", "-o", "name,minor"],
    ["-c", "-S", "open>0"],
)

Step = list[Any]
names = st.sampled_from(_NAMES)


@st.composite
def mirror_tables(draw: st.DrawFn) -> str:
    """A mirror of two legs that need no recovery: how far one would be is a matter of time."""
    legs = draw(st.permutations(["/dev/loop0", "/dev/loop1"]))
    region = draw(st.sampled_from([8, 16, 64]))
    features = draw(st.sampled_from(["", " 1 handle_errors", " 2 handle_errors keep_log"]))
    return f"0 256 mirror core 2 {region} nosync 2 {legs[0]} 0 {legs[1]} {draw(st.integers(0, 256))}{features}\n"


texts = st.one_of(
    tables(devices=_DEVICES).map(lambda table: table.text),
    damaged_tables(devices=_DEVICES).map(lambda table: table.text),
    mirror_tables(),
    names.map(lambda name: f"0 32 linear /dev/mapper/{name} 8\n"),
    st.sampled_from(["", "0 64 zero\n", "0 64 error\n", "0 64 delay /dev/loop1 0 0\n", "0 8 zero\n8 16 error\n"]),
)


def _dmsetup(*words: str | st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    drawn = [st.just(word) if isinstance(word, str) else word for word in words]
    return st.tuples(st.just("dmsetup"), *drawn).map(list)


_stdin = texts.map(lambda text: {"stdin": text})
steps: st.SearchStrategy[Step] = st.one_of(
    _dmsetup("create", names, _stdin),
    _dmsetup("create", names, "-u", names, _stdin),
    _dmsetup("load", names, _stdin),
    _dmsetup("create", names, "--notable"),
    *(_dmsetup(verb, names) for verb in ("suspend", "resume", "resume", "clear", "remove", "table", "status", "deps")),
    _dmsetup("suspend", "--noflush", names),
    _dmsetup("remove", "--force", names),
    _dmsetup("remove", "--deferred", names),
    _dmsetup("rename", names, names),
    _dmsetup("rename", names, "--setuuid", names),
    _dmsetup("wipe_table", names),
    _dmsetup("message", names, st.integers(0, 300).map(str), st.sampled_from(["hello", "@cancel_deferred_remove"])),
    _dmsetup("info", names),
    _dmsetup("table", "--inactive", names),
    *(st.just(["dmsetup", verb]) for verb in ("info", "ls", "table", "status", "deps")),
    *(st.just(["dmsetup", "info", *words]) for words in _REPORTS),
    st.just(["dmsetup", "ls", "--tree"]),
    st.just(["dmsetup", "table", "--concise"]),
    st.tuples(st.just("map"), names).map(list),
    st.tuples(st.just("write"), names, st.integers(0, 60), st.integers(1, 9), st.text("xyz", max_size=3)).map(list),
    st.tuples(st.just("digest"), st.sampled_from(sorted(_DISKS))).map(list),
)


def draw_cases(count: int, seed_number: int) -> list[dict[str, Any]]:
    """Cases, the same ones for the same seed and version of Hypothesis."""
    drawn: list[list[Step]] = []

    @seed(seed_number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(steps, min_size=6, max_size=16))
    def collect(case: list[Step]) -> None:
        drawn.append(case)

    collect()
    return [{"id": f"fresh-{seed_number}-{n}", "disks": _DISKS, "steps": case} for n, case in enumerate(drawn)]


def differences(case: dict[str, Any]) -> list[str]:
    """What the emulator answers otherwise, up to the first step that it cannot do."""
    found = []
    for step, expected, answer in zip(case["steps"], case["answers"], answers(case), strict=True):
        if answer == UNSUPPORTED:
            break
        if answer != expected:
            found.append(f"{step}\n    kernel:   {expected}\n    emulator: {answer}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    args = parser.parse_args()
    cases = draw_cases(args.cases, args.seed)
    print(f"seed {args.seed}: {len(cases)} cases, {sum(len(case['steps']) for case in cases)} steps", flush=True)
    try:
        recorded = record(cases)
    except VmError as error:
        print(error, file=sys.stderr)
        return 2
    different = []
    for case, kernel in zip(cases, recorded, strict=True):
        case["answers"] = kernel
        if found := differences(case):
            different.append(case)
            print(f"\n{case['id']}:", *found, sep="\n  ")
    if different:
        path = Path(f"fresh-{args.seed}.json")
        path.write_text(json.dumps({"cases": different}))
        print(f"\n{len(different)} cases differ; they are kept in {path}")
        return 1
    print("the emulator answers as the kernel does")
    return 0


if __name__ == "__main__":
    sys.exit(main())
