"""What the real dmsetup and kernel answered, read from fixtures/kernel."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "fixtures" / "kernel"


@dataclass(frozen=True, slots=True)
class Step:
    """One run of dmsetup. `words` has no `dmsetup` and no input; disks are written as the guest saw them."""

    words: tuple[str, ...]
    stdin: str | None
    status: int
    out: str
    err: str
    kernel_log: tuple[str, ...]

    @property
    def refusal(self) -> str:
        """What dmsetup wrote to stderr, without the line that ends every failure."""
        return self.err.removesuffix("\n").removesuffix("\nCommand failed.")


def cases(file: str) -> dict[str, list[Step]]:
    """The cases of a recording by name, each with the steps whose answer could be recorded as text."""
    recording = json.loads((FOLDER / file).read_text())
    return {
        case["id"]: [
            _step(step[1:], answer)
            for step, answer in zip(case["steps"], case["answers"], strict=True)
            if step[0] == "dmsetup" and "rc" in answer
        ]
        for case in recording["cases"]
    }


def _step(words: list[Any], answer: dict[str, Any]) -> Step:
    stdin = _guest(words.pop()["stdin"]) if isinstance(words[-1], dict) else None
    return Step(
        tuple(map(_guest, words)),
        stdin,
        answer["rc"],
        answer["out"],
        answer["err"],
        tuple(answer.get("klog", ())),
    )


def _guest(text: str) -> str:
    return re.sub(r"\{d(\d)\}", r"7:\1", re.sub(r"\{path:d(\d)\}", r"/dev/loop\1", text))
