"""A state machine of the whole life of mapped devices, against a naive model of it.

To prove a device-mapper of your own making, or a layer that stands between, say what is to be tested:

    class MyLifeCycle(LifeCycle):
        def make(self) -> DeviceMapper:
            return MyDeviceMapper()

    TestMyLifeCycle = MyLifeCycle.TestCase

To test a volume manager, add rules of your own that call it and tell the model what must have happened below:

    class Volumes(LifeCycle):
        def __init__(self) -> None:
            super().__init__()
            self.manager = VolumeManager(self.dm)

        @rule(sectors=st.integers(1, 32))
        def new_volume(self, sectors: int) -> None:
            name = self.manager.new_volume(sectors)
            assert self.model.create(name) == 0
            assert self.model.load(name, [TargetSpec(0, sectors, "linear", ("/dev/sda", "0"))]) == 0
            assert self.model.resume(name) == 0

The invariants then compare every md, every table, every sector and every request that is under way after each step.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.md_file import MdFile
from dmtable.core.numbers import DM_MAJOR
from dmtable.core.table import LiveTable, TargetSpec
from dmtable.core.target import StatusKind
from dmtable.errors import ErrnoError, UsageError
from dmtable.language.diagnostics import TableError
from dmtable.language.parser import parse
from dmtable.sim.deadlock import Deadlock
from dmtable.sim.runtime import SimRuntime
from dmtable.testing.damage import DAMAGES, damaged_tables
from dmtable.testing.model import MD_FOLDER, Lines, Model, Request
from dmtable.testing.valid_tables import TARGETS, DeviceSet, NamedDevice, lines, tokens
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_REFUSED_CODES = {"DM002", "DM101", "DM102", "DM103", "DM104", "DM106", "DM201", "DM203", "DM204"} | {
    *("DM401", "DM402", "DM411", "DM412", "DM413", "DM414", "DM415", "DM416", "DM417", "DM421")
}
"""Rules whose breach is refused at once, whatever the md has been through."""

_there_are_mds = precondition(lambda self: bool(self.model.mds))
_there_is_a_table = precondition(lambda self: any(md.live is not None for md in self.model.mds.values()))


class LifeCycle(RuleBasedStateMachine):
    """Creates, loads, resumes, suspends, opens, reads, writes and removes; everything that can go wrong included.

    Calls that would wait for ever in one thread are not made: a request on a suspended md is a bio, and an md is not
    suspended or removed while a request of its is held up below.
    """

    devices = DeviceSet((NamedDevice("/dev/sda", 64), NamedDevice("/dev/sdb", 48)))
    """What tables are drawn over, besides mds; all blocks have 512 bytes."""
    names: tuple[str, ...] = ("a", "b", "c")
    """What mds are called."""
    max_lines = 3
    """Of a table."""

    def make(self) -> DeviceMapper:
        """The device-mapper to be tested; `devices` are added to it here, and it is closed in the end.

        In a simulated runtime what would wait for ever is found out; among threads it hangs.
        """
        return DeviceMapper(runtime=SimRuntime())

    def __init__(self) -> None:
        super().__init__()
        if self.devices.block_sectors > 1:
            raise UsageError("the model knows nothing of large blocks: give devices with blocks of 512 bytes")
        self.dm = self.make()
        self.model = Model(self.devices)
        self.disks = self.devices.add_to(self.dm)
        self._files: list[tuple[str, MdFile]] = []
        self._under_way: list[tuple[Request, Bio]] = []
        self._last_tag = 0
        refused = [damage.name for damage in DAMAGES.values() if damage.code in _REFUSED_CODES]
        self._damaged = damaged_tables(devices=self.devices, damages=refused, max_lines=2, tidy=True)

    def teardown(self) -> None:
        """Closes the device-mapper: what still waits then fails."""
        _agree("close", _outcome(self.dm.close), 0)
        for request, bio in self._under_way:
            if not request.done:
                _agree(f"{request.op.name} that waits when all is closed", (bio.done, bio.error > 0), (True, True))

    # ---- rules: tables in and out

    @rule(
        data=st.data(), uuid=st.sampled_from(["", "", "u1", "u2"]), minor=st.sampled_from([None, None, 0, 7, 1 << 20])
    )
    def create(self, data: st.DataObject, uuid: str, minor: int | None) -> None:
        """An md without a table, under any name, taken or impossible ones included."""
        name = data.draw(st.sampled_from([*self._free_names() * 3, *self.names, "", "a/b", "n" * 128]), label="name")
        expected = self.model.create(name, uuid, minor)
        _agree(f"create {name!r}", _outcome(lambda: self.dm.create_device(name, uuid, minor)), expected)

    @rule(data=st.data())
    def create_with_table(self, data: st.DataObject) -> None:
        """All at once, as `dmsetup create` does; where the table is refused nothing remains."""
        name = data.draw(st.sampled_from([*self._free_names() * 3, *self.names]), label="name")
        table = data.draw(self._tables(), label="table")
        expected = self.model.create(name)
        if not expected:
            expected = self.model.load(name, table) or self.model.resume(name)
            if expected:
                self.model.remove(name)
        _agree(f"create {name} with a table", _outcome(lambda: self.dm.create(name, _text(table))), expected)

    @_there_are_mds
    @precondition(lambda self: not self.model.close_would_wait())
    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        """A table for the inactive slot. It may lead to itself, to an md without a table, or to none."""
        self._load(self._name(data), data.draw(self._tables(), label="table"))

    @_there_are_mds
    @rule(data=st.data())
    def load_damaged(self, data: st.DataObject) -> None:
        """A table that is wrong in one place: it is refused, and changes nothing."""
        name = self._name(data)
        table = data.draw(self._damaged, label="table")
        try:
            self.dm.load(self.dm[name], parse(table.text))
        except (TableError, ErrnoError):
            return
        raise AssertionError(f"{table.damage} was not refused: {table.text}")

    @_there_are_mds
    @precondition(lambda self: not self.model.close_would_wait())
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        """A table is loaded and takes the place of the live one."""
        name = self._name(data)
        self._load(name, data.draw(self._tables(), label="table"))
        self._resume(name, noflush=False)

    @precondition(lambda self: any(md.inactive is not None for md in self.model.mds.values()))
    @precondition(lambda self: not self.model.close_would_wait())
    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        """The inactive table is dropped, if there is one."""
        name = self._name(data)
        _agree(f"clear {name}", _outcome(lambda: self.dm.clear(self.dm[name])), self.model.clear(name))

    @_there_are_mds
    @rule(data=st.data(), noflush=st.booleans())
    def suspend(self, data: st.DataObject, noflush: bool) -> None:
        """I/O is held from now on."""
        name = self._name(data)
        if self.model.would_wait(name) and not self.model.mds[name].suspended:
            return
        expected = self.model.suspend(name)
        _agree(f"suspend {name}", _outcome(lambda: self.dm.suspend(self.dm[name], noflush=noflush)), expected)

    @_there_are_mds
    @precondition(lambda self: not self.model.close_would_wait())
    @rule(data=st.data(), noflush=st.booleans())
    def resume(self, data: st.DataObject, noflush: bool) -> None:
        """The inactive table is swapped in, and I/O goes on through it."""
        self._resume(self._name(data), noflush=noflush)

    @_there_are_mds
    @precondition(lambda self: not self.model.close_would_wait())
    @rule(data=st.data(), deferred=st.booleans())
    def remove(self, data: st.DataObject, deferred: bool) -> None:
        """At once, or when the last user closes it."""
        mds = sorted(self.model.mds)
        used = [name for name in mds if self.model.open_count(name)]
        name = data.draw(st.sampled_from(used * 3 + mds), label="md")
        if self.model.would_wait(name):
            return
        md = self.dm[name]
        expected = self.model.remove(name, deferred=deferred)
        _agree(f"remove {name}", _outcome(lambda: self.dm.remove(md, deferred=deferred)), expected)
        if name not in self.model.mds:
            _agree(f"remove {name} again", _outcome(lambda: self.dm.remove(md)), errno.ENXIO)
            _agree(f"read {name} once removed", _outcome(lambda: md.pread(SECTOR_BYTES, 0)), errno.ENXIO)

    # ---- rules: users of mds

    @_there_are_mds
    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        """A user more."""
        name = self._name(data)
        self.model.open(name)
        self._files.append((name, self.dm[name].open()))

    @precondition(lambda self: bool(self._files) and not self.model.close_would_wait())
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """A user less; the last one takes an md along that was to be removed."""
        name, file = self._files.pop(data.draw(st.integers(0, len(self._files) - 1), label="file"))
        if self.model.would_wait(name) and self.model.mds[name].deferred_remove:
            self._files.append((name, file))
            return
        self.model.close(name)
        file.close()
        file.close()

    @_there_are_mds
    @rule(data=st.data())
    def event(self, data: st.DataObject) -> None:
        """An event, of which one who waits since before is told."""
        name = self._name(data)
        md = self.dm[name]
        before = md.event_nr
        self.model.event(name)
        md.event()
        md.wait_event(before)

    @_there_are_mds
    @rule(data=st.data())
    def message(self, data: st.DataObject) -> None:
        """A message to a target that knows none."""
        table = self.dm[self._name(data)].live
        target = None if table is None else table.target_at(0)
        if target is not None:
            _agree("message", _outcome(lambda: target.message(["hello"])), errno.EINVAL)

    @_there_is_a_table
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Sectors are read."""
        self._request(data, Op.READ)

    @_there_is_a_table
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """Sectors are written, with something that is nowhere yet."""
        self._request(data, Op.WRITE, self._tag())

    @_there_is_a_table
    @precondition(lambda self: not self.model.held_tag())
    @rule(data=st.data(), op=st.sampled_from([Op.DISCARD, Op.WRITE_ZEROES]))
    def zero(self, data: st.DataObject, op: Op) -> None:
        """Sectors become zeroes. Not while writes are held up: those must all write the same, see Model.held_tag."""
        self._request(data, op)

    @_there_is_a_table
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        """All devices below are flushed."""
        self._request(data, Op.FLUSH)

    # ---- invariants

    @invariant()
    def mds_are_as_the_model_says(self) -> None:
        """Names, numbers, uuids, states, sizes, opens, events."""
        seen = [
            (md.name, md.uuid, md.number, md.suspended, md.size_bytes >> SECTOR_SHIFT, md.open_count, md.event_nr)
            for md in self.dm
        ]
        mds = sorted(self.model.mds.values(), key=lambda md: md.name)
        opens = {md.name: self.model.open_count(md.name) for md in mds}
        expected = [
            (md.name, md.uuid, (DM_MAJOR, md.minor), md.suspended, md.sectors, opens[md.name], md.event_nr)
            for md in mds
        ]
        _agree("name, uuid, number, suspended, sectors, opens, events", seen, expected)
        _agree("number of mds", len(self.dm), len(mds))
        for md in mds:
            real = self.dm[md.name]
            _agree(f"deferred remove of {md.name}", real.deferred_remove, md.deferred_remove)
            _agree(f"md with minor {md.minor}", self.dm.by_number((DM_MAJOR, md.minor)), real)
            if md.uuid:
                _agree(f"md with uuid {md.uuid}", self.dm.by_uuid(md.uuid), real)

    @invariant()
    def tables_are_as_the_model_says(self) -> None:
        """The live and the inactive table of each md, as `dmsetup table` prints them."""
        numbers = {path: self.dm.lookup(path).name for path in self.model.disks}
        numbers |= {MD_FOLDER + md.name: f"{DM_MAJOR}:{md.minor}" for md in self.model.mds.values()}
        for name, md in self.model.mds.items():
            _agree(f"live table of {name}", _printed(self.dm[name].live), _as_printed(md.live, numbers))
            _agree(f"inactive table of {name}", _printed(self.dm[name].inactive), _as_printed(md.inactive, numbers))

    @invariant()
    def disks_hold_what_the_model_says(self) -> None:
        """Every sector: what was written is where it belongs, and nothing is anywhere else."""
        for path, tags in self.model.disks.items():
            disk = self.disks[path]
            _agree(f"tags of the sectors of {path}", _tags(disk.pread(disk.size_bytes, 0)), tags)

    @invariant()
    def requests_are_done_when_the_model_says(self) -> None:
        """Nothing waits for an md that runs, and nothing gets past one that is suspended."""
        for request, bio in self._under_way:
            what = f"{request.op.name} of {request.sectors} sectors from {request.sector} on"
            _agree(f"{what} is done", bio.done, request.done)
            if request.done:
                _agree(f"{what}: error", bio.error, request.error)
                if request.op is Op.READ and not request.error and not request.is_loose:
                    _agree(f"{what}: tags", _tags(bytes(bio.data or b"")), request.tags)
        self._under_way = [pair for pair in self._under_way if not pair[0].done]

    # ---- what the rules draw and do

    def _name(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.model.mds)), label="md")

    def _load(self, name: str, table: Lines) -> None:
        expected = self.model.load(name, table)
        _agree(f"load {name}", _outcome(lambda: self.dm.load(self.dm[name], parse(_text(table)))), expected)

    def _resume(self, name: str, *, noflush: bool) -> None:
        md = self.model.mds[name]
        if self.model.would_wait(name) and not md.suspended and md.inactive is not None:
            return
        expected = self.model.resume(name)
        _agree(f"resume {name}", _outcome(lambda: self.dm.resume(self.dm[name], noflush=noflush)), expected)

    def _request(self, data: st.DataObject, op: Op, tag: int = 0) -> None:
        """A request on an md, perhaps one that must wait; by a plain call where it need not."""
        mds = sorted(self.model.mds.values(), key=lambda md: (md.live is None, md.name))
        busy = [md for md in mds if md.live is not None] + [md for md in mds if md.suspended]
        name = data.draw(st.sampled_from([md.name for md in busy * 3 + mds]), label="md")
        size = self.model.mds[name].sectors
        sector = sectors = 0
        if op is not Op.FLUSH:
            sector = data.draw(st.integers(0, max(size - 1, 0)), label="sector")
            sectors = data.draw(st.integers(1, max(size - sector, 1)), label="sectors")
        request = self.model.submit(name, op, sector, sectors, tag)
        memory = bytearray(_content([tag] * sectors))
        if request.done and not request.error and data.draw(st.booleans(), label="by a plain call"):
            _agree(f"{op.name} on {name}: tags", _tags(self._call(name, op, sector, memory)), request.tags)
            return
        bio = Bio(op, sector, sectors, memoryview(memory) if op in (Op.READ, Op.WRITE) else None)
        self.dm[name].submit(bio)
        self._under_way.append((request, bio))

    def _free_names(self) -> list[str]:
        return [name for name in self.names if name not in self.model.mds]

    def _tag(self) -> int:
        """What to write next: nothing that is anywhere yet, but what is held up already where anything is."""
        held = self.model.held_tag()
        if held is not None:
            return held
        self._last_tag = self._last_tag % 255 + 1
        return self._last_tag

    def _tables(self) -> st.SearchStrategy[Lines]:
        """Tables over the devices and the mds. Few are too large for these, or name mds that may not be there."""
        mds = [NamedDevice(MD_FOLDER + md.name, md.sectors) for md in self.model.mds.values() if md.live is not None]
        there = DeviceSet((*self.devices.devices, *mds))
        larger = DeviceSet(tuple(NamedDevice(each.path, 2 * each.sectors) for each in there.devices))
        nowhere = DeviceSet(tuple(NamedDevice(MD_FOLDER + name, 8) for name in (*self.names, "none")))

        @st.composite
        def drawn(draw: st.DrawFn) -> Lines:
            table: list[TargetSpec] = []
            known = draw(st.sampled_from([there] * 6 + [larger, nowhere]))
            start = 0
            for _ in range(draw(st.integers(1, self.max_lines))):
                table.append(draw(lines(start, draw(st.sampled_from(TARGETS)), known, 1)))
                start += table[-1].length
            return tuple(table)

        return drawn()

    def _call(self, name: str, op: Op, sector: int, memory: bytearray) -> bytes:
        """Does a request by a plain call; returns the memory as it is then."""
        md = self.dm[name]
        at = sector << SECTOR_SHIFT
        # A call that waits would never come back; a bio shows beforehand whether it would.
        probe = Bio(Op.FLUSH, 0, 0)
        if op is not Op.FLUSH:
            probe = Bio(Op.READ, sector, len(memory) >> SECTOR_SHIFT, memoryview(bytearray(len(memory))))
        md.submit(probe)
        _agree(f"{op.name} on {name} need not wait", probe.done, True)
        if op is Op.READ:
            return md.pread(len(memory), at)
        if op is Op.WRITE:
            _agree(f"bytes written to {name}", md.pwrite(memory, at), len(memory))
        elif op is Op.FLUSH:
            md.flush()
        elif op is Op.DISCARD:
            md.discard(at, len(memory))
        else:
            md.write_zeroes(at, len(memory))
        return bytes(memory)


