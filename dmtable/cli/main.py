"""The `dmtable` command: finds out who is asked, loads that and nothing else, runs it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from dmtable.cli import COMMANDS

_OF_MACHINES = ("daemon", "exec")
_EXIT_FAILURE = 1
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Exit status: 0 done and nothing found, 1 findings or failure, 2 usage, or output that is lost.

    dmsetup's verbs have dmsetup's.
    """
    _prepare_output()
    try:
        try:
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return _EXIT_FAILURE
    except OSError as error:
        # Only our own output is left to fail here: whoever opens a file says what became of it.
        _drop_output()
        print(f"dmtable: cannot write the output: {error.strerror}", file=sys.stderr)
        return _EXIT_USAGE
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    given = list(arguments)
    folder = None
    if arguments and arguments[0].partition("=")[0] == "--dir":
        _, equals, folder = arguments.pop(0).partition("=")
        if not equals:
            folder = arguments.pop(0) if arguments else ""
        if not folder:
            print("dmtable: --dir wants the folder of a machine", file=sys.stderr)
            return _EXIT_USAGE
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        if folder is not None and name not in _OF_MACHINES:
            print(f"dmtable: {name} works on no machine: it takes no --dir", file=sys.stderr)
            return _EXIT_USAGE
        from dmtable.cli.commands import run_command

        return run_command(name, arguments[1:], folder)
    if given in (["--version"], ["-V"]):
        from dmtable import __version__

        print(f"dmtable {__version__}")
        return 0
    if name in ("-h", "--help", "help"):
        from dmtable.cli.commands import overview

        print(overview())
        return 0
    from dmtable.cli.machine import is_verb, run_dmsetup

    if name == "dmsetup":
        return run_dmsetup(arguments[1:], folder)
    if is_verb(name):
        return run_dmsetup(arguments, folder)
    from dmtable.cli.commands import overview, suggestion

    if name:
        print(f"dmtable: no command {name!r}{suggestion(name)}", file=sys.stderr)
    print(overview(), file=sys.stderr)
    return _EXIT_USAGE


def _prepare_output() -> None:
    """Output is UTF-8 as tables are, whatever the locale says; what goes to a closed stream goes nowhere."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def _drop_output() -> None:
    """Keeps Python from saying once more at its end that nobody takes what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
