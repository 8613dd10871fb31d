"""`ls` and `deps`: devices by name, and what each stands on."""

from __future__ import annotations

from collections.abc import Sequence

from dmtable.cli.dmsetup.info import show_info
from dmtable.cli.dmsetup.options import naming
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.status import list_by_table
from dmtable.cli.dmsetup.tree import show_tree
from dmtable.core.numbers import Number


def ls(session: Session, operands: Sequence[str]) -> None:
    if "target" in session.options or "exec" in session.options:
        list_by_table(session)
    elif "tree" in session.options:
        show_tree(session)
    else:
        _list(session)


def deps(session: Session, operand: str | None, several: bool) -> None:
    if operand is None and not session.options.is_device_selected:
        session.for_all(lambda name: _show_deps(session, name, True))
    else:
        _show_deps(session, operand, several)


def _list(session: Session) -> None:
    devices = session.libdm.devices(checks="checks" in session.options)
    if not devices:
        session.out("No devices found\n")
    for name, dev in devices:
        session.out(f"{name}\t({_named(session, dev) or f'{dev[0]}:{dev[1]}'})\n")


def _show_deps(session: Session, operand: str | None, several: bool) -> None:
    libdm = session.libdm
    reply, numbers = libdm.run(session.task("deps", session.device(operand)), libdm.control.table_deps)
    if session.verbose:
        show_info(session, reply)
    elif several:
        session.out(f"{operand}: ")
    names = "".join(f" ({_named(session, dev) or f'{dev[0]}, {dev[1]}'})" for dev in numbers)
    session.out(f"{len(numbers)} dependencies\t:{names}\n")
    if several and session.verbose:
        session.out("\n")


def _named(session: Session, dev: Number) -> str | None:
    """The name that `-o` asks for; None where that is the number, or where there is no name."""
    match naming(session.options):
        case "devname":
            return session.libdm.device_name(dev)
        case "blkdevname":
            return session.libdm.block_name(dev)
        case _:
            return None
