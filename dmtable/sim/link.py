"""Links to remote machines: they are cut, hang, flap and slow down, and lose the answer of a call under way."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dmtable.core.bio import Bio, submit
from dmtable.io.device import BlockDevice, Buffer
from dmtable.sim.choices import Choices
from dmtable.sim.deadlock import WouldBlock
from dmtable.sim.disk import SimDisk
from dmtable.sim.power import Power

if TYPE_CHECKING:
    from dmtable.runtime.runtime import Timer
    from dmtable.sim.runtime import SimRuntime

_Answer = TypeVar("_Answer")


class Link:
    """The way to the machine `name`. Up at first.

    A cut fails each call that is under way, and each that comes, with ENOLINK. What was under way has been carried
    out or not: the choices decide. A cut that hangs loses nothing: calls and answers wait until the link is up
    again, or is cut for good. A Worker's step cannot wait, so there a call to a hung link is not carried out and
    fails with ENOLINK, and the Worker is busy for `timeout_seconds`; its calls over a link that is up have been
    answered before anything else can happen to the link, save by `cut_at`.
    """

    timeout_seconds: float = 30.0

    def __init__(self, name: str, runtime: SimRuntime, choices: Choices, power: Power | None = None) -> None:
        """`power` is that of the machine at this end."""
        self.name = name
        self.up = True
        self.seconds = 0.0
        """What each call takes longer, on its way there."""
        self.calls = 0
        self.cut_at: int | None = None
        """The call during which the link is cut, counted from 1."""
        self._runtime = runtime
        self._choices = choices
        self._power = power if power is not None else Power()
        self._hangs = False
        self._cuts = 0
        self._listeners: list[Callable[[bool], None]] = []
        self._change = _Change(name)
        self._crossings: list[_Crossing] = []
        self._flapping: Timer | None = None

    def on_change(self, listener: Callable[[bool], None]) -> None:
        """Calls the listener whenever the link goes up (True) or down (False); it must not block."""
        self._listeners.append(listener)

    def cut(self, *, hang: bool = False) -> None:
        """The link is down until it is healed."""
        self._flap_no_more()
        self._fall(hang)

    def heal(self) -> None:
        """The link is up, stays so, and is quick."""
        self._flap_no_more()
        self.seconds = 0.0
        self._rise()

    def slow(self, seconds: float) -> None:
        """Each call takes so much longer."""
        self.seconds = seconds

    def flap(self, seconds: Sequence[float], *, hang: bool = False) -> None:
        """Down for the first of these times from now on, up for the second, and so on; up in the end."""
        self._flap_no_more()
        self._flap(iter(seconds), True, hang)

    def flap_anyhow(self, changes: int, longest_seconds: float, *, hang: bool = False) -> None:
        """Flaps for times that the choices decide."""
        eighths = [1 + self._choices.pick(8, f"{self.name}: eighths of the longest time") for _ in range(changes)]
        self.flap([longest_seconds * count / 8 for count in eighths], hang=hang)

    # For the devices behind it.

    def call(self, act: Callable[[], _Answer]) -> _Answer:
        """One blocking call over the link. Raises OSError ENOLINK, and whatever the act raises."""
        self._power.need()
        self.calls += 1
        if self.calls == self.cut_at:
            self._fall(hang=False)
            self._perhaps(act)
            raise no_link(self.name)
        if not self.up and not self._hangs:
            raise no_link(self.name)
        cuts = self._cuts
        if self.seconds:
            self._runtime.sleep(self.seconds)
        if not self._gets_through(cuts):
            self._perhaps(act)
            raise no_link(self.name)
        try:
            answer = act()
        except OSError:
            if self._gets_through(cuts):
                raise
            raise no_link(self.name) from None
        if not self._gets_through(cuts):
            raise no_link(self.name)
        return answer

    def cross(self, device: BlockDevice, bio: Bio) -> None:
        """Takes a bio to a device; never blocks."""
        self._power.need()
        self.calls += 1
        crossing = _Crossing(self, device, bio, self._choices)
        if self.calls == self.cut_at:
            self._crossings.append(crossing)
            self._fall(hang=False)
        elif not self.up and not self._hangs:
            bio.complete(errno.ENOLINK)
        else:
            self._crossings.append(crossing)
            if self.seconds:
                self._runtime.call_later(self.seconds, crossing.arrive)
            else:
                crossing.arrive()

    def passes(self) -> bool:
        """Whether a request or an answer gets through at this moment."""
        return self.up and self._power.on

    def crossed(self, crossing: _Crossing) -> None:
        """Its bio is answered."""
        self._crossings.remove(crossing)

    def _gets_through(self, cuts: int) -> bool:
        """Waits while the link hangs; False where it was cut since there were so many cuts."""
        while not self.up and self._cuts == cuts:
            try:
                self._runtime.wait(self._change)
            except WouldBlock:
                self._runtime.sleep(self.timeout_seconds)
                raise no_link(self.name) from None
        self._power.need()
        return self._cuts == cuts

    def _perhaps(self, act: Callable[[], object]) -> None:
        """The call was carried out, or not; nobody hears of it."""
        if self._choices.pick(2, f"{self.name}: a call is carried out though the link is cut"):
            try:
                act()
            except OSError:
                return

    def _fall(self, hang: bool) -> None:
        changed, self.up = self.up, False
        self._hangs = hang
        if changed:
            self._tell("hangs" if hang else "is cut")
        if not hang:
            self._cuts += 1
            crossings, self._crossings = self._crossings, []
            if self._power.on:
                for crossing in crossings:
                    crossing.cut()
            self._wake()

    def _rise(self) -> None:
        if not self.up:
            self.up = True
            self._tell("is up")
            for crossing in [*self._crossings]:
                crossing.go_on()
            self._wake()

    def _tell(self, what: str) -> None:
        self._runtime.note(self.name, what)
        for listener in [*self._listeners]:
            listener(self.up)

    def _wake(self) -> None:
        change, self._change = self._change, _Change(self.name)
        change.happen()

    def _flap(self, rest: Iterator[float], down: bool, hang: bool) -> None:
        self._flapping = None
        seconds = next(rest, None)
        if seconds is None:
            self._rise()
            return
        if down:
            self._fall(hang)
        else:
            self._rise()
        self._flapping = self._runtime.call_later(seconds, partial(self._flap, rest, not down, hang))

    def _flap_no_more(self) -> None:
        if self._flapping is not None:
            self._flapping.cancel()
            self._flapping = None


class LinkedDevice(BlockDevice):
    """A device reached over a link. Its sizes are known here; everything else is a call."""

    def __init__(self, device: BlockDevice, link: Link) -> None:
        self.device = device
        self.link = link
        self.read_only = device.read_only
        self.logical_block_size = device.logical_block_size

    @property
    def size_bytes(self) -> int:
        return self.device.size_bytes

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        return self.link.call(lambda: self.device.pread_into(buffer, offset))

    def pread(self, length: int, offset: int) -> bytes:
        return self.link.call(lambda: self.device.pread(length, offset))

    def pwrite(self, data: Buffer, offset: int) -> int:
        return self.link.call(lambda: self.device.pwrite(data, offset))

    def flush(self) -> None:
        self.link.call(self.device.flush)

    def discard(self, offset: int, length: int) -> None:
        self.link.call(lambda: self.device.discard(offset, length))

    def write_zeroes(self, offset: int, length: int) -> None:
        self.link.call(lambda: self.device.write_zeroes(offset, length))

    def accept(self, bio: Bio) -> None:
        """Takes a bio (core.bio.submit)."""
        self.link.cross(self.device, bio)

    def close(self) -> None:
        """Nothing: the device is the other machine's."""


