"""One run of dmsetup: what was asked for, and everything it reads from and writes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from dmtable.cli.dmsetup.libdm import Device, Libdm
from dmtable.cli.dmsetup.options import Options
from dmtable.cli.dmsetup.report import Report
from dmtable.control.interface import NO_FLAGS, Flag
from dmtable.errors import DmsetupError, UsageError
from dmtable.language.concise import ConciseDevice

_FLAG_OF_OPTION = {
    "readonly": Flag.READONLY,
    "inactive": Flag.QUERY_INACTIVE_TABLE,
    "noflush": Flag.NOFLUSH,
    "nolockfs": Flag.SKIP_LOCKFS,
    "noopencount": Flag.SKIP_BDGET,
}


class NotBuilt(UsageError):
    """Something that dmsetup can do, and dmtable cannot yet."""


@dataclass(frozen=True, slots=True)
class Session:
    """A run under way. A verb fails by raising DmsetupError with what goes to stderr."""

    options: Options
    libdm: Libdm
    stdin: TextIO
    stdout: TextIO
    environ: Mapping[str, str]
    sleep: Callable[[float], object]
    report: Report | None
    """The rows of `info -c`, printed when the verb is done."""
    concise: list[ConciseDevice] = field(default_factory=list)
    """The devices of `table --concise`, printed when the verb is done."""

    def out(self, text: str) -> None:
        self.stdout.write(text)

    @property
    def flags(self) -> Flag:
        """What the options ask of every request; the kernel ignores what does not concern one."""
        flags = NO_FLAGS
        for option, flag in _FLAG_OF_OPTION.items():
            if option in self.options:
                flags |= flag
        return flags

    @property
    def verbose(self) -> bool:
        return self.options.verbosity > 0

    def device(self, operand: str | None) -> Device:
        """The device that an operand means or, where there is none, that the options select."""
        if operand is not None:
            return self.libdm.by_name(operand)
        if (selected := self.selected()) is None:
            raise DmsetupError("No device specified.")
        return selected

    def selected(self) -> Device | None:
        """The device of `--uuid`, or of `--major` and `--minor`."""
        if "uuid" in self.options:
            return Device(uuid=self.libdm.uuid(self.options["uuid"]))
        number = self.options.number
        return Device(major=number[0], minor=number[1]) if number else None

    def for_all(self, show: Callable[[str, Device], None]) -> None:
        """Calls for (name as shown, device) of every device; goes on past failures, and fails in the end."""
        devices = self.libdm.devices()
        if not devices:
            self.out("No devices found\n")
        failed = False
        for name, _dev in devices:
            try:
                show(name, self.libdm.by_name(name))
            except DmsetupError as error:
                self.libdm.complain(str(error))
                failed = True
        if failed:
            raise DmsetupError("")
