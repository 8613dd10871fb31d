"""A slow explorer that leaves nothing out: what the quick one is checked against.

It shares nothing with `dmtable.sim` but the reference replicator and the stamps on the data: it has disks, a
scheduler, clients and a judgement of its own. Workers take turns in every order there is. The power may fail at any
point, between two sectors of one write too; anything that was not flushed may survive; recovery, and some work behind
it, run in every order again, and may lose the power anywhere once more.

One reduction is needed, for there are millions of orders: two states of the machine that are equal in all that can
matter have the same future, so the second is not followed. `Machine.mark` says what that is: the disks with all
versions, the history, the promises, who may have a turn, and the replicator down to the local variables of its
generators. Every write is of one sector.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any, NamedTuple, cast

from dmtable.core.bio import Bio, Op
from dmtable.io.device import BlockDevice, Buffer
from dmtable.runtime.runtime import Worker
from dmtable.sim.cache import Image
from dmtable.sim.ink import stamp
from dmtable.sim.workload import Client, Flush, Workload, Write
from dmtable.sim.world import World
from dmtable.units import SECTOR_BYTES
from tests.proving.reference import Defect, Entry, Reference, Replicator

AFTERWARDS: Workload = ((Write(0, 0),),)
_FIRST_TAG_AFTERWARDS = 1000

Sectors = tuple[int, ...]
"""The content of a disk: for each sector the number of its content."""
Images = tuple[Sectors, ...]
DiskState = tuple[Sectors, tuple[tuple[int, Sectors], ...]]
"""What is durable, and the versions of each sector that are not."""
State = tuple[DiskState, ...]
Place = tuple[int, int, int]
"""An entry of the history: device, sector, tag."""

_numbers: dict[bytes, int] = {bytes(SECTOR_BYTES): 0}
_contents: list[bytes] = [bytes(SECTOR_BYTES)]


BLANK: Images = tuple((0,) * sectors for sectors in Reference.disks.values())


class Seen(NamedTuple):
    """A point at which the power may fail. `rest` is what a recovery came to, where work goes on behind it."""

    state: State
    entered: tuple[Place, ...]
    durable: int
    rest: Images | None


class Disk(BlockDevice):
    """A disk with a cache; `watch` is called before each write and flush, and after each sector."""

    size_bytes = 0

    def __init__(self, name: str, image: Sectors, watch: Callable[[], None]) -> None:
        self.name = name
        self.size_bytes = len(image) * SECTOR_BYTES
        self.newest = [*image]
        self.durable = image
        self.unflushed: dict[int, Sectors] = {}
        self.state: DiskState = (image, ())
        self._watch = watch

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        raise NotImplementedError

    def pread(self, length: int, offset: int) -> bytes:
        first = offset // SECTOR_BYTES
        return b"".join(_contents[number] for number in self.newest[first : first + length // SECTOR_BYTES])

    def pwrite(self, data: Buffer, offset: int) -> int:
        self._watch()
        content = bytes(data)
        for begin in range(0, len(content), SECTOR_BYTES):
            at = (offset + begin) // SECTOR_BYTES
            number = _number(content[begin : begin + SECTOR_BYTES])
            self.newest[at] = number
            self.unflushed[at] = (*self.unflushed.get(at, ()), number)
            self.state = self.durable, tuple(sorted(self.unflushed.items()))
            self._watch()
        return len(content)

    def flush(self) -> None:
        self._watch()
        self.durable = tuple(self.newest)
        self.unflushed.clear()
        self.state = self.durable, ()
        self._watch()

    def discard(self, offset: int, length: int) -> None:
        raise NotImplementedError

    def write_zeroes(self, offset: int, length: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Turn:
    """A Worker, and whether it may have a turn."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.ready = True

    def wake(self) -> None:
        self.ready = True

    def stop(self) -> None:
        raise NotImplementedError

    def take(self) -> None:
        self.ready = False
        if self.worker.step():
            self.ready = True


