"""Raw ioctls: every errno, log line and byte that Linux 6.1 answered, the emulator answers too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dmtable.control.server import machine_transport
from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice
from dmtable.sim.runtime import SimRuntime
from dmtable.units import SECTOR_BYTES

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "kernel" / "ioctl.json").read_text()
)["cases"]
FILLER = 0xEE
"""What lay in the memory behind the buffer when the answers were recorded."""
HEADER_BYTES = 312
TELLS_UDEV = (4, 5, 6)
"""remove, rename, resume."""
UEVENT_BYTE, UEVENT_GENERATED = 29, 0x20


class Machine:
    """An emulated machine for one case."""

    def __init__(self, disks: dict[str, int]) -> None:
        self._runtime = SimRuntime()
        self.mapper = DeviceMapper(runtime=self._runtime)
        for name, sectors in disks.items():
            number = int(name[1:])
            self.mapper.add(MemoryDevice(sectors * SECTOR_BYTES), f"/dev/loop{number}", (7, number))
        self._transport = machine_transport(self.mapper)
        self._opened = ExitStack()

    def step(self, kind: str, *words: Any) -> dict[str, Any]:
        if kind == "ioctl":
            command, text, size = words
            before = bytes.fromhex(text)
            number, reply = self._transport(command, before.ljust(size, bytes([FILLER])))
            after = reply + before.ljust(size, bytes([FILLER]))[len(reply) :]
            self._runtime.pass_time(0.01)  # As the recording did between two steps.
            return {"errno": number, "after": after}
        if kind == "hold":
            self._opened.enter_context(self.mapper[words[0]].open())
        elif kind == "release":
            self._opened.close()
        else:
            assert kind == "sleep"
            self._runtime.pass_time(words[0])
        return {}

    def close(self) -> None:
        self._opened.close()
        self.mapper.close()


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine = Machine(request.param["disks"])
    yield machine
    machine.close()


def as_in_memory(step: list[Any], answer: dict[str, Any]) -> bytes:
    """The caller's memory after the kernel's answer; but we have no udev that would be told of anything."""
    _kind, command, text, size = step
    changed = bytearray.fromhex(answer["hex"])
    if command & 0xFF in TELLS_UDEV and len(changed) > UEVENT_BYTE:
        changed[UEVENT_BYTE] &= ~UEVENT_GENERATED
    before = bytes.fromhex(text).ljust(size, bytes([FILLER]))
    return bytes(changed) + before[len(changed) :]


def padding(at: int, kernel: bytes, step: list[Any]) -> bool:
    """Whether the kernel left a byte behind the header as it was, which the emulator fills with zeros."""
    before = bytes.fromhex(step[2]).ljust(len(kernel), bytes([FILLER]))
    return at >= HEADER_BYTES and kernel[at] == before[at]


@pytest.mark.parametrize(
    ("machine", "case"), [pytest.param(case, case, id=case["id"]) for case in CASES], indirect=["machine"]
)
def test_every_raw_ioctl_is_answered_as_by_the_kernel(machine: Machine, case: dict[str, Any]) -> None:
    for number, (step, expected) in enumerate(zip(case["steps"], case["answers"], strict=True)):
        before = len(machine.mapper.klog)
        answer = machine.step(*step)
        assert list(machine.mapper.klog)[before:] == expected.get("klog", []), number
        if step[0] != "ioctl":
            continue
        assert answer["errno"] == expected["errno"], number
        kernel, ours = as_in_memory(step, expected), answer["after"]
        wrong = [
            at
            for at, (theirs, mine) in enumerate(zip(kernel, ours, strict=True))
            if theirs != mine and not (mine == 0 and padding(at, kernel, step))
        ]
        assert not wrong, (number, wrong, kernel[:360], ours[:360])


def test_the_recording_has_every_command() -> None:
    commands = {step[1] & 0xFF for case in CASES for step in case["steps"] if step[0] == "ioctl"}
    assert commands >= set(range(18))
