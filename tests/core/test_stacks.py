"""Stacks of random tables against a mapping of ten lines, by the quick way and by bios."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.io.memory import MemoryDevice
from dmtable.units import SECTOR_BYTES
from tests.core.disks import NaiveLine, Origin, mapper_with, naive_origin, sector

DISKS = {"d0": 96, "d1": 64}


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, list[NaiveLine]]:
    """Up to four mds, each made of up to five lines over the disks and the mds before it."""
    tables: dict[str, list[NaiveLine]] = {}
    sizes = {f"/dev/{name}": sectors for name, sectors in DISKS.items()}
    for index in range(draw(st.integers(1, 4))):
        lines: list[NaiveLine] = []
        start = 0
        for _ in range(draw(st.integers(1, 5))):
            line = draw(_lines(start, sizes))
            lines.append(line)
            start += line.length
        tables[f"m{index}"] = lines
        sizes[f"/dev/mapper/m{index}"] = start
    return tables


@st.composite
def _lines(draw: st.DrawFn, start: int, sizes: dict[str, int]) -> NaiveLine:
    target = draw(st.sampled_from(["linear", "linear", "striped", "zero", "error"]))
    if target in ("zero", "error"):
        return NaiveLine(start, draw(st.integers(1, 12)), target, 0, ())
    count = draw(st.integers(1, 3)) if target == "striped" else 1
    devices = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=count, max_size=count))
    width = draw(st.integers(1, min(sizes[device] for device in devices)))
    chunk = draw(st.sampled_from([c for c in range(1, width + 1) if width % c == 0])) if target == "striped" else 0
    legs = tuple((device, draw(st.integers(0, sizes[device] - width))) for device in devices)
    return NaiveLine(start, width * count, target, chunk, legs)


def build(tables: dict[str, list[NaiveLine]]) -> tuple[DeviceMapper, dict[str, MemoryDevice]]:
    dm, devices = mapper_with(DISKS)
    for name, lines in tables.items():
        dm.create(name, "\n".join(line.text() for line in lines))
    return dm, devices


def expected(origins: Sequence[Origin]) -> bytes:
    return b"".join(bytes(SECTOR_BYTES) if name == "zero" else sector(name, at) for name, at in origins)


def read_by_pread(md: MappedDevice, at: int, count: int) -> bytes:
    return md.pread(count * SECTOR_BYTES, at * SECTOR_BYTES)


def read_by_pread_into(md: MappedDevice, at: int, count: int) -> bytes:
    buffer = bytearray(count * SECTOR_BYTES)
    assert md.pread_into(buffer, at * SECTOR_BYTES) == len(buffer)
    return bytes(buffer)


def read_by_bio(md: MappedDevice, at: int, count: int) -> bytes:
    data = bytearray(count * SECTOR_BYTES)
    bio = Bio(Op.READ, at, count, memoryview(data))
    md.submit(bio)
    assert bio.done
    if bio.error:
        raise OSError(bio.error, "bio")
    return bytes(data)


@given(stacks(), st.data())
def test_reads_come_from_where_the_oracle_says(tables: dict[str, list[NaiveLine]], data: st.DataObject) -> None:
    dm, _ = build(tables)
    with dm:
        for name, lines in tables.items():
            size = lines[-1].start + lines[-1].length
            at = data.draw(st.integers(0, size - 1))
            count = data.draw(st.integers(1, size - at))
            origins = [naive_origin(tables, f"/dev/mapper/{name}", at + i) for i in range(count)]
            for read in (read_by_pread, read_by_pread_into, read_by_bio):
                if ("error", 0) in origins:
                    with pytest.raises(OSError, match=r"Errno 5"):
                        read(dm[name], at, count)
                else:
                    assert read(dm[name], at, count) == expected(origins)


@given(stacks(), st.data())
def test_writes_go_where_the_oracle_says_and_nowhere_else(
    tables: dict[str, list[NaiveLine]], data: st.DataObject
) -> None:
    dm, devices = build(tables)
    with dm:
        images = {name: bytearray(device.pread(device.size_bytes, 0)) for name, device in devices.items()}
        for step in range(3):
            name = data.draw(st.sampled_from(sorted(tables)))
            size = tables[name][-1].start + tables[name][-1].length
            at = data.draw(st.integers(0, size - 1))
            count = data.draw(st.integers(1, size - at))
            origins = [naive_origin(tables, f"/dev/mapper/{name}", at + i) for i in range(count)]
            if ("error", 0) in origins:
                continue
            kind = data.draw(st.sampled_from(["write", "write_zeroes", "discard"]))
            contents = [bytes([65 + step]) * SECTOR_BYTES if kind == "write" else bytes(SECTOR_BYTES)] * count
            if kind == "write":
                assert dm[name].pwrite(b"".join(contents), at * SECTOR_BYTES) == count * SECTOR_BYTES
            else:
                getattr(dm[name], kind)(at * SECTOR_BYTES, count * SECTOR_BYTES)
            for (disk, where), content in zip(origins, contents, strict=True):
                if disk != "zero":
                    images[disk][where * SECTOR_BYTES : (where + 1) * SECTOR_BYTES] = content
            for disk, device in devices.items():
                assert device.pread(device.size_bytes, 0) == images[disk]


@given(stacks())
def test_the_tables_print_as_they_were_given(tables: dict[str, list[NaiveLine]]) -> None:
    from dmtable.core.target import StatusKind

    numbers = {"/dev/d0": "7:0", "/dev/d1": "7:1"} | {
        f"/dev/mapper/{name}": f"253:{minor}" for minor, name in enumerate(tables)
    }
    dm, _ = build(tables)
    with dm:
        for name, lines in tables.items():
            live = dm[name].live
            assert live is not None
            for line, target in zip(lines, live.targets(), strict=True):
                printed = f"{target.begin} {target.length} {target.name} {target.status(StatusKind.TABLE)}".rstrip()
                wanted = " ".join(numbers.get(word, word) for word in line.text().split())
                assert printed == wanted


def test_a_stack_of_two_thousand_costs_what_one_costs() -> None:
    dm, devices = mapper_with({"d0": 64})
    with dm:
        below = "/dev/d0"
        for index in range(2000):
            dm.create(f"m{index}", f"0 32 linear {below} {0 if index else 1}")
            below = f"/dev/mapper/m{index}"
        top = dm["m1999"]
        top.pwrite(b"x" * SECTOR_BYTES, 0)
        assert devices["d0"].pread(SECTOR_BYTES, SECTOR_BYTES) == b"x" * SECTOR_BYTES
        assert top.compiled is not None
        assert len(top.compiled.map) == 1
        assert read_by_bio(top, 0, 1) == b"x" * SECTOR_BYTES
        dm.suspend(dm["m0"])
        bio = Bio(Op.READ, 0, 1, memoryview(bytearray(SECTOR_BYTES)))
        top.submit(bio)
        assert not bio.done
        dm.resume(dm["m0"])
        assert bio.done
        assert bio.data == b"x" * SECTOR_BYTES


def test_deeply_nested_stripes_go_by_bios() -> None:
    dm, _ = mapper_with({"d0": 4096})
    with dm:
        below = "/dev/d0"
        for index in range(60):
            dm.create(f"m{index}", f"0 64 striped 2 8 {below} 0 {below} 32")
            below = f"/dev/mapper/m{index}"
        top = dm["m59"]
        assert top.pread(64 * SECTOR_BYTES, 0) == read_by_bio(top, 0, 64)
