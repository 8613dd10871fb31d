"""Replicator lines that share a log, and so are one group, in one table or in several: whether they agree."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

from dmtable.checks.areas import Use, uses_of
from dmtable.checks.devices import Devices, Mapper, lookup_of
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.registry import Registry
from dmtable.core.target import Params
from dmtable.errors import DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Diagnostic, Finding, place, refused
from dmtable.language.parser import read
from dmtable.language.tree import Line
from dmtable.slink.link import FallBehind
from dmtable.slink.words import limit_words, policy_words
from dmtable.targets.replicator.parts import RING_KINDS, SiteWords
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

_LOG_DEVICE = 2
"""The word of a replicator line that names the log's device."""


@dataclass(frozen=True, slots=True)
class _Ring:
    """A log on a device: its `size` in sectors, 1 where it is not known. `mode` is empty where the line has none."""

    dm_dev: DmDev
    start: int
    size: int
    mode: str

    def holds(self, use: Use) -> bool:
        """Whether an area lies on sectors of the log."""
        area = use.area
        is_there = use.dm_dev.number == self.dm_dev.number
        return is_there and area.start < self.start + self.size and self.start < area.start + area.length

    def is_same(self, other: _Ring) -> bool:
        return (self.dm_dev.number, self.start) == (other.dm_dev.number, other.start)


@dataclass(frozen=True, slots=True)
class Member:
    """A replicator line: what its words mean, the areas that it uses besides its log, and its log."""

    line: Line
    params: ReplicatorParams | ReplicatorDevParams
    uses: Sequence[Use]
    ring: _Ring | None


def members(lines: Sequence[tuple[Line, Params, Sequence[Use]]], lookup: Lookup) -> Iterator[Member]:
    """The lines among these that are a replicator's."""
    for line, params, uses in lines:
        if isinstance(params, ReplicatorParams):
            yield Member(line, params, uses, _ring(params, lookup))
        elif isinstance(params, ReplicatorDevParams):
            yield Member(line, params, uses, None)


def conflicts(group: Sequence[Member]) -> Iterator[tuple[Line, Diagnostic]]:
    """What the lines of one table have against one another, each with the line that it is said of."""
    for each in group:
        for finding in _own_overlaps(each):
            yield each.line, place(finding, each.line)
    for earlier, later in combinations(group, 2):
        for finding in _between(earlier, later, f"line {earlier.line.span.line}"):
            yield later.line, place(finding, later.line)


def across(texts: Sequence[tuple[str, str]], devices: Devices = None) -> list[list[Diagnostic]]:
    """What tables, (name, text) pairs, have against those before them: a list of findings for each."""
    lookup = lookup_of(devices, None)
    registry = devices.registry if isinstance(devices, Mapper) else Registry()
    tables = [list(members(_replicators(text, registry, lookup), lookup)) for _, text in texts]
    found: list[list[Diagnostic]] = [[] for _ in texts]
    for (name, before), (index, behind) in combinations(enumerate(tables), 2):
        for earlier in before:
            where = f"{texts[name][0]}:{earlier.line.span.line}"
            for later in behind:
                found[index] += [place(each, later.line) for each in _between(earlier, later, where)]
    return found


def _replicators(text: str, registry: Registry, lookup: Lookup) -> list[tuple[Line, Params, Sequence[Use]]]:
    if "replicator" not in text:
        return []
    found: list[tuple[Line, Params, Sequence[Use]]] = []
    for line in read(text)[0].lines:
        params_class = registry.params(line.target) if line.target.startswith("replicator") else None
        params = params_class.inspect(line.texts(), line.start, line.length, lookup)[0] if params_class else None
        if params is not None:
            found.append((line, params, list(uses_of(line, params, lookup))))
    return found


def _ring(params: ReplicatorParams, lookup: Lookup) -> _Ring | None:
    if params.log.kind not in RING_KINDS:
        return None
    _kind, _count, device, start, *rest = params.log.words()
    with suppress(DeviceLookupError):
        dm_dev = lookup(device)
        size = int(rest[1]) if len(rest) > 1 else max(dm_dev.size_sectors - int(start), 1)
        return _Ring(dm_dev, int(start), size, rest[0] if rest else "")
    return None


# ---- one line against itself or another; findings are about the later one's words


def _own_overlaps(member: Member) -> Iterator[Finding]:
    for use in member.uses:
        if member.ring and member.ring.holds(use):
            yield _overlap(use, "the log of this line")


def _between(earlier: Member, later: Member, where: str) -> Iterator[Finding]:
    if earlier.ring:
        for use in later.uses:
            if earlier.ring.holds(use):
                yield _overlap(use, f"the log of {where}")
    if later.ring and any(later.ring.holds(use) for use in earlier.uses):
        what = f"the log lies on sectors that {where} uses for other things"
        yield Finding(rules.SHARED_LOG, what, _LOG_DEVICE)
    if earlier.ring and later.ring and earlier.ring.is_same(later.ring):
        assert isinstance(earlier.params, ReplicatorParams)
        assert isinstance(later.params, ReplicatorParams)
        yield from _group_findings(earlier.params, later.params, later.ring, where)


def _overlap(use: Use, what: str) -> Finding:
    return Finding(rules.SHARED_LOG, f"{what} lies on sectors of {use.dm_dev.kernel_name}", use.area.word)


def _group_findings(first: ReplicatorParams, second: ReplicatorParams, ring: _Ring, where: str) -> Iterator[Finding]:
    """Judges the second line of a group, in the order of its words."""
    if ring.mode and "create".startswith(ring.mode):
        refusal = refused("replicator", errno.EPERM, "Cannot create replication log context")
        what = f"{where} has the same log, which this line would overwrite"
        fix = ((1, "3"), (_LOG_DEVICE + 2, "open"), (_LOG_DEVICE + 3, ""))
        yield Finding(rules.GROUP_CREATE, what, _LOG_DEVICE + 2, "write open without a size", refusal, fix)
    known = {site.number: site for site in first.sites}
    at = len(second.log.words())
    for site in second.sites:
        other = known.get(site.number)
        if other is not None and _meaning(other) != _meaning(site):
            what = f"site {site.number} is {_shown(site)} here, and {_shown(other)} in {where}"
            refusal = refused("replicator", errno.EINVAL, "Cannot create site link context")
            yield Finding(rules.GROUP_CONFLICT, what, at + 2, refusal=refusal)
        at += len(site.words())
    if first.sites[0].copy and second.sites[0].copy and first.sites[0].copy.number == second.sites[0].copy.number:
        what = f"{where} is device {first.sites[0].copy.number} of the group, too"
        word = len(second.log.words()) + len(second.sites[0].link_words()) + 1
        refusal = refused("replicator", errno.EBUSY, "Failed to add device to site link")
        yield Finding(rules.GROUP_TWICE, what, word, refusal=refusal)


def _meaning(site: SiteWords) -> object:
    return site.policy, _limit(site.fall_behind)


def _limit(fall_behind: FallBehind | None) -> object:
    return None if fall_behind is None or not fall_behind.limit else (fall_behind.measure, fall_behind.limit)


def _shown(site: SiteWords) -> str:
    return " ".join([policy_words(site.policy), *limit_words(site.fall_behind)])
