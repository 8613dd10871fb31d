"""Parts of pages that are made from the code they tell of; where a page says `<!-- made: NAME -->` they stand.

Each is a function without arguments that returns Markdown. None of them needs Sphinx.
"""

from __future__ import annotations

import importlib
import re

_PARTS = {
    "rules": "docs.made.catalogue:rules",
    "commands": "docs.made.commands:commands",
    "verbs": "docs.made.verbs:verbs",
    "railroad": "docs.made.railroads:diagrams",
    "words": "docs.made.railroads:words",
    "names": "docs.made.listing:names",
    "interfaces": "docs.made.listing:interfaces",
    "layers": "docs.made.layers:picture",
    "recovery": "docs.made.recovery:table",
}
_MARK = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)


def filled_in(text: str) -> str:
    """The text of a page with its parts."""
    return _MARK.sub(lambda mark: made(mark[1]), text)


def made(name: str) -> str:
    """A part by its name. Raises KeyError."""
    module, _, function = _PARTS[name].partition(":")
    part: str = getattr(importlib.import_module(module), function)()
    return part
