"""Whose turn it is to write: what writes part of a block reads what is around it, and nobody's bytes may get lost."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Writes:
    """The writes of a node that are under way. Safe for threads.

    Of two that touch the same bytes, one of them for part of a block, the later waits for the earlier; all others go
    on together.
    """

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[int, int, bool]] = {}
        """By their uniques, in the order of their begin: from where to where, and whether it is for part of a block."""
        self._parts = 0
        self._lock = threading.Lock()
        self._waiting: dict[int, Callable[[], object]] = {}

    def begin(self, unique: int, offset: int, end: int, *, part: bool = False) -> bool:
        """Takes in a write, which has to `end` whatever becomes of it; False where it is not its turn yet."""
        if part:
            with self._lock:
                self._parts += 1
        # Behind the count and before it is read: of two that begin at a time, the later sees the other.
        self._under_way[unique] = offset, end, part
        return not self._parts or not self._is_early(unique)

    def in_turn(self, unique: int, go: Callable[[], object]) -> None:
        """Calls at once, or as soon as those that it has to wait for have ended; the call must not block."""
        with self._lock:
            if self._is_early(unique):
                self._waiting[unique] = go
                return
        go()

    def end(self, unique: int) -> None:
        _, _, part = self._under_way.pop(unique)
        if not self._parts:
            return
        with self._lock:
            self._parts -= part
            due = [self._waiting.pop(each) for each in list(self._waiting) if not self._is_early(each)]
        for go in due:
            go()

    def _is_early(self, unique: int) -> bool:
        offset, end, part = self._under_way[unique]
        for other, (from_here, to_here, is_part) in list(self._under_way.items()):
            if other == unique:
                break
            if (part or is_part) and from_here < end and offset < to_here:
                return True
        return False
