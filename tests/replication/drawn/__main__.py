"""A campaign over seeds; or one life, told as it goes, or made as short as it can be while it fails."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

from tests.replication.drawn.play import flaw, play, shortest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.replication.drawn", description=__doc__)
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED", help="the first seed and the last, or one")
    parser.add_argument("--verbose", action="store_true", help="tell what happens")
    parser.add_argument("--shorten", action="store_true", help="find the acts that a failure does not need")
    parser.add_argument("--without", default="", metavar="N,N", help="leave these acts out")
    return parser


def main(args: list[str]) -> int:
    """Plays what is asked for: 1 where something is wrong."""
    options = _parser().parse_args(args)
    first, last = options.seeds[0], options.seeds[-1]
    without = {int(number) for number in options.without.split(",") if number}
    if options.shorten:
        without = {*shortest(first)}
        print("--without", ",".join(map(str, sorted(without))))
    if options.verbose or options.shorten:
        play(first, without=without, say=print)
        return 0
    return _campaign(first, last)


def _campaign(first: int, last: int) -> int:
    failed: dict[str, list[int]] = defaultdict(list)
    for seed in range(first, last + 1):
        if wrong := flaw(seed):
            print(f"{seed}: {wrong}", flush=True)
            failed[wrong].append(seed)
    for wrong, seeds in failed.items():
        print(f"{len(seeds)} lives, {wrong}: {seeds[:8]}")
    print(f"{last + 1 - first} lives, {sum(map(len, failed.values()))} of them failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