def _outcome(call: Callable[[], object]) -> int | str:
    """The errno that a call ends with, 0 where it does not fail; words where it would never end."""
    try:
        call()
    except Deadlock as deadlock:
        return f"wait for ever: {deadlock}"
    except (ErrnoError, OSError) as error:
        return error.errno or -1
    return 0


def _agree(what: str, found: object, expected: object) -> None:
    """Raises AssertionError, with what pytest would not say of a module that is no test."""
    if found != expected:
        raise AssertionError(f"{what}: the device-mapper says {found!r}, and the model {expected!r}")


def _tags(content: bytes) -> list[int | str]:
    """What each sector was filled with; "mixed" where it is not one byte all over."""
    sectors = (content[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES))
    return [sector[0] if sector == sector[:1] * len(sector) else "mixed" for sector in sectors]


def _content(tags: list[int]) -> bytes:
    return b"".join(bytes([tag]) * SECTOR_BYTES for tag in tags)


def _text(table: Lines) -> str:
    return "".join(" ".join(tokens(line)) + "\n" for line in table)


def _printed(table: LiveTable | None) -> list[str] | None:
    if table is None:
        return None
    return [
        f"{each.begin} {each.length} {each.name} {each.status(StatusKind.TABLE)}".rstrip() for each in table.targets()
    ]


def _as_printed(table: Lines | None, numbers: dict[str, str]) -> list[str] | None:
    if table is None:
        return None
    return [" ".join(numbers.get(word, word) for word in tokens(line)) for line in table]
