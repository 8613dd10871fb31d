"""What a site link is: its policy and fall-behind limit, the devices of the group at its site, and their errors.

A site link knows neither the log nor the other sites. It writes what it is told to, one thing at a time, and keeps
book of what the site still lacks. Source: slides of 2008 (dm-replicator architecture); struct
dm_repl_slink_type of 2009.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, Flag
from functools import partial
from typing import ClassVar

from dmtable.core.bio import Bio, Op
from dmtable.core.steps import DONE, Steps, request
from dmtable.core.target import Context
from dmtable.dirtylog.log import DirtyLog
from dmtable.io.device import BlockDevice, Buffer
from dmtable.units import SECTOR_SHIFT

FIRST_TEST_SECONDS = 1.0
LAST_TEST_SECONDS = 15.0
"""A failed device is tested after the first, then after twice the time, and at last as seldom as in 2009."""


class Measure(Enum):
    """What a fall-behind limit counts."""

    IOS = "ios"
    SIZE = "size"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class FallBehind:
    """How far a site may fall behind: `limit` in entries, sectors or milliseconds; 0 is no limit.

    `value` and `unit` are the limit as it was written: 100 and `m`.
    """

    measure: Measure
    limit: int
    value: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Synchronous: a write is acknowledged when the site holds it durably. Asynchronous otherwise.

    `stall`: where the log is full writers wait, and nothing is dropped. `epoch`: the site is flushed only where the
    application itself flushed. `hold`: a resync waits until it is told to begin, for it destroys the site's order.
    """

    synchronous: bool = False
    stall: bool = False
    epoch: bool = False
    hold: bool = False


class DeviceError(Flag):
    """What failed, as status prints it."""

    READ = 1
    WRITE = 2


class SiteDevice:
    """A device of the group at a site: `word` is how it was named, `device` is None while it cannot be opened.

    `dirty_log` remembers what this copy lacks; site 0 has none. `length` is in sectors.
    """

    __slots__ = (
        "_calls",
        "_calls_of",
        "context",
        "device",
        "dirty_log",
        "dirty_log_words",
        "length",
        "name",
        "number",
        "region_sectors",
        "word",
    )

    def __init__(self, number: int, word: str, length: int, dirty_log: DirtyLog | None) -> None:
        self.number = number
        self.word = word
        self.length = length
        self.dirty_log = dirty_log
        self.context: Context | None = None
        """Of the table that named the device, through which it is opened once more."""
        self.device: BlockDevice | None = None
        self.name = word
        """As tables print it: major:minor, or the word where the device was never opened."""
        self.region_sectors = 0
        """Of its dirty log."""
        self.dirty_log_words = ""
        """As tables print it: `core 2 2048 nosync `, or nothing."""
        self._calls: PlainCalls | None = None
        self._calls_of: BlockDevice | None = None

    def plain_calls(self) -> PlainCalls | None:
        """How to reach the device without ceremony; None where it takes bios, or is not open."""
        device = self.device
        if device is not self._calls_of:
            self._calls_of = device
            self._calls = None if device is None or hasattr(device, "accept") else PlainCalls(device)
        return self._calls


class PlainCalls:
    """Calls that block as long as the device takes, and raise OSError."""

    __slots__ = ("_device", "_pwrite", "flush")

    def __init__(self, device: BlockDevice) -> None:
        fd = device.fileno()
        self._device = device
        self._pwrite: Callable[[Buffer, int], int] = device.pwrite if fd is None else partial(os.pwrite, fd)
        self.flush: Callable[[], None] = device.flush if fd is None else partial(os.fdatasync, fd)

    def write(self, data: bytes, offset: int) -> None:
        """Writes all of the data at a byte offset."""
        done = self._pwrite(data, offset)
        if done < len(data):
            # Full, perhaps, or interrupted: the device's own call goes on, or says why not.
            self._device.pwrite(memoryview(data)[done:], offset + done)


