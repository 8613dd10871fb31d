"""Names of a package that are loaded when first used, so that importing the package costs next to nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def names_on_demand(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """The package's `__getattr__`: `home` says of each name from which module it comes.

    The package shows the same names to static tools by imports for types alone.
    """

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