class Machine:
    """A replicator at work, of which every turn is decided from outside. Also the runtime that it asks for."""

    def __init__(self, defect: Defect | None, images: Images, workload: Workload, afterwards: Workload = ()) -> None:
        """At rest it goes on with the work afterwards."""
        self.turns: list[Turn] = []
        self.seen: set[Seen] = set()
        self.entered: list[Place] = []
        self.acknowledged = self.durable = 0
        self.rest: Images | None = None
        self.watching = True
        self.disks = {name: Disk(name, image, self.watch) for name, image in zip(Reference.disks, images, strict=True)}
        self.runtime = self
        self._afterwards = afterwards
        sites: list[list[BlockDevice]] = [[self.disks[name] for name in site] for site in Reference.sites]
        self.clients: list[_Client] = []
        self.group = Replicator(cast(World, self), self._entered, sites, defect)
        self._begin(workload, 1)

    def start(self, worker: Worker) -> Turn:
        self.turns.append(Turn(worker))
        return self.turns[-1]

    def sometimes(self, state: str) -> None:
        """Nobody counts."""

    def ready(self) -> list[int]:
        """Who may have the next turn; where nobody may, the work behind the recovery begins."""
        ready = [number for number, turn in enumerate(self.turns) if turn.ready]
        if not ready and self._afterwards:
            self.rest = self.images()
            self.entered.clear()
            work, self._afterwards = self._afterwards, ()
            self._begin(work, _FIRST_TAG_AFTERWARDS)
            return [len(self.turns) - 1]
        return ready

    def take(self, number: int) -> None:
        """Somebody has a turn."""
        self.turns[number].take()
        self.watch()

    def watch(self) -> None:
        """The power may fail here."""
        if self.watching:
            self.seen.add(Seen(self.state(), tuple(self.entered), self.durable, self.rest))

    def state(self) -> State:
        return tuple([disk.state for disk in self.disks.values()])

    def images(self) -> Images:
        """What the disks show."""
        return tuple([tuple(disk.newest) for disk in self.disks.values()])

    def mark(self) -> Hashable:
        """All that can matter from now on."""
        fields = vars(self.group).items()
        return (
            self.state(),
            tuple(self.entered),
            self.acknowledged,
            self.durable,
            self.rest,
            tuple([turn.ready for turn in self.turns]),
            tuple([_frozen(value) for _, value in fields]),
            tuple([_frozen(value) for turn in self.turns for value in vars(turn.worker).values()]),
        )

    def _begin(self, workload: Workload, tag: int) -> None:
        for operations in workload:
            client = _Client(self, operations, tag)
            tag += len(operations)
            self.clients.append(client)
            client.turn = self.start(client)

    def _entered(self, device: int, bio: Bio) -> None:
        self.entered.append((device, bio.sector, _tag(bio)))


class _Client(Worker):
    """One request after the other."""

    name = "client"
    turn: Turn

    def __init__(self, machine: Machine, operations: Client, tag: int) -> None:
        self.left = operations
        self.waits = False
        self._machine = machine
        self._tag = tag

    def step(self) -> bool:
        if self.waits or not self.left:
            return False
        operation, *rest = self.left
        self.left, self.waits = tuple(rest), True
        machine, upto = self._machine, self._machine.acknowledged
        if isinstance(operation, Flush):
            bio = Bio(Op.FLUSH, 0, 0)
        else:
            assert isinstance(operation, Write)
            content = memoryview(stamp(self._tag, operation.device, operation.sector, 1))
            bio = Bio(Op.WRITE, operation.sector, 1, content, fua=operation.fua)
        self._tag += 1

        def done() -> None:
            self.waits = False
            self.turn.wake()
            if isinstance(operation, Flush):
                machine.durable = max(machine.durable, upto)
                return
            number = [tag for *_, tag in machine.entered].index(_tag(bio)) + 1
            machine.acknowledged = max(machine.acknowledged, number)
            if bio.fua:
                machine.durable = max(machine.durable, number)

        bio.on_done(done)
        machine.group.submit(operation.device, bio)
        return True


@dataclass(slots=True)
class Ways:
    """What can happen in a life."""

    seen: set[Seen] = field(default_factory=set)
    ends: set[tuple[Images, tuple[Place, ...], Images | None]] = field(default_factory=set)
    """At rest: what the disks show, what was entered, and what the recovery before came to."""
    rests: set[Images] = field(default_factory=set)
    """What a recovery came to before work went on."""
    wrong: str = ""
    runs: int = 0


