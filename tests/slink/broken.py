"""Site links that each break one promise, with the check that finds it out and what it says."""

from __future__ import annotations

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import DONE, Steps, request
from dmtable.core.target import Context
from dmtable.io.device import BlockDevice
from dmtable.slink.blockdev import BlockdevLink
from dmtable.slink.link import DeviceError, SiteLink


class HasNoName(BlockdevLink):
    def connect(self, context: Context, word: str) -> tuple[BlockDevice, str]:
        return super().connect(context, word)[0], "a name of several words"


class ForgetsToForget(BlockdevLink):
    def remove(self, number: int) -> None:
        del self.devices[number]


class OpensAgain(BlockdevLink):
    def opening(self, context: Context, number: int) -> Steps:
        self.devices[number].device = None
        yield from super().opening(context, number)
        self.devices[number].device = _Double(self.opened(number))


class _Double(BlockDevice):
    """Another object for the same device."""

    def __init__(self, device: BlockDevice) -> None:
        self._device = device

    @property
    def size_bytes(self) -> int:
        return self._device.size_bytes

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        return self._device.pread_into(buffer, offset)

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        return self._device.pwrite(data, offset)

    def flush(self) -> None:
        self._device.flush()

    def discard(self, offset: int, length: int) -> None:
        self._device.discard(offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        self._device.write_zeroes(offset, length)

    def close(self) -> None:
        return


class OneSectorOff(BlockdevLink):
    def writing(
        self, number: int, op: Op, sector: int, sectors: int, data: bytes | None, *, fua: bool = False
    ) -> Steps:
        return super().writing(number, op, max(sector - 1, 0), sectors, data, fua=fua)


class IgnoresDiscards(BlockdevLink):
    def writing(
        self, number: int, op: Op, sector: int, sectors: int, data: bytes | None, *, fua: bool = False
    ) -> Steps:
        if op is Op.DISCARD:
            return iter(())
        return super().writing(number, op, sector, sectors, data, fua=fua)


class ForgetsFua(BlockdevLink):
    def writing(
        self, number: int, op: Op, sector: int, sectors: int, data: bytes | None, *, fua: bool = False
    ) -> Steps:
        return super().writing(number, op, sector, sectors, data)


class NeverFlushes(BlockdevLink):
    def flushing(self, number: int) -> Steps:
        yield DONE


class AllAtOnce(BlockdevLink):
    def writing(
        self, number: int, op: Op, sector: int, sectors: int, data: bytes | None, *, fua: bool = False
    ) -> Steps:
        device = self.opened(number)
        for at in range(sectors):
            part = None if data is None else data[at << 9 : at + 1 << 9]
            device.write_zeroes(sector + at << 9, 512) if part is None else device.pwrite(part, sector + at << 9)
        if fua:
            device.flush()
        yield DONE


class HidesErrors(BlockdevLink):
    def flushing(self, number: int) -> Steps:
        try:
            yield from super().flushing(number)
        except OSError:
            return


class ForgivesAnything(BlockdevLink):
    def testing(self, context: Context) -> Steps:
        self.errors.clear()
        yield DONE


class ReadsOnly(BlockdevLink):
    """A test that does not ask whether the device can be written again."""

    def testing(self, context: Context) -> Steps:
        for number in list(self.errors):
            yield from self.opening(context, number)
            yield from request(self.opened(number), Bio(Op.READ, 0, 1, memoryview(bytearray(512))))
            self.errors.pop(number)


class NeverForgives(BlockdevLink):
    def testing(self, context: Context) -> Steps:
        yield DONE


class TestsOnlyTheFirst(BlockdevLink):
    def testing(self, context: Context) -> Steps:
        kept, self.errors = dict(list(self.errors.items())[1:]), dict(list(self.errors.items())[:1])
        yield from super().testing(context)
        self.errors = kept


class AlwaysNews(BlockdevLink):
    def failed(self, device: int, error: DeviceError) -> bool:
        super().failed(device, error)
        return True


class TestsAllTheTime(BlockdevLink):
    def next_test_seconds(self) -> float:
        return 1.0


class LimpsOn(BlockdevLink):
    @property
    def accessible(self) -> bool:
        return True


class CountsOneTooFew(BlockdevLink):
    def must_wait(self, sectors: int, oldest_seconds: float) -> bool:
        return self.policy.synchronous or self.is_behind(oldest_seconds)


class CountsBytes(BlockdevLink):
    """As the original did: the counter in bytes, the limit in sectors."""

    def queued(self, sectors: int) -> None:
        self.outstanding_ios += 1
        self.outstanding_sectors += sectors << 9

    def done(self, ios: int, sectors: int) -> None:
        self.outstanding_ios -= ios
        self.outstanding_sectors -= sectors << 9


class WaitsForNobody(BlockdevLink):
    def must_wait(self, sectors: int, oldest_seconds: float) -> bool:
        return False


BROKEN: list[tuple[str, str, type[SiteLink]]] = [
    ("test_an_open_device_has_a_name_for_tables", "is one word", HasNoName),
    ("test_a_removed_device_is_forgotten", "what a removed device failed with", ForgetsToForget),
    ("test_opening_an_open_device_does_nothing", "replaced a device", OpensAgain),
    ("test_a_device_that_goes_away_comes_back_as_the_same_object", "copies under way", OpensAgain),
    ("test_what_was_sent_is_there", "others are there", OneSectorOff),
    ("test_what_was_sent_is_there", "", IgnoresDiscards),
    ("test_what_was_sent_is_there", "before it was durable", ForgetsFua),
    ("test_what_was_sent_is_there", "a flush ended before", NeverFlushes),
    ("test_a_power_loss_at_the_site_takes_nothing_that_was_flushed", "was flushed", NeverFlushes),
    ("test_a_power_loss_at_the_site_takes_nothing_that_was_flushed", "sector 8 was written with fua", ForgetsFua),
    ("test_a_step_makes_one_device_call_at_most", "a step of writing makes 2", AllAtOnce),
    ("test_a_device_that_cannot_be_opened_is_opened_when_it_can", "nobody was told", HidesErrors),
    ("test_a_device_that_cannot_be_opened_is_opened_when_it_can", "a test went well", ForgivesAnything),
    ("test_a_device_that_goes_away_comes_back_as_the_same_object", "a test went well", ForgivesAnything),
    ("test_one_device_that_fails_stops_the_whole_site", "", NeverForgives),
    ("test_one_device_that_fails_stops_the_whole_site", "", TestsOnlyTheFirst),
    ("test_tests_become_rare_until_something_is_durable", "tests come after", TestsAllTheTime),
    ("test_a_paused_link_gets_nothing_and_forgets_nothing", "", LimpsOn),
    ("test_acknowledged_writes_never_exceed_the_limit", "acknowledged and missing", CountsOneTooFew),
    ("test_acknowledged_writes_never_exceed_the_limit", "", CountsBytes),
    ("test_a_synchronous_site_is_always_waited_for", "", WaitsForNobody),
    ("test_behind_a_timeout_everybody_waits", "the timeout is 1.5 s", WaitsForNobody),
]
"""(check, what it says, link)."""

BROKEN_ERRORS: list[tuple[str, str, type[SiteLink]]] = [
    ("flush", "nobody was told", HidesErrors),
    ("read", "a test went well", ForgivesAnything),
    ("flush", "a test went well", ReadsOnly),
    ("write", "gets nothing all the same", NeverForgives),
    ("write", "the second is none", AlwaysNews),
    ("write", "nothing is sent", LimpsOn),
]
"""(call that fails, what the check of errors says, link)."""
