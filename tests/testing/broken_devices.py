"""Devices that each break one promise, with the check that finds it out and what it says."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator

from dmtable.io.device import Buffer
from dmtable.io.memory import MemoryDevice

_PAGE = 4096


class WritesLess(MemoryDevice):
    """At most half of the device at a time; a system call too may write less than asked."""

    def pwrite(self, data: Buffer, offset: int) -> int:
        return (
            super().pwrite(memoryview(data).cast("B")[:-512], offset)
            if len(data) > 512
            else super().pwrite(data, offset)
        )


class CountsItems(MemoryDevice):
    def pwrite(self, data: Buffer, offset: int) -> int:
        super().pwrite(data, offset)
        return len(data)


class WritesToTheEnd(MemoryDevice):
    def pwrite(self, data: Buffer, offset: int) -> int:
        super().pwrite(memoryview(data).cast("B")[: max(self.size_bytes - offset, 0)], min(offset, self.size_bytes))
        return memoryview(data).nbytes


class HalfBeyondTheEnd(MemoryDevice):
    def pwrite(self, data: Buffer, offset: int) -> int:
        super().pwrite(memoryview(data).cast("B")[: max(self.size_bytes - offset, 0)], min(offset, self.size_bytes))
        return super().pwrite(data, offset)


class CountsFromTheEnd(MemoryDevice):
    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        return super().pread_into(buffer, offset % self.size_bytes if offset < 0 else offset)


class ForbidsWrites(MemoryDevice):
    def pwrite(self, data: Buffer, offset: int) -> int:
        if self.read_only:
            raise OSError(errno.EPERM, "no")
        return super().pwrite(data, offset)


class DiscardsTooMuch(MemoryDevice):
    def discard(self, offset: int, length: int) -> None:
        super().discard(offset, min(length + 512, self.size_bytes - offset) if length else 0)


class DiscardsNothing(MemoryDevice):
    def discard(self, offset: int, length: int) -> None:
        pass


class ClosesOnce(MemoryDevice):
    def close(self) -> None:
        del self._pages


class KeepsBuffers(MemoryDevice):
    """Reads what the caller's buffer holds now."""

    kept: tuple[memoryview, int] | None = None

    def pwrite(self, data: Buffer, offset: int) -> int:
        self.kept = memoryview(data).cast("B"), offset
        return super().pwrite(data, offset)

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        if self.kept is not None:
            super().pwrite(*self.kept)
        return super().pread_into(buffer, offset)


class Forgets(MemoryDevice):
    """Loses every write behind one of zeroes: only a sequence shows it."""

    zeroed = False

    def write_zeroes(self, offset: int, length: int) -> None:
        super().write_zeroes(offset, length)
        self.zeroed = length > 0

    def pwrite(self, data: Buffer, offset: int) -> int:
        if self.zeroed:
            return memoryview(data).nbytes
        return super().pwrite(data, offset)


class HidesTheEnd(MemoryDevice):
    """What is behind the first sector of a page counts as a hole."""

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        for begin, count in super().data_ranges(offset, length):
            yield begin, min(count, 512)


class TellsTwice(MemoryDevice):
    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        for each in super().data_ranges(offset, length):
            yield each
            yield each


class TellsTooMuch(MemoryDevice):
    """Whole pages, whatever it was asked for."""

    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        end = min(-(-(offset + length) // _PAGE) * _PAGE, self.size_bytes)
        return super().data_ranges(offset - offset % _PAGE, end - (offset - offset % _PAGE))


class TellsOfNothing(MemoryDevice):
    def data_ranges(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        yield offset, length


class LosesUpdates(MemoryDevice):
    """Writes whole pages, and what another thread writes meanwhile to the same page is lost."""

    def pwrite(self, data: Buffer, offset: int) -> int:
        at = offset % _PAGE
        if memoryview(data).nbytes > _PAGE - at:
            return super().pwrite(data, offset)
        page = bytearray(self.pread(_PAGE, offset - at))
        page[at : at + memoryview(data).nbytes] = bytes(data)
        time.sleep(0)  # lets the others run
        super().pwrite(page, offset - at)
        return memoryview(data).nbytes


BROKEN_DEVICES = [
    ("test_it_can_be_written_and_read_whole", "writes all", WritesLess),
    ("test_every_kind_of_buffer_is_written", "it counts bytes", CountsItems),
    ("test_more_than_there_is_ends_in_eio_and_changes_nothing", "was not refused", WritesToTheEnd),
    ("test_more_than_there_is_ends_in_eio_and_changes_nothing", "the bytes from", HalfBeyondTheEnd),
    ("test_nothing_lies_before_the_beginning", "never counts from the end", CountsFromTheEnd),
    ("test_a_read_only_device_takes_no_writes", "EPERM, and not EROFS", ForbidsWrites),
    ("test_a_discard_concerns_its_own_bytes_only", "after a discard", DiscardsTooMuch),
    ("test_a_discard_concerns_its_own_bytes_only", "discard_zeroes is set", DiscardsNothing),
    ("test_buffers_stay_the_callers", "after the caller changed", KeepsBuffers),
    ("test_what_is_called_a_hole_reads_as_zeroes", "do not read as zeroes", HidesTheEnd),
    ("test_what_is_called_a_hole_reads_as_zeroes", "do not overlap", TellsTwice),
    ("test_what_is_called_a_hole_reads_as_zeroes", "within what was asked for", TellsTooMuch),
    ("test_what_is_called_a_hole_reads_as_zeroes", "one byte at least", TellsOfNothing),
    ("test_threads_do_not_disturb_one_another", "had just written", LosesUpdates),
    ("test_any_sequence_of_requests_equals_a_bytearray", "should be", Forgets),
]
