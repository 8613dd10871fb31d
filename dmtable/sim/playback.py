"""Runs a script again, with power losses that really strike, and makes a failing one simpler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dmtable.errors import UsageError
from dmtable.sim.breach import Breach, Flaw
from dmtable.sim.cache import State, durable, shown
from dmtable.sim.choices import Scripted
from dmtable.sim.disk import SimDisk
from dmtable.sim.life import Life, created
from dmtable.sim.order import History
from dmtable.sim.power import PowerLoss
from dmtable.sim.runtime import Event
from dmtable.sim.script import Act, Script, shortened
from dmtable.sim.subject import Subject, examine
from dmtable.sim.verdict import at_rest, judged, standing
from dmtable.sim.workload import Flush

_MOST_TRIES = 3000
_CALLS_EARLIER = 12
"""A shorter act reaches the same point by fewer calls; so many fewer are tried."""


@dataclass(slots=True)
class _State:
    """What is left from the acts so far."""

    disks: Mapping[str, State]
    history: History
    durable: int = 0
    acknowledged: int = 0
    tags: int = 1
    unordered: frozenset[int] | None = None


def replay(subject: Subject, script: Script, trace: list[Event] | None = None) -> Breach | None:
    """What goes wrong when the script is played, if anything does; `trace` is told what happens.

    Raises UsageError where the script does not fit the subject.
    """
    _examine(subject, script)
    state = _State(created(subject), History(subject.device_sectors))
    for number, act in enumerate(script.acts):
        breach = _play(subject, act, state, first=number == 0, trace=trace)
        if breach is not None:
            return breach
    return None


def shrink(subject: Subject, script: Script, flaw: Flaw) -> Script:
    """A simpler script that shows the same flaw, as simple as single steps make it."""
    tries = 0
    improved = True
    while improved:
        improved = False
        for simpler in shortened(script):
            for shifted in _earlier(simpler):
                tries += 1
                if tries > _MOST_TRIES:
                    return script
                breach = replay(subject, shifted)
                if breach is not None and breach.flaw is flaw:
                    script, improved = shifted, True
                    break
            if improved:
                break
    return script


def _examine(subject: Subject, script: Script) -> None:
    examine(subject)
    if not script.acts:
        raise UsageError("the script has no acts: there is nothing to play")
    for number, act in enumerate(script.acts, 1):
        for operation in (operation for client in act.workload for operation in client):
            if not 0 <= operation.device < len(subject.device_sectors):
                raise UsageError(f"act {number} of the script: {operation}: there is no such device")
            if isinstance(operation, Flush):
                continue
            end, sectors = operation.sector + operation.sectors, subject.device_sectors[operation.device]
            if operation.sector < 0 or operation.sectors < 1 or end > sectors:
                raise UsageError(f"act {number} of the script: {operation}: the device has {sectors} sectors")
        for disk, kept in act.survivors.items():
            if disk not in subject.disks or not all(0 <= sector < subject.disks[disk] for sector in kept):
                raise UsageError(f"act {number} of the script: disk {disk!r} with sectors {list(kept)}: there are none")
        if unknown := [disk for disk in act.keeps if disk not in subject.disks]:
            raise UsageError(f"act {number} of the script: there is no disk {unknown[0]!r}")
        if act.power_fails_before is not None and act.power_fails_before < 1:
            raise UsageError(f"act {number} of the script: calls are numbered from 1, not {act.power_fails_before}")


def _play(subject: Subject, act: Act, state: _State, *, first: bool, trace: list[Event] | None) -> Breach | None:
    life = Life(
        subject,
        state.disks,
        History(subject.device_sectors),
        choices=Scripted(act.schedule),
        weather=act.weather,
        first_tag=state.tags,
        traced=trace is not None,
    )
    state.tags += sum(map(len, act.workload))
    power = life.world.power
    power.cut_at = act.power_fails_before
    try:
        breach = _live(subject, act, state, life, first=first)
    except PowerLoss:
        breach = None
    if life.unordered is not None:
        state.unordered = life.unordered
    state.disks = {name: _left(disk, act) for name, disk in life.world.disks.items()}
    if act.power_fails_before is not None and breach is None:
        images = {name: shown(left) for name, left in state.disks.items()}
        remote = [judged(subject, site, state.history, images) for site in range(1, len(subject.sites))]
        breach = next(standing(subject, remote, state.acknowledged, state.unordered), None)
    if trace is not None and life.world.trace is not None:
        trace.extend(life.world.trace)
    life.close()
    return breach


def _live(subject: Subject, act: Act, state: _State, life: Life, *, first: bool) -> Breach | None:
    """A life until all is at rest; its history and promises go into the state even where the power fails."""
    kept = state.history
    if not first:
        # How many entries a recovery keeps shows when it is at rest. Where it has no time for that, one that has.
        resting = Life(subject, state.disks, History(subject.device_sectors)) if act.at_once else life
        recovered = _recovered(subject, state, resting)
        if isinstance(recovered, Breach):
            return recovered
        kept = History(subject.device_sectors, state.history.entries[:recovered])
        state.acknowledged = min(state.acknowledged, recovered)
        if not act.at_once:
            state.history, state.durable = kept, recovered
    if not (first or act.workload):
        return None
    try:
        breach = life.live(act.workload, opening=first or act.at_once)
    finally:
        _take_over(state, kept, life)
    return breach or _at_rest(subject, state.history, life, len(state.history.entries))


def _recovered(subject: Subject, state: _State, life: Life) -> int | Breach:
    """Opens the group; how many entries it holds then."""
    breach = life.live() or _at_rest(subject, state.history, life, state.durable)
    if breach is not None:
        return breach
    verdict = judged(subject, 0, state.history, life.images())
    return verdict if isinstance(verdict, Breach) else verdict.whole


def _take_over(state: _State, kept: History, life: Life) -> None:
    """What the life has entered comes behind what the recovery kept, and its promises with it."""
    before, promises = len(kept.entries), life.promises
    if life.history.entries:
        state.history = kept
    for entry in life.history.entries:
        behind = before + entry.behind if entry.behind else 0
        state.history.enter(entry.device, entry.sector, entry.sectors, entry.tag, behind)
    state.durable = before + promises.durable if promises.durable else state.durable
    state.acknowledged = before + promises.acknowledged if promises.acknowledged else state.acknowledged


def _at_rest(subject: Subject, history: History, life: Life, durable: int) -> Breach | None:
    images = life.images()
    verdicts = [judged(subject, site, history, images) for site in range(len(subject.sites))]
    return at_rest(subject, verdicts, images, durable)


def _left(disk: SimDisk, act: Act) -> State:
    """What a disk holds after the act."""
    if disk.name in act.keeps:
        return disk.state
    image = list(disk.durable)
    kept = act.survivors.get(disk.name, {})
    for at, versions in disk.unflushed.items():
        number = min(kept.get(at, 0), len(versions))
        if number:
            image[at] = versions[number - 1]
    return durable(tuple(image))


def _earlier(script: Script) -> list[Script]:
    """The script, and the same with the last power loss some calls earlier."""
    ways = [script]
    for number in reversed(range(len(script.acts))):
        act = script.acts[number]
        if act.power_fails_before is not None:
            first = max(1, act.power_fails_before - _CALLS_EARLIER)
            ways.extend(
                Script((*script.acts[:number], replace(act, power_fails_before=call), *script.acts[number + 1 :]))
                for call in range(act.power_fails_before - 1, first - 1, -1)
            )
    return ways
