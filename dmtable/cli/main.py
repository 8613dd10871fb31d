"""The `dmtable` command: finds the verb, loads its module and nothing else, runs it."""

from __future__ import annotations

import argparse
import importlib
import io
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
    "torture": "dmtable.cli.torture",
    "log": "dmtable.cli.log",
    "verify": "dmtable.cli.verify",
    "failover": "dmtable.cli.failover",
    "plan": "dmtable.cli.plan",
}
_HELP_WIDTH = 100
_EXIT_FAILURE = 1
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb. Exit status: 0 done and nothing found, 1 findings or failure, 2 usage, or output that is lost."""
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
    if arguments and arguments[0] in (verbs := getattr(module, "VERBS", {})):
        module = importlib.import_module(verbs[arguments[0]])
        verb = f"{verb} {arguments.pop(0)}"
    parser = argparse.ArgumentParser(prog=f"dmtable {verb}", description=module.__doc__, formatter_class=_Help)
    module.add_arguments(parser)
    try:
        status: int = module.run(parser.parse_intermixed_args(arguments))
    except UsageError as error:
        print(f"dmtable {verb}: {error}", file=sys.stderr)
        return _EXIT_USAGE
    except DmtableError as error:
        print(f"dmtable {verb}: {error}", file=sys.stderr)
        return _EXIT_FAILURE
    return status


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of one width: each option that is added would ask how wide the terminal is, which loads half of shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_HELP_WIDTH)


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
