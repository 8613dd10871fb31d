"""Stamps are read back, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.sim.ink import Blot, stamp, tag_of, tags, tags_of_bytes
from dmtable.units import SECTOR_BYTES


def sectors_of(content: bytes) -> list[bytes]:
    return [content[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES)]


@given(st.integers(1, (1 << 64) - 1), st.integers(0, 65535), st.integers(0, 1 << 31), st.integers(1, 4))
def test_a_stamp_is_read_back(tag: int, device: int, sector: int, sectors: int) -> None:
    content = stamp(tag, device, sector, sectors)
    assert len(content) == sectors * SECTOR_BYTES
    assert tag_of(memoryview(content)) == tag


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 3))
def test_images_are_read_in_pieces_and_as_a_whole(written: list[int], device: int) -> None:
    image = [stamp(tag, device, sector, 1) if tag else bytes(SECTOR_BYTES) for sector, tag in enumerate(written)]
    assert tags(image, device) == written
    assert tags_of_bytes(b"".join(image), device) == written


@given(st.integers(0, 2 * SECTOR_BYTES - 1), st.integers(0, 7))
def test_any_bit_that_turns_is_seen(at: int, bit: int) -> None:
    image = bytearray(stamp(5, 1, 0, 1) + bytes(SECTOR_BYTES))
    image[at] ^= 1 << bit
    with pytest.raises(Blot) as blot:
        tags(sectors_of(bytes(image)), 1)
    assert blot.value.sector == at // SECTOR_BYTES
    with pytest.raises(Blot) as blot:
        tags_of_bytes(bytes(image), 1)
    assert blot.value.sector == at // SECTOR_BYTES


@pytest.mark.parametrize("content", [stamp(5, 0, 0, 1), stamp(5, 1, 1, 1)], ids=["another device", "another sector"])
def test_a_misdirected_sector_is_seen(content: bytes) -> None:
    with pytest.raises(Blot):
        tags([content], 1)
    with pytest.raises(Blot):
        tags_of_bytes(content, 1)


@pytest.mark.parametrize("arguments", [(0, 0, 0, 1), (1, 1 << 16, 0, 1), (1, 0, -1, 1), (1, 0, 1 << 32, 1)])
def test_a_stamp_that_could_not_be_read_is_not_made(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="no stamp says"):
        stamp(*arguments)
