"""The table of members behind the log header: seven sectors that change one by one.

A member never moves from one sector to another, and nothing in one refers to another: whatever a power loss leaves
of an update, each member is as it was before or as it is after it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

from dmtable.errors import CtrError
from dmtable.replog.format import (
    MEMBER_SECTORS,
    MEMBERS_PER_SECTOR,
    MOST_DEVICES,
    SITES,
    MemberSector,
    pack_members,
    unpack_members,
)
from dmtable.replog.log import Member, Membership


class MemberTable:
    """Which member is in which sector. `changed` are the sectors that the device does not have as they are here."""

    def __init__(self, log_id: bytes, sectors: Sequence[bytes] = ()) -> None:
        """Without sectors an empty table, which the device does not have either."""
        self._log_id = log_id
        self.sectors = [*(sectors or [b""] * MEMBER_SECTORS)]
        """As they were packed last."""
        self._parts: list[dict[Member, Membership]] = []
        self.unreadable: list[tuple[int, MemberSector]] = []
        """(the sector's index, why it cannot be read)."""
        self.changed: set[int] = set() if sectors else {*range(MEMBER_SECTORS)}
        for index in range(MEMBER_SECTORS):
            found = unpack_members(sectors[index], log_id) if sectors else {}
            if isinstance(found, MemberSector):
                self.unreadable.append((index, found))
                self.changed.add(index)
                found = {}
            self._parts.append(dict(found))

    def members(self) -> Iterable[tuple[Member, Membership]]:
        for part in self._parts:
            yield from part.items()

    def put(self, member: Member, membership: Membership | None) -> None:
        """Raises CtrError (ENOSPC) where no more can be remembered."""
        site, device = member
        index = next((index for index, part in enumerate(self._parts) if member in part), None)
        if index is None:
            if membership is None:
                return
            room = (index for index, part in enumerate(self._parts) if len(part) < MEMBERS_PER_SECTOR)
            index = next(room, None)
            if index is None or not (0 <= site < SITES and 0 <= device < MOST_DEVICES):
                raise CtrError(errno.ENOSPC, f"the log has no room to remember device {device} at site {site}")
        if membership is None:
            del self._parts[index][member]
        else:
            self._parts[index][member] = membership
        self.changed.add(index)

    def pack(self, index: int) -> bytes:
        """A sector as it is now."""
        self.sectors[index] = packed = pack_members(self._log_id, self._parts[index].items())
        return packed
