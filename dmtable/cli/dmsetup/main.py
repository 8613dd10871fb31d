"""dmsetup's verbs over a control interface: its output, errors and exit codes, byte for byte.

Source: dmsetup 1.02.185 (2022-05-18), recorded in fixtures/kernel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TextIO

from dmtable.cli.dmsetup.getopt import CommandLineError
from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.log import Log
from dmtable.cli.dmsetup.nodes import NodeOperations
from dmtable.cli.dmsetup.options import Options, environment_cookie, naming, read_options, tree_words
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.values import are_units
from dmtable.cli.dmsetup.verbs import VERBS, Verb, run_verb
from dmtable.control.machine import Machine
from dmtable.errors import DmsetupError
from dmtable.language.mangling import MangleMode
from dmtable.language.numbers import atoi

_MANGLE = "mangle"
_SPLITNAME = "splitname"
_DEFAULT_SECONDS = 1


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

    The streams are text; with `errors="surrogateescape"` they carry names that are no UTF-8.
    """

    def complain(text: str) -> None:
        stderr.write(f"{text}\n")

    dev_dir = environ.get("DM_DEV_DIR")
    if dev_dir and not dev_dir.startswith("/"):
        complain("Invalid DM_DEV_DIR environment variable value.")
        return 1
    try:
        options = read_options(argv, environ, complain)
    except CommandLineError as error:
        complain(f"{error}\nCouldn't process command line.")
        return 0 if error.is_forgiven else 1
    words = options.operands
    log = Log(stdout.write if options.verbosity > 1 else None)
    mode = MangleMode.NONE if words[:1] == (_MANGLE,) else options.mangling
    nodes = NodeOperations(machine.dev, log, complain)
    libdm = Libdm(machine.control, machine.dev, mode, nodes, log, complain, machine.sleep)
    session = Session(options, libdm, stdin, stdout, stderr, environ, options.cookie)
    try:
        if "help" in options:
            _help(session)
            return 0
        if "version" in options:
            _perform(session, "version", ())
            return 0
        return _command(session, words)
    finally:
        libdm.nodes.process()


def _help(session: Session) -> None:
    session.stderr.write(usage())
    if "columns" in session.options:
        from dmtable.cli.dmsetup.report import show_field_help

        show_field_help(session.options, session.libdm, session.stdout.write)


def usage() -> str:
    """What dmsetup prints where it is asked for help, or does not know what it is asked for."""
    with open(os.path.join(os.path.dirname(__file__), "usage.txt"), encoding="ascii") as file:
        return file.read()


def _command(session: Session, words: Sequence[str]) -> int:
    options, libdm = session.options, session.libdm
    complaint = _odd_command(words)
    if complaint is not None:
        session.stderr.write(complaint + usage())
        return 1
    name, operands = words[0], words[1:]
    try:
        _check_listed_words(options, name)
    except CommandLineError as error:
        libdm.complain(f"{error}\nCouldn't process command line.")
        return 1
    _join_transaction(session)
    verb = VERBS[name]
    is_selecting = "select" in options and verb.is_selectable
    if is_selecting:
        # The verb is put off: a report of all devices selects those that it is then carried out for.
        session.act = _verb_of_one(session, verb)
        name = "info"
    if is_selecting or "columns" in options or name == _SPLITNAME:
        try:
            from dmtable.cli.dmsetup.report import make_report

            session.report = make_report(options, name, libdm, session.stdout.write)
        except DmsetupError as error:
            libdm.complain(str(error))
            libdm.log.backtrace()
            return 1
    if "units" in options and not are_units(options["units"]):
        libdm.complain("Invalid --units argument.")
        return 1
    return _repeat(session, name, operands)


def _odd_command(words: Sequence[str]) -> str | None:
    """What is wrong with a verb and the number of its operands, None where nothing is."""
    if not words:
        return ""
    verb = VERBS.get(words[0])
    if verb is None:
        return "Unknown command.\n"
    operands = len(words) - 1
    if operands < verb.least or (verb.most is not None and operands > verb.most):
        return "Incorrect number of arguments.\n"
    return None


def _check_listed_words(options: Options, name: str) -> None:
    """Reads the words of `-o`, which mean something else for a tree, a list and a report."""
    if "tree" in options:
        tree_words(options)
    elif name not in ("stats", _SPLITNAME):
        naming(options)


def _join_transaction(session: Session) -> None:
    """Looks at what is said of udev's transactions."""
    libdm, origin = session.libdm, "--udevcookie option"
    if "noudevsync" in session.options:
        libdm.use_no_udev()
    if not session.cookie:
        session.cookie = environment_cookie(session.environ, libdm.complain)
        origin = "DM_UDEV_COOKIE environment variable"
    if session.cookie:
        libdm.log.line(f"Using udev transaction 0x{session.cookie:08X} defined by {origin}.")


def _verb_of_one(session: Session, verb: Verb) -> Callable[[str], None]:
    def act(name: str) -> None:
        assert verb.one_by_one is not None
        verb.one_by_one(session, name, True)

    return act


def _repeat(session: Session, name: str, operands: Sequence[str]) -> int:
    """Carries a verb out as often as `--count` and `--interval` ask for. Returns the exit code."""
    options = session.options
    is_help = session.report is not None and (name == "help" or "help" in options["options"])
    for left in _countdown(options) if not is_help else (0,):
        is_done = _perform(session, name, operands)
        if session.concise_begun:
            session.out("\n")
        if session.report is not None:
            text = session.report.take_text()
            if session.act is None:
                session.out(text)
            if left and is_done:
                session.out("\n")
                session.stdout.flush()
                session.libdm.sleep(atoi(options["interval"]) or _DEFAULT_SECONDS)
        if not is_done:
            session.libdm.log.backtrace()
            return 1
    return 0


def _countdown(options: Options) -> Iterator[int]:
    """How often the verb is still to be carried out, each time; never 0 where there is no end."""
    times = atoi(options["count"])
    if times == 0 and ("count" in options or "interval" in options):
        return count(1)
    return iter(range(max(times, 1) - 1, -1, -1))


def _perform(session: Session, name: str, operands: Sequence[str]) -> bool:
    """Carries a verb out once. Returns whether it was done; why it was not is said."""
    try:
        if name == "help":
            _help(session)
        else:
            run_verb(session, VERBS[name], operands)
    except DmsetupError as error:
        session.complain(error)
        session.libdm.complain("Command failed.")
        return False
    return True
