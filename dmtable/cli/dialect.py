"""`dmtable convert --to 2008` and `--to 2009`: the replicated groups among some tables, in the other dialect."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dmtable.errors import UsageError
from dmtable.language.concise import ConciseDevice, write_concise
from dmtable.language.kernel_text import kernel_line
from dmtable.language.tree import Line, Table
from dmtable.targets.replicator.dialects import Converted, to_2008, to_2009
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

P = TypeVar("P", ReplicatorParams, ReplicatorDevParams)

_CONTROL = "replicator"
"""What the new control device is called, unless --name says otherwise."""


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table and the name of its device."""

    name: str
    table: Table


def write_dialect(tables: Sequence[NamedTable], dialect: str, control: str | None) -> str:
    """The group in concise form: all devices of it, the control device first where there is one.

    Writes to standard error what is lost. Raises UsageError where the tables are no group of the other dialect.
    """
    texts = list(_in_2009(tables, control or _CONTROL) if dialect == "2009" else _in_2008(tables))
    return write_concise(ConciseDevice(name, table=text) for name, text in texts)


def _in_2009(tables: Sequence[NamedTable], control: str) -> Iterator[tuple[str, str]]:
    lines = [(each, line) for each in tables for line in each.table.lines if line.target == "replicator"]
    if not lines:
        raise UsageError("there is no replicator line of the slides' dialect to convert")
    group = to_2009([_params(ReplicatorParams, line, each.name) for each, line in lines], f"/dev/mapper/{control}")
    _report(group)
    assert group.control is not None
    words = group.control.log.words()
    length = words[5] if len(words) > 5 else "1"
    yield control, f"0 {length} replicator {' '.join(group.control.words())}\n"
    yield from _rewritten(tables, "replicator", "replicator-dev", group)


def _in_2008(tables: Sequence[NamedTable]) -> Iterator[tuple[str, str]]:
    controls = [(each, line) for each in tables for line in each.table.lines if line.target == "replicator"]
    lines = [(each, line) for each in tables for line in each.table.lines if line.target == "replicator-dev"]
    if len(controls) != 1:
        raise UsageError(f"give one control device and the devices of its group; here are {len(controls)}")
    owner, control = controls[0]
    params = _params(ReplicatorParams, control, owner.name)
    if params.in_line:
        raise UsageError(f"{owner.name} is of the slides' dialect already")
    devices = [_params(ReplicatorDevParams, line, each.name) for each, line in lines]
    for (each, _line), device in zip(lines, devices, strict=True):
        if device.control.startswith("/") and device.control != f"/dev/mapper/{owner.name}":
            raise UsageError(f"{each.name} belongs to {device.control}, and not to /dev/mapper/{owner.name}")
    group = to_2008(params, devices)
    _report(group)
    yield from _rewritten([each for each in tables if each is not owner], "replicator-dev", "replicator", group)


def _rewritten(tables: Sequence[NamedTable], target: str, new: str, group: Converted) -> Iterator[tuple[str, str]]:
    """The tables with the group's lines in the place of theirs; other lines stay."""
    params = iter(group.devices)
    for each in tables:
        text = ""
        for line in each.table.lines:
            mapping = kernel_line(line)
            if line.target == target:
                mapping = f"{line.start} {line.length} {new} {' '.join(next(params).words())}"
            text += mapping + "\n"
        yield each.name, text


def _report(group: Converted) -> None:
    for lost in group.lost:
        print(f"dmtable convert: lost: {lost}", file=sys.stderr)


def _params(kind: type[P], line: Line, name: str) -> P:
    params, findings = kind.inspect(line.texts(), line.start, line.length, None)
    if params is None:
        finding = next(finding for finding in findings if finding.refusal)
        raise UsageError(f"{name}:{line.span.line}: {finding.rule.code} {finding.what}; `dmtable check` says all of it")
    return params
