"""Power: until it fails, every call that could change a disk is counted; afterwards every call raises."""

from __future__ import annotations

from collections.abc import Callable


class PowerLoss(BaseException):
    """The machine stopped. Not an Exception, so that no code under test can take it for a failed request."""


class Power:
    """What a machine and its disks hang on.

    `calls` counts the moments that can change what a power loss would leave, over all disks: each write, discard,
    write zeroes and flush as it arrives, each FUA write once more as it takes effect, and so each flush where a disk
    takes time. `watch` is called before each: whatever holds then is what a power loss at this point would leave.
    """

    def __init__(self) -> None:
        self.on = True
        self.calls = 0
        self.cut_at: int | None = None
        """The call that does not happen any more, counted from 1."""
        self.watch: Callable[[], None] | None = None

    def cut(self) -> None:
        """From now on every call raises PowerLoss."""
        self.on = False

    def count(self) -> None:
        """A call that may change a disk is about to happen. Raises PowerLoss where there is no power."""
        self.need()
        if self.watch is not None:
            self.watch()
        self.calls += 1
        if self.calls == self.cut_at:
            self.on = False
            raise PowerLoss(f"the power failed before call {self.calls} that could change a disk")

    def need(self) -> None:
        """Raises PowerLoss where there is no power."""
        if not self.on:
            raise PowerLoss("the machine has no power any more")
