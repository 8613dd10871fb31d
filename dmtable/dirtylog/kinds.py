"""The kinds of dirty logs by name: `core`, `disk`, and those of other packages.

The kernel's `clustered-*` and `userspace` logs live in daemons of their own and are no kinds here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dmtable.core.plugins import Plugins
from dmtable.language import rules
from dmtable.language.diagnostics import Finding

if TYPE_CHECKING:
    from dmtable.dirtylog.log import DirtyLog, LogParams, Place

ENTRY_POINT_GROUP = "dmtable.dirtylogs"

KINDS: Plugins[type[DirtyLog]] = Plugins(
    "dirty log",
    ENTRY_POINT_GROUP,
    {"core": "dmtable.dirtylog.core:CoreLog", "disk": "dmtable.dirtylog.disk:DiskLog"},
)


def inspect(kind: str, words: Sequence[str], place: Place) -> tuple[LogParams | None, list[Finding]]:
    """Judges the words behind a log's name and count; the name stands two words before them.

    As LogParams.inspect. Raises DmtableError where the kind's package does not load.
    """
    log = KINDS.find(kind)
    if log is None:
        refusal = place.refused(f'Module for logging type "{kind}" not found.')
        what = f"{kind!r} is no type of dirty log; there are {', '.join(KINDS.names())}"
        return None, [Finding(rules.DIRTY_LOG_KIND, what, place.at - 2, refusal=refusal)]
    return log.params.inspect(words, place)
