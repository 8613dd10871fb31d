"""dmsetup's verbs: how many operands each takes, and who carries it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dmtable.cli.dmsetup.create import create, load
from dmtable.cli.dmsetup.info import info
from dmtable.cli.dmsetup.libdm import LIBRARY_VERSION
from dmtable.cli.dmsetup.lifecycle import clear, remove, resume, suspend
from dmtable.cli.dmsetup.session import NotBuilt, Session
from dmtable.cli.dmsetup.status import deps, list_devices, status, table
from dmtable.cli.dmsetup.tree import show_tree


@dataclass(frozen=True, slots=True)
class Verb:
    """What a verb takes and who carries it out, at once or operand by operand; nobody yet where both are None."""

    least: int
    most: int | None
    all_at_once: Callable[[Session, Sequence[str]], None] | None = None
    one_by_one: Callable[[Session, str | None, bool], None] | None = None


def run_verb(session: Session, name: str, operands: Sequence[str]) -> None:
    """Carries a verb out. Raises DmsetupError at the first operand that fails, NotBuilt where nobody can."""
    verb = VERBS[name]
    if verb.all_at_once is not None:
        verb.all_at_once(session, operands)
    elif verb.one_by_one is not None:
        options = session.options
        is_selected = "uuid" in options or "major" in options
        several = len(operands) > 1 or not (operands or is_selected)
        for operand in operands or (None,):
            verb.one_by_one(session, operand, several)
    else:
        raise NotBuilt(f"dmsetup's verb {name!r} is not built yet")


def _ls(session: Session, operands: Sequence[str]) -> None:
    if "tree" in session.options and "target" not in session.options:
        show_tree(session)
    else:
        list_devices(session)


def _version(session: Session, operands: Sequence[str]) -> None:
    driver = ".".join(map(str, session.libdm.control.version()))
    session.out(f"Library version:   {LIBRARY_VERSION}\nDriver version:    {driver}\n")


VERBS = {
    "help": Verb(0, 0),
    "create": Verb(0, 2, create),
    "remove": Verb(0, None, one_by_one=remove),
    "remove_all": Verb(0, 0),
    "suspend": Verb(0, None, one_by_one=suspend),
    "resume": Verb(0, None, one_by_one=resume),
    "load": Verb(0, 2, load),
    "clear": Verb(0, None, one_by_one=clear),
    "reload": Verb(0, 2, load),
    "wipe_table": Verb(0, None),
    "rename": Verb(1, 2),
    "measure": Verb(0, None),
    "message": Verb(2, None),
    "ls": Verb(0, 0, _ls),
    "info": Verb(0, None, one_by_one=info),
    "deps": Verb(0, None, one_by_one=deps),
    "stats": Verb(1, None),
    "status": Verb(0, None, one_by_one=status),
    "table": Verb(0, None, one_by_one=table),
    "wait": Verb(0, 2),
    "mknodes": Verb(0, None),
    "mangle": Verb(0, None),
    "udevcreatecookie": Verb(0, 0),
    "udevreleasecookie": Verb(0, 1),
    "udevflags": Verb(1, 1),
    "udevcomplete": Verb(1, 1),
    "udevcomplete_all": Verb(0, 1),
    "udevcookies": Verb(0, 0),
    "target-version": Verb(1, None),
    "targets": Verb(0, 0),
    "version": Verb(0, 0, _version),
    "setgeometry": Verb(5, 5),
    "splitname": Verb(1, 2),
}
