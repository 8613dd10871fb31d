"""A stack on paper: tables constructed to be looked at, over devices that need not exist. No I/O, ever.

Only targets with a static mapping are constructed. Any other line (a mirror, a crypt) is opaque: where its
sectors go is known to the running target alone, so on paper it is a device of its own, named by its words.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Iterable
from typing import Any, ClassVar

from dmtable.core.bio import Bio
from dmtable.core.devices import DeviceTable, DmDev, Lookup, read_number
from dmtable.core.extents import Extent, ExtentMap
from dmtable.core.layout import MAX_SECTORS
from dmtable.core.numbers import MAX_MAJOR, Number
from dmtable.core.registry import Registry
from dmtable.core.table import Lines, LiveTable, TableRefused, no_targets
from dmtable.core.target import Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.errors import DeviceLookupError, IoctlError
from dmtable.io.device import BlockDevice, Buffer
from dmtable.language.diagnostics import Refusal
from dmtable.runtime.runtime import Runtime
from dmtable.runtime.threads import ThreadRuntime
from dmtable.units import SECTOR_SHIFT

# A major that no table can name, for devices that have no number of their own.
_NAMELESS_MAJOR = MAX_MAJOR + 1
_DEVICE_WORD = re.compile(r"/.*[^/]|[0-9]+:[0-9]+", re.DOTALL)


class PaperDevice(BlockDevice):
    """A device with a name and a size that can be neither read nor written."""

    def __init__(self, name: str, sectors: int) -> None:
        self.name = name
        self.sectors = sectors

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def size_bytes(self) -> int:
        return self.sectors << SECTOR_SHIFT

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        raise _no_io()

    def pwrite(self, data: Buffer, offset: int) -> int:
        raise _no_io()

    def flush(self) -> None:
        raise _no_io()

    def discard(self, offset: int, length: int) -> None:
        raise _no_io()

    def write_zeroes(self, offset: int, length: int) -> None:
        raise _no_io()

    def close(self) -> None:
        pass


class UnknownDevice(PaperDevice):
    """Stands for a device that a table names and nobody has; of unknown size, so the largest that there is."""

    def __init__(self, name: str) -> None:
        super().__init__(name, MAX_SECTORS)


class Layer(PaperDevice):
    """One table of a stack, as the md that it would make; `map` leads through all layers below it."""

    def __init__(self, name: str, table: LiveTable, extents: ExtentMap) -> None:
        super().__init__(name, table.size)
        self.table = table
        self.map = extents


class OpaqueDevice(PaperDevice):
    """The sectors of one opaque line. `words` are its parameters, `used` the devices among them by word.

    `ranges` are the sectors that it may touch; a length of 0 says that this is not known either.
    """

    def __init__(
        self, target: str, length: int, words: tuple[str, ...], used: dict[int, DmDev], ranges: tuple[DeviceRange, ...]
    ) -> None:
        super().__init__(target, length)
        self.words = words
        self.used = used
        self.ranges = ranges


class Disks:
    """What stacks on paper stand on: the files below a root folder, if there is one, and whatever tables name.

    Stacks that share it agree on which words mean the same device. A context manager: it closes its files.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self._devices = DeviceTable(root)
        self._names: dict[BlockDevice, str] = {}
        self._nameless = itertools.count()

    def __enter__(self) -> Disks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lookup(self, word: str) -> DmDev:
        """The device that a word means, made up where there is none. Raises DeviceLookupError for no device's word."""
        number = read_number(word)
        try:
            dm_dev = self._devices.by_path(word) if number is None else self._devices.by_number(number)
        except DeviceLookupError:
            if number is None and not _DEVICE_WORD.fullmatch(word):
                raise
            name = os.path.normpath("/" + word.lstrip("/")) if number is None else f"{number[0]}:{number[1]}"
            dm_dev = self._devices.add(UnknownDevice(name), name, number or self.nameless_number())
        self._names.setdefault(dm_dev.device, word)
        return dm_dev

    def name(self, device: BlockDevice) -> str:
        """What to call a device: as the first table that used it did."""
        return device.name if isinstance(device, PaperDevice) else self._names[device]

    def nameless_number(self) -> Number:
        """A number for what has none."""
        return _NAMELESS_MAJOR, next(self._nameless)

    def close(self) -> None:
        """Closes the files."""
        self._devices.close()


