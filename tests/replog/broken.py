"""Replication logs that each break one promise, with the check that finds it out and what it says."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from dmtable.core.steps import Steps
from dmtable.core.target import StatusKind
from dmtable.errors import IoctlError
from dmtable.replog.format import BufferHeader
from dmtable.replog.log import Entry, Member, Membership, ReplicationLog
from dmtable.replog.memory import MemoryLog
from dmtable.replog.recovery import Walk
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.runtime.runtime import Completion


class CountsWords(MemoryLog):
    def status(self, kind: StatusKind) -> str:
        return "memory 2 4096 "


class ObeysAnything(MemoryLog):
    def message(self, args: Any) -> str:
        return ""


class CountsFromZero(MemoryLog):
    def append(self, entry: Entry) -> None:
        self.last -= self.last == 0
        super().append(entry)


class PassesTheUncommitted(MemoryLog):
    def _advance(self) -> None:
        committed, self.committed = self.committed, self.last
        super()._advance()
        self.committed = committed


class ForgetsContents(MemoryLog):
    def append(self, entry: Entry) -> None:
        super().append(entry)
        self._contents[entry.number] = b""


class TailTooEarly(RingBufferLog):
    """Stores the tail behind entries that the same commit writes."""

    def _buffer_header(self, committed: int, tail: int) -> BufferHeader:
        header = super()._buffer_header(committed, tail)
        return replace(header, tail=self._ring.next, tail_number=self.last + 1)


class SpaceTooEarly(RingBufferLog):
    """Uses what the head freed before the head is durable."""

    def _advance(self) -> None:
        super()._advance()
        first = self.entries.get(self.head)
        self._ring.head = first.slot.place[0] if first else self._ring.next


class NeverFlushes(RingBufferLog):
    def _flushing(self) -> Steps:
        return iter(())


class FlushesTwice(RingBufferLog):
    def _flushing(self) -> Steps:
        yield from super()._flushing()
        yield from super()._flushing()


class KeepsItsGeneration(RingBufferLog):
    def _take_up(self, walk: Walk) -> None:
        super()._take_up(walk)
        if walk.buffer.generation:
            self._generation, self._since = walk.buffer.generation, walk.buffer.since


class BelievesTheBits(RingBufferLog):
    """Takes every entry as owed to whom its header says, whatever the one before says."""

    def _take_up(self, walk: Walk) -> None:
        for entry in walk.reowed:
            entry.owed = entry.slot.stored
        walk.reowed.clear()
        super()._take_up(walk)


class SettlesTooEarly(RingBufferLog):
    def mark_done(self, site: int, entry: Entry) -> None:
        super().mark_done(site, entry)
        entry.slot.stored = entry.owed


class HeadTooEarly(RingBufferLog):
    """Moves over what the local site has."""

    def _advance(self) -> None:
        while self.head <= self.committed and not self.entries[self.head].owed & 1:
            self._passed[self.head] = self.entries.pop(self.head)
            self._changed.pop(self.head, None)
            self.head += 1

    def mark_done(self, site: int, entry: Entry) -> None:
        super().mark_done(site, entry)
        self._advance()


class ForgetsMembers(RingBufferLog):
    def _pack_members(self) -> list[tuple[int, bytes]]:
        self._table.changed.clear()
        return []


class NeverRetires(RingBufferLog):
    def retiring(self) -> Steps:
        return iter(())


class KeepsQuiet(RingBufferLog):
    def _failing(self, steps: Generator[Completion, None, Any]) -> Generator[Completion, None, Any]:
        return steps


class AlwaysBusy(RingBufferLog):
    @property
    def commit_pending(self) -> bool:
        return True


class NeverRewinds(RingBufferLog):
    def _stall(self) -> None:
        return


class WritesAtOnce(RingBufferLog):
    def remember(self, member: Member, membership: Membership | None) -> None:
        super().remember(member, membership)
        self._device.flush()


class NeverReads(RingBufferLog):
    def _recovering(self) -> Generator[Completion, None, None]:
        try:
            yield from super()._recovering()
        except OSError:
            self._report = None


class RefusesNothing(MemoryLog):
    def message(self, args: Any) -> str:
        if not args:
            return ""
        raise IoctlError(22, "no")


BROKEN: list[tuple[str, str, type[ReplicationLog]]] = [
    ("test_its_table_status_is_its_words", "counts its words wrongly", CountsWords),
    ("test_entries_are_numbered_and_kept_in_order", "numbered from 1", CountsFromZero),
    ("test_the_head_moves_over_what_is_owed_to_nobody", "only when they are committed", PassesTheUncommitted),
    ("test_what_was_written_can_be_read_again", "gives something else", ForgetsContents),
    ("test_no_power_loss_breaks_a_promise", "there is damage", TailTooEarly),
    ("test_no_power_loss_breaks_a_promise", "was committed, and is lost", NeverFlushes),
    ("test_a_commit_flushes_once", "one flush at the end", FlushesTwice),
    ("test_nothing_that_a_recovery_left_comes_back", "another one later", KeepsItsGeneration),
    ("test_no_power_loss_breaks_a_promise", "which comes later", BelievesTheBits),
    ("test_settled_goes_by_what_is_durable", "is not durable yet", SettlesTooEarly),
    ("test_the_head_moves_over_what_is_owed_to_nobody", "still owed to site 1", HeadTooEarly),
    ("test_no_power_loss_breaks_a_promise", "which is owed to a site", HeadTooEarly),
    ("test_members_are_remembered_and_forgotten", "the member (1, 0) is None", ForgetsMembers),
    ("test_a_log_whose_device_fails_has_failed", "once I/O has failed", KeepsQuiet),
    ("test_a_commit_of_nothing_does_nothing", "something to do, always", AlwaysBusy),
    ("test_an_empty_log_takes_the_largest_entry", "no commit would make any", NeverRewinds),
    ("test_plain_calls_do_no_io", "only the steps do I/O", WritesAtOnce),
    ("test_a_recovery_that_cannot_read_says_so", "says nothing of it", NeverReads),
]
REFUSED: list[tuple[str, type[ReplicationLog]]] = [
    ("test_it_knows_no_message_of_others", ObeysAnything),
    ("test_it_knows_no_message_of_others", RefusesNothing),
    ("test_a_full_log_refuses_and_changes_nothing", SpaceTooEarly),
    ("test_a_retired_log_refuses", NeverRetires),
]
"""Those that do not raise what they should."""
