"""Carries out what a group is told."""

from __future__ import annotations

import errno

from dmtable.core.target import Context
from dmtable.errors import IoctlError
from dmtable.slink.link import FallBehind, Policy
from dmtable.slink.words import judge_together
from dmtable.targets.replicator import messages as ask
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.groups import SharedGroup
from dmtable.targets.replicator.member import Member
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.site import Site


def obey(request: ask.Request, shared: SharedGroup, member: Member | None, context: Context) -> str:
    """A message to a `replicator`; what it answers. Raises IoctlError."""
    running, group = shared.running, shared.running.group
    match request:
        case ask.Start(everything) | ask.Stop(everything):
            if member is not None and not everything:
                return obey_device(request, running, member)
            _stop(group, isinstance(request, ask.Stop))
        case ask.AddLink(words):
            shared.add_sites(context, [words])
        case ask.DeleteLink(number):
            if _site(group, number).link.devices:
                raise IoctlError(errno.EPERM, f"site {number} still has devices")
            with group.lock:
                owed = [entry for entry in group.log.entries.values() if entry.owed >> number & 1]
                group.owe_resyncs({(number, entry.device) for entry in owed})
            running.logd.store()
            shared.remove_sites([number])
            running.logd.store()
        case ask.SetFallBehind(number, limit):
            link = _site(group, number).link
            _judge(link.policy, limit)
            with group.lock:
                link.fall_behind = limit if limit.limit else None
                group.sites[number].count_times(group.log.entries.values(), group.runtime.now(), group.runtime.date())
        case ask.SetPolicy(number, policy):
            site = _site(group, number)
            _judge(policy, site.link.fall_behind)
            with group.lock:
                was_synchronous, site.link.policy = site.link.policy.synchronous, policy
                bios = group.release_waiting(site) if was_synchronous and not policy.synchronous else []
            for bio in bios:
                bio.complete()
        case ask.Pause(number):
            _site(group, number).link.paused = True
        case ask.Resume(number):
            _site(group, number).link.paused = False
        case ask.BeginResync(number):
            site = _site(group, number)
            site.resync_released = not site.ordered
        case ask.SetStatistics(switch):
            running.count_traffic(switch.value)
        case ask.SetLogStatistics(switch):
            with group.lock:
                return group.log.message(["statistics", switch.value])
        case ask.ResizeLog(sectors):
            with group.lock:
                group.log.message(["resize", str(sectors)])
                group.want_commit(marks=True)
        case ask.ForgetDevice(device):
            return _forget(running, device)
    group.wake_all()
    return ""


def obey_device(request: ask.DeviceRequest, running: RunningGroup, member: Member) -> str:
    """A message to a device of the group. Raises IoctlError."""
    match request:
        case ask.Start() | ask.Stop():
            member.stop_sending(isinstance(request, ask.Stop))
        case ask.AddCopy(site, copy):
            member.add_copy(site, copy)
        case ask.DeleteCopy(site):
            member.remove_copy(site)
    running.group.wake_all()
    return ""


def _stop(group: Group, stopped: bool) -> None:
    with group.lock:
        group.stopped = stopped
        if stopped:
            while any(site.batch for site in group.sites.values()):
                group.lock.wait()


def _forget(running: RunningGroup, number: int) -> str:
    """Drops the entries of a device that no table has; the answer lists them."""
    group = running.group
    if number in group.devices:
        raise IoctlError(errno.EBUSY, f"device {number} is in use: its entries will be sent")
    lines: list[str] = []
    with group.lock:
        entries = [entry for entry in group.log.entries.values() if entry.device == number and entry.owed]
        if entries:
            # Some sites have them, and others do not.
            group.owe_resyncs([member for member in group.log.members if member[0] and member[1] == number])
    running.logd.store()
    with group.lock:
        for entry in entries:
            lines.append(f"{entry.number} {entry.op.name.lower()} {entry.sector} {entry.sectors}")
            group.give_up(entry)
    running.logd.store()
    group.say(f"replicator: {len(lines)} entries of device {number} are given up")
    group.wake_all()
    return "\n".join(lines)


def _site(group: Group, number: int) -> Site:
    site = group.sites.get(number)
    if site is None:
        raise IoctlError(errno.EPERM, f"the group has no site {number}")
    return site


def _judge(policy: Policy, limit: FallBehind | None) -> None:
    try:
        judge_together(policy, limit)
    except ValueError as error:
        raise IoctlError(errno.EINVAL, str(error)) from error
