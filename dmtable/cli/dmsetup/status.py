"""`table`, `status` and `measure`, and `ls` where it looks into tables: the lines of devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dmtable.cli.dmsetup.info import show_info
from dmtable.cli.dmsetup.keys import without_keys
from dmtable.cli.dmsetup.programs import exec_for
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Device
from dmtable.control.interface import NO_FLAGS, DmIoctl, Flag, TargetLine
from dmtable.errors import DmsetupError
from dmtable.language.concise import ConciseDevice, write_concise

_Answer = tuple[DmIoctl, list[TargetLine]]


@dataclass(frozen=True, slots=True)
class _Shown:
    """The lines of a device that are wanted. `name` is None where no operand gave one."""

    name: str
    reply: DmIoctl
    texts: list[str]


def table(session: Session, operand: str | None, several: bool) -> None:
    show = _show_concise if "concise" in session.options else _show_lines
    _for_each(session, operand, several, _ask_table, show)


def status(session: Session, operand: str | None, several: bool) -> None:
    _for_each(session, operand, several, _ask_status, _show_lines)


def measure(session: Session, operand: str | None, several: bool) -> None:
    _for_each(session, operand, several, _ask_measurement, _show_lines)


def list_by_table(session: Session) -> None:
    """`ls --target` and `ls --exec`."""
    _for_each(session, None, True, _ask_status, _show_number)


def _for_each(
    session: Session,
    operand: str | None,
    several: bool,
    ask: Callable[[Session, Device], _Answer],
    show: Callable[[Session, _Shown, bool], None],
) -> None:
    if operand is None and not session.options.is_device_selected:
        session.for_all(lambda name: _one(session, name, True, ask, show))
    else:
        _one(session, operand, several, ask, show)


def _one(
    session: Session,
    operand: str | None,
    several: bool,
    ask: Callable[[Session, Device], _Answer],
    show: Callable[[Session, _Shown, bool], None],
) -> None:
    reply, lines = ask(session, session.device(operand))
    texts = _wanted(session, lines)
    if texts is None:
        return
    name = session.libdm.shown_name(reply.name) if operand is None else operand
    if "exec" not in session.options or session.verbose:
        show(session, _Shown(name, reply, texts), several)
    if "exec" in session.options:
        exec_for(session, name)


def _ask_table(session: Session, device: Device) -> _Answer:
    libdm = session.libdm
    task = session.task("table", device, "noflush", flags=Flag.STATUS_TABLE)
    reply, lines = libdm.run(task, libdm.control.table_status)
    if "showkeys" in session.options:
        return reply, lines
    return reply, [TargetLine(at.start, at.length, at.target, without_keys(at.target, at.params)) for at in lines]


def _ask_status(session: Session, device: Device) -> _Answer:
    return _ask_info(session, device, NO_FLAGS)


def _ask_measurement(session: Session, device: Device) -> _Answer:
    return _ask_info(session, device, Flag.IMA_MEASUREMENT)


def _ask_info(session: Session, device: Device, flags: Flag) -> _Answer:
    libdm = session.libdm
    answer = libdm.existing(session.task("status", device, "noflush", flags=flags), libdm.control.table_status)
    if answer is None:
        raise DmsetupError("Device does not exist.")
    return answer


def _wanted(session: Session, lines: list[TargetLine]) -> list[str] | None:
    """The lines as they are printed; None where `--target` asks for others."""
    if "target" in session.options:
        lines = [line for line in lines if line.target == session.options["target"]]
        if not lines:
            return None
    return [f"{line.start} {line.length} {line.target} {line.params}" for line in lines]


def _show_lines(session: Session, shown: _Shown, several: bool) -> None:
    """The lines behind the name where there are several devices, or below the block of info with `-v`."""
    if session.verbose:
        show_info(session, shown.reply)
    prefix = f"{shown.name}: " if several and not session.verbose else ""
    session.out("".join(f"{prefix}{text}\n" for text in shown.texts or [""]))
    if several and session.verbose:
        session.out("\n")


def _show_concise(session: Session, shown: _Shown, several: bool) -> None:
    """The device on the one line that all devices share."""
    reply = shown.reply
    assert reply.dev is not None
    uuid, read_only = session.libdm.shown_uuid(reply.uuid), Flag.READONLY in reply.flags
    entry = ConciseDevice(shown.name, uuid, reply.dev[1], read_only, "\n".join(shown.texts))
    session.out((";" if session.concise_begun else "") + write_concise([entry]).removesuffix("\n"))
    session.concise_begun = True
    if several and session.options.verbosity > 1:
        session.out("\n")


def _show_number(session: Session, shown: _Shown, several: bool) -> None:
    assert shown.reply.dev is not None
    session.out("{}\t({}, {})\n".format(shown.name, *shown.reply.dev))
