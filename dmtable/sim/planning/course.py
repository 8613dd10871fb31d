"""What became of a plan: figures, and the state of the group at many instants."""

from __future__ import annotations

from dataclasses import dataclass

from dmtable.sim.planning.model import Plan


@dataclass(frozen=True, slots=True)
class Instant:
    """The group at one time. Acknowledged writes that the site lacks are `behind`: they would be lost with the
    primary. `loss_seconds` is how long ago the oldest of them was acknowledged, 0 where there is none, and None while
    the site is resynchronised: what it holds then is of no time at all."""

    seconds: float
    behind_writes: int
    behind_bytes: int
    loss_seconds: float | None
    log_share: float
    """Of the log's space, 0 to 1."""
    waiting_writes: int
    """Not acknowledged yet."""
    resync_bytes: int
    """In regions that the site is to get anew."""


@dataclass(frozen=True, slots=True)
class Spell:
    """From `begin` to `end` in seconds; None: there was no end."""

    begin: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Course:
    """One plan, played. Amounts are of the full size, `one_in` tells their grain."""

    plan: Plan
    one_in: int
    instants: tuple[Instant, ...]
    worst_behind: Instant
    worst_loss_seconds: float
    """The longest, while the site was in order."""
    log_full_at: float | None
    """When a writer first found no space."""
    takeovers: int
    """How often the oldest entries were given up for a resync in their place, for the log was full."""
    disordered: tuple[Spell, ...]
    """When the site was resynchronised, and of no use."""
    worst_resync_bytes: int
    writes: int
    acknowledged: int
    """While the load lasted."""
    waited_writes: int
    longest_wait_seconds: float
    total_wait_seconds: float
    caught_up_at: float | None
    """When the site had everything, after the load; None where it was not played so long."""

    @property
    def disordered_seconds(self) -> float:
        """All together, up to the last instant."""
        last = self.instants[-1].seconds
        return sum((last if spell.end is None else spell.end) - spell.begin for spell in self.disordered)
