"""`suspend`, `resume`, `clear` and `wait`: one request for a device, and what libdm does around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dmtable.cli.dmsetup.info import show_if_verbose
from dmtable.cli.dmsetup.nodes import NodeAttributes
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Device, Task
from dmtable.control.interface import NO_FLAGS, DmIoctl, Flag
from dmtable.core.numbers import DM_MAJOR, Number
from dmtable.errors import DmsetupError
from dmtable.language.numbers import U32, atoi


def suspend(session: Session, operand: str | None, several: bool) -> None:
    device = session.device(operand)
    if "checks" in session.options:
        _warn_of_suspended(session, device)
    libdm = session.libdm
    task = replace(simple(session, "suspend", device, Flag.SUSPEND), checks=False)
    show_if_verbose(session, libdm.run(task, libdm.control.dev_suspend))


def resume(session: Session, operand: str | None, several: bool) -> None:
    show_if_verbose(session, resume_device(session, session.device(operand)))


def clear(session: Session, operand: str | None, several: bool) -> None:
    libdm = session.libdm
    reply = libdm.run(simple(session, "clear", session.device(operand)), libdm.control.table_clear)
    show_if_verbose(session, reply)


def wait(session: Session, operands: Sequence[str]) -> None:
    """Waits for an event; its number may be behind the device."""
    operand: str | None = None
    if not session.options.is_device_selected:
        if not operands:
            raise DmsetupError("No device specified.")
        operand, operands = operands[0], operands[1:]
    device = session.device(operand)
    task = replace(simple(session, "waitevent", device), event_nr=atoi(operands[-1]) % U32 if operands else 0)
    reply, _lines = session.libdm.run(task, session.libdm.control.dev_wait)
    show_if_verbose(session, reply)


def simple(session: Session, name: str, device: Device, flags: Flag = NO_FLAGS) -> Task:
    """A request of the kind that dmsetup sends without more ado."""
    task = session.task(name, device, "noflush", "nolockfs", flags=flags)
    if session.is_hasty:
        task = replace(task, flags=task.flags | Flag.NOFLUSH | Flag.SKIP_LOCKFS)
    return replace(task, traced=False)


def resume_device(session: Session, device: Device) -> DmIoctl:
    """Resumes a device that is named in one way; its node, if it is named by name, is there afterwards."""
    libdm = session.libdm
    libdm.use_no_udev()
    reply = libdm.run(simple(session, "resume", device), libdm.control.dev_suspend)
    put_node(session, device.name, reply.dev)
    session.settle_nodes()
    return reply


def put_node(session: Session, name: str, dev: Number | None, attributes: NodeAttributes | None = None) -> None:
    """What a resume does to the node: it is added, and `--readahead` set."""
    if not name:
        return
    assert dev is not None
    nodes, options = session.libdm.nodes, session.options
    if "addnodeoncreate" not in options:
        nodes.add(name, dev, attributes or NodeAttributes())
    if options.read_ahead is not None:
        nodes.read_ahead(name, dev, options.read_ahead)


def _warn_of_suspended(session: Session, device: Device) -> None:
    """`suspend --checks`: warns where something below the device is suspended already, and I/O could be trapped."""
    libdm = session.libdm
    todo: list[tuple[Device, Device | None]] = [(device, None)]
    while todo:
        below, above = todo.pop()
        reply, numbers = libdm.run(Task("deps", below, traced=False), libdm.control.table_deps)
        if Flag.SUSPEND not in reply.flags:
            todo += [(Device(major=m, minor=n), below) for m, n in reversed(numbers) if m == DM_MAJOR]
            continue
        assert reply.dev is not None
        suspended = "({}:{})".format(*reply.dev)
        if above is None:
            libdm.log.line(f"Attempting to suspend a device that is already suspended {suspended}")
        else:
            number = f"{above.number} " if above.number else ""
            named = f"{above.name}{above.uuid}{number}"
            libdm.complain(
                f"Internal error: Attempt to suspend device {named}that uses already-suspended device {suspended}"
            )
