"""The explorer: every point at which the power can fail, and everything that can survive it.

One run of a workload under one order of turns passes through many moments; at each, any choice of old and new
versions of the unflushed sectors is a crash state. For each the remote sites are judged as they stand; then the
group is opened on it by the code under proof, comes to rest, and is judged again; and the same once more for every
moment of that recovery and of a little work behind it.

Five reductions make this cheap. The first three are exact; all are checked against brute force at two writes:

1. A power loss matters only just before a call that can change a disk, and when all is at rest: between two such
   calls the disks stay as they are, and promises only grow.
2. Two moments with the same durable and unflushed sectors, history and promises have the same crash states.
3. What recovery does depends on the images alone, the verdict on images and history; each is found out once.
4. Orders of turns are those that leave the ordinary one a few times (delay bounding).
5. Recovery, and the work behind it, run in the ordinary order.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dmtable.sim.cache import Image, State
from dmtable.sim.choices import Choices, Ordinary, Seeded, exhaustive
from dmtable.sim.finding import Finding, Flaw
from dmtable.sim.life import Life, Moment, created
from dmtable.sim.order import Entry, History, Prefix
from dmtable.sim.script import Act, Script
from dmtable.sim.subject import Subject, examine
from dmtable.sim.verdict import at_rest, entries, judged, standing
from dmtable.sim.workload import Workload, Write

AFTERWARDS: Workload = ((Write(0, 0),),)
"""What is done after a recovery, so that what an earlier life left behind can do its harm."""
_TAGS_OF_A_LIFE = 1 << 20

_T = TypeVar("_T")
_Ids = tuple[int, ...]
"""Images by number: those of all disks, or of some."""


class Flawed(Exception):
    """The group does not keep what it promises; the script shows it again."""

    def __init__(self, finding: Finding, script: Script) -> None:
        super().__init__(str(finding))
        self.finding = finding
        self.script = script


@dataclass(slots=True)
class Statistics:
    """How far an exploration came."""

    runs: int = 0
    moments: int = 0
    covered: int = 0
    """Crash states that were visited, or proved equal to one that was."""
    visited: int = 0
    """Distinct surviving images, each with the history behind it, that were judged and recovered from."""
    recoveries: int = 0
    sightings: Counter[str] = field(default_factory=Counter)

    def add(self, other: Statistics) -> None:
        """Counts what another exploration has reached too."""
        self.runs += other.runs
        self.moments += other.moments
        self.covered += other.covered
        self.visited += other.visited
        self.recoveries += other.recoveries
        self.sightings += other.sightings


@dataclass(frozen=True, slots=True)
class _Life:
    """How a life came about, for the script: its beginning, and what was done in it."""

    begins: _Crash | None
    workload: Workload
    schedule: tuple[int, ...] = ()
    weather: bool = False


@dataclass(frozen=True, slots=True)
class _Crash:
    """How a life ended: the moment, and what survived."""

    life: _Life
    moment: Moment
    images: Sequence[Image]


@dataclass(slots=True)
class _Outcome:
    """What a crash state leads to, and with which promises and how many more power losses it was explored."""

    standing: tuple[Prefix | Finding, ...]
    whole: int
    explored: list[tuple[int, int, int]]
    """Each as it was: that all three came up says nothing of all three at once."""


@dataclass(frozen=True, slots=True)
class _Recovery:
    """What opening a group on some images does, and a little work behind it."""

    images: _Ids
    """At rest, before the work."""
    finding: Finding | None
    moments: Sequence[Moment]
    working_from: int
    """The moments from this one on belong to the work."""
    entries: Sequence[Entry]
    """What the work entered."""
    images_afterwards: _Ids
    finding_afterwards: Finding | None


class Explorer:
    """Explores one subject. What was visited is remembered from run to run and from workload to workload."""

    def __init__(self, subject: Subject, *, crashes: int = 2, most_images: int | None = None) -> None:
        """`crashes` power losses one after the other are explored, of a subject without write order just one; where
        a moment has more than `most_images` crash states, so many of them are drawn.

        Raises UsageError where the subject's sites, disks and devices do not fit together.
        """
        examine(subject)
        self.subject = subject
        self.statistics = Statistics()
        self._crashes = crashes if subject.ordered else 1
        self.most_images = most_images
        self._names = list(subject.disks)
        self._sites = [[self._names.index(name) for name in site] for site in subject.sites]
        self._images: list[Image] = []
        self._ids: dict[Image, int] = {}
        self._survivors: dict[State, _Ids] = {}
        self._histories: list[History] = []
        self._history_ids: dict[tuple[Entry, ...], int] = {}
        self._clouds: dict[tuple[object, ...], int] = {}
        self._outcomes: dict[tuple[_Ids, int], _Outcome] = {}
        self._verdicts: dict[tuple[int, int, _Ids], Prefix | Finding] = {}
        self._recoveries: dict[tuple[_Ids, int], _Recovery] = {}
        self._created = created(subject)

    @property
    def visited(self) -> int:
        """How many crash states are remembered."""
        return len(self._outcomes)

    def take_statistics(self) -> Statistics:
        """What was reached since the last call."""
        taken, self.statistics = self.statistics, Statistics()
        return taken

    def explore(self, workload: Workload, *, departures: int | None = 2) -> None:
        """Every order of turns that leaves the ordinary one at most so often, and every power loss. Raises Flawed."""
        for choices in exhaustive(departures):
            self.run(workload, choices)

    def run(self, workload: Workload, choices: Choices, *, weather: bool = False) -> None:
        """One run in the order of turns that the choices give, and every power loss on its way. Raises Flawed.

        In `weather` links and disks fail now and then, as the choices decide too.
        """
        history = History(self.subject.device_sectors)
        life = Life(self.subject, self._created, history, choices=choices, weather=weather, watched=True)
        finding = life.live(workload)
        self.statistics.runs += 1
        self.statistics.sightings += life.world.sightings
        known = [self._history_id(history.entries[:number]) for number in range(len(history.entries) + 1)]
        if finding is None:
            finding = self._at_rest(known[-1], self._ids_of(life.images()), len(history.entries))
        life.close()
        way = _Life(None, workload, tuple(choices.script), weather)
        if finding is not None:
            raise Flawed(finding, self._script(way))
        for moment in life.moments:
            self._power_fails(moment, known[moment.entered], self._crashes - 1, way)

    def _power_fails(self, moment: Moment, history: int, crashes: int, life: _Life) -> None:
        """Every crash state of a moment; as many crashes may follow."""
        survivors = [self._surviving(state) for state in moment.disks]
        self.statistics.moments += 1
        cloud = (*survivors, history, moment.durable, moment.acknowledged, crashes)
        known = self._clouds.get(cloud)
        if known is not None:
            self.statistics.covered += known
            return
        count = 0
        explored = (crashes, moment.durable, moment.acknowledged)
        for ids in self._combinations(survivors):
            count += 1
            outcome = self._outcomes.get((ids, history))
            if outcome is None or not any(all(map(int.__ge__, so_far, explored)) for so_far in outcome.explored):
                outcome = self._visit(ids, history, moment, crashes, life)
            if self.subject.synchronous:
                for finding in standing(self.subject, outcome.standing, moment.acknowledged):
                    raise Flawed(finding, self._script(self._crash(life, moment, ids)))
            if outcome.whole < moment.durable:
                text = f"at rest the group holds {entries(outcome.whole)}, and must hold {moment.durable}"
                raise Flawed(Finding(Flaw.LOST, text), self._script(_Life(self._crash(life, moment, ids), ())))
        self._clouds[cloud] = count
        self.statistics.covered += count

    def _combinations(self, options: Sequence[Sequence[_T]]) -> Iterable[tuple[_T, ...]]:
        """One of each: every combination, or as many as are drawn where there are too many."""
        count = math.prod(map(len, options))
        if self.most_images is None or count <= self.most_images:
            return itertools.product(*options)
        draw = Seeded(count)
        drawn = [
            tuple([some[draw.pick(len(some), "what survives")] for some in options]) for _ in range(self.most_images)
        ]
        return dict.fromkeys([tuple([some[0] for some in options]), tuple([some[-1] for some in options]), *drawn])

    def _visit(self, ids: _Ids, history: int, moment: Moment, crashes: int, life: _Life) -> _Outcome:
        """Judges a crash state, opens the group on it and judges that, and goes on from there."""
        crash = self._crash(life, moment, ids)
        remote = tuple([self._verdict(history, site, ids) for site in range(1, len(self._sites))])
        for finding in standing(self.subject, remote, moment.acknowledged):
            raise Flawed(finding, self._script(crash))
        recovery = self._recover(ids, crashes)
        if found := recovery.finding or self._at_rest(history, recovery.images, moment.durable):
            raise Flawed(found, self._script(_Life(crash, ())))
        recovered = self._verdict(history, 0, recovery.images)
        assert isinstance(recovered, Prefix)
        if crashes:
            self._go_on(recovery, history, recovered.whole, moment, crashes - 1, _Life(crash, AFTERWARDS))
        known = self._outcomes.get((ids, history))
        if known is None:
            self.statistics.visited += 1
            known = self._outcomes[ids, history] = _Outcome(remote, recovered.whole, [])
        known.explored.append((crashes, moment.durable, moment.acknowledged))
        return known

    def _go_on(
        self, recovery: _Recovery, history: int, whole: int, promised: Moment, crashes: int, life: _Life
    ) -> None:
        """The power fails again, during the recovery or the work behind it."""
        for moment in recovery.moments[: recovery.working_from]:
            during = moment._replace(durable=promised.durable, acknowledged=promised.acknowledged)
            self._power_fails(during, history, crashes, _Life(life.begins, ()))
        kept = self._histories[history].entries[:whole]
        known = [self._history_id([*kept, *recovery.entries[:entered]]) for entered in range(len(recovery.entries) + 1)]
        finding = recovery.finding_afterwards
        if finding := finding or self._at_rest(known[-1], recovery.images_afterwards, whole + len(recovery.entries)):
            raise Flawed(finding, self._script(life))
        for moment in recovery.moments[recovery.working_from :]:
            later = moment._replace(
                durable=whole + moment.durable,
                acknowledged=whole + moment.acknowledged if moment.acknowledged else min(promised.acknowledged, whole),
            )
            self._power_fails(later, known[moment.entered], crashes, life)

    def _recover(self, ids: _Ids, crashes: int) -> _Recovery:
        """Opens the group on some images and lets it come to rest; if the power may fail again, some work is done."""
        known = self._recoveries.get((ids, crashes))
        if known is None:
            known = self._recoveries[ids, crashes] = self._opened(ids, crashes)
        return known

    def _opened(self, ids: _Ids, crashes: int) -> _Recovery:
        self.statistics.recoveries += 1
        images, history = self._by_name(ids), History(self.subject.device_sectors)
        first_tag = crashes * _TAGS_OF_A_LIFE
        life = Life(self.subject, images, history, choices=Ordinary(), first_tag=first_tag, watched=crashes > 0)
        finding = life.live()
        working_from, recovered = len(life.moments), self._ids_of(life.images())
        finding_afterwards = None
        if crashes and finding is None:
            finding_afterwards = life.live(AFTERWARDS, opening=False)
        self.statistics.sightings += life.world.sightings
        afterwards = self._ids_of(life.images())
        life.close()
        return _Recovery(
            recovered, finding, life.moments, working_from, history.entries, afterwards, finding_afterwards
        )

    def _at_rest(self, history: int, ids: _Ids, durable: int) -> Finding | None:
        """What is wrong with a group that shows these images at rest, and must hold that many entries."""
        verdicts = [self._verdict(history, site, ids) for site in range(len(self._sites))]
        return at_rest(self.subject, verdicts, self._by_name(ids), durable)

    def _verdict(self, history: int, site: int, ids: _Ids) -> Prefix | Finding:
        """How far a site is."""
        known = self._verdicts.get((history, site, key := tuple([ids[disk] for disk in self._sites[site]])))
        if known is None:
            known = judged(self.subject, site, self._histories[history], self._by_name(ids))
            self._verdicts[history, site, key] = known
        return known

    def _surviving(self, state: State) -> _Ids:
        """Every image of one disk that a power loss may leave."""
        known = self._survivors.get(state)
        if known is None:
            durable, unflushed = state
            options = [tuple(dict.fromkeys((durable[at], *versions))) for at, versions in unflushed]
            found = []
            for chosen in self._combinations(options):
                image = list(durable)
                for (at, _), sector in zip(unflushed, chosen, strict=True):
                    image[at] = sector
                found.append(self._image_id(tuple(image)))
            known = self._survivors[state] = tuple(found)
        return known

    def _by_name(self, ids: _Ids) -> dict[str, Image]:
        return {name: self._images[number] for name, number in zip(self._names, ids, strict=True)}

    def _ids_of(self, images: Mapping[str, Image]) -> _Ids:
        return tuple([self._image_id(images[name]) for name in self._names])

    def _image_id(self, image: Image) -> int:
        number = self._ids.get(image)
        if number is None:
            number = self._ids[image] = len(self._images)
            self._images.append(image)
        return number

    def _history_id(self, entries: Sequence[Entry]) -> int:
        key = tuple(entries)
        number = self._history_ids.get(key)
        if number is None:
            number = self._history_ids[key] = len(self._histories)
            self._histories.append(History(self.subject.device_sectors, entries))
        return number

    def _crash(self, life: _Life, moment: Moment, ids: _Ids) -> _Crash:
        return _Crash(life, moment, [self._images[number] for number in ids])

    def _script(self, last: _Life | _Crash) -> Script:
        """The lives that led there."""
        acts: list[Act] = []
        step: _Life | _Crash | None = last
        while step is not None:
            if isinstance(step, _Life):
                life = step
                acts.append(Act(life.workload, life.schedule, weather=life.weather))
            else:
                life = step.life
                acts.append(Act(life.workload, life.schedule, step.moment.call, self._kept(step), life.weather))
            step = life.begins
        return Script(tuple(reversed(acts)))

    def _kept(self, crash: _Crash) -> Mapping[str, Mapping[int, int]]:
        """Which versions of the unflushed sectors survived, where it was not the durable one."""
        kept = {
            name: {at: versions.index(image[at]) + 1 for at, versions in unflushed if image[at] != durable[at]}
            for name, (durable, unflushed), image in zip(self._names, crash.moment.disks, crash.images, strict=True)
        }
        return {name: versions for name, versions in kept.items() if versions}
