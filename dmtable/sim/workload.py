"""What applications do to a group of devices: plain values, so that workloads can be listed, drawn and shrunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from dmtable.sim.choices import Choices


@dataclass(frozen=True, slots=True)
class Write:
    """Writes some sectors of a device; with `fua` they are durable when it completes."""

    device: int
    sector: int
    sectors: int = 1
    fua: bool = False


@dataclass(frozen=True, slots=True)
class Zero:
    """Makes some sectors of a device read as zeroes; `discard` tells how it is asked for."""

    device: int
    sector: int
    sectors: int = 1
    discard: bool = False


@dataclass(frozen=True, slots=True)
class Flush:
    """Makes durable what was acknowledged before."""

    device: int


Operation = Write | Zero | Flush
_KINDS = 8
"""Five plain writes and a FUA write for each zeroing and each flush."""
_MOST_CLIENTS = 3
_MOST_OPERATIONS = 5
Client = tuple[Operation, ...]
"""One after the other: the next begins when the one before is acknowledged."""
Workload = tuple[Client, ...]
"""Clients side by side."""


def any_workload(device_sectors: Sequence[int], choices: Choices, *, boundary_sectors: int) -> Workload:
    """A workload of a few clients, drawn. No request crosses a multiple of `boundary_sectors`."""
    clients = 1 + choices.pick(_MOST_CLIENTS, "how many more clients")
    return tuple(
        tuple(
            _any_operation(device_sectors, choices, boundary_sectors)
            for _ in range(1 + choices.pick(_MOST_OPERATIONS, "how many more requests"))
        )
        for _ in range(clients)
    )


def _any_operation(device_sectors: Sequence[int], choices: Choices, boundary_sectors: int) -> Operation:
    device = choices.pick(len(device_sectors), "which device")
    kind = choices.pick(_KINDS, "what kind of request")
    if kind == _KINDS - 1:
        return Flush(device)
    sector = choices.pick(device_sectors[device], "which sector")
    room = min(boundary_sectors - sector % boundary_sectors, device_sectors[device] - sector)
    sectors = 1 + choices.pick(room, "how many more sectors")
    if kind == _KINDS - 2:
        return Zero(device, sector, sectors, discard=bool(choices.pick(2, "zero or discard")))
    return Write(device, sector, sectors, fua=kind == 1)


def small_workloads(device_sectors: Sequence[int], writes: int) -> Iterator[Workload]:
    """Every workload of so many one-sector writes, up to a renaming of equal devices, of sectors and clients.

    The writes go to any places, by one client or two; all are plain, or all FUA, or the last client flushes in the
    end. Of the devices only what matters is used: the places that can be told apart.
    """
    for places in _places(device_sectors, writes):
        for first in range((writes + 1) // 2, writes + 1):
            plain = tuple(Write(device, sector) for device, sector in places)
            clients = tuple(client for client in (plain[:first], plain[first:]) if client)
            yield clients
            yield tuple(tuple(replace(write, fua=True) for write in client) for client in clients)
            yield (*clients[:-1], (*clients[-1], Flush(0)))


def _places(device_sectors: Sequence[int], writes: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Where the writes go; a device is first used after those of its size with lower numbers, so is a sector."""
    everywhere = [(device, sector) for device, sectors in enumerate(device_sectors) for sector in range(sectors)]
    alike = [[at for at, other in enumerate(device_sectors) if other == size] for size in set(device_sectors)]
    for places in product(everywhere, repeat=writes):
        devices = list(dict.fromkeys(device for device, _ in places))
        sectors = [list(dict.fromkeys(at for of, at in places if of == device)) for device in devices]
        chosen = [[device for device in devices if device in same] for same in alike]
        if all(used == same[: len(used)] for used, same in zip(chosen, alike, strict=True)) and all(
            used == list(range(len(used))) for used in sectors
        ):
            yield places
