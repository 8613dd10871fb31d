"""The way down from each sector, and up again, held against the naive mapping."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.paper import Disks, Layer, PaperStack
from dmtable.core.provenance import Stretch, standing_on, way_down
from dmtable.io.constant import ERROR, ZERO
from dmtable.language.parser import parse
from tests.core.disks import Origin, naive_origin
from tests.core.variations import DISK_SECTORS, Tables, on_paper, stacks


def naive_way(tables: Tables, name: str, at: int) -> Iterator[Origin]:
    """Every (device, sector) that a sector of an md passes, itself first."""
    yield name, at
    line = next(line for line in tables[name] if line.start <= at < line.start + line.length)
    if not line.legs:
        yield line.target, 0
        return
    number, within = divmod(at - line.start, line.chunk or line.length)
    row, leg = divmod(number, len(line.legs))
    device, offset = line.legs[leg]
    below, at = device.rpartition("/")[2], offset + row * line.chunk + within
    if below in tables:
        yield from naive_way(tables, below, at)
    else:
        yield below, at


@given(stacks())
def test_the_way_down_is_the_naive_one(tables: Tables) -> None:
    stack = on_paper(tables)
    for name, layer in stack.layers.items():
        for sector in range(layer.sectors):
            steps = way_down(layer, sector)
            told: list[Origin] = [(step.layer.name, step.sector) for step in steps]
            last = steps[-1]
            if last.device in (ZERO, ERROR):
                told.append(("zero" if last.device is ZERO else "error", 0))
            else:
                told.append((stack.disks.name(last.device).removeprefix("/dev/"), last.at))
            assert told == list(naive_way(tables, name, sector))
            assert told[-1] == naive_origin(tables, f"/dev/mapper/{name}", sector)


@given(stacks(), st.sampled_from(["/dev/d0", "/dev/d1", "/dev/mapper/m0"]), st.integers(0, DISK_SECTORS - 1))
def test_up_is_where_down_came_from(tables: Tables, device: str, sector: int) -> None:
    stack = on_paper(tables)
    goal = device.rpartition("/")[2], sector
    expected = {
        (name, start)
        for name, layer in stack.layers.items()
        for start in range(layer.sectors)
        if goal in list(naive_way(tables, name, start))[1:]
    }
    found = list(standing_on(stack.layers.values(), stack.lookup(device).device, sector))
    assert all(stretch.exact and stretch.length == 1 for _, stretch in found)
    assert [(layer.name, stretch.start) for layer, stretch in found] == sorted(expected)


def layers(**tables: str) -> PaperStack:
    stack = PaperStack(Disks())
    for name, text in tables.items():
        stack.add(name, parse(text).pieces)
    return stack


def test_what_stands_above_an_opaque_line_is_a_stretch() -> None:
    stack = layers(
        low="0 64 crypt aes k 0 /dev/sda 4096\n64 8 linear /dev/sdb 0",
        top="0 100 striped 2 50 /dev/mapper/low 8 /dev/sdc 0",
    )
    top = list(standing_on(stack.layers.values(), stack.lookup("/dev/sda").device, 9))
    low, upper = stack.layers["low"], stack.layers["top"]
    assert top == [(low, Stretch(0, 64, exact=False)), (upper, Stretch(0, 50, exact=False))]


def test_an_opaque_line_is_the_end_of_the_way_down() -> None:
    stack = layers(low="0 64 crypt aes k 0 /dev/sda 4096", top="0 8 linear /dev/mapper/low 3")
    last = way_down(stack.layers["top"], 5)[-1]
    assert (last.layer.name, last.sector, last.target, last.at) == ("low", 8, "crypt", 8)
    assert not isinstance(last.device, Layer)
