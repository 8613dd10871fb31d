"""What can go wrong with one call to a disk, and when it does."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dmtable.sim.choices import Choices

Concerns = Callable[[str, "Call"], bool]
"""Whether the calls of a kind to the disk of that name are meant."""


class Call(Enum):
    """A kind of call to a disk. To write zeroes is a WRITE. A FUA write is two calls: a WRITE, then a FLUSH."""

    READ = "read"
    WRITE = "write"
    FLUSH = "flush"
    DISCARD = "discard"


class Ill(Enum):
    """What becomes of the call. What is said of a write holds for a discard too."""

    ERROR = "error"
    """It fails with `errno`, and nothing has happened. What a failed flush left in the cache, the next one may save."""
    HALF = "half done"
    """A write fails with `errno` when its first half is in the cache, of a single sector nothing. Other calls fail
    as with ERROR."""
    LOST = "lost"
    """It succeeds, and nothing has happened. A read succeeds as ever. What a lost flush should have made durable,
    the next good one does. Of a FUA write with a lost FLUSH the data is in the cache and not durable."""
    MISDIRECTED = "misdirected"
    """A write lands one block further on (the last block of the disk: one before); a read comes from there."""
    ROT = "bit rot"
    """A bit of the first sector concerned turns, and nobody is told: of a read on the medium, before it; of a write
    on the way there."""
    UNREADABLE = "unreadable"
    """The first sector concerned cannot be read until it is written again, not after a power loss either. A read
    fails at once; a write succeeds, and who reads it later finds out."""
    SLOW = "slow"
    """It takes `seconds` longer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. A lasting one strikes every call of the same kind to the same disk from then on."""

    ill: Ill
    errno: int = errno.EIO
    lasting: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        """As `error, ENOSPC, lasting` or `slow, 0.5 s`."""
        parts = [self.ill.value]
        if self.errno != errno.EIO:
            parts.append(errno.errorcode.get(self.errno, str(self.errno)))
        if self.seconds:
            parts.append(f"{self.seconds!r} s")
        if self.lasting:
            parts.append("lasting")
        return ", ".join(parts)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The fault of which `text` is the str. Raises ValueError where it is none's."""
        ill, *parts = text.split(", ")
        number, lasting, seconds = errno.EIO, False, 0.0
        for part in parts:
            if part == "lasting":
                lasting = True
            elif part.endswith(" s"):
                seconds = float(part.removesuffix(" s"))
            else:
                number = _errno(part)
        return cls(Ill(ill), number, lasting, seconds)


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each kind of call is struck by what, when faults are drawn: (call, ill, once in so many)."""

    rates: tuple[tuple[Call, Ill, int], ...] = ()
    lasting_one_in: int = 0
    """Of the errors that strike, one in so many lasts; 0 for none."""
    slow_seconds: float = 0.01

    def __str__(self) -> str:
        """As `write error 1/50, flush lost 1/100, lasting 1/4, slow 0.01 s`."""
        parts = [f"{call.value} {ill.value} 1/{one_in}" for call, ill, one_in in self.rates]
        if self.lasting_one_in:
            parts.append(f"lasting 1/{self.lasting_one_in}")
        return ", ".join([*parts, f"slow {self.slow_seconds!r} s"])

    @classmethod
    def parse(cls, text: str) -> FaultRates:
        """The rates of which `text` is the str. Raises ValueError where it is none's."""
        *parts, slow = text.split(", ")
        rates, lasting_one_in = [], 0
        for part in parts:
            words, slash, one_in = part.rpartition(" 1/")
            if not slash:
                raise ValueError(f"{part!r} does not end in a rate as 1/50")
            if words == "lasting":
                lasting_one_in = int(one_in)
            else:
                call, _, ill = words.partition(" ")
                rates.append((Call(call), Ill(ill), int(one_in)))
        return cls(tuple(rates), lasting_one_in, float(slow.removeprefix("slow ").removesuffix(" s")))


class Strike(NamedTuple):
    """A fault that struck; `number` is the call's among those that were concerned, from 1."""

    number: int
    disk: str
    call: Call
    fault: Fault

    def __str__(self) -> str:
        return f"call {self.number}, {self.call.value} of {self.disk}: {self.fault}"


class Faults:
    """Decides for each call whether something goes wrong: at given calls, or drawn from the choices."""

    def __init__(
        self,
        placed: Mapping[int, Fault] | None = None,
        *,
        rates: FaultRates | None = None,
        choices: Choices | None = None,
        concerns: Concerns = lambda disk, call: True,
    ) -> None:
        """`placed` numbers the calls that `concerns` picks out, over all disks, from 1; drawn faults need `choices`."""
        if rates is not None and choices is None:
            raise ValueError("faults are drawn from choices; give some")
        self.struck: list[Strike] = []
        self.healed = False
        """Set it, and nothing goes wrong any more."""
        self.calls = 0
        self._placed = dict(placed or {})
        self._rates = rates
        self._choices = choices
        self._concerns = concerns
        self._lasting: dict[tuple[str, Call], Fault] = {}

    def strike(self, disk: str, call: Call) -> Fault | None:
        """What goes wrong with this call, if anything."""
        if self.healed or not self._concerns(disk, call):
            return None
        self.calls += 1
        fault = self._lasting.get((disk, call)) or self._placed.get(self.calls) or self._drawn(call)
        if fault is not None:
            self.struck.append(Strike(self.calls, disk, call, fault))
            if fault.lasting:
                self._lasting[disk, call] = fault
        return fault

    def heal(self) -> None:
        """Nothing that lasts goes on; what is still to come does come. Sectors that cannot be read stay so."""
        self._lasting.clear()

    def as_placed(self) -> dict[int, Fault]:
        """What struck, as faults to place: they make the same run again without drawing, and fewer a simpler one."""
        return {strike.number: strike.fault for strike in self.struck}

    def summary(self) -> str:
        """What struck, a line for each; a lasting fault has one line for all its strikes."""
        lines: dict[tuple[object, ...], list[Strike]] = {}
        for strike in self.struck:
            same = strike[1:] if strike.fault.lasting else strike
            lines.setdefault(same, []).append(strike)
        if not lines:
            return f"nothing went wrong in {self.calls} calls"
        return "\n".join(
            f"{strikes[0]}" + (f" ({len(strikes)} times)" if len(strikes) > 1 else "") for strikes in lines.values()
        )

    def _drawn(self, call: Call) -> Fault | None:
        if self._rates is None or self._choices is None:
            return None
        for struck, ill, one_in in self._rates.rates:
            if struck is call and self._choices.chance(one_in, f"{call.value}: {ill.value}"):
                lasting = ill is Ill.ERROR and self._choices.chance(self._rates.lasting_one_in, "it lasts")
                return Fault(ill, lasting=lasting, seconds=self._rates.slow_seconds if ill is Ill.SLOW else 0.0)
        return None


def every_call(fault: Fault, concerns: Concerns = lambda disk, call: True) -> Iterator[Faults]:
    """Faults that strike call 1, then call 2, … until a run is over before its turn comes.

        for faults in every_call(Fault(Ill.ERROR)):
            run(faults)

    The loop body runs the system under test once with each; so every call that it makes fails once, and with a
    lasting fault every call is once the first of those that fail. The runs must depend on nothing but their faults.
    """
    number = 1
    while True:
        faults = Faults({number: fault}, concerns=concerns)
        yield faults
        if not faults.struck:
            return
        number += 1


def _errno(text: str) -> int:
    if text.isdigit():
        return int(text)
    number = getattr(errno, text, None)
    if not isinstance(number, int):
        raise ValueError(f"{text!r} is no error number")
    return number
