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

import dis
import itertools
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import CodeType, GeneratorType
from typing import Any, cast

from dmtable.core.bio import Bio, Op
from dmtable.io.device import BlockDevice, Buffer
from dmtable.runtime.runtime import Worker
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
State = tuple[tuple[Sectors, tuple[tuple[int, Sectors], ...]], ...]
"""Of each disk what is durable, and the versions of each sector that are not."""
Place = tuple[int, int, int]
"""An entry of the history: device, sector, tag."""

_numbers: dict[bytes, int] = {bytes(SECTOR_BYTES): 0}
_contents: list[bytes] = [bytes(SECTOR_BYTES)]


@dataclass(frozen=True, slots=True)
class Seen:
    """A point at which the power may fail. `rest` is what a recovery came to, where work goes on behind it."""

    state: State
    entered: tuple[Place, ...]
    durable: int
    rest: Images | None


class Disk(BlockDevice):
    """A disk with a cache; `watch` is called after each sector that it takes, and after each flush."""

    size_bytes = 0

    def __init__(self, name: str, image: Sectors, watch: Callable[[], None]) -> None:
        self.name = name
        self.size_bytes = len(image) * SECTOR_BYTES
        self.newest = [*image]
        self.durable = image
        self.unflushed: dict[int, Sectors] = {}
        self._watch = watch

    def state(self) -> tuple[Sectors, tuple[tuple[int, Sectors], ...]]:
        return self.durable, tuple(sorted(self.unflushed.items()))

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        raise NotImplementedError

    def pread(self, length: int, offset: int) -> bytes:
        first = offset // SECTOR_BYTES
        return b"".join(_contents[number] for number in self.newest[first : first + length // SECTOR_BYTES])

    def pwrite(self, data: Buffer, offset: int) -> int:
        content = bytes(data)
        for begin in range(0, len(content), SECTOR_BYTES):
            at = (offset + begin) // SECTOR_BYTES
            number = _number(content[begin : begin + SECTOR_BYTES])
            self.newest[at] = number
            self.unflushed[at] = (*self.unflushed.get(at, ()), number)
            self._watch()
        return len(content)

    def flush(self) -> None:
        self.durable = tuple(self.newest)
        self.unflushed.clear()
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
        return tuple([disk.state() for disk in self.disks.values()])

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
            if any(client.left or client.waits for client in machine.clients):
                ways.wrong = "a client waits for ever"
            ways.ends.add((machine.images(), tuple(machine.entered), machine.rest))
            break
        branches.extend((*path, other) for other in ready[1:])
        path.append(ready[0])
        machine.take(ready[0])
    ways.seen |= machine.seen


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


@cache
def _needed(code: CodeType, at: int) -> tuple[str, ...]:
    """The local variables that are read from there on before they are set. Nothing raises on these disks."""
    steps = list(dis.get_instructions(code))
    index = {step.offset: number for number, step in enumerate(steps)}
    needed: set[str] = set()
    been: set[tuple[int, frozenset[str]]] = set()
    heads = [(index[at] + 1, frozenset(("self",)))]
    while heads:
        head = heads.pop()
        if head in been:
            continue
        been.add(head)
        number, written = head
        step = steps[number]
        name = str(step.argval)
        if step.opname in ("LOAD_FAST", "LOAD_CLOSURE", "LOAD_DEREF") and name not in written:
            needed.add(name)
        elif step.opname == "STORE_FAST":
            written |= {name}
        if step.opcode in dis.hasjrel:
            heads.append((index[step.argval], written))
        if step.opname not in ("RETURN_VALUE", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD"):
            heads.append((number + 1, written))
    return tuple(sorted(needed))


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
    if value is None or isinstance(value, int | bytes | Defect):
        return value
    if isinstance(value, list | tuple) or type(value).__name__ == "deque":
        return tuple([_frozen(one) for one in value])
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, Entry):
        return tuple([_frozen(getattr(value, name)) for name in Entry.__slots__])
    if isinstance(value, Bio):
        return value.op, _tag(value), value.done
    if isinstance(value, GeneratorType):
        frame = value.gi_frame
        if frame is None:
            return "over"
        return (
            value.gi_code.co_name,
            frame.f_lasti,
            tuple([_frozen(frame.f_locals.get(name)) for name in _needed(frame.f_code, frame.f_lasti)]),
            _frozen(value.gi_yieldfrom),
        )
    if isinstance(value, Write | Flush):
        return value
    return value.name if isinstance(value, Disk) else type(value).__name__
