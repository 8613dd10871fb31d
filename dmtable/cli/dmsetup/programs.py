"""`--exec`: a program is run for each device."""

from __future__ import annotations

import io
from contextlib import suppress

from dmtable.cli.dmsetup.mknodes import make_nodes
from dmtable.cli.dmsetup.session import Session
from dmtable.errors import DmsetupError

_MOST_WORDS = 256


def exec_for(session: Session, name: str) -> None:
    """Runs the words of `--exec` with the path of a device's node behind them; how it ends is not looked at."""
    libdm = session.libdm
    make_nodes(session, name)
    words = session.options["exec"].split()
    if not words:
        raise libdm.failed("", 2)
    if len(words) >= _MOST_WORDS:
        libdm.log.backtrace()
        raise DmsetupError("Too many args to --exec.")
    _run(session, [*words, libdm.dev.path(name)])


def _run(session: Session, words: list[str]) -> None:
    import subprocess

    # A program that is not there has failed like any other.
    with suppress(OSError):
        try:
            session.stdout.flush()
            subprocess.run(words, stdout=session.stdout.fileno(), stderr=session.stderr.fileno(), check=False)
        except io.UnsupportedOperation:
            done = subprocess.run(words, capture_output=True, text=True, errors="surrogateescape", check=False)
            session.out(done.stdout)
            session.stderr.write(done.stderr)
