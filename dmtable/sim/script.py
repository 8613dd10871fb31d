"""A failing run, written down: what was asked, who ran when, where the power failed and what survived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dmtable.errors import UsageError
from dmtable.sim.workload import Flush, Operation, Workload, Write, Zero

Survivors = Mapping[str, Mapping[int, int]]
"""For each disk and sector the version that survives, counted from 1 since the last flush; else the durable one."""


@dataclass(frozen=True, slots=True)
class Act:
    """One life, as a script tells it: workload, who ran when, and how it ended."""

    workload: Workload = ()
    schedule: tuple[int, ...] = ()
    """What the choices were; the ordinary course behind the last."""
    power_fails_before: int | None = None
    """The call, counted from 1, that no longer happened; None: everything came to rest."""
    survivors: Survivors = field(default_factory=dict)
    weather: bool = False
    """Whether links and disks failed now and then; when, is part of the schedule."""
    at_once: bool = False
    """After a power loss: the workload did not wait until the recovery had come to rest."""
    keeps: tuple[str, ...] = ()
    """The disks whose power stayed on: they keep their caches, and lose them another time."""


@dataclass(frozen=True, slots=True)
class Script:
    """Lives one after the other, on the same disks. The last one shows what is wrong."""

    acts: tuple[Act, ...]

    def __len__(self) -> int:
        """Every request, every departure from the ordinary course, every power loss and every survivor counts."""
        return sum(
            sum(map(len, act.workload))
            + sum(map(bool, act.schedule))
            + (act.power_fails_before is not None)
            + act.weather
            + sum(map(len, act.survivors.values()))
            + len(act.keeps)
            for act in self.acts
        )

    def story(self) -> str:
        """The script as it can be read."""
        lines = []
        for number, act in enumerate(self.acts):
            lines.append("the group is created and opened" if number == 0 else "the power is back, the group is opened")
            for client, operations in enumerate(act.workload):
                lines.extend(f"  client {client}: {_told(operation)}" for operation in operations)
            if act.at_once:
                lines[-1] += ", while it still recovers"
            if act.weather:
                lines.append("  links and disks fail now and then")
            if any(act.schedule):
                lines.append(f"  order of turns: {' '.join(map(str, act.schedule))}")
            if act.power_fails_before is not None:
                lines.append(f"  the power fails before call {act.power_fails_before}")
                if act.keeps:
                    lines.append(f"    the power of {', '.join(act.keeps)} stays on")
                for disk, versions in act.survivors.items():
                    kept = ", ".join(f"{sector} (version {version})" for sector, version in versions.items())
                    lines.append(f"    {disk} keeps of what was not flushed: {kept}")
        return "\n".join(lines)

    def dumps(self) -> str:
        """As JSON, in one line; what is as ever is left out."""
        acts = []
        for act in self.acts:
            schedule = list(act.schedule)
            while schedule and not schedule[-1]:
                schedule.pop()
            told: dict[str, Any] = {
                "workload": [[_telling(operation) for operation in client] for client in act.workload],
                "schedule": schedule,
                "power_fails_before": act.power_fails_before,
                "survivors": act.survivors,
                "weather": act.weather,
                "at_once": act.at_once,
                "keeps": act.keeps,
            }
            acts.append({name: value for name, value in told.items() if value})
        return json.dumps({"acts": acts})

    @classmethod
    def loads(cls, text: str) -> Script:
        """From JSON. Raises UsageError where it is none of ours."""
        try:
            return cls(tuple(_act(act) for act in json.loads(text)["acts"]))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise UsageError(
                f"this is no script of a run: {error!r}; give the line that the failing run printed"
            ) from None


def shortened(script: Script) -> list[Script]:
    """Scripts that are simpler by one step, the boldest first."""
    acts = script.acts
    simpler = [
        Script((*acts[:number], simpler, *acts[number + 1 :]))
        for number, act in enumerate(acts)
        for simpler in _simpler(act)
    ]
    return simpler + [Script((*acts[:number], *acts[number + 1 :])) for number in range(len(acts) - 1)]


def _simpler(act: Act) -> list[Act]:
    ways = [replace(act, weather=False)] if act.weather else []
    if act.at_once:
        ways.append(replace(act, at_once=False))
    for client, operations in enumerate(act.workload):
        ways.append(replace(act, workload=(*act.workload[:client], *act.workload[client + 1 :])))
        for at in range(len(operations)):
            fewer = (*operations[:at], *operations[at + 1 :])
            if fewer:
                ways.append(replace(act, workload=(*act.workload[:client], fewer, *act.workload[client + 1 :])))
    if any(act.schedule):
        ways.append(replace(act, schedule=()))
        chosen = [at for at, number in enumerate(act.schedule) if number]
        ways.append(replace(act, schedule=act.schedule[: chosen[-1]]))
        ways.extend(replace(act, schedule=(*act.schedule[:at], 0, *act.schedule[at + 1 :])) for at in chosen)
        ways.extend(replace(act, schedule=(*act.schedule[:at], *act.schedule[at + 1 :])) for at in chosen)
    if act.keeps:
        ways.append(replace(act, keeps=()))
        ways.extend(replace(act, keeps=tuple(kept for kept in act.keeps if kept != disk)) for disk in act.keeps)
    if act.survivors:
        ways.append(replace(act, survivors={}))
        for disk, versions in act.survivors.items():
            ways.append(replace(act, survivors={name: kept for name, kept in act.survivors.items() if name != disk}))
            for sector in versions if len(versions) > 1 else ():
                fewer_kept = {at: version for at, version in versions.items() if at != sector}
                ways.append(replace(act, survivors={**act.survivors, disk: fewer_kept}))
    return ways


def _told(operation: Operation) -> str:
    if isinstance(operation, Flush):
        return f"flush device {operation.device}"
    last = f"-{operation.sector + operation.sectors - 1}" if operation.sectors > 1 else ""
    place = f"device {operation.device}, sector {operation.sector}{last}"
    if isinstance(operation, Zero):
        return f"{'discard' if operation.discard else 'zero'} {place}"
    return f"write {place}{', durably (FUA)' if operation.fua else ''}"


def _telling(operation: Operation) -> dict[str, Any]:
    named = {name: value for name, value in asdict(operation).items() if value is not False}
    return {"op": type(operation).__name__.lower(), **named}


_OPERATIONS: dict[str, type[Operation]] = {"write": Write, "zero": Zero, "flush": Flush}


def _act(told: Mapping[str, Any]) -> Act:
    fails_before = told.get("power_fails_before")
    return Act(
        tuple(tuple(_operation(one) for one in client) for client in told.get("workload", ())),
        tuple(map(int, told.get("schedule", ()))),
        None if fails_before is None else int(fails_before),
        {
            str(disk): {int(sector): int(version) for sector, version in kept.items()}
            for disk, kept in told.get("survivors", {}).items()
        },
        bool(told.get("weather", False)),
        bool(told.get("at_once", False)),
        tuple(map(str, told.get("keeps", ()))),
    )


def _operation(told: Mapping[str, Any]) -> Operation:
    named = {name: value for name, value in told.items() if name != "op"}
    for name, value in named.items():
        if not isinstance(value, int) or value < 0:
            raise TypeError(f"{name} is {value!r}")
    return _OPERATIONS[told["op"]](**named)
