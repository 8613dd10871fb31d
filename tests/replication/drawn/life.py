"""A group with two devices and a site behind a link, lived with: what is done to it, and what must hold at any time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from dmtable import MappedDevice
from dmtable.core.bio import Bio, Op
from dmtable.errors import DmtableError
from dmtable.sim.choices import Choices, Seeded
from dmtable.sim.ink import stamp, tags, tags_of_bytes
from dmtable.sim.order import Prefix
from dmtable.sim.workload import Flush, Operation, Write, Zero
from dmtable.sim.world import World
from tests.replication.drawn.record import DEVICES, Record
from tests.replication.places import running
from tests.replication.simulated import DEVICE_SECTORS, OPEN, Place

LOG_SECTORS = (4096, 8192)
"""The sizes that a log may have, on a disk that has room for all."""
_SOON_SECONDS = 5
_LONG_SECONDS = 3600
"""What has not ended by then never will."""
_IN_MEMORY = "core 2 2048 "

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Far:
    """Policy and limit of the remote site: it may lack so many acknowledged writes while it is in order."""

    words: str
    lacks: float = math.inf
    epochs: bool = False


_FARS = (
    Far("asynchronous"),
    Far("asynchronous+stall"),
    Far("asynchronous+epoch", epochs=True),
    Far("asynchronous timeout 1000"),
    Far("asynchronous ios 3", lacks=3),
    Far("synchronous", lacks=0),
)


@dataclass(slots=True)
class Volume:
    """A device of the group: its md while it has one; `forgetful` where its dirty log is in memory; `deleted` from a
    message that took it from the remote site until it is there again."""

    number: int
    forgetful: bool
    md: MappedDevice | None = None
    deleted: bool = False


class Life:
    """One life. `say` hears what happens."""

    def __init__(self, seed: int, say: Callable[[str], None]) -> None:
        choices = Seeded(seed, "beginning")
        self.record = Record()
        self.place = Place(DEVICES, log_sectors=max(LOG_SECTORS), world=World(Seeded(seed, "world"), traced=False))
        self.far = _FARS[choices.pick(len(_FARS), "which policy")]
        self.volumes = [Volume(number, bool(choices.pick(2, "a dirty log in memory"))) for number in range(DEVICES)]
        self._say = say
        self._tag = 0
        self._unanswered: dict[Bio, Operation] = {}
        self._was_ordered = False
        """Whether the remote site was in order when the power failed."""
        log_sectors = LOG_SECTORS[choices.pick(len(LOG_SECTORS), "how large is the log")]
        self.say(f"the remote site is {self.far.words}; the log has {log_sectors} sectors")
        self._control = self.place.group(self.far.words, log=f"ringbuffer 4 /dev/log 0 create {log_sectors}")
        self._begin()
        for volume in self.volumes:
            volume.md = self.place.device(volume.number, _IN_MEMORY + "nosync" if volume.forgetful else "nosync")

    def say(self, text: str) -> None:
        self._say(f"{self.place.runtime.now():10.3f} {text}")

    def close(self) -> None:
        self.place.world.close()

    # Requests.

    def submit(self, operation: Operation) -> None:
        """Sends a request, if its device is there, and does not wait for it."""
        md = self.volumes[operation.device].md
        if md is None:
            return
        self._tag += 1
        bio, tag, record, world = _bio(operation, self._tag), self._tag, self.record, self.place.world
        before = record.acknowledged
        self._unanswered[bio] = operation

        def done() -> None:
            if world.power.on:
                del self._unanswered[bio]
                if not bio.error:
                    record.done(operation, tag, before)

        bio.on_done(done)
        self.say(f"  {tag}: {operation}")
        md.submit(bio)
        self.place.runtime.settle()

    # Tables and messages.

    def finish(self, act: Callable[[], _Answer]) -> _Answer:
        """Does something that blocks: it ends, though perhaps not before the link is healed."""
        process = self.place.runtime.spawn(act)
        self.place.runtime.pass_time(_SOON_SECONDS, lambda: process.done)
        if not process.done:
            self.say("  the link is healed, for somebody waits")
            self.place.link.heal()
            self.place.runtime.pass_time(_LONG_SECONDS, lambda: process.done)
        assert process.done, "what was asked for never ends"
        answer: _Answer = process.result()
        return answer

    def tell(self, message: str, md: MappedDevice | None = None) -> str | None:
        """Sends a message, to the group where no device is named; None where it is refused."""
        try:
            return self.finish(lambda: self.place.tell(self._control if md is None else md, message))
        except DmtableError as error:
            self.say(f"  {message}: {error}")
            return None

    def table(self, volume: Volume, choices: Choices) -> str:
        """A table for a device that has been here before: what its dirty log is to begin with is of no matter, unless
        the group forgot it."""
        if volume.deleted:
            word = "sync"
        elif volume.forgetful:
            word = "nosync"
        else:
            word = ("", "nosync", "sync")[choices.pick(3, "which word for the dirty log")]
        return self.place.device_table(volume.number, (_IN_MEMORY if volume.forgetful else "") + word)

    def bring_back(self, volume: Volume, choices: Choices) -> None:
        """Makes the md of a device, if it has none."""
        if volume.md is None:
            table = self.table(volume, choices)
            volume.md = self.finish(lambda: self.place.dm.create(f"v{volume.number}", table))
            volume.deleted = False

    def reload(self, volume: Volume, table: str) -> None:
        md = volume.md
        assert md is not None
        self.finish(lambda: self.place.reload(md, table))

    def remove(self, volume: Volume) -> None:
        md, volume.md = volume.md, None
        assert md is not None
        self.finish(lambda: self.place.dm.remove(md))

    def take_from_site(self, volume: Volume) -> None:
        """By a message."""
        volume.deleted = True
        self.tell("device del 1", volume.md)

    def add_to_site(self, volume: Volume) -> None:
        """By a message. Refused where the device is there."""
        words = self.place.device_table(volume.number, (_IN_MEMORY if volume.forgetful else "") + "sync")
        if self.tell(f"device add {words.split(' nolog 0 ')[1]}", volume.md) is not None:
            volume.deleted = False

    def remove_all(self) -> None:
        for volume in self.volumes:
            volume.md = None
        self.finish(self.place.remove_all)

    def open(self, choices: Choices) -> None:
        """Opens the group, which nobody has open."""
        self._control = self.finish(lambda: self.place.group(self.far.words, log=OPEN))
        self._begin()
        for volume in self.volumes:
            self.bring_back(volume, choices)

    def _begin(self) -> None:
        self.group = running(self.place.dm).group
        self.group.on_entered = self.record.entered
        self.place.world.power.watch = self._watch

    # Power.

    def lose_power(self, choices: Choices) -> None:
        """The power fails, if it has not yet, and comes back; then the local site holds what was promised."""
        power = self.place.world.power
        if power.on:
            self._was_ordered = self.is_ordered
        self.say(f"the power failed; {self.record.durable} of {len(self.record.history.entries)} entries are durable")
        self.place.lose_power()
        if choices.chance(3, "it fails once more"):
            self.place.world.power.cut_at = 1 + choices.pick(30, "before which call")
        self._unanswered.clear()
        remote = self._judge_remote() if self._was_ordered and self.record.is_order else None
        self._was_ordered = False
        for volume in self.volumes:
            volume.md = None
        self.open(choices)
        if self.record.is_order:
            local = self._judge(self._read(), "the local site after a power loss")
            assert local.whole == local.partial, f"entry {local.partial} is there in part"
            assert local.whole >= self.record.durable, (
                f"entry {self.record.durable} was durable, and {local.whole} are there"
            )
            assert remote is None or remote.partial <= local.whole, f"the remote site has {remote}, the local {local}"
            self.record.cut(local.whole)
            self.say(f"  {local.whole} entries are there")

    def _watch(self) -> None:
        power = self.place.world.power
        if power.calls + 1 == power.cut_at:
            self._was_ordered = self.is_ordered

    # What must hold.

    @property
    def is_ordered(self) -> bool:
        """Whether the group says that the remote site, with all devices, is in order."""
        site = self.group.sites[1]
        return len(site.link.devices) == DEVICES and site.ordered

    def look(self) -> None:
        """Judges the remote site as it stands."""
        assert not self.group.log.failed, f"the log failed: {list(self.place.dm.klog)[-3:]}"
        if self.is_ordered and self.record.is_order:
            held = self._judge_remote()
            assert held.whole >= self.record.acknowledged - self.far.lacks, (
                f"entry {self.record.acknowledged} was acknowledged, and the remote site holds {held.whole}"
            )

    def heal(self, choices: Choices) -> None:
        """Everything works again, and everybody may go on: in the end the places are equal."""
        self.say("everything is healed")
        self.place.world.power.cut_at = self.place.link.cut_at = None
        self.place.link.heal()
        for disk in self.place.world.disks.values():
            disk.latency_seconds = 0
        self.tell("start")
        for volume in self.volumes:
            self.bring_back(volume, choices)
            self.tell("start", volume.md)
            self.add_to_site(volume)
        for site in range(2):
            self.tell(f"slink resume {site}")
        self.place.runtime.pass_time(_LONG_SECONDS, lambda: running(self.place.dm).settled)
        assert running(self.place.dm).settled, f"never settles: {[self.place.info(md) for md in self.place.dm]}"
        self.place.wait(_SOON_SECONDS)
        assert not self._unanswered, f"never answered: {list(self._unanswered.values())}"
        assert self.place.equal(), "the places differ"
        if self.record.is_order:
            local = self._judge(self._read(), "the local site in the end")
            assert local.whole == len(self.record.history.entries), f"in the end only {local} is there"

    def _judge_remote(self) -> Prefix:
        disks = self.place.world.disks
        shown = [tag for number in range(DEVICES) for tag in tags(disks[f"r{number}"].image, number)]
        return self._judge(shown, "the remote site", epochs=self.far.epochs)

    def _judge(self, shown: list[int], where: str, *, epochs: bool = False) -> Prefix:
        verdict = self.record.judge(shown, epochs=epochs)
        assert isinstance(verdict, Prefix), f"{where}: {verdict}"
        return verdict

    def _read(self) -> list[int]:
        """The tags that an application sees."""
        shown: list[int] = []
        for volume in self.volumes:
            assert volume.md is not None
            content = self.finish(partial(volume.md.pread, DEVICE_SECTORS << 9, 0))
            shown += tags_of_bytes(content, volume.number)
        return shown


def _bio(operation: Operation, tag: int) -> Bio:
    match operation:
        case Write(device, sector, sectors, fua):
            return Bio(Op.WRITE, sector, sectors, memoryview(stamp(tag, device, sector, sectors)), fua=fua)
        case Zero(_, sector, sectors, discard):
            return Bio(Op.DISCARD if discard else Op.WRITE_ZEROES, sector, sectors)
        case Flush():
            return Bio(Op.FLUSH, 0, 0)
