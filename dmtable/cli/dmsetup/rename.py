"""`rename` and `mangle`: devices get other names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dmtable.cli.dmsetup.options import mangling_mode
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Task
from dmtable.control.interface import NO_FLAGS, Flag
from dmtable.errors import DmsetupError
from dmtable.language.mangling import NAME, NEW_NAME, NEW_UUID, UUID, MangleMode, corrected, is_mangled_twice, reverted


def rename(session: Session, operands: Sequence[str]) -> None:
    """Gives a device another name or, with `--setuuid`, its first UUID."""
    name = operands[0] if len(operands) > 1 else None
    _rename(session, name, operands[-1], sets_uuid="setuuid" in session.options)


def mangle(session: Session, operand: str | None, several: bool) -> None:
    """Renames devices to what `--manglename` asks for; names are as the kernel has them meanwhile."""
    if operand is None and not session.options.is_device_selected:
        session.for_all(lambda name: _mangle(session, name))
    else:
        _mangle(session, operand)


def _rename(session: Session, operand: str | None, new: str, *, sets_uuid: bool) -> None:
    libdm = session.libdm
    device = session.device(operand)
    if sets_uuid:
        new = libdm.new_string(new, NEW_UUID)
    elif "/" in new:
        raise libdm.failed(f'Name "{new}" invalid. It contains "/".')
    elif not new:
        raise libdm.failed("Non empty new name is required.")
    else:
        new = libdm.new_string(new, NEW_NAME)
    libdm.use_no_udev()
    task = replace(session.task("rename", device, flags=Flag.UUID if sets_uuid else NO_FLAGS), new=new)
    libdm.run(task, lambda request: libdm.control.dev_rename(request, new))
    if device.name and not sets_uuid:
        libdm.nodes.rename(device.name, new)
    session.settle_nodes()


def _mangle(session: Session, operand: str | None) -> None:
    libdm = session.libdm
    # libdm checks its buffers here unless it is told to.
    task = Task("status", session.device(operand), checks="checks" not in session.options)
    answer = libdm.existing(task, libdm.control.table_status)
    if answer is None:
        raise libdm.failed("")
    reply, _lines = answer
    name, uuid = reply.name if operand is None else operand, reply.uuid
    mode = mangling_mode(session.options.get("manglename", MangleMode.AUTO))
    if mode is MangleMode.AUTO:
        _refuse_mangled_twice("name", name, "rename the device")
        _refuse_mangled_twice("UUID", uuid, "correct the device UUID")
    if mode is MangleMode.NONE:
        right_name, right_uuid = reverted(reply.name), reverted(uuid)
    else:
        right_name, right_uuid = corrected(reply.name, NAME), corrected(uuid, UUID)
    if right_uuid != uuid:
        why = "Unable to change device UUID. The device must be deactivated first."
        raise DmsetupError(f"{name}: {uuid}: UUID in incorrect form. \n{why}")
    if right_name == name:
        what = "name and UUID" if uuid else "name"
        session.out(f"{name}: {uuid or '[no UUID]'}: {what} already in correct form\n")
        return
    session.out(f"{name}: renaming to {right_name}\n")
    _rename(session, name, right_name, sets_uuid=False)


def _refuse_mangled_twice(what: str, text: str, task: str) -> None:
    if is_mangled_twice(text):
        reason = "seems to be mangled more than once. Manual intervention required to"
        raise DmsetupError(f'The {what} "{text}" {reason} {task}.')
