"""The mirror keeps the contract of targets."""

from __future__ import annotations

import errno
from typing import ClassVar

from dmtable.testing.contracts import Example, Refused, TargetContract

_LEGS = "2 /dev/a 0 /dev/b 16"


class TestMirror(TargetContract):
    target = "mirror"
    devices: ClassVar = {"/dev/a": 128, "/dev/b": 128, "/dev/c": 100, "/dev/log": 8}
    examples: ClassVar = (
        Example(f"core 1 16 {_LEGS}", 64),
        Example(f"core 2 64 nosync {_LEGS} 1 handle_errors", 64),
        Example(f"disk 2 /dev/log 8 {_LEGS}", 60),
        Example("disk 3 /dev/log 16 sync 3 /dev/c 1 /dev/a 2 /dev/b 3 2 handle_errors keep_log", 96),
    )
    # Of its log it makes durable what must be, before each write to a leg; the legs' flush has a test of its own.
    flush_reaches_devices = False
    refused = (
        Refused("core", 64, errno.EINVAL),
        Refused(f"core x 16 {_LEGS}", 64, errno.EINVAL),
        Refused(f"core 1 17 {_LEGS}", 64, errno.EINVAL),
        Refused(f"none 1 16 {_LEGS}", 64, errno.EINVAL),
        Refused("core 1 16 1 /dev/a 0", 64, errno.EINVAL),
        Refused("core 1 16 3 /dev/a 0 /dev/b 0", 64, errno.EINVAL),
        Refused("core 1 16 2 /dev/a 0 /dev/b x", 64, errno.EINVAL),
        Refused("core 1 16 2 /dev/a 0 /dev/none 0", 64, errno.ENODEV),
        Refused(f"core 1 16 {_LEGS} 1 keep_log", 64, errno.EINVAL),
        Refused(f"core 1 16 {_LEGS} 2 handle_errors", 64, errno.EINVAL),
        Refused(f"core 1 16 {_LEGS} 1 handle_errors more", 64, errno.EINVAL),
    )

    def test_a_device_that_fails_once_costs_an_error_at_most(self) -> None:
        # With handle_errors a write that fails is held back until somebody suspends the md. With keep_log as well the
        # kernel goes over to another leg where it cannot recover from the default one, and loses what only that had.
        _Plain().test_a_device_that_fails_once_costs_an_error_at_most()


class _Plain(TargetContract):
    target = "mirror"
    devices = TestMirror.devices
    examples = tuple(each for each in TestMirror.examples if "handle_errors" not in each.words)
