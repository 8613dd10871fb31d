"""The emulated device-mapper: names, numbers, tables in and out, and the stack they form.

Source of the rules: dm-ioctl.c and dm.c of Linux 6.1, as recorded from that kernel.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from dmtable.core.devices import DeviceTable, DmDev, Lookup, read_number
from dmtable.core.events import EventCounter
from dmtable.core.kernel_log import KernelLog
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.md_context import MdContext
from dmtable.core.names import Names
from dmtable.core.numbers import DM_MAJOR, Number
from dmtable.core.registry import Registry
from dmtable.core.stack import Stack
from dmtable.core.table import Lines, LiveTable, TableRefused, no_targets
from dmtable.core.target import StatusKind, Target
from dmtable.errors import DeviceLookupError, IoctlError, NoLiveTableError, UsageError
from dmtable.io.device import BlockDevice
from dmtable.language.parser import parse
from dmtable.language.tree import Table
from dmtable.runtime.runtime import Runtime
from dmtable.runtime.threads import ThreadRuntime

_DM_PATH = re.compile(r"/dev/dm-(0|[1-9][0-9]{0,6})")


class DeviceMapper:
    """The kernel's side of device-mapper, in this process.

    `root` is the folder that stands in for `/` when a table names a device by its path. Without one,
    only devices given to `add` exist. Mapped devices are devices too: `/dev/mapper/NAME`, `/dev/dm-N`
    and `253:N`.

        dm = DeviceMapper(root="disks")
        md = dm.create("vol", "0 2048 linear /dev/sda 0")
        md.pwrite(b"x" * 512, 0)

    Requests that the kernel would refuse raise IoctlError with the same errno and log the same lines,
    newest last, in `klog`. Safe for threads.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        runtime: Runtime | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.runtime = runtime or ThreadRuntime()
        self.registry = registry or Registry()
        self.log = KernelLog(self.runtime)
        self.klog = self.log.lines
        self._devices = DeviceTable(root)
        self._refuse = self.log.refusal
        self._mds = Names(self.log)
        self._shared: dict[object, Any] = {}
        self._stack = Stack(self.runtime)
        self.events = EventCounter(self.runtime)
        """Those of all mds together, and changes of their list (kernel: dm_global_event_nr)."""
        self._names = self._stack.lock
        """Guards names, numbers and what mds have open too: these change only when mds or tables come or go."""

    def __enter__(self) -> DeviceMapper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The calls of everyday use.

    def create(
        self, name: str, table: str | Table | None = None, *, uuid: str = "", read_only: bool = False
    ) -> MappedDevice:
        """Creates an md, loads the table and resumes it; without a table it has size 0.

        Raises TableError where the text is no table and IoctlError where the kernel would refuse; then
        there is no such md.
        """
        parsed = parse(table, name) if isinstance(table, str) else table
        md = self.create_device(name, uuid)
        if parsed is not None:
            try:
                self.load(md, parsed, read_only=read_only)
                self.resume(md)
            except BaseException:
                self.remove(md)
                raise
        return md

    def __getitem__(self, name: str) -> MappedDevice:
        """The md with this name. Raises KeyError."""
        md = self._mds.by_name(name)
        if md is None:
            raise KeyError(name)
        return md

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._mds.by_name(name) is not None

    def __iter__(self) -> Iterator[MappedDevice]:
        """All mds by name, in the order of bytes."""
        with self._names:
            return iter(self._mds)

    def __len__(self) -> int:
        return len(self._mds)

    def add(self, device: BlockDevice, path: str, number: Number | None = None) -> DmDev:
        """Makes a device known to tables under a path; it gets the next number 7:N unless told.

        The device stays the caller's to close, after this device-mapper.
        """
        if number is not None and number[0] == DM_MAJOR:
            raise UsageError(f"{number[0]}:{number[1]} is a mapped device's number; choose another major")
        with self._names:
            return self._devices.add(device, path, number)

    def show_nodes_in(self, folder: str) -> None:
        """From now on a table that names a file in this folder, the real path of one, means the md that it shows."""
        self._devices.node_folder = folder

    def has_nodes_in(self, dev: str, read: Callable[[str], Number | None]) -> None:
        """From now on a table may name device nodes: in the folder `dev`, which stands in for /dev, and elsewhere.

        `read` tells the number of the node at a real path.
        """
        self._devices.dev_folder, self._devices.read_node = dev, read

    def attach(self, path: str, *, read_only: bool = False) -> DmDev:
        """Makes an image file a disk, as losetup does: the next /dev/loopN. One that is a disk already stays as it is.

        Raises OSError where the file cannot be opened.
        """
        # Without the lock: links in our own node folder, if any, are read by asking ourselves.
        real = os.path.realpath(path)
        with self._names:
            return self._devices.attach(real, read_only=read_only)

    def detach(self, number: Number) -> None:
        """Forgets a disk. Raises DeviceLookupError where there is none, IoctlError (EBUSY) where it is in use."""
        with self._names:
            dm_dev = self._devices.by_number(number)
            if users := self.holders(number):
                raise IoctlError(errno.EBUSY, f"{dm_dev.kernel_name} is in use by {users[0].name}")
            self._devices.remove(dm_dev)

    def disks(self) -> list[DmDev]:
        """Every device that tables can use but mds, by number."""
        with self._names:
            return self._devices.all()

    def holders(self, number: Number) -> list[MappedDevice]:
        """The mds that have a device open for a table, live or not, by name."""
        with self._names:
            return [md for md in self._mds if number in md.opened]

    def close(self) -> None:
        """Removes every md, users or not, and closes what was opened below the root. I/O in flight ends first."""
        mds = list(self)
        # The suspended ones first: what waits for them fails now, or it would keep those above from coming to rest.
        tables = self._end(md for md in mds if md.suspended)
        running = self._live_targets(mds)
        for target in running:
            target.presuspend()
        tables += self._end(mds)
        for md in mds:
            self._stack.retire_maps(md)
            md.wait_idle()
        for target in running:
            target.postsuspend()
        for table in tables:
            table.destroy()
        self._devices.close()
        self.runtime.close()

    # The kernel's requests.

    def create_device(self, name: str, uuid: str = "", minor: int | None = None) -> MappedDevice:
        """An md without a table (DEV_CREATE). EBUSY where name or uuid is taken, ENXIO where the minor is."""
        self._mds.check_new(name, uuid)
        with self._names:
            md = MappedDevice(self, self._mds.number_for_new(name, uuid, minor), name, uuid)
            self._mds.add(md)
        self.events.happened()
        return md

    def rename(self, name: str, new: str, *, uuid: bool = False) -> MappedDevice:
        """Gives an md a new name, or with `uuid` its first UUID (DEV_RENAME).

        Raises IoctlError: EBUSY where that is taken, ENXIO where there is no such md, EINVAL where it has a UUID.
        """
        self._mds.check_renamed(new, is_uuid=uuid)
        with self._names:
            md = self._mds.set_uuid(name, new) if uuid else self._mds.rename(name, new)
        if md.live is not None:
            md.event()
        self.events.happened()
        return md

    def load(self, md: MappedDevice, lines: Lines | Table, *, read_only: bool = False) -> None:
        """Constructs a table for the inactive slot (TABLE_LOAD), in place of any that is there.

        Where that fails nothing changes: not the tables, nor what is open.
        """
        if isinstance(lines, Table):
            lines = lines.pieces
        with md.loading:
            table = self._construct(md, lines, read_only)
            if not md.limits_known and (refusal := table.limits_refusal()):
                table.destroy()
                raise self._refuse(
                    refusal.errno,
                    f"table: {md.dm_dev.name}: {refusal.text}",
                    "core: Cannot calculate initial queue limits",
                    "ioctl: unable to set up device queue for new table.",
                )
            if md not in self._mds:
                table.destroy()
                raise self._refuse(errno.ENXIO, "ioctl: device has been removed from the dev hash table.")
            md.limits_known = True
            old, md.inactive = md.inactive, table
            if old is not None:
                old.destroy()

    def clear(self, md: MappedDevice) -> None:
        """Drops the inactive table (TABLE_CLEAR); none is fine."""
        with md.loading:
            old, md.inactive = md.inactive, None
            if old is not None:
                old.destroy()

    def suspend(self, md: MappedDevice, *, noflush: bool = False) -> None:
        """Holds new I/O and waits for what is in flight (DEV_SUSPEND); suspended already is fine.

        With `noflush`, targets may give bios back that they cannot complete; they come again on resume.
        """
        with md.changing:
            if not md.suspended:
                self._suspend(md, noflush)

    def resume(self, md: MappedDevice, *, noflush: bool = False) -> None:
        """Swaps the inactive table in, if there is one, and lets I/O pass (DEV_SUSPEND without its flag).

        EINVAL where a suspended md has no table. Where the new table no longer fits its devices it is
        dropped, and the md stays suspended on its old one.
        """
        with md.changing:
            # Out of its slot before the md waits: another table may be loaded meanwhile.
            with md.loading:
                new, md.inactive = md.inactive, None
            if new is not None:
                try:
                    if not md.suspended:
                        self._suspend(md, noflush)
                except BaseException:
                    self._put_back(md, new)
                    raise
                self._swap(md, new)
            if not md.suspended:
                return
            if md.live is None:
                raise IoctlError(errno.EINVAL, f"{md.name} has no table to resume")
            for target in md.live.stateful_targets():
                target.preresume()
            for target in md.live.stateful_targets():
                target.resume()
            md.suspended = False
            md.release_io()
            # The maps above were built around a suspended md; the next ones can go straight through it.
            self._stack.retire_maps(md)
            self._stack.recompile(md)

    def remove(self, md: MappedDevice, *, deferred: bool = False) -> None:
        """Removes an md that nobody uses (DEV_REMOVE). EBUSY, or with `deferred` a mark to do it later.

        ENXIO where it is removed already.
        """
        with self._names:
            if md not in self._mds or md.ending:
                raise IoctlError(errno.ENXIO, f"{md.name} is removed already")
            if not md.end_unless_open():
                if not deferred:
                    raise IoctlError(errno.EBUSY, f"{md.name} is in use ({md.open_count} times)")
                md.deferred_remove = True
                return
        with md.changing:
            self._quiesce(md, [] if md.suspended else self._live_targets([md]), md.stay)
            self._drop(md)
        self.events.happened()

    def remove_all(self, *, deferred: bool = False) -> None:
        """Removes every md that nobody uses, those above first; with `deferred` marks the others (REMOVE_ALL)."""
        removed = True
        left: list[MappedDevice] = []
        while removed:
            removed, left = False, []
            for md in self:
                with suppress(IoctlError):
                    self.remove(md, deferred=deferred)
                    removed = md.removed
                if removed:
                    break
                left.append(md)
        if left:
            self.log.write(f"ioctl: remove_all left {len(left)} open device(s)")
        self.events.happened()

    def by_uuid(self, uuid: str) -> MappedDevice | None:
        """The md with this uuid, None where there is none."""
        with self._names:
            return self._mds.by_uuid(uuid)

    def by_number(self, number: Number) -> MappedDevice | None:
        """The md with this major and minor number, None where there is none."""
        with self._names:
            return self._mds.by_number(number)

    def lookup(self, word: str) -> DmDev:
        """The device that a table's word means. Raises DeviceLookupError with the kernel's errno."""
        number = read_number(word) or self._devices.node_number(word)
        with self._names:
            if number is None:
                md = self._md_by_path(word)
                if md is None:
                    return self._devices.by_path(word)
            elif number[0] != DM_MAJOR:
                return self._devices.by_number(number)
            else:
                md = self.by_number(number)
        if md is None or md.ending:
            raise DeviceLookupError(errno.ENXIO, f"mapped device {word} does not exist")
        if not md.limits_known:
            raise NoLiveTableError(errno.ENXIO, f"mapped device {word} never had a table")
        return md.dm_dev

    def lookup_for(self, name: str | None) -> Lookup:
        """As `lookup`, for a table of the md of this name: a word that leads back to it is refused with EINVAL."""
        md = self._mds.by_name(name) if name else None
        return self.lookup if md is None else self._context(md).lookup

    # Calls of the mds.

    def recompile(self, md: MappedDevice) -> None:
        """Compiles the md's map, where what it needs is running."""
        self._stack.recompile(md)

    def last_close(self, md: MappedDevice) -> None:
        """A removal that was deferred happens now."""
        if md.deferred_remove:
            # Somebody may have removed it just now.
            with suppress(IoctlError):
                self.remove(md, deferred=True)

    def status(self, md: MappedDevice, kind: StatusKind = StatusKind.INFO) -> list[str]:
        """What each target of the live table says of itself, behind its name (TABLE_STATUS)."""
        table = md.live
        return [target.status(kind) for target in table.targets()] if table is not None else []

    def message(self, md: MappedDevice, sector: int, words: Sequence[str]) -> str:
        """Sends words to the target at a sector, and returns its answer (TARGET_MSG).

        A first word that begins with @ is for device-mapper itself, which knows `@cancel_deferred_remove`.
        Raises IoctlError: EINVAL without a live table or behind its end, and what the target refuses.
        """
        if not words:
            raise self._refuse(errno.EINVAL, "ioctl: Empty message received.")
        if words[0].startswith("@"):
            self._message_to_core(md, words)
            return ""
        table = md.live
        if table is None:
            raise self._refuse(errno.EINVAL, "ioctl: The device has no table.")
        target = table.target_at(sector) if 0 <= sector < table.size else None
        if target is None:
            raise self._refuse(errno.EINVAL, "ioctl: Target message sector outside device.")
        try:
            return target.message(words)
        except IoctlError as error:
            self.log.add(error.log)
            raise

    # Inside.

    def _message_to_core(self, md: MappedDevice, words: Sequence[str]) -> None:
        # The kernel's message_for_md compares regardless of case.
        if words[0].lower() != "@cancel_deferred_remove":
            raise self._refuse(errno.EINVAL, f"ioctl: Unsupported message sent to DM core: {words[0]}")
        if len(words) > 1:
            raise self._refuse(errno.EINVAL, "ioctl: Invalid arguments for @cancel_deferred_remove")
        with self._names:
            if md.ending:
                raise IoctlError(errno.EBUSY, f"{md.name} is being removed")
            md.deferred_remove = False

    def _context(self, md: MappedDevice) -> MdContext:
        return MdContext(md, self.lookup, self.registry, self.runtime, self.log, self._names, self._shared)

    def _construct(self, md: MappedDevice, lines: Lines, read_only: bool) -> LiveTable:
        try:
            table = LiveTable(self._context(md), lines, read_only=read_only)
        except TableRefused as error:
            refusal = error.refusal
            table_line = f"table: {md.dm_dev.name}: {refusal.text}"
            load_line = "ioctl: error adding target to table"
            raise self._refuse(refusal.errno, table_line, load_line, before=refusal.log) from error
        if not len(table):
            refusal = no_targets()
            raise self._refuse(refusal.errno, f"ioctl: {refusal.text}")
        return table

    def _swap(self, md: MappedDevice, new: LiveTable) -> None:
        if refusal := new.limits_refusal():
            new.destroy()
            raise self._refuse(refusal.errno, f"table: {md.dm_dev.name}: {refusal.text}")
        with self._names:
            old = md.swap(new)
        self.events.happened()
        if old is not None:
            old.destroy()

    def _suspend(self, md: MappedDevice, noflush: bool) -> None:
        md.keeps_given_back = noflush
        self._quiesce(md, self._live_targets([md]), md.release_io)
        md.suspended = True

    def _quiesce(self, md: MappedDevice, targets: Sequence[Target], go_on: Callable[[], None]) -> None:
        """Takes targets and I/O to rest; whoever waits may be interrupted, and then the md goes on as it was."""
        try:
            for target in targets:
                target.presuspend()
            self._suspend_io(md)
        except BaseException:
            for target in targets:
                target.presuspend_undo()
            go_on()
            raise
        for target in targets:
            target.postsuspend()

    def _live_targets(self, mds: Iterable[MappedDevice]) -> list[Target]:
        """The targets of live tables that care for suspend and resume."""
        return [target for md in mds if md.live is not None for target in md.live.stateful_targets()]

    def _end(self, mds: Iterable[MappedDevice]) -> list[LiveTable]:
        """These mds exist no more, and I/O that waits for them fails. Returns their tables: I/O may be inside."""
        tables: list[LiveTable] = []
        ended = [md for md in mds if md in self._mds]
        with self._names:
            for md in ended:
                md.hold_io()
                tables += (table for table in (md.live, md.inactive) if table is not None)
                md.live = md.inactive = None
                self._mds.remove(md)
        for md in ended:
            # Bios that wait, for this md or for one above, find no table any more and fail.
            md.end()
        return tables

    def _put_back(self, md: MappedDevice, table: LiveTable) -> None:
        """Returns a table to the inactive slot, unless another was loaded meanwhile."""
        with md.loading:
            if md.inactive is None:
                md.inactive = table
            else:
                table.destroy()

    def _suspend_io(self, md: MappedDevice) -> None:
        with self._names:
            md.hold_io()
        self._stack.retire_maps(md)
        md.wait_idle()

    def _drop(self, md: MappedDevice) -> None:
        with md.loading, self._names:
            if md in self._mds:
                self._mds.remove(md)
        if md.live is not None:
            md.event()
        try:
            md.part()
        finally:
            with md.loading, self._names:
                live, inactive, md.live, md.inactive = md.live, md.inactive, None, None
            md.end()
        for table in (live, inactive):
            if table is not None:
                table.destroy()

    def _md_by_path(self, path: str) -> MappedDevice | None:
        if path.startswith("/dev/mapper/"):
            return self._mds.by_name(path.removeprefix("/dev/mapper/"))
        if match := _DM_PATH.fullmatch(path):
            return self.by_number((DM_MAJOR, int(match[1])))
        node = self._devices.node_name(path)
        return None if node is None else self._mds.by_name(node)
