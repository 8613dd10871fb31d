"""dmsetup's verbs over a control interface: its output, errors and exit codes, byte for byte.

Source: dmsetup 1.02.185 (2022-05-18), recorded in fixtures/kernel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.options import CommandLineError, Options, naming, read_options, tree_words
from dmtable.cli.dmsetup.report import make_report
from dmtable.cli.dmsetup.session import NotBuilt, Session
from dmtable.cli.dmsetup.verbs import VERBS, run_verb
from dmtable.control.machine import Machine
from dmtable.errors import DmsetupError
from dmtable.language.concise import write_concise

_BUILT = {
    "addnodeoncreate", "addnodeonresume", "columns", "concise", "deferred", "force", "help", "inactive", "major",
    "manglename", "minor", "noflush", "noheadings", "nolockfs", "noopencount", "notable", "noudevrules",
    "noudevsync", "options", "readonly", "retry", "separator", "showkeys", "table", "target", "tree", "uuid",
    "verbose", "verifyudev", "version", "yes",
}  # fmt: skip


def main(
    argv: Sequence[str],
    machine: Machine,
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    *,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Runs one command line, without the `dmsetup` before it, and returns the exit code.

    The streams are text; with
    `errors="surrogateescape"` they carry names that are no UTF-8.
    """
    try:
        return run(argv, machine, stdin, stdout, stderr, environ=environ)
    except NotBuilt as error:
        stderr.write(f"dmtable: {error}\n")
        return 1


def run(
    argv: Sequence[str],
    machine: Machine,
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    *,
    environ: Mapping[str, str],
) -> int:
    """As main, but raises NotBuilt for what dmsetup can do and dmtable cannot yet."""
    try:
        options = read_options(argv)
        words = _verb_and_operands(options)
        if words is not None and words[0] in VERBS:
            _check_listed_words(options, words[0])
    except CommandLineError as error:
        stderr.write(f"{error}\nCouldn't process command line.\n")
        return 1
    if words is None or not _is_known(words, stderr):
        stderr.write(_usage())
        return 1
    if words[0] == "help":
        if "columns" in options:
            raise NotBuilt("the list of report fields is not built yet")
        stderr.write(_usage())
        return 0
    libdm = Libdm(machine.control, machine.dev, options.mangling, lambda text: stderr.write(f"{text}\n"))
    session = _session(options, libdm, stdin, stdout, environ, machine.sleep)
    try:
        run_verb(session, words[0], words[1:])
        failed = False
    except DmsetupError as error:
        stderr.write(f"{error}\n" if str(error) else "")
        failed = True
    if session.report is not None:
        stdout.write(session.report.text())
    if session.concise:
        stdout.write(write_concise(session.concise))
    if failed:
        stderr.write("Command failed.\n")
    return 1 if failed else 0


def _usage() -> str:
    return Path(__file__).with_name("usage.txt").read_text()


def _verb_and_operands(options: Options) -> tuple[str, ...] | None:
    """The words of the command; None where there are none."""
    for option in ("help", "version"):
        if option in options:
            return (option,)
    return options.operands or None


def _check_listed_words(options: Options, verb: str) -> None:
    """Reads the words of `-o`, which mean something else for a tree, a list and a report."""
    if "tree" in options:
        tree_words(options)
    elif verb not in ("stats", "splitname"):
        naming(options)


def _is_known(words: Sequence[str], stderr: TextIO) -> bool:
    verb = VERBS.get(words[0])
    if verb is None:
        stderr.write("Unknown command.\n")
        return False
    count = len(words) - 1
    if count < verb.least or (verb.most is not None and count > verb.most):
        stderr.write("Incorrect number of arguments.\n")
        return False
    return True


def _session(
    options: Options,
    libdm: Libdm,
    stdin: TextIO,
    stdout: TextIO,
    environ: Mapping[str, str],
    sleep: Callable[[float], object],
) -> Session:
    for option in options.values:
        if option not in _BUILT:
            raise NotBuilt(f"dmsetup's option --{option} is not built yet")
    if options.verbosity > 1:
        raise NotBuilt("libdm's own log, which a second -v asks for, is not built yet")
    report = None
    if "columns" in options:
        report = make_report(options, libdm)
        if report is None:
            raise NotBuilt(f"a report of the fields {options['options']} is not built yet")
    return Session(options, libdm, stdin, stdout, environ, sleep, report)
