"""Each payload against its layout in linux/dm-ioctl.h, written down by hand."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.control import codec
from dmtable.control.codec import Command, Payload
from dmtable.control.interface import DmIoctl, Flag, NameEntry, TargetLine, TargetVersion
from dmtable.errors import IoctlError
from tests.control.requests import HEADER, Fields, ioctl_number, request, spec


def test_the_layouts_have_their_sizes() -> None:
    assert (HEADER.size, codec.HEADER_BYTES, codec.LEAST_BYTES) == (312, 312, 305)
    assert [command.request for command in Command] == [ioctl_number(nr) for nr in range(18)]


@pytest.mark.parametrize(
    ("dev", "encoded"),
    [(None, 0), ((253, 0), 0xFD00), ((253, 255), 0xFDFF), ((253, 256), 0x10FD00), ((0xFFF, 0xFFFFF), 0xFFFFFFFF)],
)
def test_device_numbers(dev: tuple[int, int] | None, encoded: int) -> None:
    assert codec.encode_dev(dev) == encoded
    assert codec.decode_dev(encoded) == dev


@given(st.integers(0, 0xFFF), st.integers(0, 0xFFFFF))
def test_every_number_comes_back(major: int, minor: int) -> None:
    encoded = codec.encode_dev((major, minor))
    assert codec.decode_dev(encoded) == ((major, minor) if encoded else None)
    assert encoded < 1 << 32


def test_a_request_lies_as_the_kernel_reads_it() -> None:
    asked = DmIoctl("näme", "", (253, 0x12C34), Flag(0x1234), open_count=-1, event_nr=7, target_count=9)
    sent = codec.encode_request(asked, (4, 2, 1), b"payload", room=20)
    fields = Fields(sent)
    assert (fields.version, fields.data_size, fields.data_start) == ((4, 2, 1), 332, 312)
    assert (fields.target_count, fields.open_count, fields.flags, fields.event_nr) == (9, -1, 0x1234, 7)
    assert (fields.dev, fields.name, fields.uuid) == (0x12C0FD34, "näme".encode(), b"")
    assert fields.payload == b"payload".ljust(20, b"\0")
    assert codec.decode_header(sent) == asked
    assert codec.decode_header(request(b"a\xff", uuid=b"U", dev=0xFD01, flags=1 << 31)) == DmIoctl(
        "a\udcff", "U", (253, 1), Flag(1 << 31)
    )


def test_a_table_to_load() -> None:
    lines = [TargetLine(0, 8, "linear", "7:0 0"), TargetLine(8, 1 << 40, "x" * 15, "é"), TargetLine(9, 1, "zero", "")]
    expected = spec(0, 8, b"linear", b"7:0 0") + spec(8, 1 << 40, b"x" * 15, "é".encode()) + spec(9, 1, b"zero", b"")
    assert codec.encode_lines(lines) == (3, expected)
    assert [len(spec(0, 8, b"zero", b"p" * n)) for n in (0, 7, 8)] == [48, 48, 56]
    param = bytearray(request(b"a", expected, count=3))
    assert list(codec.decode_lines(param, 3)) == lines


def test_lines_are_read_one_at_a_time() -> None:
    param = bytearray(request(b"a", spec(0, 8, b"zero", b"", step=1 << 31)))
    lines = codec.decode_lines(param, 2)
    assert next(lines) == TargetLine(0, 8, "zero", "")
    with pytest.raises(IoctlError) as caught:
        next(lines)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(IoctlError) as caught:
        next(codec.decode_lines(param, (1 << 20) + 1))
    assert caught.value.errno == errno.EOVERFLOW


def test_a_message() -> None:
    data = codec.encode_message(0x0123456789ABCDEF, "go on")
    assert data == bytes.fromhex("efcdab8967452301") + b"go on\0"
    assert codec.message_payload(bytearray(request(b"a", data))) == (0x0123456789ABCDEF, "go on")
    assert codec.message_payload(bytearray(request(b"a", data[:-1], room=0))) is None
    assert codec.message_payload(bytearray(request(b"a", data, start=304))) is None


def test_a_list_of_devices() -> None:
    entries = [
        NameEntry((253, 0), "a", 5, "LVM-1234"),
        NameEntry((253, 256), "bcdef", 0, ""),
        NameEntry((7, 1), "c", 1, "U"),
    ]
    expected = (
        struct.pack("<QI4sII16s", 0xFD00, 40, b"a", 5, 1, b"LVM-1234")
        + struct.pack("<QI12sII", 0x10FD00, 32, b"bcdef", 0, 2)
        + struct.pack("<QI4sII8s", 0x0701, 0, b"c", 1, 1, b"U")
    )
    assert codec.encode_names(entries) == expected
    assert codec.decode_names(_reply(expected)) == entries
    without = [NameEntry((253, 0), "a", 5, None)]
    assert codec.encode_names(without) == struct.pack("<QI4sII", 0xFD00, 0, b"a", 5, 0)
    assert codec.decode_names(_reply(codec.encode_names(without))) == without
    assert codec.encode_names([]) == b""
    assert codec.decode_names(_reply(b"")) == []


def test_dependencies() -> None:
    devs = [(7, 1), (253, 256)]
    expected = struct.pack("<II2Q", 2, 0, 0x701, 0x10FD00)
    assert codec.encode_deps(devs) == expected
    assert codec.decode_deps(_reply(expected)) == devs
    assert codec.decode_deps(_reply(None)) == []


def test_versions_of_targets() -> None:
    versions = [
        TargetVersion("linear", (1, 4, 0)),
        TargetVersion("snapshot-origin", (1, 9, 0)),
        TargetVersion("a", (0, 0, 1)),
    ]
    records = (
        struct.pack("<I3I8s", 24, 1, 4, 0, b"linear")
        + struct.pack("<I3I16s", 32, 1, 9, 0, b"snapshot-origin")
        + struct.pack("<I3I2s", 0, 0, 0, 1, b"a")
    )
    needed = 16 + 7 + 7 + 16 + 16 + 7 + 16 + 2 + 7
    assert codec.encode_versions(versions) == records.ljust(needed, b"\0")
    assert codec.decode_versions(_reply(codec.encode_versions(versions))) == versions


STATUS = [TargetLine(0, 8, "linear", "7:0 0"), TargetLine(8, 16, "zero", "")]
STATUS_BYTES = struct.pack("<QQiI16s8s", 0, 8, 0, 48, b"linear", b"7:0 0") + struct.pack(
    "<QQiI16s1s", 8, 16, 0, 96, b"zero", b""
)


def test_a_status() -> None:
    assert codec.encode_status(STATUS, 96) == Payload(STATUS_BYTES)
    assert codec.decode_status(_reply(STATUS_BYTES), 2) == STATUS
    assert codec.decode_status(_reply(None), 2) == []


@pytest.mark.parametrize(
    ("room", "kept"),
    # A record needs its spec, its text and one byte more; and what pads the last one has to fit as well.
    [(0, None), (40, None), (46, None), (47, 46), (48, 46), (88, 46), (89, 46), (90, 89), (95, 89)],
)
def test_a_status_that_does_not_fit(room: int, kept: int | None) -> None:
    payload = codec.encode_status(STATUS, room)
    assert payload.full
    if kept is None:
        assert payload.data is None
        return
    assert payload.data is not None
    assert len(payload.data) == kept
    steps = [struct.unpack_from("<I", payload.data, at + 20)[0] for at in (0, 48) if at < kept]
    assert steps == ([0] if room < 48 else [48] if kept == 46 else [48, 0])


def test_a_reply_keeps_what_the_ioctl_does_not_tell() -> None:
    param = codec.entered(request(b"a\0rest", flags=0x8100, dev=1 << 40, start=77), 2048, (4, 47, 0), Flag(0x8100))
    asked = codec.decode_header(param)
    fields = Fields(codec.encode_reply(param, asked))
    assert (fields.version, fields.data_size, fields.data_start, fields.flags) == ((4, 47, 0), 305, 77, 0)
    assert (fields.dev, fields.name) == (1 << 40, b"a")
    told = DmIoctl("longer", "U", (253, 3), Flag(0x20), -2, 3, 4)
    reply = codec.encode_reply(param, told, Payload(b"data"))
    fields = Fields(reply)
    assert (fields.data_size, fields.data_start, fields.target_count, fields.open_count) == (316, 312, 4, -2)
    assert (fields.flags, fields.event_nr, fields.dev) == (0x20, 3, 0xFD03)
    assert (fields.name, fields.uuid, fields.payload, len(reply)) == (b"longer", b"U", b"data", 316)
    assert codec.decode_reply(reply) == told
    full = codec.encode_reply(param, told, Payload(None, full=True))
    assert (len(full), Fields(full).data_size, Fields(full).data_start) == (305, 305, 312)
    assert Fields(full).flags == 0x120


def test_a_name_without_an_end_is_cut_or_goes_on() -> None:
    param = bytearray(request(b"n" * 128, uuid=b"u" * 129))
    assert codec.decode_header(param).name == "n" * 128 + "u" * 129
    codec.end_names(param)
    assert codec.decode_header(param) == DmIoctl("n" * 127, "u" * 128, flags=Flag(4))


def _reply(payload: bytes | None) -> bytes:
    size = 305 if payload is None else 312 + len(payload)
    return request(b"", payload or b"", size=size, room=0)[:size]
