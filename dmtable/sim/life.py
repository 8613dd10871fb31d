"""One life of a group: from the moment it is opened to the next power loss, or until it has settled."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from dmtable.core.bio import Bio, Op
from dmtable.errors import UsageError
from dmtable.runtime.runtime import RunningWorker, Worker
from dmtable.sim.breach import Breach, Flaw
from dmtable.sim.cache import Image, State, durable
from dmtable.sim.choices import Choices, Ordinary
from dmtable.sim.faults import Faults
from dmtable.sim.ink import stamp
from dmtable.sim.order import History
from dmtable.sim.subject import Group, Subject
from dmtable.sim.weather import Weather
from dmtable.sim.workload import Client, Flush, Operation, Workload, Write, Zero
from dmtable.sim.world import World


class Moment(NamedTuple):
    """What a power loss would find at a point of a life, and what was promised by then."""

    disks: tuple[State, ...]
    entered: int
    """How many entries are in the history."""
    durable: int
    """Entries up to this number must survive."""
    acknowledged: int
    """Entries up to this number must stand at every synchronous site."""
    call: int
    """The number of the call that does not happen any more when the power fails here."""
    unordered: frozenset[int] | None
    """The sites that are shown as resynchronising; None before the group is open."""


@dataclass(slots=True)
class Promises:
    """What was acknowledged, and so may be relied on. All are numbers of entries."""

    acknowledged: int = 0
    durable: int = 0


class Life:
    """A world in which a group was opened. `history` goes on from what the lives before have left."""

    def __init__(
        self,
        subject: Subject,
        disks: Mapping[str, State],
        history: History,
        *,
        choices: Choices | None = None,
        weather: bool = False,
        faults: Faults | None = None,
        first_tag: int = 1,
        watched: bool = False,
        traced: bool = False,
    ) -> None:
        """The operations of its workloads have the tags from `first_tag` on, in their order.

        With `weather` links and disks fail now and then, as the choices decide; without, as `faults` say.
        """
        self.history = history
        self.promises = Promises()
        self.moments: list[Moment] = []
        """Where `watched`: each point at which a power loss could make a difference.

        What an exhaustive search did in the run before as well is left out.
        """
        choices = choices if choices is not None else Ordinary()
        rates = subject.survives if weather else None
        if rates is not None:
            faults = Faults(rates=rates, choices=choices, concerns=lambda disk, call: disk not in subject.spared)
        self.world = World(choices, faults=faults, traced=traced)
        self._weather = weather
        self._clients: list[_Client] = []
        self._group: Group | None = None
        self._numbers: dict[Bio, int] = {}
        self._acknowledged: set[int] = set()
        machines = {name: f"site {site}" for site, disks in enumerate(subject.sites) if site for name in disks}
        self._disks = []
        for name, state in disks.items():
            disk = self.world.disk(name, image=state[0], machine=machines.get(name, ""))
            if state[1]:
                disk.hold(state)
            self._disks.append(disk)
        if watched:
            self.world.power.watch = self._remember
        self._subject = subject
        self._next_tag = first_tag

    def live(self, workload: Workload = (), *, opening: bool = True) -> Breach | None:
        """Opens the group, lets clients do the workload, and everything come to rest; then what went wrong, if
        anything. A group that is open already goes on with `opening` False. Raises PowerLoss."""
        try:
            if opening:
                self._group = self._subject.open(self.world, self._entered)
                if self._weather:
                    self.world.runtime.start(Weather(self.world))
            for operations in workload:
                self._begin(operations)
            self.world.runtime.pass_time(self._subject.patience_seconds)
        except Exception as error:
            if self.is_maimed and self._group is None:
                return None
            return Breach(Flaw.RAISED, f"{type(error).__name__}: {error} ({_place(error)})")
        if self.world.power.watch is not None:
            self._remember()
        for client in self._clients:
            if client.waits_for is not None:
                return Breach(Flaw.STUCK, f"{client.name} still waits for {client.waits_for}")
        if (unordered := self.unordered) and not self.is_maimed:
            return Breach(Flaw.STUCK, f"site {min(unordered)} is still shown as resynchronising")
        return None

    @property
    def unordered(self) -> frozenset[int] | None:
        """The sites that are shown as resynchronising now; None where the group is not open."""
        return None if self._group is None else self._subject.unordered(self._group)

    @property
    def is_maimed(self) -> bool:
        """Whether a fault struck that the group need not live on with."""
        faults = self.world.faults
        return faults is not None and any(strike.disk in self._subject.spared for strike in faults.struck)

    def images(self) -> dict[str, Image]:
        """What the disks show now."""
        return {disk.name: disk.image for disk in self._disks}

    def close(self) -> None:
        """Ends it, as a power loss would."""
        self.world.close()

    # For the clients

    def submit(self, operation: Operation, bio: Bio) -> None:
        """Hands a request to the group."""
        assert self._group is not None
        self._group.submit(operation.device, bio)

    def acknowledge(self, operation: Operation, bio: Bio, flushes_upto: int) -> None:
        """The request is done: what may be relied on from now on."""
        number = self._numbers.pop(bio, 0)
        if bio.error or not self.world.power.on:
            return
        promises = self.promises
        if isinstance(operation, Flush):
            promises.durable = max(promises.durable, flushes_upto)
            return
        if not number:
            raise UsageError(f"{operation} was acknowledged, but `entered` was not called with its bio")
        self._acknowledged.add(number)
        if self._subject.ordered:
            promises.acknowledged = max(promises.acknowledged, number)
            if bio.fua:
                promises.durable = max(promises.durable, number)
        else:
            # Without an order a later write says nothing of an earlier one: only what has no gap counts.
            while promises.acknowledged + 1 in self._acknowledged:
                promises.acknowledged += 1

    def _begin(self, operations: Client) -> None:
        client = _Client(f"client {len(self._clients)}", self, operations, self._next_tag)
        self._next_tag += len(operations)
        self._clients.append(client)
        client.running = self.world.runtime.start(client)

    def _entered(self, device: int, bio: Bio) -> None:
        tag = 0 if bio.data is None else int.from_bytes(bio.data[:8], "little")
        self._numbers[bio] = self.history.enter(device, bio.sector, bio.sectors, tag, behind=self.promises.durable)

    def _remember(self) -> None:
        choices, promises = self.world.choices, self.promises
        if choices.known and len(choices.script) <= choices.known:
            return
        self.moments.append(
            Moment(
                tuple([disk.state for disk in self._disks]),
                len(self.history.entries),
                promises.durable,
                promises.acknowledged,
                self.world.power.calls + 1,
                self.unordered,
            )
        )


class _Client(Worker):
    """An application: one request after the other."""

    running: RunningWorker

    def __init__(self, name: str, life: Life, operations: Client, first_tag: int) -> None:
        self.name = name
        self.waits_for: Operation | None = None
        self._life = life
        self._rest = iter(enumerate(operations, first_tag))

    def step(self) -> bool:
        if self.waits_for is not None:
            return False
        tag, operation = next(self._rest, (0, None))
        if operation is None:
            return False
        self.waits_for = operation
        bio = _bio(operation, tag)
        bio.on_done(partial(self._done, operation, bio, self._life.promises.acknowledged))
        self._life.submit(operation, bio)
        return True

    def _done(self, operation: Operation, bio: Bio, acknowledged: int) -> None:
        self.waits_for = None
        self._life.acknowledge(operation, bio, acknowledged)
        self.running.wake()


def created(subject: Subject) -> dict[str, State]:
    """The disks of a subject, formatted."""
    world = World(traced=False)
    for name, sectors in subject.disks.items():
        world.disk(name, sectors)
    subject.create(world)
    world.runtime.settle()
    disks = {name: durable(disk.image) for name, disk in world.disks.items()}
    world.close()
    return disks


def _place(error: Exception) -> str:
    """Where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}" if frames else "nowhere"


def _bio(operation: Operation, tag: int) -> Bio:
    if isinstance(operation, Write):
        content = _stamp(tag, operation.device, operation.sector, operation.sectors)
        return Bio(Op.WRITE, operation.sector, operation.sectors, content, fua=operation.fua)
    if isinstance(operation, Zero):
        return Bio(Op.DISCARD if operation.discard else Op.WRITE_ZEROES, operation.sector, operation.sectors)
    return Bio(Op.FLUSH, 0, 0)


@lru_cache(1 << 12)
def _stamp(tag: int, device: int, sector: int, sectors: int) -> memoryview:
    return memoryview(stamp(tag, device, sector, sectors))
