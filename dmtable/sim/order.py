"""The order checker: is what a site shows a prefix of what was written, and if not, what proves it?

It knows nothing of what it checks. The history comes from a hook in the group's queue; an image is what the
site's devices hold. Each written sector carries a tag that names its write, so one look at each sector is enough:
with L the newest write that is visible anywhere, every sector must show its newest write up to L. Only the
sectors of L itself may be partly there.

A write of zeroes cannot carry a tag. Its sectors show 0, as those that nobody wrote: where several prefixes would
look the same, the longest is told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_MOST_REMEMBERED = 1 << 16
"""So many sectors, over all prefixes, are remembered; longer histories are replayed for each check."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One write of the group, or zeroes (tag 0), in the order of its `number`, 1, 2, 3 …"""

    number: int
    device: int
    sector: int
    sectors: int
    tag: int
    behind: int = 0  # where this is visible, entries up to that number are whole even in epochs

    def __str__(self) -> str:
        last = f"-{self.sector + self.sectors - 1}" if self.sectors > 1 else ""
        return f"entry {self.number} (device {self.device}, sector {self.sector}{last}{'' if self.tag else ', zeroes'})"


@dataclass(frozen=True, slots=True)
class Prefix:
    """The site holds entries 1 to `whole`, and perhaps some sectors of those up to `partial`."""

    whole: int
    partial: int


@dataclass(frozen=True, slots=True)
class Violation:
    """The smallest proof that an image is no prefix: the place, and why it cannot be so.

    With `missing`: it should be visible at the place, for the later `visible` is. With `visible` alone: the place
    shows it, and it never wrote there. With neither: the place shows a write that is not in the history at all.
    """

    device: int
    sector: int
    tag: int
    visible: Entry | None = None
    missing: Entry | None = None

    def __str__(self) -> str:
        place = f"device {self.device}, sector {self.sector}"
        if self.missing is not None:
            return f"{self.visible} is visible, but the earlier {self.missing} is missing at {place}"
        if self.visible is not None:
            return f"{place} shows {self.visible}, which was never written there"
        return f"{place} shows a write with the tag {self.tag}, which is not in the history"


