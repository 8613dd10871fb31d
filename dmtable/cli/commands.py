"""dmtable's own commands: their arguments are read, they are run, and they are told of."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

from dmtable.cli import COMMANDS
from dmtable.errors import DmtableError, UsageError

_HELP_WIDTH = 100
_EXIT_FAILURE = 1
_EXIT_USAGE = 2


def run_command(name: str, arguments: list[str], folder: str | None = None) -> int:
    """Runs a command, and returns its exit status. `folder` is the machine's, for those that have to do with one."""
    module = importlib.import_module(COMMANDS[name])
    if arguments and arguments[0] in (below := getattr(module, "VERBS", {})):
        module = importlib.import_module(below[arguments[0]])
        name = f"{name} {arguments.pop(0)}"
    if folder is not None:
        arguments = ["--dir", folder, *arguments]
    parser = _parser(name, module)
    # Whoever runs another program takes its options as they come.
    parse = parser.parse_args if getattr(module, "RUNS_A_PROGRAM", False) else parser.parse_intermixed_args
    try:
        status: int = module.run(parse(arguments))
    except UsageError as error:
        print(f"dmtable {name}: {error}", file=sys.stderr)
        return _EXIT_USAGE
    except DmtableError as error:
        print(f"dmtable {name}: {error}", file=sys.stderr)
        return _EXIT_FAILURE
    return status


def parsers() -> Iterator[argparse.ArgumentParser]:
    """The parser of each command, and behind it those of its own commands: for the reference."""
    for name, path in COMMANDS.items():
        module = importlib.import_module(path)
        yield _parser(name, module)
        for verb, below in getattr(module, "VERBS", {}).items():
            yield _parser(f"{name} {verb}", importlib.import_module(below))


def overview() -> str:
    """What `dmtable --help` prints."""
    from dmtable.cli.dmsetup.verbs import VERBS

    lines = [
        "usage: dmtable [--dir DIR] COMMAND …",
        "",
        "Device-mapper tables, read, checked and run in user space.",
        "",
    ]
    for name, path in COMMANDS.items():
        summary = (importlib.import_module(path).__doc__ or "").splitlines()[0]
        lines.append(f"  {name:<9}{summary}")
    lines += ["", "dmsetup's verbs, on the emulated machine in DIR, whose daemon starts when it is needed:", ""]
    lines += _filled(sorted(verb for verb in VERBS if verb not in (*COMMANDS, "help")))
    lines += ["", "  dmsetup  All of dmsetup's command line: `dmtable dmsetup --version`.", ""]
    return "\n".join([*lines, "`dmtable COMMAND --help` tells more."])


def suggestion(word: str) -> str:
    """`; did you mean 'check'?` for a word that is nearly a command, else nothing."""
    import difflib

    from dmtable.cli.dmsetup.verbs import VERBS

    close = difflib.get_close_matches(word, [*COMMANDS, *VERBS, "dmsetup"], 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"dmtable {name}", description=module.__doc__, formatter_class=_Help)
    module.add_arguments(parser)
    return parser


def _filled(words: list[str]) -> list[str]:
    import textwrap

    return textwrap.wrap(", ".join(words), _HELP_WIDTH, initial_indent="  ", subsequent_indent="  ")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of one width: each option that is added would ask how wide the terminal is, which loads half of shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_HELP_WIDTH)
