"""What entered a group, in its order, and what was promised of it."""

from __future__ import annotations

from dmtable.core.bio import Bio
from dmtable.sim.ink import tag_of
from dmtable.sim.order import History, Prefix, Violation
from dmtable.sim.workload import Flush, Operation, Write
from tests.replication.simulated import DEVICE_SECTORS

DEVICES = 2


class Record:
    """The history of a group over all its lives. The promises are numbers of entries: all up to there are meant."""

    def __init__(self) -> None:
        self.history = History([DEVICE_SECTORS] * DEVICES)
        self.acknowledged = 0
        self.durable = 0
        self.is_order = True
        """False from where the order cannot be told any more, or was given up."""
        self._numbers: dict[int, int] = {}
        """Of the entries, by tag."""

    def entered(self, device: int, bio: Bio) -> None:
        """A write takes its place in the group's order."""
        tag = 0 if bio.data is None else tag_of(bio.data)
        first = self._numbers.get(tag)
        if first is None:
            number = self.history.enter(device, bio.sector, bio.sectors, tag, behind=self.durable)
            if tag:
                self._numbers[tag] = number
        elif self._is_covered(first, device, bio):
            self.is_order = False

    def done(self, operation: Operation, tag: int, acknowledged_before: int) -> None:
        """A request was answered; `acknowledged_before` is what `acknowledged` was when it was sent."""
        if isinstance(operation, Flush):
            self.durable = max(self.durable, acknowledged_before)
        elif isinstance(operation, Write):
            self.acknowledged = max(self.acknowledged, self._numbers[tag])
            if operation.fua:
                self.durable = max(self.durable, self._numbers[tag])

    def judge(self, shown: list[int], *, epochs: bool = False) -> Prefix | Violation:
        """Which prefix of the history a place is that shows these tags; with `epochs` in order from flush to flush."""
        if not epochs:
            return self.history.judge(shown)
        visible = {tag for tag in shown if tag}
        flushed = max([entry.behind for entry in self.history.entries if entry.tag in visible], default=0)
        return self.history.judge(shown, loose_after=flushed)

    def cut(self, number: int) -> None:
        """A power loss took all entries behind that number."""
        self.history = History(self.history.device_sectors, self.history.entries[:number])
        self._numbers = {entry.tag: entry.number for entry in self.history.entries if entry.tag}
        self.acknowledged = min(self.acknowledged, number)

    def _is_covered(self, first: int, device: int, bio: Bio) -> bool:
        """Whether a write that was given back, and so enters once more, lies over what came after it."""
        end = bio.sector + bio.sectors
        return any(
            entry.device == device and entry.sector < end and bio.sector < entry.sector + entry.sectors
            for entry in self.history.entries[first:]
        )
