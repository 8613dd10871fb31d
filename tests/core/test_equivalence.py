"""Differences between tables, held against a mapping that looks at every single sector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given

from dmtable.core.equivalence import Difference, differences, equivalent
from dmtable.core.extents import Stripes
from dmtable.core.paper import Disks, PaperStack
from dmtable.io.constant import ERROR, ZERO
from dmtable.io.device import BlockDevice
from dmtable.language.parser import parse
from tests.core.disks import NaiveLine, Origin, naive_origin
from tests.core.variations import Tables, on_paper, variations

HUGE = 1 << 44


def stack(disks: Disks, **tables: str) -> PaperStack:
    stack = PaperStack(disks)
    for name, text in tables.items():
        stack.add(name.replace("_", "-"), parse(text).pieces)
    return stack


def found(one: str, other: str, /, **below: str) -> list[Difference]:
    disks = Disks()
    a, b = stack(disks, **below, top=one), stack(disks, **below, top=other)
    return list(differences(a.layers["top"].map, b.layers["top"].map))


def origin(disks: Disks, place: tuple[BlockDevice, int]) -> Origin:
    device, at = place
    if device in (ZERO, ERROR):
        return ("zero" if device is ZERO else "error"), 0
    return disks.name(device).removeprefix("/dev/"), at


LEGS = (("/dev/d0", 0), ("/dev/d1", 0))
STRIPED = NaiveLine(0, 96, "striped", 4, LEGS)


@given(variations())
@example(({"m0": [STRIPED]}, {"m0": [replace(STRIPED, chunk=8)]}))
@example(({"m0": [STRIPED]}, {"m0": [NaiveLine(0, 96, "linear", 0, LEGS[:1])]}))
@example(
    # Neither begins with a chunk, nor do they begin at the same sector of one.
    (
        {"m0": [STRIPED], "m1": [NaiveLine(0, 80, "linear", 0, (("/dev/mapper/m0", 3),))]},
        {"m0": [STRIPED], "m1": [NaiveLine(0, 80, "linear", 0, (("/dev/mapper/m0", 9),))]},
    )
)
def test_differences_are_those_of_every_sector(pair: tuple[Tables, Tables]) -> None:
    one, other = pair
    disks = Disks()
    a, b = on_paper(one, disks), on_paper(other, disks)
    for name in one:
        left, right = a.layers[name], b.layers[name]
        size = min(left.sectors, right.sectors)
        expected = {}
        for sector in range(size):
            ways = naive_origin(one, f"/dev/mapper/{name}", sector), naive_origin(other, f"/dev/mapper/{name}", sector)
            if ways[0] != ways[1]:
                expected[sector] = ways
        told = {}
        end = 0
        for difference in differences(left.map, right.map):
            assert difference.start >= end, "ranges rise and do not overlap"
            end = difference.start + difference.length
            for further in range(difference.length):
                places = ((device, at + further) for device, at in (difference.one, difference.other))
                told[difference.start + further] = tuple(origin(disks, place) for place in places)
        assert told == expected
        assert equivalent(left.map, right.map) == (not expected and left.sectors == right.sectors)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 100 linear /dev/a 5", "0 40 linear /dev/a 5\n40 60 linear /dev/a 45"),
        ("0 100 linear /dev/a 5", "0 100 striped 1 10 /dev/a 5"),
        ("0 64 striped 1 8 /dev/a 0", "0 64 striped 1 16 /dev/a 0"),
        # Legs turned by a linear that begins a chunk further on.
        ("0 48 linear /dev/mapper/low 8", "0 48 striped 2 8 /dev/b 0 /dev/a 8"),
        ("0 40 linear /dev/mapper/low 4", "0 40 linear /dev/mapper/low 4"),
        ("0 64 linear /dev/mapper/low 0", "0 64 striped 2 8 /dev/a 0 /dev/b 0"),
        # Stripes of layers that are in pieces themselves.
        ("0 128 striped 2 8 /dev/mapper/low 0 /dev/c 0", "0 128 striped 2 8 /dev/mapper/same 0 /dev/c 0"),
        ("0 9 zero", "0 4 zero\n4 5 linear /dev/mapper/none 1"),
        ("0 64 striped 2 8 /dev/mapper/none 0 /dev/mapper/none 64", "0 64 zero"),
        ("0 8 linear 8:0 0", "0 8 linear 08:00 0"),
        ("0 8 linear 800 0", "0 8 linear 8:0 0"),
        ("0 8 linear /dev/a 0", "0 8 linear //dev/./a 0"),
        ("0 8 crypt aes k 0 /dev/a 0", "0 8 crypt aes k 0 //dev/a 0"),
        ("0 8 crypt aes k 0 /dev/mapper/low 0", "0 8 crypt aes k 0 /dev/mapper/same 0"),
    ],
)
def test_the_same_in_other_words(one: str, other: str) -> None:
    below = {
        "low": "0 64 striped 2 8 /dev/a 0 /dev/b 0",
        "same": "0 16 striped 2 8 /dev/a 0 /dev/b 0\n16 48 striped 2 8 /dev/a 8 /dev/b 8",
        "none": "0 1000 zero",
    }
    assert found(one, other, **below) == []


@pytest.mark.parametrize(
    ("one", "other", "start", "length"),
    [
        ("0 8 zero", "0 8 error", 0, 8),
        ("0 8 linear /dev/a 0", "0 4 linear /dev/a 0\n4 4 linear /dev/a 5", 4, 4),
        ("0 8 crypt aes k 0 /dev/a 0", "0 8 crypt aes K 0 /dev/a 0", 0, 8),
        ("0 8 crypt aes k 0 /dev/a 0", "0 8 crypt aes k 0 /dev/b 0", 0, 8),
        ("0 8 crypt aes k 0 /dev/a 0", "0 8 delay /dev/a 0 5", 0, 8),
        ("0 8 crypt aes k 0 /dev/a 0", "0 8 linear /dev/a 0", 0, 8),
        ("0 8 crypt aes k 0 /dev/mapper/low 0", "0 8 crypt aes k 0 /dev/mapper/other 0", 0, 8),
        ("0 64 striped 2 8 /dev/a 0 /dev/b 0", "0 64 striped 2 16 /dev/a 0 /dev/b 0", 8, 8),
        ("0 64 striped 2 8 /dev/a 0 /dev/b 0", "0 64 striped 2 8 /dev/a 0 /dev/b 1", 8, 8),
        ("0 64 striped 2 8 /dev/mapper/low 0 /dev/b 0", "0 64 striped 2 8 /dev/mapper/other 0 /dev/b 0", 16, 4),
    ],
)
def test_the_first_difference(one: str, other: str, start: int, length: int) -> None:
    below = {
        "low": "0 64 linear /dev/a 0",
        "other": "0 8 linear /dev/a 0\n8 4 zero\n12 52 linear /dev/a 12",
    }
    first = found(one, other, **below)[0]
    assert (first.start, first.length) == (start, length)


def test_stripes_alike_are_compared_without_a_chunk_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    def walked(*_: object) -> None:
        raise AssertionError("chunks were walked")

    monkeypatch.setattr(Stripes, "pieces", walked)
    text = f"0 {HUGE} striped 2 8 /dev/a 0 /dev/mapper/low 0"
    low = f"0 8 linear /dev/a 0\n8 {HUGE} linear /dev/b 0"
    assert found(text, text, low=low) == []


@pytest.mark.parametrize(
    ("one", "other", "start"),
    [
        (f"0 {HUGE} striped 2 8 /dev/mapper/none 0 /dev/mapper/none 0", f"0 {HUGE} zero", None),
        (
            f"0 {HUGE} striped 2 8 /dev/mapper/none 0 /dev/a 0",
            f"0 {HUGE} striped 2 8 /dev/mapper/none 64 /dev/a 0",
            None,
        ),
        # Four legs move half as fast as two, which shows in the second round only.
        (
            f"0 {HUGE} striped 2 8 /dev/mapper/none 0 /dev/a 0",
            f"0 {HUGE} striped 4 8 /dev/mapper/none 0 /dev/a 0 /dev/mapper/none 0 /dev/a 8",
            40,
        ),
    ],
)
def test_huge_stripes_are_compared_in_few_steps(one: str, other: str, start: int | None) -> None:
    # A comparison that walked 2^41 chunks would never end.
    disks = Disks()
    a, b = (stack(disks, none=f"0 {HUGE} zero", top=text) for text in (one, other))
    first = next(differences(a.layers["top"].map, b.layers["top"].map), None)
    assert (first.start if first else None) == start


def test_tables_of_different_sizes_are_not_equivalent() -> None:
    paper = stack(Disks(), short="0 8 zero", long="0 9 zero")
    short, long = paper.layers["short"].map, paper.layers["long"].map
    assert list(differences(short, long)) == []
    assert not equivalent(short, long)


def test_names_below_a_root_that_lead_to_one_file_are_one_device(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/sda").write_bytes(bytes(4096))
    (tmp_path / "dev/disk").symlink_to("/dev/sda")
    disks = Disks(tmp_path)
    a, b = stack(disks, top="0 8 linear /dev/sda 0"), stack(disks, top="0 8 linear /dev/disk 0")
    assert equivalent(a.layers["top"].map, b.layers["top"].map)
    disks.close()