class SiteLink(ABC):
    """One site of a group. Site 0 is the local one.

    The plain methods touch memory only; their caller holds the group's lock. The steps do I/O and belong to the
    site's own Worker.
    """

    kind: ClassVar[str]
    """The link's name in tables."""

    def __init__(self, number: int, policy: Policy, fall_behind: FallBehind | None) -> None:
        self.number = number
        self.policy = policy
        self.fall_behind = fall_behind
        self.devices: dict[int, SiteDevice] = {}
        """By their numbers in the group."""
        self.errors: dict[int, DeviceError] = {}
        """The devices that failed, and how. While there is one, nothing is sent to the site: its order counts."""
        self.failures = 0
        """How often a device failed so far. What was written before one of them and is flushed behind it may be
        lost: between the two the site may have been without power."""
        self.outstanding_ios = 0
        self.outstanding_sectors = 0
        self.paused = False
        """A message stopped the link; another lets it go on."""
        self._test_seconds = FIRST_TEST_SECONDS

    # How devices are reached.

    @abstractmethod
    def connect(self, context: Context, word: str) -> tuple[BlockDevice, str]:
        """Opens a device: itself, and its name as tables print it. One device call; raises OSError."""

    def disconnect(self, device: BlockDevice) -> None:
        """The device is not used any more. Those of tables close with their table."""
        return

    def remove(self, number: int) -> None:
        """A device of the group leaves the site; what it failed with is forgotten. Nobody uses it any more."""
        at = self.devices.pop(number)
        self.errors.pop(number, None)
        if at.device is not None:
            self.disconnect(at.device)

    # Fall-behind. What is counted are the entries that the site lacks, acknowledged or not.

    def queued(self, sectors: int) -> None:
        """An entry for this site enters the log."""
        self.outstanding_ios += 1
        self.outstanding_sectors += sectors

    def done(self, ios: int, sectors: int) -> None:
        """The site holds so many entries, or its dirty log does."""
        self.outstanding_ios -= ios
        self.outstanding_sectors -= sectors

    def must_wait(self, sectors: int, oldest_seconds: float) -> bool:
        """Whether a new entry may be acknowledged only when the site has it: by policy, or because the site would
        be further behind than it may. Asked before `queued`. `oldest_seconds` is how long the oldest entry that the
        site lacks has waited, 0 if there is none."""
        return self.policy.synchronous or self._exceeds(1, sectors, oldest_seconds)

    def is_behind(self, oldest_seconds: float) -> bool:
        """Whether the site is further behind than it may: status shows it as `S`, and as `A` otherwise."""
        return self._exceeds(0, 0, oldest_seconds)

    def _exceeds(self, ios: int, sectors: int, oldest_seconds: float) -> bool:
        """Whether with so many ios and sectors more the site would be beyond its limit."""
        at_most = self.fall_behind
        if at_most is None or not at_most.limit:
            return False
        if at_most.measure is Measure.IOS:
            return self.outstanding_ios + ios > at_most.limit
        if at_most.measure is Measure.SIZE:
            return self.outstanding_sectors + sectors > at_most.limit
        return oldest_seconds * 1000 > at_most.limit

    # Errors.

    @property
    def accessible(self) -> bool:
        """Whether entries may be sent: no device failed, and nobody paused the link."""
        return not self.errors and not self.paused

    @property
    def error_letters(self) -> str:
        """`A`, or what failed: `R`, `W`, `RW`."""
        failed = DeviceError(0)
        for error in list(self.errors.values()):
            failed |= error
        return "".join(error.name[0] for error in DeviceError if error in failed and error.name) or "A"

    def failed(self, device: int, error: DeviceError) -> bool:
        """A device failed; says whether that is news, which are worth an event."""
        before = self.errors.get(device, DeviceError(0))
        self.errors[device] = before | error
        self.failures += 1
        return error not in before

    def next_test_seconds(self) -> float:
        """In how many seconds to test what failed: in 1, then in twice as many each time it is asked, 15 at most;
        in 1 again once the site has made something durable. A test that went well proves less: what fails again
        and again shall not be tried every second."""
        seconds = self._test_seconds
        self._test_seconds = min(2 * seconds, LAST_TEST_SECONDS)
        return seconds

    def proved(self) -> None:
        """The site has made something durable."""
        self._test_seconds = FIRST_TEST_SECONDS

    # I/O. Raises OSError; the caller decides what that means.

    def opening(self, context: Context, number: int) -> Steps:
        """Opens a device that is not open. One that cannot be opened belongs to the site all the same: it failed to
        READ, and is tested as others are."""
        at = self.devices.get(number)
        if at is not None and at.device is None:
            at.device, at.name = self.connect(at.context or context, at.word)
            yield DONE

    def writing(
        self, number: int, op: Op, sector: int, sectors: int, data: bytes | None, *, fua: bool = False
    ) -> Steps:
        """Carries an entry out; it is durable with the next flush, or with `fua` when this ends. A discard becomes
        zeroes, for it must leave the same at every site."""
        device = self.opened(number)
        if hasattr(device, "accept"):
            memory = None if data is None else memoryview(data)
            yield from request(device, Bio(op if op is Op.WRITE else Op.WRITE_ZEROES, sector, sectors, memory, fua=fua))
        else:
            if op is Op.WRITE:
                assert data is not None
                device.pwrite(data, sector << SECTOR_SHIFT)
            else:
                device.write_zeroes(sector << SECTOR_SHIFT, sectors << SECTOR_SHIFT)
            yield DONE
            if fua:
                device.flush()
                yield DONE
        if fua:
            self.proved()

    def plain_calls(self, number: int) -> PlainCalls | None:
        """Calls that do for the device what `writing` and `flushing` would; None where there is more to it."""
        return self.devices[number].plain_calls()

    def flushing(self, number: int) -> Steps:
        """Makes durable what was written to a device."""
        yield from request(self.opened(number), Bio(Op.FLUSH, 0, 0))
        self.proved()

    def testing(self, context: Context) -> Steps:
        """Tries every device that failed: opens it if need be, reads its first block, and flushes it if it failed to
        write. Those that answer are forgiven. Raises the OSError of the first that does not."""
        for number, error in list(self.errors.items()):
            yield from self.opening(context, number)
            device = self.opened(number)
            block = bytearray(device.logical_block_size)
            yield from request(device, Bio(Op.READ, 0, len(block) >> SECTOR_SHIFT, memoryview(block)))
            if DeviceError.WRITE in error:
                yield from request(device, Bio(Op.FLUSH, 0, 0))
            self.errors.pop(number, None)

    def opened(self, number: int) -> BlockDevice:
        """A device of the group here. Raises OSError ENXIO where it is not open, or not here any more."""
        at = self.devices.get(number)
        if at is None or at.device is None:
            raise OSError(errno.ENXIO, f"{at.word if at else f'device {number}'} is not open")
        return at.device
