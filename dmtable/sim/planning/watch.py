"""Keeps book of a running group: what is acknowledged, what of it the site lacks, and who waits."""

from __future__ import annotations

import heapq
from functools import partial

from dmtable.core.bio import Bio
from dmtable.sim.planning.course import Instant, Spell
from dmtable.sim.runtime import SimRuntime
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.site import Site
from dmtable.units import SECTOR_SHIFT

_NOTICEABLE_SECONDS = 1e-9
_LOG_FULL = "replicator: log full"
"""What production says where a writer finds no space."""


class Watch:
    """All is counted in writes of the model; what comes out is multiplied by `one_in`."""

    def __init__(self, runtime: SimRuntime, running: RunningGroup, site: Site, one_in: int, own_seconds: float) -> None:
        self._runtime = runtime
        self._group = running.group
        self._group.on_entered = self._entered
        self._site = site
        self._arrived = 0
        """The entry that the site made durable last; production marks entries done several at a time."""
        self._one_in = one_in
        self._own_seconds = own_seconds
        """So much of a wait comes of the model: a write is as slow there as k are."""
        self._behind: list[tuple[int, float, int]] = []
        """(number, when acknowledged, sectors) of what the site lacks, a heap."""
        self._behind_sectors = 0
        self._come = 0
        self._unanswered: dict[int, float] = {}
        """When those came that wait."""
        self._spells: list[Spell] = []
        self.worst_behind = self.instant()
        self.worst_loss_seconds = 0.0
        self.worst_resync_bytes = 0
        self.log_full_at: float | None = None
        self.waited_writes = 0
        self.longest_wait_seconds = self.total_wait_seconds = 0.0

    # What happens.

    def arrived(self) -> None:
        """An entry is durable at the site: the next of those under way."""
        self._arrived = next(
            (entry.number for entry in self._site.batch if entry.number > self._arrived), self._arrived
        )

    def comes(self, bio: Bio) -> None:
        """A write comes now."""
        self._come += 1
        self._unanswered[self._come] = self._runtime.now()
        bio.on_done(partial(self._answered, self._come))

    def look(self) -> None:
        """Time went by, or something came."""
        now, done, behind = self._runtime.now(), self._done_upto, self._behind
        while behind and behind[0][0] <= done:
            self._behind_sectors -= heapq.heappop(behind)[2]
        ordered = self._site.ordered
        if ordered and behind:
            self.worst_loss_seconds = max(self.worst_loss_seconds, now - behind[0][1])
        if ordered == self._is_disordered:
            if ordered:
                self._spells[-1] = Spell(self._spells[-1].begin, now)
            else:
                self._spells.append(Spell(now, None))
        if self.log_full_at is None and self._runtime.sightings[_LOG_FULL]:
            self.log_full_at = now
        if self._behind_sectors * self._one_in << SECTOR_SHIFT > self.worst_behind.behind_bytes:
            self.worst_behind = self.instant()

    def _entered(self, device: int, bio: Bio) -> None:
        """A write has its place in the log, which counts it as its last."""
        bio.on_done(partial(self._entry_acknowledged, self._group.log.last, bio.sectors))

    def _entry_acknowledged(self, number: int, sectors: int) -> None:
        if number > self._done_upto:
            heapq.heappush(self._behind, (number, self._runtime.now(), sectors))
            self._behind_sectors += sectors

    def end(self) -> None:
        """Nobody looks any longer; those that still wait have waited until now."""
        for number in list(self._unanswered):
            self._answered(number)

    def _answered(self, number: int) -> None:
        waited = self._runtime.now() - self._unanswered.pop(number)
        if waited > _NOTICEABLE_SECONDS:
            waited = max(0.0, waited - self._own_seconds)
            self.waited_writes += self._one_in
            self.total_wait_seconds += waited * self._one_in
            self.longest_wait_seconds = max(self.longest_wait_seconds, waited)

    # What is to be seen.

    @property
    def disordered(self) -> tuple[Spell, ...]:
        return tuple(self._spells)

    @property
    def acknowledged(self) -> int:
        return (self._come - len(self._unanswered)) * self._one_in

    @property
    def settled(self) -> bool:
        """Whether the site has all that ever came."""
        return not self._unanswered and self._site.ordered and not self._site.link.outstanding_ios

    def instant(self) -> Instant:
        """The group now."""
        log, now = self._group.log, self._runtime.now()
        resync = 0
        for at in self._site.link.devices.values():
            if at.dirty_log is not None:
                regions = at.dirty_log.region_count - at.dirty_log.sync_count
                resync += (regions * at.dirty_log.region_size << SECTOR_SHIFT) * self._one_in
        loss = None
        if self._site.ordered:
            loss = now - self._behind[0][1] if self._behind else 0.0
        return Instant(
            seconds=now,
            behind_writes=len(self._behind) * self._one_in,
            behind_bytes=(self._behind_sectors << SECTOR_SHIFT) * self._one_in,
            loss_seconds=loss,
            log_share=1 - log.free_sectors / log.size_sectors,
            waiting_writes=len(self._unanswered) * self._one_in,
            resync_bytes=resync,
        )

    def sample(self) -> Instant:
        """The group now, noted if it is worse than before."""
        self.look()
        instant = self.instant()
        self.worst_resync_bytes = max(self.worst_resync_bytes, instant.resync_bytes)
        return instant

    @property
    def _done_upto(self) -> int:
        """The site has everything up to this number, or a dirty log says what of it is lacking."""
        return max(self._site.done_upto, self._arrived, self._group.log.head - 1)

    @property
    def _is_disordered(self) -> bool:
        return bool(self._spells) and self._spells[-1].end is None
