"""`message` and `setgeometry`: words for a target, and numbers for a BIOS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Device
from dmtable.cli.dmsetup.values import OutOfRange, whole_number
from dmtable.errors import DmsetupError


def message(session: Session, operands: Sequence[str]) -> None:
    """Sends words to the target at a sector, and prints what it answers."""
    libdm = session.libdm
    device, operands = _device(session, operands)
    try:
        sector = whole_number(operands[0], 10)
    except OutOfRange:
        sector = None
    if sector is None:
        raise DmsetupError("Invalid sector.")
    text = " ".join(operands[1:])
    if len(operands) < 2:
        libdm.complain("No message supplied.")
    task = replace(session.task("message", device), sector=sector, message=_without_key(text))
    _reply, answer = libdm.run(task, lambda request: libdm.control.target_message(request, sector, text))
    if answer is not None:
        session.out(answer if answer.endswith("\n") or not answer else f"{answer}\n")


def setgeometry(session: Session, operands: Sequence[str]) -> None:
    libdm = session.libdm
    device, operands = _device(session, operands)
    geometry = " ".join(operands[:4])
    libdm.run(session.task("setgeometry", device), lambda request: libdm.control.set_geometry(request, geometry))


def _device(session: Session, operands: Sequence[str]) -> tuple[Device, Sequence[str]]:
    """The device, and the words behind it."""
    if session.options.is_device_selected:
        return session.device(None), operands
    return session.device(operands[0]), operands[1:]


def _without_key(text: str) -> str:
    """A message as the log may show it."""
    return "key set" if text.lower().startswith("key set") else text