class _Crossing:
    """A bio on its way over a link and back."""

    __slots__ = ("_answered", "_bio", "_choices", "_device", "_link", "_over", "_there", "_waiting")

    def __init__(self, link: Link, device: BlockDevice, bio: Bio, choices: Choices) -> None:
        self._link = link
        self._device = device
        self._bio = bio
        self._choices = choices
        self._there = bio.part(0, bio.sectors)
        self._waiting: Callable[[], None] | None = None
        """What to do when the link is up again."""
        self._over = False
        self._answered = False

    def arrive(self) -> None:
        """The request reaches the device."""
        if self._over or self._waits_for(self.arrive):
            return
        self._there.on_done(self._answer)
        self._there.device = self._device
        submit(self._device, self._there)

    def go_on(self) -> None:
        """The link is up again."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()

    def cut(self) -> None:
        """The link is cut: nobody hears of it any more."""
        self._over = True
        if not self._answered:
            carried_out = self._choices.pick(2, f"{self._link.name}: a bio is carried out though the link is cut") == 1
            if self._there.device is None:
                if carried_out:
                    submit(self._device, self._there)
            elif isinstance(self._device, SimDisk):
                self._device.abandon(self._there, carried_out=carried_out)
        self._bio.complete(errno.ENOLINK)

    def _answer(self) -> None:
        self._answered = True
        if self._over or self._waits_for(self._answer):
            return
        self._link.crossed(self)
        if self._there.given_back:
            self._bio.give_back()
        else:
            self._bio.complete(self._there.error)

    def _waits_for(self, then: Callable[[], None]) -> bool:
        if self._link.passes():
            return False
        self._waiting = then
        return True


class _Change:
    """That the link goes up, or is cut for good."""

    def __init__(self, name: str) -> None:
        self.done = False
        self._name = name
        self._callbacks: list[Callable[[], None]] = []

    def __str__(self) -> str:
        return f"link {self._name}"

    def on_done(self, callback: Callable[[], None]) -> None:
        if self.done:
            callback()
        else:
            self._callbacks.append(callback)

    def happen(self) -> None:
        self.done = True
        for callback in self._callbacks:
            callback()


def no_link(name: str) -> OSError:
    """What a caller hears of a link that is cut."""
    return OSError(errno.ENOLINK, f"{name}: {os.strerror(errno.ENOLINK)}")
