"""What a ring-buffer log counts while its statistics are on, in the original's words."""

from __future__ import annotations

from dataclasses import dataclass, fields

from dmtable.replog.ring import Ring


@dataclass(slots=True)
class Statistics:
    """Since they were reset. The original had a hash of busy sectors; here the entries stand for its elements."""

    wraps: int = 0
    reads: int = 0
    """Entries that were read again."""
    writes: int = 0
    """Entries appended."""
    most_entries: int = 0
    single: int = 0
    """Commits of one entry, and of several."""
    multi: int = 0
    stalls: int = 0
    """Entries for which there was no room."""
    enabled: bool = False

    def reset(self) -> None:
        for each in fields(self):
            if each.name != "enabled":
                setattr(self, each.name, 0)

    def text(self, ring: Ring, tail: int, pending: int, entries: int) -> str:
        """` ring->start=16 …`; `tail` is a sector, `pending` are entries that no commit has taken yet."""
        values = {
            "ring->start": ring.start,
            "ring->head": ring.head,
            "ring->tail": tail,
            "ring->next_avail": ring.next,
            "ring->end": ring.end,
            "ring_free": ring.free,
            "wrap": self.wraps,
            "r": self.reads,
            "w": self.writes,
            "wp": pending,
            "he": entries,
            "hash_insert": self.writes,
            "hash_insert_max": self.most_entries,
            "single": self.single,
            "multi": self.multi,
            "stall": self.stalls,
        }
        return "".join(f" {name}={value}" for name, value in values.items())
