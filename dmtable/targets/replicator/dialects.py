"""A group in the slides' dialect, a line for each device, as the two targets of 2009, and the reverse.

Both say nearly the same. What one of them cannot say is `lost`, a sentence for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dmtable.errors import UsageError
from dmtable.replog.ring_words import Mode, RingParams
from dmtable.targets.replicator.parts import (
    MIN_REGION_SECTORS,
    NO_DIRTY_LOG,
    NODE_KINDS,
    RING_KINDS,
    CopyWords,
    DirtyLogWords,
    LogWords,
    SiteWords,
)
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams


@dataclass(frozen=True, slots=True)
class Converted:
    """A group in the other dialect: in that of 2009 with its control device's line."""

    control: ReplicatorParams | None
    devices: tuple[ReplicatorParams | ReplicatorDevParams, ...]
    lost: tuple[str, ...]


def to_2009(lines: Sequence[ReplicatorParams], control: str) -> Converted:
    """The lines of a group, the one that opens the log first; `control` is how its devices name the control device.

    Raises UsageError where the lines are no group.
    """
    sites: dict[int, SiteWords] = {}
    for params in lines:
        if not params.in_line:
            raise UsageError("this is a control device already: a line of the slides' dialect has devices in it")
        if _place(params.log) != _place(lines[0].log):
            raise UsageError(
                f"these lines are no group: their logs are {_named(lines[0].log)} and {_named(params.log)}"
            )
        for site in params.sites:
            link = SiteWords(_kind_2009(site.kind), site.number, site.policy, site.fall_behind)
            if sites.setdefault(site.number, link) != link:
                raise UsageError(f"site {site.number} is not the same in all lines; the first to name it must do")
    sizes = {copy.dirty_log.region_sectors or 0 for params in lines for copy in _copies(params)}
    region = max(MIN_REGION_SECTORS, *sizes)
    lost: list[str] = []
    devices = []
    for params in lines:
        copies = []
        for site in params.sites:
            assert site.copy is not None
            lost += _region_losses(site.number, site.copy, region)
            copies.append((site.number, _copy_2009(site.copy, region)))
        devices.append(ReplicatorDevParams(control, copies[0][1].number, tuple(copies)))
    lost += _foreign(lines[0].log, sites.values())
    log = LogWords("ringbuffer" if lines[0].log.kind in RING_KINDS else lines[0].log.kind, lines[0].log.params)
    ordered = tuple(sites[number] for number in sorted(sites))
    return Converted(ReplicatorParams(log, ordered), tuple(devices), tuple(lost))


def to_2008(control: ReplicatorParams, lines: Sequence[ReplicatorDevParams]) -> Converted:
    """The devices of a control device, each with the log and its site links in line.

    Raises UsageError where a device has a site that the control device has not.
    """
    if not lines:
        raise UsageError("the control device has no device, and the slides' dialect has a line for each device only")
    links = {site.number: site for site in control.sites}
    used: set[int] = set()
    devices = []
    log = control.log
    for line in lines:
        sites = []
        for number, copy in line.copies:
            if number not in links:
                raise UsageError(f"device {line.number} is at site {number}, which the control device has not")
            link = links[number]
            kind = "local" if link.kind in NODE_KINDS else link.kind
            sites.append(SiteWords(kind, number, link.policy, link.fall_behind, _copy_2008(copy)))
            used.add(number)
        shown = LogWords("default" if log.kind in RING_KINDS else log.kind, log.params)
        devices.append(ReplicatorParams(shown, tuple(sites)))
        log = _opened(log)
    lost = ["the control device: its messages and status are those of each device"]
    lost += [f"site {number}: no device is there" for number in sorted(links.keys() - used)]
    return Converted(None, tuple(devices), tuple(lost))


def _copies(params: ReplicatorParams) -> Iterator[CopyWords]:
    for site in params.sites:
        if site.copy is not None:
            yield site.copy


def _place(log: LogWords) -> object:
    """What lines of one group have in common."""
    return (log.params.device, log.params.start) if isinstance(log.params, RingParams) else log.params


def _named(log: LogWords) -> str:
    return " ".join(log.params.words()[:2])


def _kind_2009(kind: str) -> str:
    return "blockdev" if kind in NODE_KINDS else kind


def _opened(log: LogWords) -> LogWords:
    """The log as later lines of a group name it: they find it there."""
    if not isinstance(log.params, RingParams):
        return log
    return LogWords(log.kind, replace(log.params, mode=Mode.OPEN, size=None))


def _copy_2009(copy: CopyWords, region: int) -> CopyWords:
    params = copy.dirty_log.params
    if params is None:
        return CopyWords(copy.number, copy.device, DirtyLogWords("nolog"))
    if copy.dirty_log.region_sectors is not None:
        params = replace(params, region_size=region)  # type: ignore[type-var]
    return CopyWords(copy.number, copy.device, DirtyLogWords(copy.dirty_log.kind, params))


def _copy_2008(copy: CopyWords) -> CopyWords:
    kind = "-" if copy.dirty_log.kind in NO_DIRTY_LOG else copy.dirty_log.kind
    return CopyWords(copy.number, copy.device, DirtyLogWords(kind, copy.dirty_log.params))


def _region_losses(site: int, copy: CopyWords, region: int) -> Iterator[str]:
    size = copy.dirty_log.region_sectors
    if size is not None and size != region:
        yield (
            f"device {copy.number} at site {site}: its regions of {size} sectors; all of a group are of one size, "
            f"{region}, and what its dirty log stores is of the other"
        )


def _foreign(log: LogWords, sites: Iterable[SiteWords]) -> Iterator[str]:
    """What the code of 2009 itself would not take, though dmtable does."""
    if log.kind not in RING_KINDS:
        yield f"the {log.kind} log, to the code of 2009: it knows ringbuffer only"
    for site in sites:
        if site.kind not in NODE_KINDS:
            yield f"site {site.number}, to the code of 2009: it knows no {site.kind}"
        if site.policy.epoch or site.policy.hold:
            yield f"site {site.number}'s policy, to the code of 2009: it knows neither epoch nor hold"
