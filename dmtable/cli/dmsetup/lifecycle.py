"""`suspend`, `resume`, `clear` and `remove`."""

from __future__ import annotations

import errno
from collections.abc import Callable

from dmtable.cli.dmsetup.info import show_info
from dmtable.cli.dmsetup.libdm import Device, IoctlFailed, Libdm
from dmtable.cli.dmsetup.session import Session
from dmtable.control.interface import NO_FLAGS, DmIoctl, Flag, TargetLine
from dmtable.errors import DmsetupError

_RETRIES = 25
_RETRY_SECONDS = 0.2


def suspend(session: Session, operand: str | None, several: bool) -> None:
    _change(session, operand, "suspend", session.libdm.control.dev_suspend, Flag.SUSPEND)


def resume(session: Session, operand: str | None, several: bool) -> None:
    _change(session, operand, "resume", session.libdm.control.dev_suspend)


def clear(session: Session, operand: str | None, several: bool) -> None:
    _change(session, operand, "clear", session.libdm.control.table_clear)


def remove(session: Session, operand: str | None, several: bool) -> None:
    libdm, options = session.libdm, session.options
    device = session.device(operand)
    flags = session.flags
    if "force" in options and operand is not None:
        _wipe(libdm, device)
        flags |= Flag.NOFLUSH | Flag.SKIP_LOCKFS
    if "deferred" in options:
        flags |= Flag.DEFERRED_REMOVE
    for left in reversed(range(_RETRIES if "retry" in options else 1)):
        try:
            libdm.run("remove", device, libdm.control.dev_remove, flags)
            break
        except IoctlFailed as error:
            if error.errno != errno.EBUSY or not left:
                raise
            session.sleep(_RETRY_SECONDS)
    if device.name:
        libdm.remove_node(device.name)


def _change(
    session: Session, operand: str | None, task: str, ioctl: Callable[[DmIoctl], DmIoctl], flags: Flag = NO_FLAGS
) -> None:
    device = session.device(operand)
    reply = session.libdm.run(task, device, ioctl, flags | session.flags)
    if task == "resume" and device.name:
        assert reply.dev is not None
        session.libdm.add_node(device.name, reply.dev)
    if session.verbose:
        show_info(session, reply)


def _wipe(libdm: Libdm, device: Device) -> None:
    """Puts one error target in the place of the table, so that no I/O holds the device. Failures only show."""
    control = libdm.control
    sectors = 0
    try:
        _reply, lines = libdm.run("table", device, control.table_status, Flag.STATUS_TABLE)
        sectors = sum(line.length for line in lines)
    except DmsetupError as error:
        libdm.complain(str(error))
    try:
        error_line = [TargetLine(0, sectors, "error", "")]
        libdm.run("reload", device, lambda request: control.table_load(request, error_line))
    except DmsetupError as error:
        libdm.complain(str(error))
        return
    try:
        libdm.run("resume", device, control.dev_suspend, Flag.NOFLUSH | Flag.SKIP_LOCKFS)
    except DmsetupError as error:
        libdm.complain(str(error))
        libdm.run("clear", device, control.table_clear)
