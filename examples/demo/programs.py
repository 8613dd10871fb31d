"""Programs of the system: e2fsprogs, losetup, mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from examples.demo.failure import DemoError

_SYSTEM = ("/usr/sbin", "/sbin")


def find(name: str) -> str | None:
    """Where a program is; users other than root do not have all in their PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM]))


def run(name: str, *words: str | Path, fine: tuple[int, ...] = (0,)) -> str:
    """What a program says. Raises DemoError where its exit status is none of the fine ones."""
    path = find(name)
    if path is None:
        raise DemoError(f"there is no {name}")
    done = subprocess.run([path, *words], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode not in fine:
        said = (done.stderr.strip() or done.stdout.strip()).replace("\n", "; ")
        raise DemoError(f"{name} {' '.join(map(str, words))}: exit status {done.returncode}: {said}")
    return done.stdout.strip()
