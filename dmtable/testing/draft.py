"""A table that is about to be damaged, and what a kind of damage is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from dmtable.testing.valid_tables import DeviceSet, NamedDevice

MD = "vol"
"""The md that damaged tables are for, which they must not name."""

LOG = NamedDevice("/dev/log", 1 << 13)
"""The device that the logs of damaged replicators lie on."""

START, LENGTH, TARGET, DEVICE, OFFSET = range(5)
COUNT, CHUNK = 3, 4
"""Where the words of a line stand: those of linear, and those of striped where they differ."""


@dataclass(slots=True)
class Draft:
    """A sound table on its way to be damaged in row `at`; the damage may move `at` to where the finding will be."""

    rows: list[list[str]]
    at: int
    devices: DeviceSet
    unit: int
    """Sectors of which everything is a multiple."""
    tails: dict[int, str] = field(default_factory=dict)
    """What ends a row, in place of blanks or a comment."""
    lower: int = 0
    """On how many lines further down than where the row begins the finding is."""

    @property
    def row(self) -> list[str]:
        return self.rows[self.at]

    @property
    def start(self) -> int:
        return int(self.row[START])

    @property
    def length(self) -> int:
        return int(self.row[LENGTH])

    def replace(self, *words: object) -> None:
        """Puts another line in the place of this one, behind its start."""
        self.row[LENGTH:] = map(str, words)

    def append(self, *words: object) -> None:
        """Puts a line at the end, behind the last one."""
        last = self.rows[-1]
        self.rows.append([str(int(last[START]) + int(last[LENGTH])), *map(str, words)])


Break = Callable[[st.DrawFn, Draft], None]


@dataclass(frozen=True, slots=True)
class Damage:
    """A kind of damage: what it is called, the rule that it breaks, and what else may be found as a consequence."""

    name: str
    code: str
    consequences: frozenset[str]
    on: str
    """The target of the line that it strikes, "" for any."""
    place: str
    """Which line: "any", "last", "later" (not the first), "earlier" (not the last) or "inner" (neither)."""
    needs: Callable[[DeviceSet], object]
    """Whether it can be done to a table over these devices."""
    strike: Break


def _always(_devices: DeviceSet) -> bool:
    return True


DAMAGES: dict[str, Damage] = {}
"""Every kind of damage, by name; filled by the modules named `…catalogue`."""


def damage(
    code: str, *consequences: str, on: str = "", place: str = "any", needs: Callable[[DeviceSet], object] = _always
) -> Callable[[Break], Break]:
    """Registers a function that does a damage, under the function's name."""

    def register(strike: Break) -> Break:
        name = strike.__name__.removeprefix("_").replace("_", "-")
        assert name not in DAMAGES, name
        DAMAGES[name] = Damage(name, code, frozenset(consequences), on, place, needs, strike)
        return strike

    return register


def paths(devices: DeviceSet) -> st.SearchStrategy[str]:
    """Draws the path of one of the devices."""
    return st.sampled_from([device.path for device in devices.devices])


def large_block(devices: DeviceSet) -> NamedDevice:
    """The device with the largest logical block, among these the largest."""
    return max(devices.devices, key=lambda device: (device.block_sectors, device.sectors))
