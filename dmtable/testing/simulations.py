"""Hypothesis strategies for what a simulation leaves open: the workload, what goes wrong, and every other choice.

    @given(workloads(), fault_schedules(), st.data())
    def test_my_target(workload: Workload, placed: dict[int, Fault], data: st.DataObject) -> None:
        choices = DrawnChoices(data)
        …  # a simulation with these choices, whose disks have Faults(placed)

Hypothesis then drives the simulation, and a failure shrinks to fewer operations, fewer faults and the ordinary course.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from hypothesis import strategies as st

from dmtable.errors import UsageError
from dmtable.sim.choices import Choices
from dmtable.sim.faults import Fault, Ill
from dmtable.sim.workload import Flush, Operation, Workload, Write, Zero

OPERATIONS = (Write, Zero, Flush)
"""The kinds of operations that `operations` and `workloads` draw."""


class DrawnChoices(Choices):
    """Choices that Hypothesis makes, and shrinks: the simplest run takes the ordinary course."""

    def __init__(self, source: st.DataObject | st.DrawFn, *, limit: int = 2000) -> None:
        """From `st.data()`, or from the `draw` of a composite strategy.

        After `limit` numbers the ordinary course is taken: Hypothesis discards an example that draws without end,
        and says nothing. Raises UsageError where `limit` is negative.
        """
        super().__init__()
        if limit < 0:
            raise UsageError(f"a limit of {limit} numbers: give 0 or more")
        self._source = source
        self._limit = limit

    def _pick(self, count: int, what: str) -> int:
        if len(self.script) >= self._limit:
            return 0
        numbers = st.integers(0, count - 1)
        if isinstance(self._source, st.DataObject):
            return self._source.draw(numbers, label=what)
        return self._source(numbers)


def operations(
    *, sizes: Sequence[int] = (16, 16), max_sectors: int = 4, kinds: Sequence[type[Operation]] = OPERATIONS
) -> st.SearchStrategy[Operation]:
    """Draws one operation of these kinds on a device of a group whose `sizes` are in sectors.

    It has from 1 to `max_sectors` sectors, all of them on the device. Writes may be FUA, zeroes may be discards.
    """
    if not sizes or min(sizes) < 1:
        raise UsageError(f"{sizes} are no sizes of devices: give one device or more, of 1 sector or more")
    if max_sectors < 1:
        raise UsageError(f"an operation has at least 1 sector, so {max_sectors} cannot be the most")
    if not kinds or not set(kinds) <= set(OPERATIONS):
        raise UsageError(f"{kinds!r}: give a sequence of operations among Write, Zero and Flush")

    @st.composite
    def drawn(draw: st.DrawFn) -> Operation:
        kind = draw(st.sampled_from(kinds))
        device = draw(st.integers(0, len(sizes) - 1))
        if kind is Flush:
            return Flush(device)
        sector = draw(st.integers(0, sizes[device] - 1))
        sectors = draw(st.integers(1, min(max_sectors, sizes[device] - sector)))
        if kind is Zero:
            return Zero(device, sector, sectors, discard=draw(st.booleans()))
        return Write(device, sector, sectors, fua=draw(st.booleans()))

    return drawn()


def workloads(
    *,
    sizes: Sequence[int] = (16, 16),
    min_clients: int = 1,
    max_clients: int = 3,
    max_operations: int = 5,
    max_sectors: int = 4,
    kinds: Sequence[type[Operation]] = OPERATIONS,
) -> st.SearchStrategy[Workload]:
    """Draws clients that work side by side on a group of devices, each with 1 to `max_operations` in their order.

    For `sizes`, `max_sectors` and `kinds` see `operations`.
    """
    if not 1 <= min_clients <= max_clients or max_operations < 1:
        raise UsageError(
            f"{min_clients} to {max_clients} clients with up to {max_operations} operations: "
            f"give at least 1 of each, the fewest first"
        )
    one = operations(sizes=sizes, max_sectors=max_sectors, kinds=kinds)
    client = st.lists(one, min_size=1, max_size=max_operations).map(tuple)
    return st.lists(client, min_size=min_clients, max_size=max_clients).map(tuple)


def faults(*, ills: Sequence[Ill] = tuple(Ill), max_seconds: float = 1.0) -> st.SearchStrategy[Fault]:
    """Draws one thing that goes wrong with a call to a disk: EIO or ENOSPC, which may last, or another ill."""
    if not ills or not set(ills) <= set(Ill):
        raise UsageError(f"{ills!r}: give a sequence of ills, as Ill.ERROR")
    if max_seconds <= 0:
        raise UsageError(f"a slow call takes longer, not {max_seconds} seconds")

    @st.composite
    def drawn(draw: st.DrawFn) -> Fault:
        ill = draw(st.sampled_from(ills))
        if ill is Ill.SLOW:
            return Fault(ill, seconds=max_seconds * draw(st.integers(1, 1000)) / 1000)
        if ill not in (Ill.ERROR, Ill.HALF):
            return Fault(ill)
        return Fault(ill, draw(st.sampled_from([errno.EIO, errno.ENOSPC])), lasting=draw(st.booleans()))

    return drawn()


def fault_schedules(
    *, ills: Sequence[Ill] = tuple(Ill), max_faults: int = 3, last_call: int = 100
) -> st.SearchStrategy[dict[int, Fault]]:
    """Draws what goes wrong with which call, for `Faults(placed)`: calls are numbered from 1 to `last_call`."""
    if max_faults < 0 or last_call < 1:
        raise UsageError(f"up to {max_faults} faults on calls 1 to {last_call}: give 0 or more on 1 call or more")
    one = faults(ills=ills)
    return st.dictionaries(st.integers(1, last_call), one, max_size=min(max_faults, last_call))
