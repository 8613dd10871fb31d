"""The errors of waiting for ever, and their words: who waits for whom."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from types import FrameType

from dmtable.errors import DmtableError
from dmtable.sim.locks import SimLock
from dmtable.sim.task import Process, Task


class Deadlock(DmtableError):
    """Somebody waits, nobody can run, and no timer is left that could change that."""


class Livelock(DmtableError):
    """Somebody always has something to do, so that time stands still."""


class WouldBlock(DmtableError):
    """A Worker's step, or a timer's call, would have to wait; it must not."""


def deadlock(waiting: Iterable[Task], idle: Iterable[Task]) -> Deadlock:
    """The error that tells what each of the waiting tasks waits for, and where in its code."""
    lines = ["nothing can run and no timer is left:"]
    lines += [f"  {task.name} waits for {chain(task, task.waits_for)}{_place(task)}" for task in waiting]
    if names := ", ".join(task.name for task in idle):
        lines.append(f"  idle: {names}")
    return Deadlock("\n".join(lines))


def livelock(ready: Iterable[Task], turns: int) -> Livelock:
    """The error that tells who runs and runs."""
    names = ", ".join(task.name for task in ready)
    return Livelock(f"{turns} turns without a pause: time stands still while there is always work for {names}")


def chain(task: Task, what: object) -> str:
    """`lock 1, held by b, which waits for lock 2, held by a` as what task a waits for."""
    text, told = described(what), [task]
    while isinstance(what, SimLock) and (holder := what.holder) is not None:
        text += f", held by {holder.name}"
        what = holder.waits_for
        if holder in told or what is None:
            break
        text += f", which waits for {described(what)}"
        told.append(holder)
    return text


def described(what: object) -> str:
    """In its own words where it has some: never by its address, which differs from run to run."""
    cls = type(what)
    if cls.__str__ is object.__str__ and cls.__repr__ is object.__repr__:
        return f"a {cls.__name__}"
    return str(what)


def _place(task: Task) -> str:
    """The innermost call of the task outside the simulation."""
    parked = sys._current_frames()
    frame = parked.get(task.thread_id or 0) if isinstance(task, Process) else sys._getframe()
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    if frame is None:
        return ""
    code = frame.f_code
    return f" in {code.co_qualname} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"


def _is_ours(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name in (__name__, "dmtable.sim.runtime", "dmtable.sim.locks", "dmtable.sim.task")
