"""Targets that each break one promise, with the check that finds it out and what it says."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.extents import Extent, StripedExtent
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.target import Area, Context, MapResult, StatusKind
from dmtable.errors import CtrError
from dmtable.language.diagnostics import Finding
from dmtable.runtime.runtime import Worker
from dmtable.targets.linear import Linear, LinearParams
from dmtable.targets.striped import Striped


class Hands(Worker):
    """Steps a target that has work."""

    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        self.name, self._step = name, step

    def step(self) -> bool:
        return self._step()


class Late(Linear):
    """A linear that leaves each bio to a Worker, and keeps every promise."""

    name = "late"

    def __init__(self, context: Context, begin: int, length: int, dm_dev: DmDev, offset: int) -> None:
        super().__init__(context, begin, length, dm_dev, offset)
        self.device, self.shift = dm_dev.device, offset - begin
        self.queue: deque[Bio] = deque()
        self.running = context.runtime.start(Hands(self.name, self.step))

    def map(self, bio: Bio) -> MapResult:
        self.queue.append(bio)
        self.running.wake()
        return MapResult.SUBMITTED

    def step(self) -> bool:
        if not self.queue:
            return False
        bio = self.queue.popleft()
        lower = self.lower(bio)
        lower.on_done(lambda: bio.complete(lower.error))
        submit(self.device, lower)
        return True

    def lower(self, bio: Bio) -> Bio:
        return Bio(bio.op, bio.sector + self.shift if bio.sectors else 0, bio.sectors, bio.data, fua=bio.fua)

    def extents(self) -> Any:
        return None

    def dtr(self) -> None:
        self.running.stop()


class RaisingParams(LinearParams):
    __slots__ = ()

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        int(words[1])
        return super().inspect(words, begin, length, lookup)


class Raises(Linear):
    name, params = "raises", RaisingParams


@dataclass(frozen=True, slots=True)
class ForgetfulParams(LinearParams):
    def words(self) -> list[str]:
        return [self.device, "0"]


class ForgetsWords(Linear):
    name, params = "forgets-words", ForgetfulParams


@dataclass(frozen=True, slots=True)
class WideParams(LinearParams):
    def areas(self, length: int) -> Iterable[Area]:
        yield Area(0, self.offset, length + 1)


class NamesTooMuch(Linear):
    name, params = "names-too-much", WideParams


class RefusesMore(Linear):
    name = "refuses-more"

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: LinearParams) -> Self:
        if params.offset != 8:
            raise CtrError(errno.EINVAL, "Odd sector")
        return super().construct(context, begin, length, params)


class RaisesInCtr(Linear):
    name = "raises-in-ctr"

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: LinearParams) -> Self:
        if params.offset == 255:
            raise KeyError(params.offset)
        return super().construct(context, begin, length, params)


class SpeaksTwoLines(Linear):
    name = "speaks-two-lines"

    def status(self, kind: StatusKind) -> str:
        return super().status(kind) + "\n"


class SaysOtherWords(Linear):
    name = "says-words"

    def status(self, kind: StatusKind) -> str:
        return super().status(kind) + "1"


class SaysAnotherOffset(Linear):
    name = "says-other"

    def status(self, kind: StatusKind) -> str:
        return super().status(kind)[:-1] + "0"


class StumblesOverMessages(Linear):
    name = "stumbles"

    def message(self, args: Sequence[str]) -> str:
        return args[0]


class KeepsDevicesOpen(Linear):
    name = "keeps-open"

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: LinearParams) -> Self:
        device = context.get_device(params.device).device
        if isinstance(device, MappedDevice):
            device.opened_by(1)
        return super().construct(context, begin, length, params)


class LosesBios(Late):
    name = "loses-bios"

    def map(self, bio: Bio) -> MapResult:
        return MapResult.SUBMITTED if bio.op is Op.DISCARD else super().map(bio)


class CompletesTwice(Late):
    name = "completes-twice"

    def map(self, bio: Bio) -> MapResult:
        bio.complete()
        return super().map(bio)


class WritesInMap(Linear):
    name = "writes-in-map"

    def map(self, bio: Bio) -> MapResult:
        result = super().map(bio)
        if bio.op is Op.WRITE and bio.device is not None and bio.data is not None:
            bio.device.pwrite(bio.data, bio.sector << 9)
            bio.complete()
            return MapResult.SUBMITTED
        return result


class WaitsInMap(Late):
    name = "waits-in-map"

    def map(self, bio: Bio) -> MapResult:
        first = Bio(Op.READ, bio.sector, 1, memoryview(bytearray(512)))
        super().map(first)
        self.context.runtime.wait(first)
        return super().map(bio)


class RaisesOnErrors(Late):
    name = "raises-on-errors"

    def lower(self, bio: Bio) -> Bio:
        lower = super().lower(bio)

        def check() -> None:
            if lower.error:
                raise OSError(lower.error, "what now")

        lower.on_done(check)
        return lower


class HidesErrors(Late):
    name = "hides-errors"

    def step(self) -> bool:
        if not self.queue:
            return False
        bio = self.queue.popleft()
        lower = self.lower(bio)
        lower.on_done(bio.complete)
        submit(self.device, lower)
        return True


class SwallowsFlushes(Late):
    name = "swallows-flushes"

    def map(self, bio: Bio) -> MapResult:
        if bio.op is Op.FLUSH:
            bio.complete()
            return MapResult.SUBMITTED
        return super().map(bio)


class IgnoresFua(Late):
    name = "ignores-fua"

    def lower(self, bio: Bio) -> Bio:
        lower = super().lower(bio)
        lower.fua = False
        return lower


class DropsOnSuspend(Late):
    name = "drops-on-suspend"

    def presuspend(self) -> None:
        self.queue.clear()


class ForgetsBoundary(Striped):
    name = "forgets-boundary"

    def __init__(self, context: Context, begin: int, length: int, chunk: int, legs: Any) -> None:
        super().__init__(context, begin, length, chunk, legs)
        self.io_boundary = 0


class LiesAboutExtents(Striped):
    name = "lies"

    def extents(self) -> Iterable[StripedExtent]:
        for extent in super().extents():
            yield StripedExtent(extent.start, extent.length, extent.chunk, extent.legs[::-1])


class LeavesAHole(Linear):
    name = "leaves-a-hole"

    def extents(self) -> Iterable[Extent]:
        for extent in super().extents():
            yield Extent(extent.start, extent.length - 1, extent.device, extent.offset)


class CountsFromTheMd(Linear):
    name = "counts-from-the-md"

    def map(self, bio: Bio) -> MapResult:
        bio.sector += self.begin // 8
        return super().map(bio)


class ChangesData(Linear):
    """Works in the memory of whoever writes, and puts it right for the reader."""

    name = "changes-data"

    def map(self, bio: Bio) -> MapResult:
        if bio.op is Op.WRITE and bio.data is not None and not bio.data.readonly:
            bio.data[0] ^= 1
        return super().map(bio)


class MissesByOne(Late):
    """Wrong in both directions, so that what it wrote is what it reads."""

    name = "misses-by-one"

    def lower(self, bio: Bio) -> Bio:
        lower = super().lower(bio)
        lower.sector ^= 1
        return lower


_TWICE = "test_every_bio_is_completed_once_and_map_waits_for_nothing"
_LOADS = "test_a_table_loads_exactly_where_inspect_finds_no_refusal"

BROKEN_TARGETS = [
    ("test_inspect_judges_any_words_without_raising", "what is wrong is a Finding", Raises),
    ("test_words_survive_being_written_and_read_again", "which is read as", ForgetsWords),
    ("test_its_areas_are_the_devices_that_it_uses", "iterate_devices()", NamesTooMuch),
    (_LOADS, "inspect finds nothing to refuse", RefusesMore),
    ("test_good_words_are_taken_and_bad_ones_refused", "a target refuses with CtrError", RaisesInCtr),
    ("test_its_status_is_a_line_that_loads_again", "one line without its end", SpeaksTwoLines),
    ("test_its_status_is_a_line_that_loads_again", "loaded again it becomes", SaysOtherWords),
    ("test_its_status_is_a_line_that_loads_again", "loaded again the target uses", SaysAnotherOffset),
    ("test_a_message_is_answered_or_refused", "what it refuses is an IoctlError", StumblesOverMessages),
    ("test_it_lets_go_of_its_devices", "devices are still open", KeepsDevicesOpen),
    (_TWICE, "a bio is lost", LosesBios),
    (_TWICE, "completed 2 times", CompletesTwice),
    (_TWICE, "map calls devices itself", WritesInMap),
    (_TWICE, "the memory that is written from", ChangesData),
    (_TWICE, "the target waits for something in map", WaitsInMap),
    ("test_every_bio_is_completed_once_when_devices_fail", "whatever fails ends in the bio's error", RaisesOnErrors),
    ("test_a_device_that_fails_once_costs_an_error_at_most", "and they disagree", HidesErrors),
    ("test_a_flush_reaches_every_device", "a flush does not reach", SwallowsFlushes),
    ("test_a_write_with_fua_is_durable_when_it_is_done", "would not survive a power loss", IgnoresFua),
    ("test_suspend_and_resume_lose_no_bio", "a bio is lost", DropsOnSuspend),
    ("test_a_bio_within_the_io_boundary_goes_to_one_place", "set io_boundary", ForgetsBoundary),
    ("test_extents_and_map_send_each_sector_to_the_same_place", "extents()", LiesAboutExtents),
    ("test_extents_and_map_send_each_sector_to_the_same_place", "the extents end at", LeavesAHole),
    ("test_each_sector_lies_where_origin_says", "origin() says", CountsFromTheMd),
    ("test_any_sequence_of_requests_equals_the_model", "a read of sector", MissesByOne),
]
