"""dmsetup's verbs over an emulator of a test's own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from dmtable.cli.dmsetup import main
from dmtable.control.dev import LocalDev
from dmtable.control.dispatch import LocalControl
from dmtable.control.machine import Machine
from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


class Dmsetup:
    """dmsetup over an emulator with one disk, /dev/loop0."""

    def __init__(self) -> None:
        self.mapper = DeviceMapper()
        self.mapper.add(MemoryDevice(1 << 20), "/dev/loop0")
        self.slept: list[float] = []
        self.control = LocalControl(self.mapper)
        self.machine = Machine(self.control, LocalDev(self.mapper), self.slept.append)

    def __call__(self, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> Answer:
        return answer(self.machine, *words, stdin=stdin, environ=environ)


def answer(machine: Machine, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    code = main(words, machine, io.StringIO(stdin), out, err, environ=environ or {})
    return Answer(code, out.getvalue(), err.getvalue())