def every_way(start: Callable[[], Machine], *, merged: bool = True) -> Ways:
    """All turns in every order. Each branch runs again from the start, for generators cannot be copied."""
    ways = Ways()
    marks: set[Hashable] = set()
    branches: list[tuple[int, ...]] = [()]
    while branches and not ways.wrong:
        try:
            _follow(start, branches, marks if merged else None, ways)
        except Exception as error:
            ways.wrong = f"raised {error!r}"
    return ways


def _follow(
    start: Callable[[], Machine], branches: list[tuple[int, ...]], marks: set[Hashable] | None, ways: Ways
) -> None:
    """The last branch to its end, or to a state where others were; what it passes by are new branches."""
    ways.runs += 1
    way = branches.pop()
    machine = start()
    machine.watching = False
    for at, number in enumerate(way, 1):
        machine.ready()
        # All but the last turn of a branch were watched when it was left.
        machine.watching = at == len(way)
        machine.take(number)
    machine.watching = True
    path = list(way)
    while True:
        if marks is not None:
            mark = machine.mark()
            if mark in marks:
                break
            marks.add(mark)
        ready = machine.ready()
        if machine.rest is not None:
            ways.rests.add(machine.rest)
        if not ready:
            ways.rests.add(machine.rest or machine.images())
            if any(client.left or client.waits for client in machine.clients):
                ways.wrong = "a client waits for ever"
            ways.ends.add((machine.images(), tuple(machine.entered), machine.rest))
            break
        branches.extend((*path, other) for other in ready[1:])
        path.append(ready[0])
        machine.take(ready[0])
    ways.seen |= machine.seen


class Flaw(Exception):
    """What brute force found."""


@dataclass(frozen=True, slots=True)
class _Recovery:
    """What opening a group on some images can lead to, whoever runs when."""

    ways: Ways
    images: frozenset[Images]
    """What a power loss in it may leave."""
    images_afterwards: frozenset[tuple[Images, Images, tuple[Place, ...], int]]
    """And one in the work behind it: what the recovery came to, what is left, what was entered, what is durable."""


class Brute:
    """All that can happen to a replicator, judged. What a recovery does is found out once for equal images."""

    def __init__(self, defect: Defect | None, *, crashes: int = 2) -> None:
        self.visited: set[tuple[Images, tuple[Place, ...]]] = set()
        """What power losses in the first life may leave, and the history behind it."""
        self._defect = defect
        self._crashes = crashes
        self._recoveries: dict[tuple[Images, bool], _Recovery] = {}
        self._judged: set[tuple[Images, tuple[Place, ...], int, int]] = set()

    def explore(self, workload: Workload) -> None:
        """Raises Flaw."""
        ways = every_way(lambda: Machine(self._defect, BLANK, workload))
        if ways.wrong:
            raise Flaw(ways.wrong)
        for images, entered, _ in ways.ends:
            self._at_rest(images, entered, len(entered))
        for seen in ways.seen:
            for images in surviving(seen.state):
                self.visited.add((images, seen.entered))
                self._power_failed(images, seen.entered, seen.durable, self._crashes - 1)

    def _power_failed(self, images: Images, entered: tuple[Place, ...], durable: int, crashes: int) -> None:
        key = (images, entered, durable, crashes)
        if key in self._judged:
            return
        self._judged.add(key)
        for site in range(1, len(Reference.sites)):
            if _whole(images, site, entered) is None:
                raise Flaw(f"site {site} holds no prefix")
        recovery = self._recover(images, crashes > 0)
        whole = {rest: self._at_rest(rest, entered, durable) for rest in recovery.ways.rests}
        for again in recovery.images:
            self._power_failed(again, entered, durable, crashes - 1)
        for rest, again, worked, durably in recovery.images_afterwards:
            behind = (*entered[: whole[rest]], *worked)
            self._power_failed(again, behind, whole[rest] + durably, crashes - 1)
        for end, worked, rest_before in recovery.ways.ends:
            if rest_before is not None:
                behind = (*entered[: whole[rest_before]], *worked)
                self._at_rest(end, behind, len(behind))

    def _recover(self, images: Images, work: bool) -> _Recovery:
        known = self._recoveries.get((images, work))
        if known is None:
            ways = every_way(lambda: Machine(self._defect, images, (), AFTERWARDS if work else ()))
            if ways.wrong:
                raise Flaw(ways.wrong)
            during: set[Images] = set()
            behind: set[tuple[Images, Images, tuple[Place, ...], int]] = set()
            for seen in ways.seen if work else ():
                left = surviving(seen.state)
                if seen.rest is None:
                    during.update(left)
                else:
                    behind.update((seen.rest, one, seen.entered, seen.durable) for one in left)
            known = self._recoveries[images, work] = _Recovery(ways, frozenset(during), frozenset(behind))
        return known

    def _at_rest(self, images: Images, entered: tuple[Place, ...], durable: int) -> int:
        """How much of the history all sites hold."""
        if any(_shown(images, site) != _shown(images, 0) for site in range(1, len(Reference.sites))):
            raise Flaw("the sites differ at rest")
        whole = _whole(images, 0, entered)
        if whole is None:
            raise Flaw("no prefix at rest")
        if whole < durable:
            raise Flaw(f"only {whole} of {durable} entries at rest")
        return whole


