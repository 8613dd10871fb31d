"""What a group at work says of itself: from its state to the values that `status` prints."""

from __future__ import annotations

from dmtable.core.target import StatusKind
from dmtable.slink.link import SiteDevice, SiteLink
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.member import Member
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.status import (
    CopyState,
    GroupState,
    Regions,
    Remarks,
    ShownCopy,
    ShownLink,
    SiteBacklog,
    device_info,
    device_table,
    one_line_info,
    replicator_info,
    replicator_table,
)
from dmtable.targets.replicator.words import ReplicatorParams


def replicator(running: RunningGroup, words: ReplicatorParams, member: Member | None, kind: StatusKind) -> str:
    """Of a `replicator` line: a control device, or a device of the slides' dialect."""
    group = running.group
    with group.lock:
        if kind is StatusKind.INFO:
            if member is None:
                return replicator_info(_state(running))
            return one_line_info(_state(running), _log_device(words, member), member.number, _copies(group, member))
        shown = {link.number: _shown_copy(at) for link, at in member.copies} if member else {}
        numbers = [site.number for site in words.sites] if member else sorted(group.sites)
        links = [
            ShownLink(link.kind, link.number, link.policy, link.fall_behind, shown.get(link.number))
            for link in (group.sites[number].link for number in numbers)
        ]
        return replicator_table(_log(group, words), links)


def replicator_dev(running: RunningGroup, control: str, member: Member, kind: StatusKind) -> str:
    """Of a `replicator-dev` line; `control` is its control device's major:minor."""
    group = running.group
    with group.lock:
        if kind is StatusKind.INFO:
            return device_info(control, member.number, _copies(group, member))
        return device_table(control, member.number, [(link.number, _shown_copy(at)) for link, at in member.copies])


def _state(running: RunningGroup) -> GroupState:
    group = running.group
    sites = [site for _, site in sorted(group.sites.items())]
    now = group.runtime.now()
    return GroupState(
        [SiteBacklog(site.is_behind(now), site.link.outstanding_ios, site.link.outstanding_sectors) for site in sites],
        group.log.size_sectors,
        group.log.status(StatusKind.INFO),
        running.traffic,
        Remarks(
            unknown=group.strangers(),
            unordered=[site.number for site in sites if not site.ordered],
            held=[site.number for site in sites if site.resync_is_held],
            paused=[site.number for site in sites if site.link.paused],
        ),
    )


def _log(group: Group, words: ReplicatorParams) -> str:
    """The log as this line has it, with the device as the log shows it: only one line of a group creates the log."""
    kind, _, *shown = group.log.status(StatusKind.TABLE).split()
    params = words.log.params
    own = params.words()
    for area in params.areas():
        own[area.word] = shown[area.word]
    return " ".join([kind, str(len(own)), *own, ""])


def _log_device(words: ReplicatorParams, member: Member) -> str:
    params = words.log.params
    areas = iter(params.areas())
    area = next(areas, None)
    return "-" if area is None else member.context.get_device(params.words()[area.word]).name


def _copies(group: Group, member: Member) -> list[CopyState]:
    return [CopyState(link.error_letters, _regions(group, link, at)) for link, at in member.copies]


def _regions(group: Group, link: SiteLink, at: SiteDevice) -> Regions | None:
    log = at.dirty_log
    if log is None:
        return None
    copy = group.sites[link.number].copy
    return Regions(log.sync_count, log.region_count, copy is not None and copy.at is at)


def _shown_copy(at: SiteDevice) -> ShownCopy:
    return ShownCopy(at.number, at.name, at.dirty_log_words)
