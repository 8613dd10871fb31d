"""Device numbers: what they are made of, and the majors that mean something here."""

from __future__ import annotations

Number = tuple[int, int]
"""Major and minor."""

MAX_MAJOR, MAX_MINOR = 0xFFF, 0xFFFFF
DM_MAJOR = 253
"""Mapped devices."""
LOOP_MAJOR = 7
"""Disks that are image files."""
