"""The explorer: every point at which a crash can come, and everything that can be left after it.

One run of a workload under one order of turns passes through many moments; at each, the power fails everywhere, or only
here, or merely the process dies, and any choice of old and new versions of the unflushed sectors is a crash state. For
each the remote sites are judged as they stand; then the group is opened on it by the code under proof, comes to rest,
and is judged again; and the same once more for every moment of that recovery, and of some work beside and behind it.

Five reductions make this cheap. The first three are exact; what they leave is compared with brute force at two writes:

1. A crash matters only just before a call that can change a disk, and when all is at rest: between two such calls the
   disks stay as they are, and promises only grow.
2. Two moments with the same durable and unflushed sectors, history and promises have the same crash states.
3. What recovery does depends on the disks alone, the verdict on images and history; each is found out once.
4. Orders of turns are those that leave the ordinary one a few times (delay bounding).
5. Recovery, and the work that follows, run in one order each, or in that of a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dmtable.sim.breach import Breach, Flaw
from dmtable.sim.cache import State
from dmtable.sim.choices import Choices, exhaustive
from dmtable.sim.crash_states import CrashStates, Ids
from dmtable.sim.faults import Faults
from dmtable.sim.life import Life, Moment, created
from dmtable.sim.order import Entry, History, Prefix
from dmtable.sim.recovery import Recovery, Work, recover
from dmtable.sim.script import Act, Script
from dmtable.sim.subject import Subject, examine
from dmtable.sim.verdict import at_rest, entries, judged, standing
from dmtable.sim.workload import Workload


class Flawed(Exception):
    """The group does not keep what it promises; the script shows it again."""

    def __init__(self, breach: Breach, script: Script) -> None:
        super().__init__(str(breach))
        self.breach = breach
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
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class _Crash:
    """How a life ended: the moment, and what the disks held then."""

    life: _Life
    moment: Moment
    disks: Mapping[str, State]


@dataclass(slots=True)
class _Outcome:
    """What a crash state leads to, and with which promises and how many more power losses it was explored."""

    standing: tuple[Prefix | Breach, ...]
    whole: int
    explored: list[_Promised]
    """Each as it was: that all of one came up says nothing of all at once."""
    is_prefix: bool
    """Whether all sites as they stand are."""

    def was_explored(self, promised: _Promised) -> bool:
        """Whether as much was promised before, and as many crashes followed."""
        return any(
            all(map(int.__ge__, before[:3], promised[:3])) and before.unordered <= promised.unordered
            for before in self.explored
        )


class _Promised(NamedTuple):
    """What holds of a crash state: how many more crashes may follow, and the rest as the moment says."""

    crashes: int
    durable: int
    acknowledged: int
    unordered: frozenset[int]


class Explorer:
    """Explores one subject. What was visited is remembered from run to run and from workload to workload."""

    def __init__(
        self, subject: Subject, *, crashes: int = 2, most_images: int | None = None, seed: int | None = None
    ) -> None:
        """`crashes` power losses one after the other are explored, of a subject without write order just one; where
        a moment has more than `most_images` crash states, so many of them are drawn. With a `seed`, recoveries have
        an order of turns of their own.

        Raises UsageError where the subject's sites, disks and devices do not fit together.
        """
        examine(subject)
        self.subject = subject
        self.statistics = Statistics()
        self._crashes = crashes if subject.ordered else 1
        self._seed = seed
        self._is_bounded = bool(subject.synchronous or subject.lacking)
        self._states = CrashStates(subject, most=most_images, seed=seed or 0)
        self._sites = [[self._states.names.index(name) for name in site] for site in subject.sites]
        self._histories: list[History] = []
        self._history_ids: dict[tuple[Entry, ...], int] = {}
        self._clouds: dict[tuple[object, ...], int] = {}
        self._outcomes: dict[tuple[Ids, int], _Outcome] = {}
        self._verdicts: dict[tuple[int, int, Ids], Prefix | Breach] = {}
        self._recoveries: dict[tuple[Ids, int], Recovery] = {}
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

    def run(
        self,
        workload: Workload,
        choices: Choices,
        *,
        weather: bool = False,
        faults: Faults | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """One run in the order of turns that the choices give, and every power loss on its way. Raises Flawed.

        In `weather` links and disks fail now and then, as the choices decide too; without, as `faults` say, of which
        a script tells nothing. Once `stopped` says so it ends with the moment that it is at.
        """
        history = History(self.subject.device_sectors)
        life = Life(self.subject, self._created, history, choices=choices, weather=weather, faults=faults, watched=True)
        breach = life.live(workload)
        self.statistics.runs += 1
        self.statistics.sightings += life.world.sightings
        known = [self._history_id(history.entries[:number]) for number in range(len(history.entries) + 1)]
        if breach is None and not life.is_maimed:
            breach = self._at_rest(known[-1], self._states.ids(life.images()), len(history.entries))
        life.close()
        way = _Life(None, workload, tuple(choices.script), weather)
        if breach is not None:
            raise Flawed(breach, self._script(way))
        for moment in life.moments:
            if stopped():
                return
            self._power_fails(moment, known[moment.entered], self._crashes - 1, way)

    def _power_fails(self, moment: Moment, history: int, crashes: int, life: _Life) -> None:
        """Every crash state of a moment; as many crashes may follow."""
        self.statistics.moments += 1
        explored = _Promised(crashes, moment.durable, moment.acknowledged, moment.unordered or frozenset())
        cloud = (*moment.disks, history, explored)
        known = self._clouds.get(cloud)
        if known is not None:
            self.statistics.covered += known
            return
        count = 0
        for ids in self._states.crashed(moment.disks):
            count += 1
            outcome = self._outcomes.get((ids, history))
            if outcome is None or not outcome.was_explored(explored):
                outcome = self._visit(ids, history, moment, crashes, life)
            if self._is_bounded or not outcome.is_prefix:
                for breach in standing(self.subject, outcome.standing, moment.acknowledged, moment.unordered):
                    raise Flawed(breach, self._script(self._crash(life, moment, ids)))
            if outcome.whole < moment.durable:
                text = f"at rest the group holds {entries(outcome.whole)}, and must hold {moment.durable}"
                again = _Life(self._crash(life, moment, ids), (), self._recover(ids, crashes).schedule)
                raise Flawed(Breach(Flaw.LOST, text), self._script(again))
        self._clouds[cloud] = count
        self.statistics.covered += count

    def _visit(self, ids: Ids, history: int, moment: Moment, crashes: int, life: _Life) -> _Outcome:
        """Judges a crash state, opens the group on it and judges that, and goes on from there."""
        crash = self._crash(life, moment, ids)
        remote = tuple([self._verdict(history, site, ids) for site in range(1, len(self._sites))])
        for breach in standing(self.subject, remote, moment.acknowledged, moment.unordered):
            raise Flawed(breach, self._script(crash))
        recovery = self._recover(ids, crashes)
        rested = self._states.ids(recovery.images)
        if found := recovery.breach or self._at_rest(history, rested, moment.durable):
            raise Flawed(found, self._script(_Life(crash, (), recovery.schedule)))
        recovered = self._verdict(history, 0, rested)
        assert isinstance(recovered, Prefix)
        if crashes:
            self._go_on(recovery, history, recovered.whole, moment, crashes - 1, crash)
        known = self._outcomes.get((ids, history))
        if known is None:
            self.statistics.visited += 1
            is_prefix = not any(isinstance(verdict, Breach) for verdict in remote)
            known = self._outcomes[ids, history] = _Outcome(remote, recovered.whole, [], is_prefix)
        promised = _Promised(crashes, moment.durable, moment.acknowledged, moment.unordered or frozenset())
        known.explored.append(promised)
        return known

    def _go_on(
        self, recovery: Recovery, history: int, whole: int, promised: Moment, crashes: int, begins: _Crash
    ) -> None:
        """The power fails again, during the recovery or the work."""
        for moment in recovery.moments:
            shown = promised.unordered if moment.unordered is None else moment.unordered
            during = moment._replace(durable=promised.durable, acknowledged=promised.acknowledged, unordered=shown)
            self._power_fails(during, history, crashes, _Life(begins, (), recovery.schedule))
        for work in recovery.works:
            self._go_on_working(work, history, whole, promised, crashes, begins)

    def _go_on_working(
        self, work: Work, history: int, whole: int, promised: Moment, crashes: int, begins: _Crash
    ) -> None:
        life = _Life(begins, work.workload, work.schedule, at_once=work.at_once)
        kept = self._histories[history].entries[:whole]
        entered = [replace(entry, behind=whole + entry.behind) if entry.behind else entry for entry in work.entries]
        known = [self._history_id([*kept, *entered[:number]]) for number in range(len(entered) + 1)]
        if breach := work.breach or self._at_rest(known[-1], self._states.ids(work.images), whole + len(work.entries)):
            raise Flawed(breach, self._script(life))
        # Until the first entry of the work nobody knows what a recovery that is under way will keep.
        recovered = promised.durable if work.at_once else whole
        if work.at_once:
            known[0] = history
        for moment in work.moments:
            later = moment._replace(
                durable=whole + moment.durable if moment.durable else recovered,
                acknowledged=whole + moment.acknowledged if moment.acknowledged else min(promised.acknowledged, whole),
                unordered=promised.unordered if moment.unordered is None else moment.unordered,
            )
            self._power_fails(later, known[moment.entered], crashes, life)

    def _recover(self, ids: Ids, crashes: int) -> Recovery:
        """What opening the group does on these disks."""
        known = self._recoveries.get((ids, crashes))
        if known is None:
            known = recover(self.subject, self._states.disks(ids), crashes=crashes, seed=self._seed)
            self._recoveries[ids, crashes] = known
            self.statistics.recoveries += 1
            self.statistics.sightings += known.sightings
        return known

    def _at_rest(self, history: int, ids: Ids, durable: int) -> Breach | None:
        """What is wrong with a group that shows these images at rest, and must hold that many entries."""
        verdicts = [self._verdict(history, site, ids) for site in range(len(self._sites))]
        return at_rest(self.subject, verdicts, self._states.shown(ids), durable)

    def _verdict(self, history: int, site: int, ids: Ids) -> Prefix | Breach:
        """How far a site is."""
        known = self._verdicts.get((history, site, key := tuple([ids[disk] for disk in self._sites[site]])))
        if known is None:
            known = judged(self.subject, site, self._histories[history], self._states.shown(ids))
            self._verdicts[history, site, key] = known
        return known

    def _history_id(self, entries: Sequence[Entry]) -> int:
        key = tuple(entries)
        number = self._history_ids.get(key)
        if number is None:
            number = self._history_ids[key] = len(self._histories)
            self._histories.append(History(self.subject.device_sectors, entries))
        return number

    def _crash(self, life: _Life, moment: Moment, ids: Ids) -> _Crash:
        return _Crash(life, moment, self._states.disks(ids))

    def _script(self, last: _Life | _Crash) -> Script:
        """The lives that led there."""
        acts: list[Act] = []
        step: _Life | _Crash | None = last
        while step is not None:
            life = step if isinstance(step, _Life) else step.life
            act = Act(life.workload, life.schedule, weather=life.weather, at_once=life.at_once)
            if isinstance(step, _Crash):
                act = _ended(act, step)
            acts.append(act)
            step = life.begins
        return Script(tuple(reversed(acts)))


def _ended(act: Act, crash: _Crash) -> Act:
    """The act with its end: which disks kept their caches, and which versions of the unflushed sectors survived."""
    keeps, survivors = [], {}
    for (name, after), (image, unflushed) in zip(crash.disks.items(), crash.moment.disks, strict=True):
        if after[1]:
            keeps.append(name)
        elif kept := {at: versions.index(after[0][at]) + 1 for at, versions in unflushed if after[0][at] != image[at]}:
            survivors[name] = kept
    return replace(act, power_fails_before=crash.moment.call, survivors=survivors, keeps=tuple(keeps))
