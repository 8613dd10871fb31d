"""`info`: what is known of a device, in a block of lines or as a row of a report."""

from __future__ import annotations

from dmtable.cli.dmsetup.libdm import Device, Libdm
from dmtable.cli.dmsetup.session import Session
from dmtable.control.interface import DmIoctl, Flag


def info(session: Session, operand: str | None, several: bool) -> None:
    if operand is None and session.selected() is None:
        session.for_all(lambda _name, device: _show(session, device))
    else:
        _show(session, session.device(operand))


def _show(session: Session, device: Device) -> None:
    control = session.libdm.control
    reply = session.libdm.existing("info", device, control.dev_status, session.flags)
    if session.report is not None:
        session.report.add(reply)
    else:
        show_info(session, reply)


def show_info(session: Session, reply: DmIoctl) -> None:
    """Prints the block of lines; `-v` has it printed by other verbs too."""
    session.out("".join(f"{line}\n" for line in _lines(session.libdm, reply)) + "\n")


def _lines(libdm: Libdm, reply: DmIoctl) -> list[str]:
    assert reply.dev is not None
    state = "SUSPENDED" if Flag.SUSPEND in reply.flags else "ACTIVE"
    if Flag.READONLY in reply.flags:
        state += " (READ-ONLY)"
    if Flag.DEFERRED_REMOVE in reply.flags:
        state += " (DEFERRED REMOVE)"
    slots = ((Flag.ACTIVE_PRESENT, "LIVE"), (Flag.INACTIVE_PRESENT, "INACTIVE"))
    tables = " & ".join(slot for flag, slot in slots if flag in reply.flags)
    lines = [f"Name:              {libdm.shown_name(reply.name)}", f"State:             {state}"]
    if (read_ahead := libdm.read_ahead(reply)) is not None:
        lines.append(f"Read Ahead:        {read_ahead}")
    lines += [
        f"Tables present:    {tables or 'None'}",
        f"Open count:        {reply.open_count}",
        f"Event number:      {reply.event_nr}",
        f"Major, minor:      {reply.dev[0]}, {reply.dev[1]}",
        f"Number of targets: {reply.target_count}",
    ]
    if reply.uuid:
        lines.append(f"UUID: {libdm.shown_uuid(reply.uuid)}")
    return lines
