"""What ends the demo before its time."""

from __future__ import annotations


class DemoError(Exception):
    """What was promised did not come, or a program that is needed failed."""
