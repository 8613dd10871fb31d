"""What a plain disk promises: not the order of writes, but that what was made durable is there.

The judgement for subjects that keep no write order, as a stack of mds. It knows nothing of what it judges.
"""

from __future__ import annotations

from dmtable.sim.order import History


def held(history: History, shown: list[int]) -> int | None:
    """The newest entry up to which every sector shows its write, or a later one over it; None if one shows neither.

    `shown` has the tag of each sector, device after device. Zeroes are taken for the newest that could be meant.
    """
    begins = [sum(history.device_sectors[:device]) for device in range(len(history.device_sectors))]
    lacking: dict[int, int] = {}
    explained = [tag == 0 for tag in shown]
    for entry in history.entries:
        begin = begins[entry.device] + entry.sector
        for at in range(begin, begin + entry.sectors):
            if shown[at] == entry.tag:
                explained[at] = True
                lacking.pop(at, None)
            else:
                lacking.setdefault(at, entry.number)
    if not all(explained):
        return None
    return min(lacking.values(), default=len(history.entries) + 1) - 1
