"""delay: requests that wait before they go on to a device (kernel: dm-delay.c, version 1.3.0)."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.target import Area, Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.core.words import device_findings, sector_findings, u32_findings
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, refused
from dmtable.language.numbers import scan_sector, scan_u32
from dmtable.runtime.runtime import RunningWorker, Timer, Worker


@dataclass(frozen=True, slots=True)
class DelayClass:
    """Where a class of requests goes, and how many milliseconds they wait before (kernel: struct delay_class)."""

    device: str
    offset: int
    milliseconds: int


@dataclass(frozen=True, slots=True)
class DelayParams(Params):
    """`DEVICE OFFSET DELAY` for all, or for reads and writes, or for reads, writes and flushes."""

    classes: tuple[DelayClass, ...]

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if len(words) not in (3, 6, 9):
            what = f"delay takes a device, an offset and a delay, once to three times, and not {len(words)} words"
            refusal = refused("delay", errno.EINVAL, "Requires exactly 3, 6 or 9 arguments")
            return None, [Finding(rules.UNREAD_WORDS, what, 0, refusal=refusal)]
        findings = [finding for at in range(0, len(words), 3) for finding in _class_findings(words, at, lookup)]
        if any(finding.refusal for finding in findings):
            return None, findings
        threes = zip(words[::3], words[1::3], words[2::3], strict=True)
        classes = (DelayClass(name, scan_sector(offset) or 0, scan_u32(delay) or 0) for name, offset, delay in threes)
        return cls(tuple(classes)), findings

    def words(self) -> list[str]:
        return [str(word) for each in self.classes for word in (each.device, each.offset, each.milliseconds)]

    def areas(self, length: int) -> Iterable[Area]:
        for index, each in enumerate(self.classes):
            yield Area(3 * index, each.offset, length)


class _Kind:
    """One kind of requests: where they go, and how many of them wait."""

    __slots__ = ("dm_dev", "offset", "seconds", "waiting")

    def __init__(self, dm_dev: DmDev, words: DelayClass) -> None:
        self.dm_dev = dm_dev
        self.offset = words.offset
        self.seconds = words.milliseconds / 1000
        self.waiting = 0


class Delay(Target):
    """Each request waits by itself, and then goes on; a suspend lets all go at once.

    A flush goes to the device of the flushes alone, also where the writes have another one.
    """

    name = "delay"
    version = (1, 3, 0)
    params = DelayParams

    def __init__(self, context: Context, begin: int, length: int, params: DelayParams) -> None:
        super().__init__(context, begin, length)
        self._params = params
        # A class without words of its own does as the one before, and counts for itself.
        classes = [*params.classes, *[params.classes[-1]] * (3 - len(params.classes))]
        self._kinds = [_Kind(context.get_device(each.device), each) for each in classes]
        self._read, self._write, self._flush = self._kinds
        self._may_delay = True
        self._lock = context.runtime.lock()
        self._waiting: dict[Bio, tuple[_Kind, Timer]] = {}
        """In the order in which they came."""
        self._sender = _Sender()
        self._running: RunningWorker | None = None

    def dtr(self) -> None:
        if self._running is not None:
            self._running.stop()

    def map(self, bio: Bio) -> MapResult:
        kind = self._read if bio.op is Op.READ else self._flush if bio.op is Op.FLUSH else self._write
        bio.device = kind.dm_dev.device
        if bio.sectors:
            bio.sector += kind.offset - self.begin
        with self._lock:
            if not (kind.seconds and self._may_delay):
                return MapResult.REMAPPED
            if self._running is None:
                self._running = self.context.runtime.start(self._sender)
            timer = self.context.runtime.call_later(kind.seconds, partial(self._send, [bio]))
            self._waiting[bio] = kind, timer
            kind.waiting += 1
        return MapResult.SUBMITTED

    def presuspend(self) -> None:
        with self._lock:
            self._may_delay = False
            waiting = list(self._waiting)
        self._send(waiting)

    def presuspend_undo(self) -> None:
        self._may_delay = True

    def resume(self) -> None:
        self._may_delay = True

    def status(self, kind: StatusKind) -> str:
        if kind is StatusKind.INFO:
            return " ".join(str(each.waiting) for each in self._kinds)
        given = zip(self._kinds, self._params.classes, strict=False)
        return " ".join(f"{each.dm_dev.name} {words.offset} {words.milliseconds}" for each, words in given)

    def iterate_devices(self) -> Iterable[DeviceRange]:
        for each in self._kinds[: len(self._params.classes)]:
            yield DeviceRange(each.dm_dev, each.offset, self.length)

    def _send(self, bios: Iterable[Bio]) -> None:
        """These bios have waited long enough. A timer may not call a device, so a Worker does."""
        with self._lock:
            for bio in bios:
                kind, timer = self._waiting.pop(bio, (None, None))
                if kind is not None and timer is not None:
                    timer.cancel()
                    kind.waiting -= 1
                    self._sender.ready.append(bio)
        if self._running is not None:
            self._running.wake()


class _Sender(Worker):
    """Submits the bios that have waited (kernel: kdelayd)."""

    name = "kdelayd"

    def __init__(self) -> None:
        self.ready: deque[Bio] = deque()

    def step(self) -> bool:
        if not self.ready:
            return False
        bio = self.ready.popleft()
        assert bio.device is not None
        submit(bio.device, bio)
        return True


def _class_findings(words: Sequence[str], at: int, lookup: Lookup | None) -> Iterable[Finding]:
    device, offset, delay = words[at : at + 3]
    no_sector = refused("delay", errno.EINVAL, "Invalid device sector")
    no_delay = refused("delay", errno.EINVAL, "Invalid delay")
    yield from sector_findings(rules.FAULT_OFFSET, at + 1, offset, no_sector)
    yield from u32_findings(rules.DELAY_TIME, at + 2, delay, "a number of milliseconds", no_delay)
    yield from device_findings(at, device, lookup, lambda number: refused("delay", number, "Device lookup failed"))
