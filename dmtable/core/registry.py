"""Targets by name: the built-in ones, loaded when first asked for, and those of other packages."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dmtable.errors import DmtableError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from dmtable.core.target import Params, Target

ENTRY_POINT_GROUP = "dmtable.targets"

_BUILTIN = {
    "linear": "dmtable.targets.linear:Linear",
    "striped": "dmtable.targets.striped:Striped",
    "zero": "dmtable.targets.zero:Zero",
    "error": "dmtable.targets.error:Error",
}
_LANGUAGE_ONLY = {
    "replicator": "dmtable.targets.replicator:ReplicatorParams",
    "replicator-dev": "dmtable.targets.replicator:ReplicatorDevParams",
}
_UNEMULATED = "dmtable.targets.unemulated:unemulated"


class Registry:
    """Finds a target's class by its name, case and all.

    Other packages add theirs by entry points of the group `dmtable.targets`; one with a built-in's name
    is ignored. `add` registers a class of the running program.
    """

    def __init__(self) -> None:
        self._targets: dict[str, type[Target] | None] = {}

    def add(self, target: type[Target]) -> None:
        """Makes a class known under its `name`."""
        self._targets[target.name] = target

    def target(self, name: str) -> type[Target] | None:
        """The class that runs a target, None where the kernel too would say `unknown target type`.

        Raises DmtableError where an entry point of that name does not load.
        """
        if name not in self._targets:
            self._targets[name] = self._find(name)
        return self._targets[name]

    def params(self, name: str) -> type[Params] | None:
        """The class that judges a target's words; it may exist where nothing can run the target yet."""
        if name in _LANGUAGE_ONLY:
            found: type[Params] = _load(_LANGUAGE_ONLY[name])
            return found
        target = self.target(name)
        return target.params if target else None

    def names(self) -> list[str]:
        """The names that can be run, for suggestions; entry points are named without being loaded."""
        added = (name for name, target in self._targets.items() if target)
        return sorted({*_BUILTIN, *_LANGUAGE_ONLY, *added, *self._entries})

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        """The targets of other packages; one that two packages bring is the first one's."""
        # Imported here: reading installed packages' metadata takes longer than checking a table.
        from importlib.metadata import entry_points

        return {entry.name: entry for entry in reversed(tuple(entry_points(group=ENTRY_POINT_GROUP)))}

    def _find(self, name: str) -> type[Target] | None:
        if name in _BUILTIN:
            found: type[Target] = _load(_BUILTIN[name])
            return found
        if name in self._entries:
            return _load_entry(self._entries[name])
        stand_in: type[Target] | None = _load(_UNEMULATED)(name)
        return stand_in


def _load(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _load_entry(entry: EntryPoint) -> type[Target]:
    try:
        target: type[Target] = entry.load()
    except Exception as error:
        raise DmtableError(
            f"target {entry.name!r} of the entry point {entry.value!r} does not load: {error}; "
            f"mend or remove the package that brings it"
        ) from error
    return target
