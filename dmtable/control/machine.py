"""A machine as a program in its user space sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dmtable.control.dev import Dev, LocalDev
from dmtable.control.dispatch import LocalControl
from dmtable.control.interface import Control
from dmtable.core.device_mapper import DeviceMapper


@dataclass(frozen=True, slots=True)
class Machine:
    """The control interface, /dev and sysfs, and a way to wait: seconds go by in `sleep`."""

    control: Control
    dev: Dev
    sleep: Callable[[float], object]


def local_machine(mapper: DeviceMapper) -> Machine:
    """The machine that a DeviceMapper in this process is."""
    return Machine(LocalControl(mapper), LocalDev(mapper), mapper.runtime.sleep)
