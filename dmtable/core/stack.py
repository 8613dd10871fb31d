"""The stack that mds form: whose compiled map stands on whose table, and what to kill when a table changes."""

from __future__ import annotations

from collections.abc import Iterable

from dmtable.core.compiled import CompiledIo
from dmtable.core.extents import ExtentMap
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.table import LiveTable
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import Runtime


class Stack:
    """Compiles maps and retires them. `lock` guards all that they are made of: it is held while a table
    is swapped or an md begins to hold I/O, and never while anything waits for I/O.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.lock = runtime.lock()
        self._killed: list[tuple[MappedDevice, CompiledIo]] = []
        """Maps that are dead and may still have I/O inside, with the md of each."""

    def recompile(self, md: MappedDevice) -> None:
        """Compiles the map of an md and of every md below it that lacks one, lowest first."""
        with self.lock:
            for each in _below_first(md):
                if each.compiled is None and each.live is not None and each.running:
                    each.compile(each.live.extent_map(_flatten))
                    for below in _mds_of(each.live):
                        below.built_over[each] = None

    def retire_maps(self, md: MappedDevice) -> None:
        """Kills every compiled map that stands on this md's table and waits until nobody is inside one."""
        with self.lock:
            # What somebody else killed and still waits for concerns us too, where it stands on this md: while
            # there is I/O inside no table below has changed.
            waiting = {compiled for above, compiled in self._killed if stands_on(above, md)}
            todo = [md]
            while todo:
                each = todo.pop()
                todo.extend(each.built_over)
                each.built_over.clear()
                if each.compiled is not None:
                    each.compiled.kill()
                    self._killed.append((each, each.compiled))
                    waiting.add(each.compiled)
                    each.compiled = None
                    for below in _mds_of(each.live):
                        below.built_over.pop(each, None)
        for compiled in waiting:
            compiled.wait_empty()
        with self.lock:
            self._killed = [(above, compiled) for above, compiled in self._killed if compiled not in waiting]


def stands_on(upper: MappedDevice, lower: MappedDevice) -> bool:
    """Whether any table of the upper md, or of one below it, uses the lower one; an md stands on itself.

    Also a table that is still under construction, or on its way from the inactive slot to the live one.
    """
    seen: set[MappedDevice] = set()
    todo = [upper]
    while todo:
        each = todo.pop()
        if each is lower:
            return True
        if each not in seen:
            seen.add(each)
            todo.extend(used.device for used, _ in each.opened.values() if isinstance(used.device, MappedDevice))
    return False


def _below_first(md: MappedDevice) -> list[MappedDevice]:
    """The md and all mds below its live table, each behind those that it stands on; without recursion."""
    order: dict[MappedDevice, None] = {}
    todo: list[tuple[MappedDevice, bool]] = [(md, False)]
    while todo:
        each, done_below = todo.pop()
        if each in order:
            continue
        if done_below:
            order[each] = None
            continue
        todo.append((each, True))
        if each.compiled is None:
            todo.extend((below, False) for below in _mds_of(each.live))
    return list(order)


def _flatten(device: BlockDevice) -> BlockDevice | ExtentMap | None:
    if not isinstance(device, MappedDevice):
        return device
    return device.compiled.map if device.compiled is not None else None


def _mds_of(table: LiveTable | None) -> Iterable[MappedDevice]:
    for dm_dev in table.devices() if table is not None else ():
        if isinstance(dm_dev.device, MappedDevice):
            yield dm_dev.device
