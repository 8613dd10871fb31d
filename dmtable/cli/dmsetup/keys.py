"""Keys of encryption in the parameters of a target, which `table` does not show unless told to."""

from __future__ import annotations

import re

_PATTERNS = {
    "crypt": re.compile(r"^([^ ]* )([^: ][^ ]*)"),
    "integrity": re.compile(r"((?:internal_hash|journal_crypt|journal_mac):[^ :]*:)([^ ]*)"),
}
"""By target: what stands before a key, and the key. One that only names a key of the kernel's is none."""


def without_keys(target: str, params: str) -> str:
    """The parameters with a 0 for each character of a key."""
    pattern = _PATTERNS.get(target)
    return pattern.sub(lambda found: found[1] + "0" * len(found[2]), params) if pattern else params
