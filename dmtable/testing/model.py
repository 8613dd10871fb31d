"""A naive model of a device-mapper: dictionaries, and requests that walk from table to table sector by sector.

Each call answers with the errno that the device-mapper must answer with, 0 where it must do as it is told. It knows
linear, striped, zero and error, on devices whose sizes do not change. A sector's content is one number, its *tag*.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dmtable.core.bio import Op
from dmtable.core.names import MAX_NAME
from dmtable.core.numbers import MAX_MINOR
from dmtable.core.table import TargetSpec
from dmtable.testing.valid_tables import DeviceSet

MD_FOLDER = "/dev/mapper/"

Lines = tuple[TargetSpec, ...]


@dataclass(slots=True, eq=False)
class Request:
    """A read, write or anything else on its way; `tags` are what it writes, or what it has read."""

    op: Op
    sector: int
    tags: list[int]
    error: int = 0
    done: bool = False
    waits: int = 0
    """How many of its parts are under way."""
    above: tuple[Request, int] | None = None
    """The request that this is a part of, and which of its sectors is the first here."""
    inside: ModelMd | None = None
    """The md whose table it is going through."""
    is_loose: bool = False
    """It reads while a write is held up as well, and nobody can say which comes first."""

    @property
    def sectors(self) -> int:
        return len(self.tags)


@dataclass(slots=True, eq=False)
class ModelMd:
    """What is known of an md."""

    name: str
    uuid: str
    minor: int
    live: Lines | None = None
    inactive: Lines | None = None
    suspended: bool = False
    limits_known: bool = False
    event_nr: int = 0
    files: int = 0
    deferred_remove: bool = False
    in_flight: int = 0
    held: list[Request] = field(default_factory=list)

    @property
    def sectors(self) -> int:
        return 0 if self.live is None else size_of(self.live)


class Model:
    """The state of a device-mapper over some devices, and what its calls would answer.

    The devices are zeroed at first. Whoever has a layer of his own above a device-mapper tells the model, behind
    each call of that layer, which requests it must have come down to.
    """

    def __init__(self, devices: DeviceSet) -> None:
        self.disks = {device.path: [0] * device.sectors for device in devices.devices}
        self.mds: dict[str, ModelMd] = {}
        self.pending: list[Request] = []
        """Requests that are held up by a suspended md."""

    # ---- the device-mapper's requests

    def create(self, name: str, uuid: str = "", minor: int | None = None) -> int:
        """As `DeviceMapper.create_device`."""
        if not name or "/" in name or len(name.encode()) > MAX_NAME:
            return errno.EINVAL
        taken = {md.minor for md in self.mds.values()}
        if minor is None:
            minor = next(number for number in range(len(taken) + 1) if number not in taken)
        if minor in taken or not 0 <= minor <= MAX_MINOR:
            return errno.ENXIO
        if name in self.mds or (uuid and uuid in {md.uuid for md in self.mds.values()}):
            return errno.EBUSY
        self.mds[name] = ModelMd(name, uuid, minor)
        return 0

    def load(self, name: str, lines: Sequence[TargetSpec]) -> int:
        """As `DeviceMapper.load`, for lines whose words are right, whatever devices they name."""
        md = self.mds[name]
        for _line, path, _start, _length in areas(lines):
            if error := self._lookup(path, md):
                return error
        if not lines or not (md.limits_known or self._fits(lines)):
            return errno.EINVAL
        md.limits_known = True
        old, md.inactive = md.inactive, tuple(lines)
        self._closed(md, old)
        return 0

    def clear(self, name: str) -> int:
        """As `DeviceMapper.clear`."""
        md = self.mds[name]
        old, md.inactive = md.inactive, None
        self._closed(md, old)
        return 0

    def suspend(self, name: str) -> int:
        """As `DeviceMapper.suspend`."""
        self.mds[name].suspended = True
        return 0

    def resume(self, name: str) -> int:
        """As `DeviceMapper.resume`."""
        md = self.mds[name]
        new, md.inactive = md.inactive, None
        if new is not None:
            md.suspended = True
            fits = self._fits(new)
            old, md.live = (md.live, new) if fits else (new, md.live)
            self._closed(md, old)
            if not fits:
                return errno.EINVAL
        if md.suspended and md.live is None:
            return errno.EINVAL
        md.suspended = False
        self._release(md)
        return 0

    def remove(self, name: str, *, deferred: bool = False) -> int:
        """As `DeviceMapper.remove`."""
        md = self.mds[name]
        if self.open_count(name):
            md.deferred_remove |= deferred
            return 0 if deferred else errno.EBUSY
        del self.mds[name]
        tables = md.live, md.inactive
        md.live = md.inactive = None
        md.suspended = False
        self._release(md)
        for table in tables:
            self._closed(md, table)
        return 0

    # ---- the mds' calls

    def open(self, name: str) -> int:
        """As `MappedDevice.open`."""
        self.mds[name].files += 1
        return 0

    def close(self, name: str) -> int:
        """As the `close` of a file that `open` returned."""
        md = self.mds[name]
        md.files -= 1
        self._last_close(md)
        return 0

    def event(self, name: str) -> int:
        """As `MappedDevice.event`."""
        self.mds[name].event_nr += 1
        return 0

    def submit(self, name: str, op: Op, sector: int, sectors: int, tag: int = 0) -> Request:
        """As `MappedDevice.submit`, of a bio that writes the tag into all its sectors."""
        request = Request(op, sector, [tag] * sectors)
        self._send(MD_FOLDER + name, request)
        if not request.done:
            self.pending.append(request)
            if len({each.op is Op.READ for each in self.pending}) > 1:
                for each in self.pending:
                    each.is_loose = each.op is Op.READ
        return request

    # ---- what there is to ask

    def open_count(self, name: str) -> int:
        """How often an md is open: each file counts, and each md with a table on it."""
        md = self.mds[name]
        return md.files + sum(name in self._below(above) for above in self.mds.values() if above is not md)

    def held_tag(self) -> int | None:
        """What the writes that are held up write. They are let go in no order that is sure, so all write the same."""
        return next((request.tags[0] for request in self.pending if request.op in _CHANGING), None)

    def would_wait(self, name: str) -> bool:
        """Whether suspending or removing the md would wait for a request that is held up below it."""
        return self.mds[name].in_flight > 0

    def close_would_wait(self) -> bool:
        """Whether a last close could wait so, in removing an md that was to be removed later."""
        return any(md.deferred_remove and md.in_flight for md in self.mds.values())

    # ---- inside

    def _below(self, md: ModelMd) -> set[str]:
        """The mds that one's tables name, the live and the inactive one."""
        tables = [table for table in (md.live, md.inactive) if table is not None]
        paths = {path for table in tables for _line, path, _start, _length in areas(table)}
        return {path.removeprefix(MD_FOLDER) for path in paths if path.startswith(MD_FOLDER)}

    def _stands_on(self, upper: str, lower: str) -> bool:
        return upper == lower or any(self._stands_on(below, lower) for below in self._below(self.mds[upper]))

    def _lookup(self, path: str, md: ModelMd) -> int:
        if path in self.disks:
            return 0
        name = path.removeprefix(MD_FOLDER)
        if name not in self.mds:
            return errno.ENODEV
        if self.mds[name].live is None:
            return errno.ENXIO
        return errno.EINVAL if self._stands_on(name, md.name) else 0

    def _size(self, path: str) -> int:
        return len(self.disks[path]) if path in self.disks else self.mds[path.removeprefix(MD_FOLDER)].sectors

    def _fits(self, lines: Sequence[TargetSpec]) -> bool:
        return all(start + length <= self._size(path) for _line, path, start, length in areas(lines))

    def _closed(self, md: ModelMd, table: Lines | None) -> None:
        """A table of the md is gone: what it alone had open is closed."""
        names = {path.removeprefix(MD_FOLDER) for _line, path, _start, _length in areas(table or ())}
        for name in names & self.mds.keys() - self._below(md):
            self._last_close(self.mds[name])

    def _last_close(self, md: ModelMd) -> None:
        if md.deferred_remove and not self.open_count(md.name):
            self.remove(md.name)

    def _release(self, md: ModelMd) -> None:
        held, md.held = md.held, []
        for request in held:
            self._through(md, request)
        self.pending = [request for request in self.pending if not request.done]

    def _send(self, path: str, request: Request) -> None:
        if path in self.disks:
            self._on_disk(self.disks[path], request)
            return
        md = self.mds[path.removeprefix(MD_FOLDER)]
        if md.suspended:
            md.held.append(request)
        else:
            self._through(md, request)

    def _through(self, md: ModelMd, request: Request) -> None:
        if md.live is None or (request.op is not Op.FLUSH and request.sector + request.sectors > md.sectors):
            self._end(request, errno.EIO)
            return
        request.inside = md
        md.in_flight += 1
        parts = list(_flushes(md.live) if request.op is Op.FLUSH else _parts(md.live, request))
        request.waits = len(parts)
        if not parts:
            self._end(request)
        for path, sector, at, sectors in parts:
            part = Request(request.op, sector, request.tags[at : at + sectors], above=(request, at))
            if path == "error":
                self._end(part, errno.EIO)
            elif path == "zero":
                part.tags = [0] * sectors if request.op is Op.READ else part.tags
                self._end(part)
            else:
                self._send(path, part)

    def _on_disk(self, disk: list[int], request: Request) -> None:
        here = slice(request.sector, request.sector + request.sectors)
        if request.op is Op.READ:
            request.tags = disk[here]
        elif request.op in _CHANGING:
            disk[here] = request.tags
        self._end(request)

    def _end(self, request: Request, error: int = 0) -> None:
        request.error = request.error or error
        request.done = True
        if request.inside is not None:
            request.inside.in_flight -= 1
        if request.above is not None:
            above, at = request.above
            above.tags[at : at + request.sectors] = request.tags
            above.error = above.error or request.error
            above.waits -= 1
            if not above.waits:
                self._end(above)


