"""`table`, `status`, `deps` and the plain lists of `ls`."""

from __future__ import annotations

from dmtable.cli.dmsetup.info import show_info
from dmtable.cli.dmsetup.libdm import Device
from dmtable.cli.dmsetup.options import naming
from dmtable.cli.dmsetup.session import Session
from dmtable.control.interface import DmIoctl, Flag, TargetLine
from dmtable.core.devices import Number
from dmtable.language.concise import ConciseDevice


def table(session: Session, operand: str | None, several: bool) -> None:
    if operand is None and session.selected() is None:
        session.for_all(lambda name, device: _show_table(session, name, device, True))
    else:
        _show_table(session, operand, session.device(operand), several)


def status(session: Session, operand: str | None, several: bool) -> None:
    if operand is None and session.selected() is None:
        session.for_all(lambda name, device: _show_status(session, name, device, True))
    else:
        _show_status(session, operand, session.device(operand), several)


def deps(session: Session, operand: str | None, several: bool) -> None:
    if operand is None and session.selected() is None:
        session.for_all(lambda name, device: _show_deps(session, name, device, True))
    else:
        _show_deps(session, operand, session.device(operand), several)


def list_devices(session: Session) -> None:
    """`ls` without a tree: all devices, or those with a line of `--target`."""
    if "target" in session.options:
        session.for_all(lambda name, device: _show_if_target(session, name, device))
        return
    devices = session.libdm.devices()
    if not devices:
        session.out("No devices found\n")
    for name, dev in devices:
        session.out(f"{name}\t({_named(session, dev) or f'{dev[0]}:{dev[1]}'})\n")


def _show_table(session: Session, name: str | None, device: Device, several: bool) -> None:
    libdm = session.libdm
    reply, lines = libdm.run("table", device, libdm.control.table_status, session.flags | Flag.STATUS_TABLE)
    if "concise" not in session.options:
        _print_lines(session, name, reply, lines, several)
    elif (texts := _wanted(session, lines)) is not None:
        assert reply.dev is not None
        shown_name = libdm.shown_name(reply.name) if name is None else name
        read_only = Flag.READONLY in reply.flags
        shown_uuid = libdm.shown_uuid(reply.uuid)
        entry = ConciseDevice(shown_name, shown_uuid, reply.dev[1], read_only, "\n".join(texts))
        session.concise.append(entry)


def _show_status(session: Session, name: str | None, device: Device, several: bool) -> None:
    libdm = session.libdm
    reply, lines = libdm.existing("status", device, libdm.control.table_status, session.flags)
    _print_lines(session, name, reply, lines, several)


def _print_lines(session: Session, name: str | None, reply: DmIoctl, lines: list[TargetLine], several: bool) -> None:
    texts = _wanted(session, lines)
    if texts is not None:
        _print(session, name, reply, texts or [""], several)


def _wanted(session: Session, lines: list[TargetLine]) -> list[str] | None:
    """The lines as they are printed; None where `--target` asks for others."""
    if "target" in session.options:
        lines = [line for line in lines if line.target == session.options["target"]]
        if not lines:
            return None
    return [f"{line.start} {line.length} {line.target} {line.params}" for line in lines]


def _show_deps(session: Session, name: str | None, device: Device, several: bool) -> None:
    libdm = session.libdm
    reply, numbers = libdm.run("deps", device, libdm.control.table_deps, session.flags)
    names = "".join(f" ({_named(session, dev) or f'{dev[0]}, {dev[1]}'})" for dev in numbers)
    _print(session, name, reply, [f"{len(numbers)} dependencies\t:{names}"], several)


def _print(session: Session, name: str | None, reply: DmIoctl, lines: list[str], several: bool) -> None:
    """Lines about a device: behind its name where there are several, or below its block of info with `-v`."""
    if session.verbose:
        show_info(session, reply)
    prefix = f"{name}: " if several and not session.verbose else ""
    session.out("".join(f"{prefix}{line}\n" for line in lines))
    if several and session.verbose:
        session.out("\n")


def _show_if_target(session: Session, name: str, device: Device) -> None:
    libdm = session.libdm
    reply, lines = libdm.existing("status", device, libdm.control.table_status, session.flags)
    if _wanted(session, lines):
        assert reply.dev is not None
        session.out(f"{name}\t({reply.dev[0]}, {reply.dev[1]})\n")


def _named(session: Session, dev: Number) -> str | None:
    """The name that `-o` asks for; None where that is the number, or where there is no name."""
    match naming(session.options):
        case "devname":
            return session.libdm.device_name(dev)
        case "blkdevname":
            return session.libdm.dev.block_name(dev)
        case _:
            return None
