"""A group in simulated time: disks, the link to the other place, and a device-mapper over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dmtable import DeviceMapper, MappedDevice
from dmtable.core.bio import Bio, Op
from dmtable.core.target import StatusKind
from dmtable.language.parser import parse
from dmtable.sim.link import LinkedDevice
from dmtable.sim.world import World

DEVICE_SECTORS = 4096
REGION_SECTORS = 2048
LOG_SECTORS = 4096
OPEN = "ringbuffer 3 /dev/log 0 open"
"""The log from its second use on."""
_DIRTY_LOG_SECTORS = 8


class Place:
    """Devices `/dev/l0`, `/dev/l1` … here, `/dev/r0` … behind the link, dirty logs `/dev/d0` …, and `/dev/log`."""

    def __init__(self, devices: int = 2, *, log_sectors: int = LOG_SECTORS, world: World | None = None) -> None:
        self.world = world if world is not None else World()
        self.runtime = self.world.runtime
        self.link = self.world.link("far")
        self.sizes = {f"{kind}{number}": DEVICE_SECTORS for kind in "lr" for number in range(devices)}
        self.sizes |= {f"d{number}": _DIRTY_LOG_SECTORS for number in range(devices)} | {"log": log_sectors}
        for name, sectors in self.sizes.items():
            self.world.disk(name, sectors)
        self.dm = self.boot()

    def boot(self) -> DeviceMapper:
        """A device-mapper over the disks, with no md."""
        dm = DeviceMapper(runtime=self.runtime)
        for name in self.sizes:
            disk = self.world.disks[name]
            dm.add(LinkedDevice(disk, self.link) if name.startswith("r") else disk, f"/dev/{name}")
        return dm

    def lose_power(self) -> None:
        """The machine here stops, and starts again with no md."""
        self.world = self.world.after_power_loss()
        self.runtime, self.link = self.world.runtime, self.world.links["far"]
        self.dm = self.boot()

    # Tables.

    def group(
        self,
        far: str = "asynchronous",
        *,
        near: str = "asynchronous",
        log: str = f"ringbuffer 4 /dev/log 0 create {LOG_SECTORS}",
    ) -> MappedDevice:
        """The control device in the dialect of 2009; `near` and `far` are policy and limit of sites 0 and 1."""
        sites = [f"blockdev {1 + len(words.split())} {site} {words}" for site, words in enumerate((near, far))]
        return self.dm.create("group", f"0 {LOG_SECTORS} replicator {log} {' '.join(sites)}")

    def device(self, number: int, dirty_log: str | None = "nosync") -> MappedDevice:
        """A device of that group; `dirty_log` is `nosync`, `sync`, `` or a whole dirty log in words, and with None
        the line leaves site 1 out."""
        return self.dm.create(f"v{number}", self.device_table(number, dirty_log))

    def device_table(self, number: int, dirty_log: str | None = "nosync") -> str:
        here = f"0 {DEVICE_SECTORS} replicator-dev /dev/mapper/group {number} 0 1 /dev/l{number} nolog 0"
        if dirty_log is None:
            return here
        if " " not in dirty_log:
            words = ["disk", f"/dev/d{number}", str(REGION_SECTORS), *dirty_log.split()]
            dirty_log = f"disk {len(words) - 1} {' '.join(words[1:])}"
        return f"{here} 1 1 /dev/r{number} {dirty_log}"

    def slides(self, number: int, far: str = "async", *, log: str = "", sync: str = "nosync") -> MappedDevice:
        """A device of the group in the slides' dialect; the first creates the log."""
        log = log or ("3 /dev/log 0 open" if number else f"4 /dev/log 0 create {LOG_SECTORS}")
        table = (
            f"0 {DEVICE_SECTORS} replicator default {log} local 2 0 async 2 {number} /dev/l{number} - 0 "
            f"local {1 + len(far.split())} 1 {far} 2 {number} /dev/r{number} "
            f"disk 3 {REGION_SECTORS} /dev/d{number} {sync}"
        )
        return self.dm.create(f"v{number}", table)

    # What happens.

    def wait(self, seconds: float) -> None:
        self.runtime.pass_time(seconds)

    def write(self, md: MappedDevice, sector: int, data: bytes | str, *, fua: bool = False) -> Bio:
        """Sends a write, and goes on without waiting for it."""
        content = data.encode().ljust(512, b".") if isinstance(data, str) else data
        bio = Bio(Op.WRITE, sector, len(content) >> 9, memoryview(content), fua=fua)
        md.submit(bio)
        self.runtime.settle()
        return bio

    def read(self, md: MappedDevice, sector: int) -> Bio:
        """Asks for a sector, and goes on without waiting for it."""
        bio = Bio(Op.READ, sector, 1, memoryview(bytearray(512)))
        md.submit(bio)
        self.runtime.settle()
        return bio

    def reload(self, md: MappedDevice, table: str) -> None:
        self.dm.load(md, parse(table))
        self.dm.suspend(md)
        self.dm.resume(md)

    def remove_all(self) -> None:
        """Ends the use of the group."""
        for md in reversed(list(self.dm)):
            self.dm.remove(md)

    def ends(self, act: Callable[[], object], seconds: float = 3600) -> bool:
        """Whether something that blocks does not do so for ever."""
        process = self.runtime.spawn(act)
        self.wait(seconds)
        return process.done

    def tell(self, md: MappedDevice, message: str) -> str:
        return self.dm.message(md, 0, message.split())

    def info(self, md: MappedDevice) -> str:
        return " ".join(self.dm.status(md)).strip()

    def table(self, md: MappedDevice) -> str:
        """Without the double blanks that tables end in."""
        return " ".join(" ".join(self.dm.status(md, StatusKind.TABLE)).split())

    def image(self, name: str) -> bytes:
        """What a disk holds."""
        return self.world.disks[name].pread(self.sizes[name] << 9, 0)

    def sector(self, name: str, sector: int) -> str:
        """A sector as text, without the dots that fill it; empty where nothing was written."""
        return self.world.disks[name].pread(512, sector << 9).rstrip(b"\0").decode().rstrip(".")

    def equal(self, devices: Sequence[int] = (0, 1)) -> bool:
        """Whether the other place holds what this one does."""
        return all(self.image(f"l{number}") == self.image(f"r{number}") for number in devices)
