"""What a target is: parameters that judge and hold its words, and the running mapping."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Protocol, Self

from dmtable.core.bio import Bio
from dmtable.core.devices import DmDev, Lookup
from dmtable.core.extents import AnyExtent, Flatten, Shortcut
from dmtable.errors import IoctlError
from dmtable.language.diagnostics import Finding
from dmtable.runtime.runtime import Runtime


class MapResult(Enum):
    """What became of a bio (kernel: DM_MAPIO_*)."""

    REMAPPED = auto()
    """Rewritten; the core submits it to `bio.device`."""
    SUBMITTED = auto()
    """The target has it and will complete it."""
    KILL = auto()
    """Ends with EIO."""
    REQUEUE = auto()
    """Comes again when the md resumes."""


class StatusKind(Enum):
    """INFO is what `dmsetup status` prints behind the target's name, TABLE what `dmsetup table` does."""

    INFO = auto()
    TABLE = auto()


@dataclass(frozen=True, slots=True)
class Area:
    """The sectors of a device that a line uses. `word` is the index of the word that names the device."""

    word: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class DeviceRange:
    """The sectors of an open device that a target uses (kernel: iterate_devices)."""

    dm_dev: DmDev
    start: int
    length: int


class Params(ABC):
    """The words of a target, judged and typed. Subclasses are frozen dataclasses."""

    @classmethod
    @abstractmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        """Everything wrong with the words of a line, in the order in which the kernel would see it.

        The parameters come back where no finding has a refusal. Devices are looked up where a lookup
        is given; their sizes are judged elsewhere, from `areas`.
        """

    @abstractmethod
    def words(self) -> list[str]:
        """The words again, as a writer puts them."""

    def areas(self, length: int) -> Iterable[Area]:
        """The sectors of each device that a line of this length uses."""
        return ()


class Context(Protocol):
    """What a target gets from its md."""

    @property
    def runtime(self) -> Runtime: ...

    @property
    def owner(self) -> object:
        """Stands for the md: the same for all its tables, and another for every other md's."""

    @property
    def shared(self) -> dict[object, Any]:
        """What targets of one device-mapper share among themselves, by keys of their own."""

    def get_device(self, word: str) -> DmDev:
        """Opens a device for the table; it is closed with the table. Raises DeviceLookupError."""

    def event(self) -> None:
        """Raises the md's event counter and wakes who waits for it (kernel: dm_table_event)."""

    def log(self, text: str) -> None:
        """Writes a line to the emulated kernel's log."""

    def log_limited(self, form: str, *values: object) -> None:
        """Writes `form.format(*values)`, as long as the log is not flooded by lines of this form."""


class Target(ABC):
    """A mapping at work: `length` sectors of an md from sector `begin` on.

    Construction is the rest of the kernel's ctr: `inspect` has passed, devices are opened here.
    Raises CtrError. The defaults suit a target without state; sizes and positions are sectors.
    """

    name: ClassVar[str]
    version: ClassVar[tuple[int, int, int]]
    params: ClassVar[type[Params]]
    io_boundary: int = 0
    """Bios are cut at multiples of this, counted from `begin`; 0 means nowhere (kernel: max_io_len)."""

    def __init__(self, context: Context, begin: int, length: int) -> None:
        self.context = context
        self.begin = begin
        self.length = length

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: Any) -> Self:
        """The kernel's ctr, behind `inspect`: `params` is an instance of `cls.params`."""
        return cls(context, begin, length, params)  # type: ignore[call-arg]

    def dtr(self) -> None:
        """Gives up what the target holds; its devices are closed by the table."""
        return

    @abstractmethod
    def map(self, bio: Bio) -> MapResult:
        """Decides where a bio goes that lies within the target; `bio.sector` counts from the md's begin.

        A FLUSH comes once to each target that is not static; the devices of static ones are flushed for them.
        """

    def end_io(self, bio: Bio) -> None:
        """Sees each bio that was given to `map`, when it is done, before the md does."""
        return

    @abstractmethod
    def status(self, kind: StatusKind) -> str:
        """What the kernel prints behind the target's name, byte for byte."""

    def measurement(self) -> str:
        """What `dmsetup measure` prints behind the target's name (kernel: STATUSTYPE_IMA); most have nothing."""
        return ""

    def measured(self, *attributes: str) -> str:
        """A measurement with these attributes, as `start=0`."""
        version = ".".join(map(str, self.version))
        return ",".join((f"target_name={self.name}", f"target_version={version}", *attributes)) + ";"

    def message(self, args: Sequence[str]) -> str:
        """Obeys a message and answers. Raises IoctlError (EINVAL) where the target knows none."""
        raise IoctlError(
            errno.EINVAL,
            "Target type does not support messages",
            ["device-mapper: ioctl: Target type does not support messages"],
        )

    def presuspend(self) -> None:
        """The md is about to suspend: I/O is still coming."""
        return

    def presuspend_undo(self) -> None:
        """The md does not suspend after all; `presuspend` may not have come to its end, or to this target."""
        return

    def postsuspend(self) -> None:
        """The md is suspended: no I/O is in flight."""
        return

    def preresume(self) -> None:
        """The md is about to resume. Raises IoctlError to keep it suspended."""
        return

    def resume(self) -> None:
        """The md resumes: I/O comes from now on."""
        return

    def iterate_devices(self) -> Iterable[DeviceRange]:
        """Every device that the target uses, with the sectors it may touch there."""
        return ()

    def extents(self) -> Iterable[AnyExtent] | None:
        """The static mapping, in order and without holes; None where `map` must see each bio."""
        return None

    def shortcut(self, flatten: Flatten) -> Shortcut | None:
        """Where there is no static mapping: a quick way for what `map` would do with most bios, if there is one.

        It may use devices that `flatten` leads to, which stay as they are for as long as the shortcut is in use, and
        no others. What it serves `map` and `end_io` do not see.
        """
        return None
