"""`targets`, `target-version` and `version`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dmtable.cli.dmsetup.libdm import LIBRARY_VERSION
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import NO_DEVICE, Task
from dmtable.control.interface import TargetVersion


def targets(session: Session, operands: Sequence[str]) -> None:
    libdm = session.libdm
    task = replace(Task("versions", NO_DEVICE), checks="checks" in session.options)
    for target in libdm.run(task, lambda _request: libdm.control.list_versions()):
        _show(session, target)


def target_version(session: Session, operand: str | None, several: bool) -> None:
    libdm = session.libdm
    task = Task("target-version", libdm.by_name(operand or "", backtraces=1))
    _show(session, libdm.run(task, libdm.control.target_version))


def version(session: Session, operands: Sequence[str]) -> None:
    libdm = session.libdm
    session.out(f"Library version:   {LIBRARY_VERSION}\n")
    driver = libdm.run(Task("version"), lambda _request: libdm.control.version())
    session.out("Driver version:    {}.{}.{}\n".format(*driver))


def _show(session: Session, target: TargetVersion) -> None:
    session.out("{:<16} v{}.{}.{}\n".format(target.name, *target.version))
