"""dmsetup's verbs: how many operands each takes, and who carries it out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dmtable.cli.dmsetup.session import Session
from dmtable.errors import DmsetupError

_OneByOne = Callable[[Session, str | None, bool], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """What a verb takes and who carries it out, at once or operand by operand; with neither it is `help`."""

    least: int
    most: int | None
    all_at_once: Callable[[Session, Sequence[str]], None] | None = None
    one_by_one: _OneByOne | None = None
    is_selectable: bool = False
    """Whether `-S` applies it to the devices that it selects."""


def run_verb(session: Session, verb: Verb, operands: Sequence[str]) -> None:
    """Carries a verb out. Raises DmsetupError at the first operand that fails."""
    if verb.one_by_one is None:
        assert verb.all_at_once is not None
        verb.all_at_once(session, operands)
        return
    several = len(operands) > 1 or not (operands or session.options.is_device_selected)
    for operand in operands or (None,):
        verb.one_by_one(session, operand, several)


def _stats(session: Session, operands: Sequence[str]) -> None:
    raise DmsetupError("dmtable keeps no statistics of mapped devices: dmsetup's verb stats is not there.")


def _late(module: str, name: str) -> Callable[..., None]:
    """A function of a module that is loaded when the function is called."""

    def call(*arguments: object) -> None:
        getattr(importlib.import_module(f"dmtable.cli.dmsetup.{module}"), name)(*arguments)

    return call


VERBS = {
    "help": Verb(0, 0),
    "create": Verb(0, 2, _late("create", "create")),
    "remove": Verb(0, None, one_by_one=_late("remove", "remove"), is_selectable=True),
    "remove_all": Verb(0, 0, _late("remove", "remove_all")),
    "suspend": Verb(0, None, one_by_one=_late("lifecycle", "suspend"), is_selectable=True),
    "resume": Verb(0, None, one_by_one=_late("lifecycle", "resume"), is_selectable=True),
    "load": Verb(0, 2, _late("create", "load")),
    "clear": Verb(0, None, one_by_one=_late("lifecycle", "clear"), is_selectable=True),
    "reload": Verb(0, 2, _late("create", "load")),
    "wipe_table": Verb(0, None, one_by_one=_late("remove", "wipe_table"), is_selectable=True),
    "rename": Verb(1, 2, _late("rename", "rename")),
    "measure": Verb(0, None, one_by_one=_late("status", "measure"), is_selectable=True),
    "message": Verb(2, None, _late("message", "message")),
    "ls": Verb(0, 0, _late("lists", "ls")),
    "info": Verb(0, None, one_by_one=_late("info", "info")),
    "deps": Verb(0, None, one_by_one=_late("lists", "deps"), is_selectable=True),
    "stats": Verb(1, None, _stats),
    "status": Verb(0, None, one_by_one=_late("status", "status"), is_selectable=True),
    "table": Verb(0, None, one_by_one=_late("status", "table"), is_selectable=True),
    "wait": Verb(0, 2, _late("lifecycle", "wait")),
    "mknodes": Verb(0, None, one_by_one=_late("mknodes", "mknodes")),
    "mangle": Verb(0, None, one_by_one=_late("rename", "mangle")),
    "udevcreatecookie": Verb(0, 0, _late("udev", "udevcreatecookie")),
    "udevreleasecookie": Verb(0, 1, _late("udev", "udevreleasecookie")),
    "udevflags": Verb(1, 1, _late("udev", "udevflags")),
    "udevcomplete": Verb(1, 1, _late("udev", "udevcomplete")),
    "udevcomplete_all": Verb(0, 1, _late("udev", "udevcomplete_all")),
    "udevcookies": Verb(0, 0, _late("udev", "udevcookies")),
    "target-version": Verb(1, None, one_by_one=_late("targets", "target_version")),
    "targets": Verb(0, 0, _late("targets", "targets")),
    "version": Verb(0, 0, _late("targets", "version")),
    "setgeometry": Verb(5, 5, _late("message", "setgeometry")),
    "splitname": Verb(1, 2, _late("report.splitname", "splitname")),
}
