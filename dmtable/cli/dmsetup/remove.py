"""`remove`, `remove_all` and `wipe_table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dmtable.cli.dmsetup.lifecycle import resume_device, simple
from dmtable.cli.dmsetup.mknodes import make_nodes
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import NO_DEVICE
from dmtable.control.interface import NO_FLAGS, Flag, TargetLine
from dmtable.errors import DmsetupError


def remove(session: Session, operand: str | None, several: bool) -> None:
    options, libdm = session.options, session.libdm
    if "force" in options and operand is not None:
        if session.cookie:
            libdm.complain("WARNING: Use of cookie and --force is not compatible.")
        try:
            wipe_table(session, operand, several)
        except DmsetupError as error:
            session.complain(error)
    device = session.device(operand)
    libdm.use_no_udev()
    deferred = Flag.DEFERRED_REMOVE if "deferred" in options else NO_FLAGS
    task = replace(simple(session, "remove", device, deferred), retry="retry" in options)
    libdm.run(task, libdm.control.dev_remove)
    if device.name:
        libdm.nodes.remove(device.name)
    session.settle_nodes()


def remove_all(session: Session, operands: Sequence[str]) -> None:
    """Removes all devices that nobody uses. With `--force`, what they map is taken from those that are left."""
    libdm = session.libdm
    _remove_unused(session)
    if "force" not in session.options or not _count(session):
        return
    try:
        session.for_all(lambda name: wipe_table(session, name, True), silent=True)
    except DmsetupError as error:
        session.complain(error)
    _remove_unused(session)
    if left := _count(session):
        libdm.complain(f"Unable to remove {left} device(s).")


def wipe_table(session: Session, operand: str | None, several: bool) -> None:
    """Puts one error target in the place of the table, so that no I/O holds the device."""
    if not operand:
        raise DmsetupError("No device specified.")
    libdm = session.libdm
    sectors = _size(session, operand)
    device = session.device(operand)
    error_line = [TargetLine(0, sectors, "error", "")]
    task = session.task("reload", device, "readonly")
    libdm.run(task, lambda request: libdm.control.table_load(request, error_line))
    if "force" in session.options:
        session.is_hasty = True
    try:
        resume_device(session, device)
    except DmsetupError as error:
        session.complain(error)
        libdm.run(simple(session, "clear", device), libdm.control.table_clear)
        raise DmsetupError("") from error


def _size(session: Session, operand: str) -> int:
    """The sectors of the table, 0 where they are not known; why that is only shows."""
    libdm = session.libdm
    try:
        task = session.task("table", session.device(operand), flags=Flag.STATUS_TABLE)
        _reply, lines = libdm.run(task, libdm.control.table_status)
    except DmsetupError as error:
        session.complain(error)
        return 0
    return sum(line.length for line in lines)


def _remove_unused(session: Session) -> None:
    libdm = session.libdm
    flags = Flag.DEFERRED_REMOVE if "deferred" in session.options else NO_FLAGS
    libdm.run(simple(session, "remove_all", NO_DEVICE, flags), libdm.control.remove_all)
    make_nodes(session, None)


def _count(session: Session) -> int:
    return len(session.libdm.devices(checks="checks" in session.options))