_CHANGING = (Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES)


def size_of(lines: Sequence[TargetSpec]) -> int:
    """The sectors of a table."""
    return lines[-1].start + lines[-1].length


def areas(lines: Sequence[TargetSpec]) -> Iterator[tuple[TargetSpec, str, int, int]]:
    """(line, path, first sector, sectors) for each device of each line, in the order of the words."""
    for line in lines:
        legs = _legs(line)
        for path, start in legs:
            yield line, path, start, line.length // len(legs)


def _legs(line: TargetSpec) -> list[tuple[str, int]]:
    words = line.words[2:] if line.target == "striped" else line.words
    return [(path, int(offset)) for path, offset in zip(words[::2], words[1::2], strict=True)]


def _flushes(lines: Lines) -> Iterator[tuple[str, int, int, int]]:
    for path in dict.fromkeys(path for _line, path, _start, _length in areas(lines)):
        yield path, 0, 0, 0


def _parts(lines: Lines, request: Request) -> Iterator[tuple[str, int, int, int]]:
    """(path, sector there, which sector of the request, sectors): cut where lines end, and chunks."""
    at = 0
    while at < request.sectors:
        sector = request.sector + at
        line = next(line for line in lines if line.start <= sector < line.start + line.length)
        within = sector - line.start
        legs = _legs(line) or [(line.target, 0)]
        chunk = int(line.words[1]) if line.target == "striped" else line.length
        number, rest = divmod(within, chunk)
        path, offset = legs[number % len(legs)]
        here = min(chunk - rest, request.sectors - at)
        yield path, offset + number // len(legs) * chunk + rest, at, here
        at += here
