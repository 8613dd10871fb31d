"""What a row of a report is about, and the parts of a device's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dmtable.cli.dmsetup.deptree import Node
from dmtable.control.interface import DmIoctl
from dmtable.core.numbers import Number

_LVM = "LVM"
"""The subsystem whose names have parts."""


@dataclass(frozen=True, slots=True)
class SplitName:
    """A name in its parts; those of a subsystem that is not LVM are empty."""

    subsystem: str
    vg_name: str = ""
    lv_name: str = ""
    lv_layer: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What was asked of one device for its row: only what its report has fields of, else None."""

    reply: DmIoctl | None = None
    """As DM_DEV_STATUS fills it."""
    deps: Sequence[Number] | None = None
    """The devices that its table uses, the last one first."""
    node: Node | None = None
    name: SplitName | None = None


def split_name(name: str, subsystem: str) -> SplitName:
    """The parts of a name (libdm: dm_split_lvm_name): `vg-lv-layer`, where `--` is a `-` of a part itself."""
    if subsystem != _LVM:
        return SplitName(subsystem)
    vg_name, rest = _first_part(name)
    lv_name, rest = _first_part(rest)
    return SplitName(subsystem, vg_name, lv_name, _first_part(rest)[0])


def subsystem_of(uuid: str) -> str:
    """What stands before the first `-` of a UUID; nothing where there is none."""
    subsystem, dash, _rest = uuid.partition("-")
    return subsystem if dash else ""


def _first_part(name: str) -> tuple[str, str]:
    """(the first part, what follows its `-`). A `-` at the very end belongs to the part."""
    part: list[str] = []
    at = 0
    while at < len(name):
        if name.startswith("--", at):
            at += 1
        elif name[at] == "-" and at + 1 < len(name):
            return "".join(part), name[at + 1 :]
        part.append(name[at])
        at += 1
    return "".join(part), ""
