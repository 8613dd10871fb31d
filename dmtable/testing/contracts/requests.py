"""The requests that are made of a block device, and how one is refused."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Literal

from hypothesis import strategies as st

from dmtable.errors import errno_name
from dmtable.io.device import BlockDevice, Buffer

Kind = Literal["read", "read into", "write", "zero", "discard", "flush", "reopen"]
Request = tuple[Kind, int, int]
"""(what, first block, blocks)"""

_KINDS: tuple[Kind, ...] = ("read", "read into", "write", "zero", "discard", "flush", "reopen")

BUFFERS: dict[str, Callable[[bytes], Buffer]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview of bytes": memoryview,
    "memoryview of a bytearray": lambda data: memoryview(bytearray(data)),
    "slice of a memoryview": lambda data: memoryview(bytearray(b"#" + data + b"#"))[1:-1],
    "memoryview of wider items": lambda data: memoryview(array("I", data)),
}
WRITES = ("pwrite", "write_zeroes", "discard")


def requests(device: BlockDevice, offset: int, length: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every request that has a place, by its name."""
    yield "pread", lambda: device.pread(length, offset)
    yield "pread_into", lambda: device.pread_into(bytearray(length), offset)
    yield "pwrite", lambda: device.pwrite(b"?" * length, offset)
    yield "write_zeroes", lambda: device.write_zeroes(offset, length)
    yield "discard", lambda: device.discard(offset, length)


def check_refused(request: Callable[[], object], what: str, number: int | None, why: str) -> None:
    """The request raises OSError with this errno; None is any."""
    try:
        request()
    except OSError as error:
        if number in (None, error.errno):
            return
        given = errno_name(error.errno or 0)
        raise AssertionError(f"{what} raised OSError {given}, and not {errno_name(number or 0)}: {why}") from error
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r}: whatever a device refuses is an OSError; {why}") from error
    raise AssertionError(f"{what} was not refused: {why}")


@lru_cache(maxsize=64)
def data_of(number: int, length: int) -> bytes:
    """Bytes that no other number has, and that differ from place to place."""
    return random.Random(number).randbytes(length)


@cache
def sequences(blocks: int) -> st.SearchStrategy[list[Request]]:
    def request(kind: Kind, first: int, count: int) -> Request:
        return kind, first, min(count, blocks - first)

    return st.lists(
        st.builds(request, st.sampled_from(_KINDS), st.integers(0, blocks - 1), st.integers(0, 40)), max_size=20
    )