class PaperStack:
    """Tables by name, each on top of those that were added before it."""

    def __init__(self, disks: Disks, registry: Registry | None = None) -> None:
        self.disks = disks
        self.layers: dict[str, Layer] = {}
        self._registry = _PaperRegistry(registry or Registry())
        self._runtime = ThreadRuntime()
        self._words: dict[str, DmDev] = {}
        self._numbers: dict[Number, DmDev] = {}

    def add(self, name: str, lines: Lines, number: Number | None = None) -> Layer:
        """Adds a table; later ones find it as NAME, /dev/mapper/NAME and by its number, if it has one.

        Raises IoctlError where the kernel would refuse the table.
        """
        context = _PaperContext(self._registry, self._runtime, self.lookup)
        try:
            table = LiveTable(context, lines)
        except TableRefused as error:
            raise _refused(error.refusal) from error
        if refusal := table.limits_refusal() if len(table) else no_targets():
            raise _refused(refusal)
        layer = Layer(name, table, table.extent_map(_flatten))
        dm_dev = DmDev(number or self.disks.nameless_number(), name, layer)
        self.layers[name] = layer
        self._words[name] = self._words[f"/dev/mapper/{name}"] = dm_dev
        if number is not None:
            self._numbers[number] = self._words[f"/dev/dm-{number[1]}"] = dm_dev
        return layer

    def lookup(self, word: str) -> DmDev:
        """The layer or disk that a word means. Raises DeviceLookupError for no device's word."""
        found = self._words.get(word) or self._numbers.get(read_number(word) or (-1, -1))
        return found or self.disks.lookup(word)


class _PaperContext:
    """What tables on paper get. Nothing is counted or closed: layers live as long as their stack."""

    def __init__(self, registry: Registry, runtime: Runtime, lookup: Lookup) -> None:
        self.registry = registry
        self.runtime = runtime
        self.lookup = self.get_device = lookup
        self.owner = self
        self.shared: dict[object, Any] = {}

    def close_devices(self) -> None:
        """Nothing was opened."""

    def event(self) -> None:
        """Nobody waits for events on paper."""

    def log(self, text: str) -> None:
        """There is no kernel log on paper."""

    def log_limited(self, form: str, *values: object) -> None:
        """Nor is it flooded."""


class _PaperRegistry(Registry):
    """The targets of another registry, the opaque ones replaced; also those that nothing can run yet."""

    def __init__(self, running: Registry) -> None:
        super().__init__()
        self._running = running
        self._on_paper: dict[str, type[Target] | None] = {}

    def target(self, name: str) -> type[Target] | None:
        if name not in self._on_paper:
            self._on_paper[name] = self._choose(name)
        return self._on_paper[name]

    def _choose(self, name: str) -> type[Target] | None:
        found = self._running.target(name)
        # Who does not override `extents` is never static, and its constructor may have to read its devices.
        if found is not None and found.extents is not Target.extents:
            return found
        params = self._running.params(name)
        return type("Opaque", (_Opaque,), {"name": name, "params": params}) if params else None


class _Opaque(Target):
    """Any line that is not static: its sectors are those of its OpaqueDevice."""

    version: ClassVar[tuple[int, int, int]] = (0, 0, 0)

    def __init__(self, context: Context, begin: int, length: int, params: Params) -> None:
        super().__init__(context, begin, length)
        words = params.words()
        areas = list(params.areas(length))
        # A target whose words are not checked names its devices all the same.
        named = {area.word for area in areas} or {at for at, word in enumerate(words) if _DEVICE_WORD.fullmatch(word)}
        used = {at: context.get_device(words[at]) for at in sorted(named)}
        ranges = [DeviceRange(used[area.word], area.start, area.length) for area in areas]
        ranges = ranges or [DeviceRange(dm_dev, 0, 0) for dm_dev in used.values()]
        self._device = OpaqueDevice(self.name, length, tuple(words), used, tuple(ranges))

    def map(self, bio: Bio) -> MapResult:
        return MapResult.KILL

    def status(self, kind: StatusKind) -> str:
        return " ".join(self._device.words) if kind is StatusKind.TABLE else ""

    def iterate_devices(self) -> Iterable[DeviceRange]:
        return self._device.ranges

    def extents(self) -> Iterable[Extent]:
        yield Extent(self.begin, self.length, self._device, 0)


def _flatten(device: BlockDevice) -> BlockDevice | ExtentMap:
    return device.map if isinstance(device, Layer) else device


def _refused(refusal: Refusal) -> IoctlError:
    lines = (*refusal.log, f"table: {refusal.text}")
    return IoctlError(refusal.errno, refusal.text, [f"device-mapper: {line}" for line in lines])


def _no_io() -> OSError:
    return OSError(errno.ENXIO, os.strerror(errno.ENXIO))
