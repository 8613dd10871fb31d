"""From text to a live table."""

from __future__ import annotations

import random
import tracemalloc

from benchmarks.measure import Row, ratio, timed
from dmtable.checks import check
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.io.memory import MemoryDevice
from dmtable.language.parser import parse

DEVICES = 40
DEVICE_SECTORS = 1 << 27
SPLIT = "bare `split` of each line"


def linear_text(lines: int) -> str:
    """A table as a volume manager makes it: lines of many lengths, each device used from its beginning on."""
    chance = random.Random(7)
    start = 0
    used = [2048] * DEVICES
    parts = []
    for _ in range(lines):
        length = chance.choice((8, 64, 128, 1024, 8192))
        device = chance.randrange(DEVICES)
        parts.append(f"{start} {length} linear /dev/vg/pv{device:02} {used[device]}\n")
        start += length
        used[device] += length
    return "".join(parts)


def mapper() -> DeviceMapper:
    dm = DeviceMapper()
    for number in range(DEVICES):
        dm.add(MemoryDevice(DEVICE_SECTORS << 9), f"/dev/vg/pv{number:02}")
    return dm


def _split(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def _load(dm: DeviceMapper, text: str) -> MappedDevice:
    return dm.create("bench", text)


def _load_and_remove(dm: DeviceMapper, text: str) -> None:
    dm.remove(_load(dm, text))


def rows() -> list[Row]:
    dm = mapper()
    text = linear_text(100_000)
    small = ratio(timed(lambda: _load_and_remove(dm, text)), timed(lambda: _split(text)))
    checked = ratio(timed(lambda: check(text, dm)), timed(lambda: _split(text)))
    large_text = linear_text(1_000_000)
    large = ratio(timed(lambda: _load_and_remove(dm, large_text)), timed(lambda: _load_and_remove(dm, text)), 7) / 10
    return [
        Row("100,000 linear lines: text to live table", SPLIT, small, 2.5),
        Row("100,000 linear lines: `check` with devices", SPLIT, checked, 4),
        Row("1,000,000 lines, each line", "one of 100,000", large, 1.2),
        Row("memory a line once live, text aside", "", _bytes_a_line(dm, text, 100_000), 32, unit=" bytes"),
    ]


def _bytes_a_line(dm: DeviceMapper, text: str, lines: int) -> float:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        md = dm.create("bench", parse(text))
        after = tracemalloc.get_traced_memory()[0]
        dm.remove(md)
    finally:
        tracemalloc.stop()
    return (after - before) / lines
