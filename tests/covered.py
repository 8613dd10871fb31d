"""Runs the quick tests, and tells for each package how much of its lines and branches they reach: `make coverage`.

    python -m tests.covered [WORD FOR PYTEST …]

Processes that the tests start are counted too. The slow tests (proofs, long lives of groups, programs under exec, the
pages of docs) are left out, so what they alone reach counts as not reached; and so are those that would meet the
measuring itself: what a process loads, and interrupts that come anywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
_SLOW = ("tests/proving", "tests/replication", "tests/exec", "tests/test_docs.py")
_DISTURBED = ("tests/daemon/test_light.py", "tests/core/test_interruptions.py")
_COUNTED = ("num_statements", "covered_lines", "num_branches", "covered_branches")
_GOAL = 0.9
"""The part of a package's branches that ought to be reached."""


def main() -> int:
    """The exit status is that of the tests."""
    words = sys.argv[1:] or [f"--ignore={path}" for path in (*_SLOW, *_DISTURBED)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COVERAGE_FILE"] = f"{folder}/data"
        result = Path(folder, "result.json")
        tests = _coverage("run", "-m", "pytest", *words)
        _coverage("combine", "--quiet")
        _coverage("json", "--quiet", "-o", str(result))
        _show(json.loads(result.read_text())["files"])
    if tests:
        print("not all tests passed: others may not have run at all")
    return tests


def _coverage(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *words], cwd=ROOT).returncode


def _show(files: dict[str, dict[str, dict[str, int]]]) -> None:
    packages: dict[str, Counter[str]] = {}
    for path, file in sorted(files.items()):
        parts = Path(path).parts
        package = "/".join(parts[:2] if len(parts) > 2 else parts[:1])
        packages.setdefault(package, Counter()).update({field: file["summary"][field] for field in _COUNTED})
    packages["all"] = sum(packages.values(), Counter())
    print(f"{'package':20} {'lines':>8} {'branches':>9}")
    for name, sums in packages.items():
        lines = sums["covered_lines"] / max(sums["num_statements"], 1)
        branches = sums["covered_branches"] / sums["num_branches"] if sums["num_branches"] else 1.0
        below = f"  below {_GOAL:.0%}" if branches < _GOAL else ""
        print(f"{name:20} {lines:8.1%} {branches:9.1%}{below}")


if __name__ == "__main__":
    sys.exit(main())