class History:
    """What was written to the group, in the order in which it entered the queue."""

    def __init__(self, device_sectors: Sequence[int], entries: Sequence[Entry] = ()) -> None:
        """`device_sectors` has the size of each device of the group."""
        self.device_sectors = tuple(device_sectors)
        self.entries: list[Entry] = []
        self._begins = [sum(device_sectors[:device]) for device in range(len(device_sectors))]
        self._spans: list[tuple[int, int]] = []
        self._numbers = {0: 0}
        self._last_zeroes = 0
        self._images = {0: [0] * sum(device_sectors)}
        self._whole = [Prefix(0, 0)]
        self._partial = [Prefix(0, 0)]
        for entry in entries:
            self.enter(entry.device, entry.sector, entry.sectors, entry.tag, entry.behind)

    def enter(self, device: int, sector: int, sectors: int, tag: int, behind: int = 0) -> int:
        """The next entry; `tag` is unique, and 0 for zeroes. Returns its number."""
        if tag in self._numbers and tag:
            raise ValueError(f"tag {tag} is that of entry {self._numbers[tag]} already")
        if sector < 0 or sectors < 1 or sector + sectors > self.device_sectors[device]:
            raise ValueError(f"{sectors} sectors at {sector} are not within device {device}")
        number = len(self.entries) + 1
        begin = self._begins[device] + sector
        self.entries.append(Entry(number, device, sector, sectors, tag, behind))
        self._spans.append((begin, begin + sectors))
        if tag:
            self._numbers[tag] = number
        else:
            self._last_zeroes = number
        self._whole.append(Prefix(number, number))
        self._partial.append(Prefix(number - 1, number))
        return number

    def judge(self, shown: list[int], *, loose_after: int | None = None) -> Prefix | Violation:
        """Which prefix an image is, or why it is none; `shown` has the tag of each sector, device after device.

        With `loose_after` the entries behind that number may be partly there in any mixture, as those of an epoch
        in flight. O(sectors), those of the entries included.
        """
        return self.prefix(shown, loose_after=loose_after) or self._proof(shown)

    def prefix(self, shown: list[int], *, loose_after: int | None = None) -> Prefix | None:
        """The same without the proof, which costs several times more: None where it is no prefix."""
        try:
            newest = max(map(self._numbers.__getitem__, shown))
        except KeyError:
            return None
        prefix: Prefix | None
        if newest < self._last_zeroes:
            prefix = self._longest(shown, newest)
        elif shown == self.image(newest):
            prefix = self._whole[newest]
        else:
            prefix = self._partial[newest] if self._is_partial(shown, newest) else None
        if prefix is None and loose_after is not None and self._is_loose(shown, loose_after, newest):
            return Prefix(loose_after, newest)
        return prefix

    def image(self, number: int) -> list[int]:
        """The tags of all sectors when entries 1 to `number` are there and nothing else. Not to be changed."""
        known = self._images.get(number)
        if known is not None:
            return known
        image = [0] * sum(self.device_sectors)
        for entry, (begin, end) in zip(self.entries[:number], self._spans, strict=False):
            image[begin:end] = [entry.tag] * entry.sectors
        if len(self._images) * len(image) < _MOST_REMEMBERED:
            self._images[number] = image
        return image

    def _is_partial(self, shown: list[int], newest: int) -> bool:
        """Everything before the newest is there, and some sectors of the newest."""
        before, tag = self.image(newest - 1), self.entries[newest - 1].tag
        begin, end = self._spans[newest - 1]
        return (
            shown[:begin] == before[:begin]
            and shown[end:] == before[end:]
            and not [at for at in range(begin, end) if shown[at] != tag and shown[at] != before[at]]
        )

    def _longest(self, shown: list[int], newest: int) -> Prefix | None:
        """The longest prefix, where zeroes behind the newest visible write may have hidden others or themselves."""
        whole = max(newest - 1, 0)
        wrong = {at for at, (tag, wanted) in enumerate(zip(shown, self.image(whole), strict=True)) if tag != wanted}
        longest = None if wrong else self._whole[whole]
        for entry, (begin, end) in zip(self.entries[whole:], self._spans[whole:], strict=True):
            shows = {at for at in range(begin, end) if shown[at] == entry.tag}
            if wrong <= shows:
                longest = Prefix(entry.number - 1, entry.number if wrong else entry.number - 1)
            wrong = (wrong | set(range(begin, end))) - shows
            if not wrong:
                longest = self._whole[entry.number]
        return longest

    def _is_loose(self, shown: list[int], after: int, newest: int) -> bool:
        """All that differs from the prefix are sectors that show some entry behind it."""
        rest = {at for at, (tag, held) in enumerate(zip(shown, self.image(after), strict=True)) if tag != held}
        last = max(newest, self._last_zeroes)
        for entry, (begin, end) in zip(self.entries[after:last], self._spans[after:], strict=False):
            if entry.behind <= after:
                rest.difference_update(at for at in range(begin, end) if shown[at] == entry.tag)
        return not rest

    def _proof(self, shown: list[int]) -> Violation:
        """A write nobody knows or a misplaced one; or the first missing entry, and the first visible one behind it."""
        for at, tag in enumerate(shown):
            if tag not in self._numbers:
                return Violation(*self._place(at), tag)
        visible = list(map(self._numbers.__getitem__, shown))
        for at, number in enumerate(visible):
            if number and not self._spans[number - 1][0] <= at < self._spans[number - 1][1]:
                return Violation(*self._place(at), shown[at], self.entries[number - 1])
        newest, held = max(visible), visible.copy()
        for entry, (begin, end) in zip(self.entries[: min(newest, self._last_zeroes)], self._spans, strict=False):
            if not entry.tag:
                held[begin:end] = [number or entry.number for number in visible[begin:end]]
        # A sector that holds an older write than one that covers it lacks that one.
        missing, at = next(
            (entry, at)
            for entry, (begin, end) in zip(self.entries, self._spans, strict=True)
            for at in range(begin, end)
            if held[at] < entry.number
        )
        later = min([number for number in visible if number > missing.number])
        return Violation(*self._place(at), shown[at], self.entries[later - 1], missing)

    def _place(self, at: int) -> tuple[int, int]:
        device = bisect_right(self._begins, at) - 1
        return device, at - self._begins[device]
