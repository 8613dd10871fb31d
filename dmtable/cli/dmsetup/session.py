"""One run of dmsetup: what was asked for, and everything it reads from and writes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.options import Options
from dmtable.cli.dmsetup.task import Device, Task
from dmtable.control.interface import NO_FLAGS, Flag
from dmtable.errors import DmsetupError

if TYPE_CHECKING:
    from dmtable.cli.dmsetup.report import Report

_FLAG_OF_OPTION = {
    "readonly": Flag.READONLY,
    "inactive": Flag.QUERY_INACTIVE_TABLE,
    "noflush": Flag.NOFLUSH,
    "nolockfs": Flag.SKIP_LOCKFS,
    "noopencount": Flag.SKIP_BDGET,
    "deferred": Flag.DEFERRED_REMOVE,
}


@dataclass(slots=True)
class Session:
    """A run under way. A verb fails by raising DmsetupError with what goes to stderr."""

    options: Options
    libdm: Libdm
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    cookie: int
    """That of a udev transaction: nodes then wait for its end. 0 where there is none."""
    report: Report | None = None
    """The rows of `info -c`, printed when the verb is done."""
    act: Callable[[str], None] | None = None
    """What `-S` asks for each device that the report selects; then no row is printed."""
    concise_begun: bool = False
    """Whether `table --concise` has printed something: devices stand on one line."""
    is_hasty: bool = False
    """Whether a table was wiped with `--force`: from then on nothing is flushed."""

    def out(self, text: str) -> None:
        self.stdout.write(text)

    @property
    def verbose(self) -> bool:
        return self.options.verbosity > 0

    # Requests.

    def task(self, name: str, device: Device, *options: str, flags: Flag = NO_FLAGS) -> Task:
        """A request with the flags that these options ask for, if given, besides those that count for all."""
        for option in ("noopencount", "inactive", *options):
            if option in self.options:
                flags |= _FLAG_OF_OPTION[option]
        return Task(name, device, flags, checks="checks" in self.options)

    def device(self, operand: str | None) -> Device:
        """The device that an operand means or, where there is none, that the options select."""
        if operand is not None:
            return self.libdm.by_name(operand)
        self.libdm.open()
        if (selected := self.selected()) is None:
            raise self.libdm.failed("No device specified.")
        return selected

    def selected(self) -> Device | None:
        """The device of `--uuid`, or of `--major` and `--minor`."""
        if "uuid" in self.options:
            return self.libdm.by_uuid(self.options["uuid"])
        number = self.options.number
        return Device(major=number[0], minor=number[1]) if number else None

    def for_all(self, act: Callable[[str], None], *, silent: bool = False) -> None:
        """Calls for the name of every device, as shown; goes on past failures, and fails in the end."""
        devices = self.libdm.devices(checks="checks" in self.options)
        if not devices and not silent:
            self.out("No devices found\n")
        failed = False
        for name, _dev in devices:
            try:
                act(name)
            except DmsetupError as error:
                self.complain(error)
                failed = True
        if failed:
            raise DmsetupError("")

    def complain(self, error: DmsetupError) -> None:
        """Prints why something failed that does not end the run."""
        if str(error):
            self.libdm.complain(str(error))

    def settle_nodes(self) -> None:
        """What libdm does where it would wait for udev, unless a transaction goes on."""
        if not self.cookie:
            self.libdm.nodes.process()
