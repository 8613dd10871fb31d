"""Runs every benchmark, or the groups that are named, and prints the table: `python -m benchmarks [GROUP…]`."""

from __future__ import annotations

import importlib
import sys

from benchmarks.measure import Row, print_table

_GROUPS = ("compiling", "io_path", "mirror", "copying", "proving", "dirty_logs", "replicator", "control", "nodes")


def main() -> int:
    rows: list[Row] = []
    for name in sys.argv[1:] or _GROUPS:
        rows += importlib.import_module(f"benchmarks.{name}").rows()
    print_table(rows)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
