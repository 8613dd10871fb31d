"""The group that a plan is about, and the scale at which it is run.

A load of a million writes is not run write by write but as a scale model, one in k: every k-th write is made; the
log, the devices and what a site may lack are k times smaller, and a write takes the link k times as long. Amounts are
multiplied by k again. So rates, shares and times come out as at full size, to within the time of k writes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from dmtable.errors import UsageError
from dmtable.replog.log import MAX_ENTRY_SECTORS
from dmtable.replog.ring_words import MIN_SECTORS
from dmtable.sim.planning.load import Load
from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.slink.words import limit_words, policy_words
from dmtable.targets.replicator.parts import ASYNCHRONOUS

MOST_WRITES = 8_000
"""More are not run for one policy: some seconds."""
_MOST_OF_ALL = 40_000
"""So many are where a larger scale would show too little."""
_LEAST_KEPT = 100
"""So many of the model's writes a log can hold, or its filling would be too coarse."""
MOST_KEPT = 2_500
"""Nor does a log hold more."""
_LARGEST_BYTES = 4 << 30
"""Nor is more data run through a log, for that takes time too."""
_HEADERS_SECTORS = 24
"""What a log takes for itself, whatever its size."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the remote site is served."""

    policy: Policy = ASYNCHRONOUS
    limit: FallBehind | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """As a table says it."""
        return policy_words(self.policy), *limit_words(self.limit)

    def __str__(self) -> str:
        name = policy_words(self.policy).replace("asynchronous", "async").replace("synchronous", "sync")
        limit = "=".join(limit_words(self.limit))
        return f"{name} {limit}" if limit else name


@dataclass(frozen=True, slots=True)
class Model:
    """The sizes that are run: of the log, of a device and of a region, in sectors; `one_in` is k."""

    log_sectors: int
    region_sectors: int
    device_sectors: int
    one_in: int

    @classmethod
    def of(cls, load: Load, log_sectors: int, region_sectors: int, plans: list[Plan]) -> Model:
        """The largest scale that can be run. Raises UsageError where a limit, or the log, could not be seen at it."""
        if load.max_sectors > min(MAX_ENTRY_SECTORS, region_sectors):
            largest = min(MAX_ENTRY_SECTORS, region_sectors) // 2
            raise UsageError(f"a write of {load.max_sectors // 2} KiB would be split: writes may have {largest} KiB")
        entry = load.mean_sectors + 8
        wanted = max(
            1,
            math.ceil(load.count / MOST_WRITES),
            math.ceil(min(log_sectors / entry, load.count) / MOST_KEPT),
            math.ceil(load.count * load.mean_sectors * 512 / _LARGEST_BYTES),
        )
        coarsest, why = _coarsest(load, log_sectors, plans)
        one_in = min(wanted, coarsest)
        if one_in < wanted and load.count / one_in > _MOST_OF_ALL:
            hint = "give a shorter duration, or larger writes"
            raise UsageError(
                f"{load.count:,} writes must be played at 1:{wanted}, at which {why} cannot be seen; {hint}"
            )
        return cls(
            (log_sectors - _HEADERS_SECTORS) // one_in + _HEADERS_SECTORS & ~7,
            region_sectors,
            # One more: a write may reach into the next region.
            (math.ceil(load.device_sectors / region_sectors / one_in) + 1) * region_sectors,
            one_in,
        )

    def scaled(self, plan: Plan) -> Plan:
        """What is to be said to the model."""
        limit = plan.limit
        if limit is None or limit.measure is Measure.TIMEOUT or not limit.limit:
            return plan
        least = limit.limit // self.one_in
        return replace(
            plan, limit=FallBehind(limit.measure, least, least, "s" if limit.measure is Measure.SIZE else "")
        )

    def fold(self, sector: int) -> int:
        """Where the model has a sector: k neighbouring regions are one."""
        region, inside = divmod(sector, self.region_sectors)
        return region // self.one_in * self.region_sectors + inside

    def table(self, plan: Plan, device: int) -> str:
        """The table of a device of the group. That of device 0 comes first."""
        site = self.scaled(plan).words
        log = "ringbuffer 3 /log 0 open" if device else f"ringbuffer 4 /log 0 create {self.log_sectors}"
        local = f"blockdev 2 0 asynchronous 2 {device} /local{device} - 0"
        remote = f"blockdev {1 + len(site)} 1 {' '.join(site)} 2 {device} /remote{device}"
        dirty_log = f"core 2 {self.region_sectors} nosync"
        return f"0 {self.device_sectors} replicator {log} {local} {remote} {dirty_log}"


def _coarsest(load: Load, log_sectors: int, plans: list[Plan]) -> tuple[int, str]:
    """The largest k, and what could not be seen at a larger one."""
    if log_sectors < MIN_SECTORS:
        raise UsageError(f"a log of {log_sectors // 2} KiB is too small: it has {MIN_SECTORS // 2} KiB at least")
    entries = int(log_sectors / (load.mean_sectors + 8))
    found = [(min(log_sectors // MIN_SECTORS, entries // _LEAST_KEPT), f"a log of {log_sectors // 2:,} KiB")]
    for plan in plans:
        limit = plan.limit
        least = {Measure.IOS: 1, Measure.SIZE: load.max_sectors}.get(limit.measure) if limit else None
        if limit and least and limit.limit >= least:
            found.append((limit.limit // least, str(plan)))
    coarsest, why = min(found)
    return max(1, coarsest), why