def _shown(images: Images, site: int) -> Images:
    return tuple([images[list(Reference.disks).index(name)] for name in Reference.sites[site]])


def _whole(images: Images, site: int, entered: tuple[Place, ...]) -> int | None:
    """Which prefix of the history a site shows; None where it is none."""
    shown = _shown(images, site)
    expected = [[0] * sectors for sectors in Reference.device_sectors]
    for number in range(len(entered) + 1):
        if shown == tuple(map(tuple, expected)):
            return number
        if number < len(entered):
            device, sector, tag = entered[number]
            expected[device][sector] = _number(stamp(tag, device, sector, 1))
    return None


def surviving(state: State) -> Iterator[Images]:
    """Everything that a power loss may leave."""
    options = []
    for durable, unflushed in state:
        images = []
        for chosen in itertools.product(*[{durable[at], *versions} for at, versions in unflushed]):
            image = [*durable]
            for (at, _), number in zip(unflushed, chosen, strict=True):
                image[at] = number
            images.append(tuple(image))
        options.append(images)
    return itertools.product(*options)


def contents(images: Images) -> tuple[Image, ...]:
    """What the numbers stand for."""
    return tuple([tuple([_contents[number] for number in image]) for image in images])


def _number(content: bytes) -> int:
    number = _numbers.get(content)
    if number is None:
        number = _numbers[content] = len(_contents)
        _contents.append(content)
    return number


def _tag(bio: Bio) -> int:
    return 0 if bio.data is None else int.from_bytes(bio.data[:8], "little")


def _frozen(value: Any) -> Hashable:
    """A value that is equal where the other is in all that can matter."""
    freeze = _FREEZE.get(type(value))
    return freeze(value) if freeze is not None else type(value).__name__


def _frozen_sequence(values: Iterable[Any]) -> Hashable:
    return tuple([_frozen(value) for value in values])


def _frozen_entry(entry: Entry) -> Hashable:
    bio = None if entry.bio is None else _frozen_bio(entry.bio)
    place = entry.sequence, entry.generation, entry.device, entry.sector, entry.content
    return (*place, entry.durable, frozenset(entry.owed), bio)


def _frozen_bio(bio: Bio) -> Hashable:
    return bio.op, _tag(bio), bio.done


def _frozen_generator(steps: GeneratorType[Any, Any, Any]) -> Hashable:
    frame = steps.gi_frame
    if frame is None:
        return "over"
    values = tuple([_frozen(value) for value in frame.f_locals.values()])
    return steps.gi_code.co_name, frame.f_lasti, values, _frozen(steps.gi_yieldfrom)


def _same(value: Hashable) -> Hashable:
    return value


_FREEZE: dict[type, Callable[[Any], Hashable]] = {
    **dict.fromkeys((bool, int, bytes, str, type(None), Defect, Write, Flush), _same),
    **dict.fromkeys((list, tuple, deque), _frozen_sequence),
    Entry: _frozen_entry,
    Bio: _frozen_bio,
    GeneratorType: _frozen_generator,
    Disk: lambda disk: disk.name,
}
"""What else there is, is the same throughout a life: the machine, methods, Workers."""
