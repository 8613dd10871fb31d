"""`splitname`: the parts of a name, whether a device has it or not."""

from __future__ import annotations

from collections.abc import Sequence

from dmtable.cli.dmsetup.report.subject import split_name
from dmtable.cli.dmsetup.session import Session


def splitname(session: Session, operands: Sequence[str]) -> None:
    assert session.report is not None
    name, *subsystem = operands
    session.report.add_name(split_name(name, *(subsystem or ["LVM"])))
