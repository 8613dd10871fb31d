"""The verbs of dmsetup that are understood."""

from __future__ import annotations

from dmtable.cli.dmsetup.verbs import VERBS


def verbs() -> str:
    """All of them in a sentence."""
    return f"The verbs: {', '.join(f'`{name}`' for name in sorted(VERBS))}."
