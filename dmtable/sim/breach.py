"""The promises that a group can break."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Flaw(Enum):
    """The promise that is not kept."""

    ORDER = "write order"
    LOST = "durability"
    DIVERGED = "convergence"
    TORN = "half an entry"
    CORRUPT = "corruption"
    STUCK = "no answer"
    RAISED = "exception"


@dataclass(frozen=True, slots=True)
class Breach:
    """What is wrong, and where it was seen."""

    flaw: Flaw
    text: str

    def __str__(self) -> str:
        return f"{self.flaw.value}: {self.text}"
