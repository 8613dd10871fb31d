"""The files that commands read and rewrite, `-` for standard input, and how a table that does not read is shown."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO

from dmtable.errors import UsageError
from dmtable.language.diagnostics import TableError
from dmtable.language.tree import Source

STDIN = "-"


def display_name(path: str) -> str:
    """What a file is called in messages."""
    return "<stdin>" if path == STDIN else path


def read_text(path: str) -> str:
    """A file as text: UTF-8, with surrogates for bytes that are none, and line ends as they are.

    Raises UsageError where it cannot be read.
    """
    try:
        if path == STDIN:
            data = standard_input().read()
        else:
            with open(path, "rb") as file:
                data = file.read()
    except OSError as error:
        raise UsageError(f"cannot read {display_name(path)}: {error.strerror}") from error
    return data.decode("utf-8", "surrogateescape")


def standard_input() -> BinaryIO:
    """Standard input as bytes. Raises UsageError where it is closed."""
    if sys.stdin is None:
        raise UsageError(f"cannot read {display_name(STDIN)}: it is closed")
    return sys.stdin.buffer


def check_root(root: str | None) -> None:
    """Raises UsageError where the folder that --root names is none."""
    if root is not None and not os.path.isdir(root):
        raise UsageError(f"--root {root}: not a folder")


def write_out(pieces: Iterable[str]) -> None:
    """Writes to standard output, odd bytes as they came in."""
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode("utf-8", "surrogateescape"))


def replace_text(path: str, text: str) -> None:
    """Gives a regular file a new content, all of it or none; mode and, where allowed, owner stay.

    A symbolic link stays one: the file that it leads to is replaced. Raises UsageError where that fails.
    """
    import tempfile

    target = os.path.realpath(path)
    try:
        old = os.stat(target)
        if not stat.S_ISREG(old.st_mode):
            raise UsageError(f"cannot write {path}: not a regular file")
        descriptor, temporary = tempfile.mkstemp(prefix=".dmtable-", dir=os.path.dirname(target))
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                with suppress(PermissionError):
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
                os.fsync(descriptor)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def show_refusal(error: TableError, text: str) -> None:
    """Prints to standard error what is wrong with the table of this text."""
    from dmtable.cli.render import render_text

    print(render_text(error.diagnostics, Source(text, error.source_name)), file=sys.stderr)
