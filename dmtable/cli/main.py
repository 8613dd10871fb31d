"""The `dmtable` command: finds the verb, loads its module and nothing else, runs it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

_VERBS = {
    "check": "dmtable.cli.check",
    "explain": "dmtable.cli.explain",
    "fmt": "dmtable.cli.fmt",
    "convert": "dmtable.cli.convert",
    "diff": "dmtable.cli.diff",
    "where": "dmtable.cli.where",
    "graph": "dmtable.cli.graph",
    "read": "dmtable.cli.read",
    "write": "dmtable.cli.write",
    "shell": "dmtable.cli.shell",
}
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb. Exit status: 0 done and nothing found, 1 findings or failure, 2 usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in _VERBS:
        return _run(arguments[0], arguments[1:])
    if arguments in (["--version"], ["-V"]):
        from dmtable import __version__

        print(f"dmtable {__version__}")
        return 0
    if arguments[:1] in (["-h"], ["--help"], ["help"]):
        print(_overview())
        return 0
    if arguments:
        print(f"dmtable: no command {arguments[0]!r}{_suggestion(arguments[0])}", file=sys.stderr)
    print(_overview(), file=sys.stderr)
    return _EXIT_USAGE


def _run(verb: str, arguments: list[str]) -> int:
    from dmtable.errors import DmtableError, UsageError

    module = importlib.import_module(_VERBS[verb])
    parser = argparse.ArgumentParser(
        prog=f"dmtable {verb}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    try:
        status: int = module.run(parser.parse_intermixed_args(arguments))
        sys.stdout.flush()
    except UsageError as error:
        print(f"dmtable {verb}: {error}", file=sys.stderr)
        return _EXIT_USAGE
    except DmtableError as error:
        print(f"dmtable {verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read us has gone; keep Python from saying so once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    return status


def _overview() -> str:
    lines = ["usage: dmtable COMMAND …", "", "Device-mapper tables, read, checked and run in user space.", ""]
    for verb, path in _VERBS.items():
        summary = (importlib.import_module(path).__doc__ or "").splitlines()[0]
        lines.append(f"  {verb:<9}{summary}")
    return "\n".join([*lines, "", "`dmtable COMMAND --help` tells more."])


def _suggestion(word: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, _VERBS, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


if __name__ == "__main__":
    sys.exit(main())
