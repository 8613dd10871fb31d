"""What `dmsetup status` and `dmsetup table` print of a replicator: values in, text out.

The shapes are those of the code of 2009, every word followed by a blank, with its mistakes done right: sectors are
sectors and not bytes, a limit is counted as the two words that it is, policies and limits are those in force. What
only this replicator has to say stands behind, as `unknown=7 `, and only where there is something to say.

A device of the slides' dialect is its own control device: INFO is that of `replicator` followed by that of
`replicator-dev`, in which the log's device stands for the control device; TABLE is its line again in the slides' shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dmtable.slink.link import FallBehind, Policy
from dmtable.slink.words import limit_words, policy_words


@dataclass(slots=True)
class Traffic:
    """The core's statistics: what came from applications, what was submitted, how often the queue was congested."""

    reads: int = 0
    writes: int = 0
    submitted_reads: int = 0
    submitted_writes: int = 0
    not_congested: int = 0
    congested: int = 0
    version: str = "v0.028"
    """Of the control module whose format this is."""

    def text(self) -> str:
        return (
            f"v={self.version} r={self.reads} w={self.writes} rs={self.submitted_reads} ws={self.submitted_writes} "
            f"nc={self.not_congested} c={self.congested} "
        )


@dataclass(frozen=True, slots=True)
class SiteBacklog:
    """What a site lacks: entries and sectors; `must_wait` while a limit makes writers wait for it."""

    must_wait: bool
    ios: int
    sectors: int


@dataclass(frozen=True, slots=True)
class Remarks:
    """What the original had no words for: numbers of devices and of sites."""

    unknown: Sequence[int] = ()
    """Devices whose entries wait in the log, and that no table has."""
    unordered: Sequence[int] = ()
    """Sites that are resynchronising: what they hold is no state that the group was ever in."""
    held: Sequence[int] = ()
    """Sites whose resync waits for the message that lets it begin."""
    paused: Sequence[int] = ()
    """Sites whose link a message stopped."""

    def text(self) -> str:
        given = [(name, getattr(self, name)) for name in ("unknown", "unordered", "held", "paused")]
        return "".join(f"{name}={','.join(map(str, numbers))} " for name, numbers in given if numbers)


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group at work. `log_statistics` is the log's INFO: each word with a blank before it, or nothing."""

    sites: Sequence[SiteBacklog]
    log_sectors: int
    log_statistics: str = ""
    traffic: Traffic | None = None
    remarks: Remarks = Remarks()


@dataclass(frozen=True, slots=True)
class Regions:
    """Of a dirty log: how many of its regions are in sync, and whether one is being copied."""

    in_sync: int
    total: int
    recovering: bool

    def text(self) -> str:
        return f"{self.in_sync}{'+' if self.recovering else ''}/{self.total}"


@dataclass(frozen=True, slots=True)
class CopyState:
    """A device at a site: the errors of its link (`A`, `R`, `W`, `RW`), and its regions where it has a dirty log."""

    errors: str
    regions: Regions | None = None


@dataclass(frozen=True, slots=True)
class ShownCopy:
    """A device at a site as tables print it: major:minor, or its word where it was never opened.

    `dirty_log` is the log's own TABLE, ending in a blank, or empty.
    """

    number: int
    device: str
    dirty_log: str = ""


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A site link as it is now; with its device in the slides' dialect."""

    kind: str
    number: int
    policy: Policy
    fall_behind: FallBehind | None
    copy: ShownCopy | None = None


# ---- INFO


def replicator_info(group: GroupState) -> str:
    """Of a control device."""
    sites = "".join(f" {'S' if site.must_wait else 'A'},{site.ios},{site.sectors}" for site in group.sites)
    ios, sectors = sum(site.ios for site in group.sites), sum(site.sectors for site in group.sites)
    traffic = group.traffic.text() if group.traffic else ""
    return f"{traffic}{sites} {ios}/{sectors}/{group.log_sectors}{group.log_statistics} {group.remarks.text()}"


def device_info(control: str, number: int, copies: Iterable[CopyState]) -> str:
    """Of a `replicator-dev`: `control` is its control device's major:minor, `number` the device's in the group."""
    states = (f"{copy.errors},{copy.regions.text() if copy.regions else '-'} " for copy in copies)
    return f"{control} {number} {''.join(states)}"


def one_line_info(group: GroupState, log_device: str, number: int, copies: Iterable[CopyState]) -> str:
    """Of a device of the slides' dialect; `log_device` is the major:minor of what holds the log, `-` for nothing."""
    return replicator_info(group) + device_info(log_device, number, copies)


# ---- TABLE


def replicator_table(log: str, links: Iterable[ShownLink]) -> str:
    """Of a control device, or of a device of the slides' dialect; `log` is the log's own TABLE, ending in a blank."""
    return log + "".join(map(_link, links))


def device_table(control: str, number: int, copies: Iterable[tuple[int, ShownCopy]]) -> str:
    """Of a `replicator-dev`: its (site, copy) pairs."""
    sites = (f"{site} 1 {copy.device} {copy.dirty_log or 'nolog 0'} " for site, copy in copies)
    return f"{control} {number} {''.join(sites)}"


def _link(link: ShownLink) -> str:
    limit = limit_words(link.fall_behind)
    if link.copy and limit:
        limit = ("=".join(limit),)
    words = [str(link.number), policy_words(link.policy), *limit]
    text = f"{link.kind} {len(words)} {' '.join(words)} "
    if link.copy:
        text += f"2 {link.copy.number} {link.copy.device} {link.copy.dirty_log or '- 0 '}"
    return text
