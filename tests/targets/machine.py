"""Two disks and an md of one target, for the tests of what the target does."""

from __future__ import annotations

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.target import Target
from dmtable.sim.world import World


class Machine:
    """Two disks, each sector of which tells its number, and one md."""

    def __init__(self, table: str) -> None:
        self.world = World()
        self.runtime = self.world.runtime
        self.dm = DeviceMapper(runtime=self.runtime)
        for name in "ab":
            image = tuple([f"{name}{at}".encode().ljust(512) for at in range(256)])
            self.dm.add(self.world.disk(name, image=image), f"/dev/{name}")
        self.md = self.dm.create("md", table)

    @property
    def target(self) -> Target:
        assert self.md.live is not None
        target = self.md.live.target_at(0)
        assert target is not None
        return target

    def sent(self, op: Op, sector: int, data: bytes = b"", *, sectors: int = 0, fua: bool = False) -> Bio:
        bio = Bio(op, sector, sectors or len(data) >> 9, memoryview(bytearray(data)) if data else None, fua=fua)
        self.md.submit(bio)
        return bio

    def message(self, *words: str) -> str:
        return self.target.message(words)
