"""What libdm does to nodes and read ahead: it puts that off until a command is nearly done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from dmtable.cli.dmsetup.log import Log
from dmtable.cli.dmsetup.values import DEFAULT_MODE, ReadAhead, can_be_mode
from dmtable.control.dev import Dev
from dmtable.core.numbers import Number

FOLDER = "/dev/mapper"
_FOLDERS = ("", ".", "..")
CONTROL = "control"
"""The one node in the folder that is no device's."""
_DEFAULT_OWNER, _DEFAULT_GROUP = 0, 6


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """What a node is made with."""

    owner: int = _DEFAULT_OWNER
    group: int = _DEFAULT_GROUP
    mode: int = DEFAULT_MODE

    def __str__(self) -> str:
        return f"{self.owner}:{self.group} 0{self.mode:o}"


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    """Of the node."""
    what: str
    """As the log has it, behind the name."""
    carry_out: Callable[[], None]
    adds: bool = False
    removes: bool = False
    shown: str = ""
    """The name in the log, where it is not the node's."""


@dataclass(slots=True)
class NodeOperations:
    """Operations on nodes, put off. That one fails does not fail a command: it only shows."""

    dev: Dev
    log: Log
    complain: Callable[[str], object]
    _waiting: list[_Operation] = field(default_factory=list)

    def add(self, name: str, dev: Number, attributes: NodeAttributes) -> None:
        """The node of a device is to be there."""
        self._forget(name, lambda other: other.removes)
        what = f"NODE_ADD ({dev[0]},{dev[1]}) {attributes}"
        self._put_off(_Operation(name, what, lambda: self._add(name, dev, attributes), adds=True))

    def remove(self, name: str) -> None:
        """The node of a device is to be gone."""
        self._forget(name, lambda other: not other.removes)
        self._put_off(_Operation(name, "NODE_DEL", lambda: self._remove(name), removes=True))

    def rename(self, old: str, new: str) -> None:
        self._forget(old, lambda other: True)
        self._put_off(_Operation(new, f"NODE_RENAME to {new}", lambda: self._rename(old, new), shown=old))

    def read_ahead(self, name: str, dev: Number, wanted: ReadAhead) -> None:
        """How far the kernel reads ahead is to change."""
        what = f"NODE_READ_AHEAD {wanted.sectors} (flags={int(wanted.at_least)})"
        self._put_off(_Operation(name, what, lambda: self._read_ahead(name, dev, wanted)))

    def process(self) -> None:
        """Carries out what was put off."""
        for operation in self._waiting:
            self._say("Processing", operation)
            try:
                operation.carry_out()
            except OSError as error:
                self.complain(f"{FOLDER}/{operation.name}: {error.strerror}")
        self._waiting.clear()

    def current_read_ahead(self, name: str, dev: Number) -> int | None:
        """Sectors; None, and a complaint, where neither sysfs nor the node can tell."""
        sectors = self.dev.read_ahead(dev)
        if sectors is None:
            self.log.line(f"{_read_ahead_path(dev)}: open failed: {os.strerror(errno.ENOENT)}")
            self._complain_of_open(name)
        else:
            self.log.line(f"{name} ({dev[0]}:{dev[1]}): read ahead is {sectors}")
        return sectors

    def _put_off(self, operation: _Operation) -> None:
        self._waiting.append(operation)
        self._say("Stacking", operation)

    def _forget(self, name: str, is_undone: Callable[[_Operation], bool]) -> None:
        """Takes back operations on a node that the next one makes void."""
        for operation in list(self._waiting):
            if operation.name == name and is_undone(operation):
                self._say("Unstacking", operation)
                self._waiting.remove(operation)

    def _say(self, verb: str, operation: _Operation) -> None:
        self.log.line(f"{operation.shown or operation.name}: {verb} {operation.what}")

    # What they do.

    def _add(self, name: str, dev: Number, attributes: NodeAttributes) -> None:
        path = f"{FOLDER}/{name}"
        if name in _FOLDERS or name == CONTROL:
            self.complain(f"A non-block device file at '{path}' is already present")
        elif self.dev.nodes.get(name) != dev:
            self.dev.nodes.pop(name, None)
            if can_be_mode(attributes.mode):
                self.dev.nodes[name] = dev
                self.log.line(f"Created {path}")
            else:
                self.complain(f"{path}: mknod for {name} failed: {os.strerror(errno.EINVAL)}")

    def _remove(self, name: str) -> None:
        if name in _FOLDERS:
            self.complain(f"Unable to unlink device node for '{name}'")
        elif self.dev.nodes.pop(name, None) is not None or name == CONTROL:
            # The control node comes back as soon as libdm looks for it.
            self.log.line(f"Removed {FOLDER}/{name}")

    def _rename(self, old: str, new: str) -> None:
        nodes = self.dev.nodes
        if new in _FOLDERS or new == CONTROL:
            self.complain(f"A non-block device file at '{FOLDER}/{new}' is already present")
            return
        nodes.pop(new, None)
        if old in _FOLDERS:
            self.complain(f"Unable to rename device node from '{old}' to '{new}'")
            return
        if (dev := nodes.pop(old, None)) is not None:
            nodes[new] = dev
        self.log.line(f"Renamed {FOLDER}/{old} to {FOLDER}/{new}")

    def _read_ahead(self, name: str, dev: Number, wanted: ReadAhead) -> None:
        if wanted.at_least:
            current = self.current_read_ahead(name, dev)
            if current is None:
                return
            if current >= wanted.sectors:
                requested = f"(requested {wanted.sectors})"
                self.log.line(f"{name}: retaining kernel read ahead of {current} {requested}")
                return
        self.log.line(f"{name} ({dev[0]}:{dev[1]}): Setting read ahead to {wanted.sectors}")
        if self.dev.read_ahead(dev) is None:
            self.log.line(f"{_read_ahead_path(dev)}: open failed: {os.strerror(errno.ENOENT)}")
            self._complain_of_open(name)
        else:
            self.dev.set_read_ahead(dev, wanted.sectors)

    def _complain_of_open(self, name: str) -> None:
        """A node that exists belongs to a device without a disk."""
        number = errno.ENXIO if name in self.dev.nodes else errno.ENOENT
        self.complain(f"{FOLDER}/{name}: open failed: {os.strerror(number)}")
        self.log.backtrace()


def _read_ahead_path(dev: Number) -> str:
    return f"/sys/dev/block/{dev[0]}:{dev[1]}/bdi/read_ahead_kb"
