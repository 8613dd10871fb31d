"""`create` and `load`: tables go in, from the command line, a file or standard input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dmtable.cli.dmsetup.info import show_info
from dmtable.cli.dmsetup.libdm import Device, Libdm
from dmtable.cli.dmsetup.session import Session
from dmtable.control.interface import NO_FLAGS, DmIoctl, Flag, TargetLine
from dmtable.core.device_mapper import DM_MAJOR
from dmtable.errors import DmsetupError
from dmtable.language.concise import read_concise
from dmtable.language.dmsetup_text import ON_STDIN, read_dmsetup_text
from dmtable.language.kernel_words import quote_params

_NOT_WITH_CONCISE = ("notable", "table", "minor", "uuid", "inactive")


def create(session: Session, operands: Sequence[str]) -> None:
    options = session.options
    if "concise" in options:
        _create_concise(session, operands)
        return
    if not operands:
        raise DmsetupError("Please provide a name for the new device.")
    name = session.libdm.new_name(operands[0])
    major, minor = options.number or (-1, -1)
    device = Device(name, session.libdm.uuid(options["uuid"]), major, minor)
    lines = [] if "notable" in options else _read_table(session, operands[1:])
    _create(session, device, lines, session.flags)


def load(session: Session, operands: Sequence[str]) -> None:
    if "notable" in session.options:
        raise DmsetupError("--notable only available when creating new device.")
    device = session.selected()
    if device is None:
        if not operands:
            raise DmsetupError("Please specify device.")
        device, operands = session.device(operands[0]), operands[1:]
    elif len(operands) > 1:
        raise DmsetupError("Too many command line arguments.")
    lines = _read_table(session, operands)
    control = session.libdm.control
    reply = session.libdm.run("reload", device, lambda request: control.table_load(request, lines), session.flags)
    if session.verbose:
        show_info(session, reply)


def _create_concise(session: Session, operands: Sequence[str]) -> None:
    if any(option in session.options for option in _NOT_WITH_CONCISE):
        raise DmsetupError("--concise is incompatible with --[no]table, --minor, --uuid and --inactive.")
    if len(operands) > 1:
        raise DmsetupError("dmsetup create --concise takes at most one argument")
    libdm = session.libdm
    for entry in read_concise(operands[0] if operands else session.stdin.read()):
        device = Device(libdm.new_name(entry.name), libdm.uuid(entry.uuid))
        if entry.minor is not None:
            device = replace(device, major=DM_MAJOR, minor=entry.minor)
        read_only = Flag.READONLY if entry.read_only else NO_FLAGS
        _create(session, device, _target_lines(entry.table, ""), session.flags | read_only)


def _read_table(session: Session, files: Sequence[str]) -> list[TargetLine]:
    """The table of `--table`, else of a file, else of standard input. Raises DmsetupError."""
    if "table" in session.options:
        return _target_lines(session.options["table"], "")
    if not files:
        return _target_lines(session.stdin.read(), ON_STDIN)
    try:
        with open(files[0], "rb") as file:
            return _target_lines(file.read(), files[0])
    except IsADirectoryError:
        return []  # C opens a folder like any file, and reads nothing from it.
    except OSError as error:
        raise DmsetupError(f"Couldn't open '{files[0]}' for reading.") from error


def _target_lines(text: str | bytes, name: str) -> list[TargetLine]:
    lines = read_dmsetup_text(text, name)
    return [TargetLine(line.start, line.length, line.target, quote_params(line.params)) for line in lines]


def _create(session: Session, device: Device, lines: Sequence[TargetLine], flags: Flag) -> None:
    """Creates, loads and resumes; without lines it only creates. What fails is undone, as far as libdm can."""
    libdm = session.libdm
    reply = libdm.run("create", device, libdm.control.dev_create, flags)
    if lines:
        try:
            reply = _load_and_resume(libdm, device, reply, lines, flags)
        except DmsetupError as error:
            raise DmsetupError("\n".join((str(error), *_revert(libdm, device)))) from error
        assert reply.dev is not None
        libdm.add_node(reply.name, reply.dev)
    if session.verbose:
        show_info(session, reply)


def _load_and_resume(
    libdm: Libdm, device: Device, created: DmIoctl, lines: Sequence[TargetLine], flags: Flag
) -> DmIoctl:
    # The table goes to the number that the kernel gave, the resume to the one that was asked for, if any.
    assert created.dev is not None
    control = libdm.control
    numbered = Device(device.name, major=created.dev[0], minor=created.dev[1])
    request = DmIoctl(dev=created.dev, flags=flags | Flag.EXISTS | Flag.PERSISTENT_DEV)
    libdm.send("reload", numbered, lambda: control.table_load(request, lines))
    request = (device if device.minor < 0 else replace(device, name="")).request(flags)
    return libdm.send("resume", replace(device, uuid=""), lambda: control.dev_suspend(replace(request, uuid="")))


def _revert(libdm: Libdm, device: Device) -> list[str]:
    """Removes what was created; messages where that fails, as it does for a device with a number of its own."""
    try:
        libdm.run("remove", replace(device, uuid=""), libdm.control.dev_remove)
    except DmsetupError as error:
        return [str(error), "Failed to revert device creation."]
    return []
