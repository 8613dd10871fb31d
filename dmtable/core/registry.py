"""Targets by name: the built-in ones, loaded when first asked for, and those of other packages."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dmtable.core.plugins import Plugins, load
from dmtable.errors import DmtableError

if TYPE_CHECKING:
    from dmtable.core.target import Params, Target

ENTRY_POINT_GROUP = "dmtable.targets"

_BUILTIN = {
    "error": "dmtable.targets.error:Error",
    "linear": "dmtable.targets.linear:Linear",
    "striped": "dmtable.targets.striped:Striped",
    "mirror": "dmtable.targets.mirror:Mirror",
    "zero": "dmtable.targets.zero:Zero",
    "delay": "dmtable.targets.delay:Delay",
    "flakey": "dmtable.targets.flakey:Flakey",
    "dust": "dmtable.targets.dust:Dust",
    "replicator": "dmtable.targets.replicator.target:Replicator",
    "replicator-dev": "dmtable.targets.replicator.target:ReplicatorDev",
}
"""In the order in which Linux registers those that it has."""
_PARAMS = {
    "replicator": "dmtable.targets.replicator.words:ReplicatorParams",
    "replicator-dev": "dmtable.targets.replicator.words:ReplicatorDevParams",
}
"""Where whoever only checks tables need not load what runs the target."""
_UNEMULATED = "dmtable.targets.unemulated:unemulated"


class Registry:
    """Finds a target's class by its name, case and all.

    Other packages add theirs by entry points of the group `dmtable.targets`; one with a built-in's name
    is ignored. `add` registers a class of the running program.
    """

    def __init__(self) -> None:
        self._plugins: Plugins[type[Target]] = Plugins("target", ENTRY_POINT_GROUP, _BUILTIN)

    def add(self, target: type[Target]) -> None:
        """Makes a class known under its `name`."""
        self._plugins.add(target.name, target)

    def target(self, name: str) -> type[Target] | None:
        """The class that runs a target, None where the kernel too would say `unknown target type`.

        Raises DmtableError where an entry point of that name does not load.
        """
        found = self._plugins.find(name)
        if found is None:
            stand_in: type[Target] | None = load(_UNEMULATED)(name)
            return stand_in
        return found

    def runnable(self, name: str) -> type[Target] | None:
        """As `target`, but None too for what the kernel has and nobody here runs."""
        return self._plugins.find(name)

    def listed(self) -> list[type[Target]]:
        """Every class that can be run, the last one registered first, as the kernel lists them."""
        targets: list[type[Target]] = []
        for name in (*_BUILTIN, *(name for name in self._plugins.names() if name not in _BUILTIN)):
            # One that does not load is no more there than a kernel module that does not.
            with suppress(DmtableError):
                target = self._plugins.find(name)
                targets += [target] if target is not None else []
        return targets[::-1]

    def params(self, name: str) -> type[Params] | None:
        """The class that judges a target's words."""
        if name in _PARAMS:
            found: type[Params] = load(_PARAMS[name])
            return found
        target = self.target(name)
        return target.params if target else None

    def names(self) -> list[str]:
        """The names that can be run, for suggestions; entry points are named without being loaded."""
        return self._plugins.names()
