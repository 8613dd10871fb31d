"""`info`: what is known of a device, in a block of lines or as a row of a report."""

from __future__ import annotations

from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Device
from dmtable.control.interface import DmIoctl, Flag
from dmtable.errors import DmsetupError


def info(session: Session, operand: str | None, several: bool) -> None:
    if operand is None and not session.options.is_device_selected:
        session.for_all(lambda name: _show(session, session.device(name)))
    else:
        _show(session, session.device(operand))


def _show(session: Session, device: Device) -> None:
    libdm = session.libdm
    reply = libdm.existing(session.task("info", device), libdm.control.dev_status)
    if reply is None:
        raise DmsetupError("Device does not exist.")
    if session.act is None:
        show_info(session, reply)
    elif _add_row(session, reply):
        session.act(session.libdm.shown_name(reply.name))


def show_info(session: Session, reply: DmIoctl) -> None:
    """Prints the block of lines, or adds a row to the report; `-v` has it printed by other verbs too."""
    if session.report is not None and session.act is None:
        _add_row(session, reply)
    else:
        _show_lines(session, reply)


def _add_row(session: Session, reply: DmIoctl) -> bool:
    """Adds a device to the report. Returns whether it is selected."""
    assert session.report is not None
    assert reply.dev is not None
    major, minor = reply.dev
    return session.report.add_device(reply, session.task("deps", Device(major=major, minor=minor)))


def _show_lines(session: Session, reply: DmIoctl) -> None:
    libdm, flags = session.libdm, reply.flags
    assert reply.dev is not None
    session.out(f"Name:              {libdm.shown_name(reply.name)}\nState:             {_state(flags)}\n")
    # The log has something to say here.
    if (read_ahead := libdm.read_ahead(reply)) is not None:
        session.out(f"Read Ahead:        {read_ahead}\n")
    slots = ((Flag.ACTIVE_PRESENT, "LIVE"), (Flag.INACTIVE_PRESENT, "INACTIVE"))
    tables = " & ".join(slot for flag, slot in slots if flag in flags)
    lines = [
        f"Tables present:    {tables or 'None'}",
        f"Open count:        {reply.open_count}",
        f"Event number:      {reply.event_nr}",
        f"Major, minor:      {reply.dev[0]}, {reply.dev[1]}",
        f"Number of targets: {reply.target_count}",
    ]
    if reply.uuid:
        lines.append(f"UUID: {libdm.shown_uuid(reply.uuid)}")
    session.out("".join(f"{line}\n" for line in lines) + "\n")


def show_if_verbose(session: Session, reply: DmIoctl) -> None:
    if session.verbose:
        show_info(session, reply)


def _state(flags: Flag) -> str:
    state = "SUSPENDED" if Flag.SUSPEND in flags else "ACTIVE"
    if Flag.READONLY in flags:
        state += " (READ-ONLY)"
    if Flag.DEFERRED_REMOVE in flags:
        state += " (DEFERRED REMOVE)"
    return state
