"""A group on paper: what a set of tables says of a replication log, its sites and its devices, in either dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dmtable.errors import DmtableError
from dmtable.language.tree import Columns, Line, Table
from dmtable.targets.replicator.parts import CopyWords, LogWords, SiteWords
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

_P = TypeVar("_P", ReplicatorParams, ReplicatorDevParams)


@dataclass(frozen=True, slots=True)
class PaperDevice:
    """A device of the group, `length` in sectors: the table that it comes from, and its copies by site."""

    table: str
    number: int
    length: int
    copies: Mapping[int, CopyWords]


@dataclass(frozen=True, slots=True)
class PaperGroup:
    """A group. `sites` have no devices of their own here; `control` is the table of the control device in the
    dialect of 2009, with its length and its word in the other tables, and None in that of the slides."""

    log: LogWords
    sites: Mapping[int, SiteWords]
    devices: tuple[PaperDevice, ...]
    control: tuple[str, int, str] | None = None


def read_group(tables: Mapping[str, Table]) -> PaperGroup:
    """The one group of these tables, by name; lines of other targets are left aside.

    Raises DmtableError where there is none, or more than one, or a line is wrong.
    """
    control: tuple[str, int, ReplicatorParams] | None = None
    lines: list[tuple[str, int, ReplicatorParams]] = []
    bound: list[tuple[str, int, ReplicatorDevParams]] = []
    for name, line in _lines(tables):
        if line.target == "replicator-dev":
            bound.append((name, line.length, _params(ReplicatorDevParams, name, line)))
            continue
        params = _params(ReplicatorParams, name, line)
        if params.in_line:
            lines.append((name, line.length, params))
        elif control is not None:
            raise DmtableError(f"{control[0]} and {name} are both control devices: give the tables of one group")
        else:
            control = name, line.length, params
    if lines and (control or bound):
        raise DmtableError("the tables are of both dialects: give the tables of one group")
    return _controlled(control, bound) if control or bound else _in_lines(lines)


def creators(tables: Mapping[str, Table]) -> list[str]:
    """The names of the tables that ask for a new log, whatever is there."""
    found = []
    for name, line in _lines(tables):
        if line.target == "replicator" and _params(ReplicatorParams, name, line).log.params.creates:
            found.append(name)
    return found


def _lines(tables: Mapping[str, Table]) -> Iterator[tuple[str, Line]]:
    for name, table in tables.items():
        for piece in table.pieces:
            if not isinstance(piece, Columns) and piece.target in ("replicator", "replicator-dev"):
                yield name, piece


def _params(kind: type[_P], name: str, line: Line) -> _P:
    params, findings = kind.inspect(line.texts(), line.start, line.length, None)
    if params is None:
        why = next(finding.what for finding in findings if finding.refusal)
        raise DmtableError(f"{name}: {why}")
    return params


def _controlled(
    control: tuple[str, int, ReplicatorParams] | None, bound: list[tuple[str, int, ReplicatorDevParams]]
) -> PaperGroup:
    if control is None:
        raise DmtableError("the table of the control device is missing, which names the log and the sites")
    words = {params.control for _, _, params in bound}
    if len(words) > 1:
        raise DmtableError(f"the tables name several control devices: {', '.join(sorted(words))}")
    name, length, params = control
    devices = tuple(PaperDevice(table, dev.number, size, dict(dev.copies)) for table, size, dev in bound)
    word = words.pop() if words else f"/dev/mapper/{name}"
    return PaperGroup(params.log, {site.number: site for site in params.sites}, devices, (name, length, word))


def _in_lines(lines: list[tuple[str, int, ReplicatorParams]]) -> PaperGroup:
    if not lines:
        raise DmtableError("no table has a replicator line")
    first = lines[0][2]
    sites: dict[int, SiteWords] = {}
    devices: list[PaperDevice] = []
    for name, length, params in lines:
        if params.log.params.words()[:2] != first.log.params.words()[:2]:
            raise DmtableError(f"{lines[0][0]} and {name} have different logs: give the tables of one group")
        copies = {site.number: site.copy for site in params.sites if site.copy is not None}
        number = next(iter(copies.values())).number
        devices.append(PaperDevice(name, number, length, copies))
        for site in params.sites:
            sites.setdefault(site.number, site)
    return PaperGroup(first.log, sites, tuple(devices))
