"""How large the demo is, and how long: small for a test, as the slides have it for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measures:
    """Sizes are sectors. `limit` is how many writes Tokyo may lack; the others say when the story goes on."""

    volume: int
    journal: int
    """Of the second volume's end, for the database's rollback journal."""
    log: int
    limit: int
    good_commits: int
    """So many transactions over a good link, before all and after all."""
    wait_seconds: float
    """So long one sees that writers wait."""


FULL = Measures(64 << 11, 2 << 11, 16 << 11, 1000, 40, 3.0)
SMALL = Measures(16 << 11, 1 << 11, 8 << 11, 120, 5, 0.5)
