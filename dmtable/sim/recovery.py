"""What opening a group does on the disks that a crash has left, and a little work while and after it recovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmtable.sim.breach import Breach
from dmtable.sim.cache import Image, State
from dmtable.sim.choices import Choices, InTurn, Ordinary, Seeded
from dmtable.sim.life import Life, Moment
from dmtable.sim.order import Entry, History
from dmtable.sim.subject import Subject
from dmtable.sim.workload import Flush, Workload, Write

AFTERWARDS: Workload = ((Write(0, 0), Flush(0)),)
"""Done when the recovery has come to rest, so that what an earlier life left behind can do its harm."""
AT_ONCE: Workload = ((Write(0, 0, fua=True),),)
"""Done while the group still recovers."""
_TAGS_OF_A_LIFE = 1 << 20


@dataclass(frozen=True, slots=True)
class Work:
    """A little work in a group that was opened again."""

    workload: Workload
    at_once: bool
    """It did not wait until the recovery had come to rest."""
    schedule: tuple[int, ...]
    moments: Sequence[Moment]
    entries: Sequence[Entry]
    """What it entered."""
    images: Mapping[str, Image]
    """At rest, afterwards."""
    breach: Breach | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """A group that was opened again, and the work that followed, where any should."""

    schedule: tuple[int, ...]
    moments: Sequence[Moment]
    images: Mapping[str, Image]
    """At rest, before the work."""
    breach: Breach | None
    works: Sequence[Work]
    sightings: Counter[str]


def recover(subject: Subject, disks: Mapping[str, State], *, crashes: int, seed: int | None) -> Recovery:
    """Opens the group in the ordinary order of turns, or in that of a seed.

    Where as many more `crashes` may follow there is some work, too: behind the recovery, and, in a life of its own
    in which all take turns, together with it.
    """
    life = _reborn(subject, disks, crashes, Ordinary() if seed is None else Seeded(seed, "recovery"))
    breach = life.live()
    recovery_moments, life.moments = life.moments, []
    schedule, images = tuple(life.world.choices.script), life.images()
    works = []
    sightings = life.world.sightings
    if crashes and breach is None:
        works.append(_worked(life, AFTERWARDS, at_once=False))
        busy = _reborn(subject, disks, crashes, InTurn() if seed is None else Seeded(seed, "busy recovery"))
        works.append(_worked(busy, AT_ONCE, at_once=True))
        sightings = sightings + busy.world.sightings
    life.close()
    return Recovery(schedule, recovery_moments, images, breach, works, sightings)


def _reborn(subject: Subject, disks: Mapping[str, State], crashes: int, choices: Choices) -> Life:
    history = History(subject.device_sectors)
    return Life(
        subject, disks, history, choices=choices, first_tag=(1 + crashes) * _TAGS_OF_A_LIFE, watched=crashes > 0
    )


def _worked(life: Life, workload: Workload, *, at_once: bool) -> Work:
    breach = life.live(workload, opening=at_once)
    schedule = tuple(life.world.choices.script)
    work = Work(workload, at_once, schedule, life.moments, life.history.entries, life.images(), breach)
    life.close()
    return work
