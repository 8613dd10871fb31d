"""Which device stands on which: libdm's dependency tree, which `ls --tree` draws and reports read."""

from __future__ import annotations

from dataclasses import dataclass, field

from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.task import Device, Task
from dmtable.control.interface import DmIoctl
from dmtable.core.numbers import DM_MAJOR, Number
from dmtable.errors import DmsetupError


@dataclass(slots=True, eq=False)
class Node:
    """A device of the tree; `reply` is None where it is no md."""

    number: Number
    name: str = ""
    reply: DmIoctl | None = None
    below: list[Node] = field(default_factory=list)
    above: list[Node] = field(default_factory=list)


def gather(libdm: Libdm) -> dict[Number, Node]:
    """All mds and what their live tables stand on, in the order in which they are first met, going down."""
    nodes: dict[Number, Node] = {}
    try:
        devices = libdm.devices()
    except DmsetupError:
        libdm.log.backtrace()
        raise
    for _name, dev in devices:
        todo: list[tuple[Node | None, Number]] = [(None, dev)]
        while todo:
            parent, number = todo.pop()
            if number not in nodes:
                nodes[number], numbers_below = _ask(libdm, number)
                todo.extend((nodes[number], each) for each in reversed(numbers_below))
            if parent is not None:
                parent.below.append(nodes[number])
                nodes[number].above.append(parent)
    return nodes


def _ask(libdm: Libdm, number: Number) -> tuple[Node, list[Number]]:
    if number[0] != DM_MAJOR:
        return Node(number), []
    reply, below = libdm.run(Task("deps", Device(major=number[0], minor=number[1])), libdm.control.table_deps)
    return Node(number, libdm.shown_name(reply.name), reply), below
