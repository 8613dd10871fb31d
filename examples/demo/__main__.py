"""Good days, a slow link, a cut, a power loss; what the remote site has then, and how all comes together again."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from examples.demo.failure import DemoError
from examples.demo.measures import FULL, SMALL
from examples.demo.story import Story

_EXIT_FAILURE = 1
_EXIT_INTERRUPTED = 130


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"), help="for all files (default: demo)")
    parser.add_argument("--small", action="store_true", help="small volumes, and little of everything")
    arguments = parser.parse_args()
    # Who ends us in another way than by Ctrl-C wants mounts and daemons gone as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with ExitStack() as cleanup:
            Story(arguments.folder, SMALL if arguments.small else FULL, cleanup).tell()
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was left behind but files", file=sys.stderr)
        return _EXIT_INTERRUPTED
    except DemoError as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        return _EXIT_FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(main())
