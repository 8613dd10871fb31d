"""Classes by name: the built-in ones, loaded when first asked for, and those of other packages."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dmtable.errors import DmtableError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Plugins(Generic[T]):
    """Finds what has a name, case and all.

    Other packages add theirs by entry points of a group; one with a built-in's name is ignored. `add`
    registers something of the running program.
    """

    def __init__(self, what: str, group: str, builtin: Mapping[str, str]) -> None:
        """`what` they are, for people; `builtin` has paths as `package.module:Class`."""
        self._what = what
        self._group = group
        self._builtin = builtin
        self._known: dict[str, T | None] = {}

    def add(self, name: str, found: T) -> None:
        """Makes something known under a name."""
        self._known[name] = found

    def __contains__(self, name: str) -> bool:
        """Whether something has the name; nothing is loaded for it."""
        return name in self._builtin or self._known.get(name) is not None or name in self._entries

    def find(self, name: str) -> T | None:
        """What has the name, None where nothing has. Raises DmtableError where an entry point does not load."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def names(self) -> list[str]:
        """All names, for suggestions; entry points are named without being loaded."""
        added = (name for name, found in self._known.items() if found is not None)
        return sorted({*self._builtin, *added, *self._entries})

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        """Those of other packages; one that two packages bring is the first one's."""
        # Imported here: reading installed packages' metadata takes longer than checking a table.
        from importlib.metadata import entry_points

        return {entry.name: entry for entry in reversed(tuple(entry_points(group=self._group)))}

    def _find(self, name: str) -> T | None:
        if name in self._builtin:
            return load(self._builtin[name])  # type: ignore[no-any-return]
        entry = self._entries.get(name)
        if entry is None:
            return None
        try:
            return entry.load()  # type: ignore[no-any-return]
        except Exception as error:
            raise DmtableError(
                f"{self._what} {entry.name!r} of the entry point {entry.value!r} does not load: {error}; "
                f"mend or remove the package that brings it"
            ) from error


def load(path: str) -> Any:
    """What `package.module:NAME` names."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
