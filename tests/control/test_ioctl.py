"""ioctl() on /dev/mapper/control: which errno comes first, what is copied back, and any buffer at all.

What the kernel answers byte for byte is recorded; here stands what recordings cannot: refusals by their reason,
messages that are answered, the log, and buffers that nobody thought of.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtable.control.codec import Command
from dmtable.control.interface import Flag
from dmtable.control.ioctl import Transport
from dmtable.control.server import machine_transport
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.registry import Registry
from dmtable.errors import DmtableError
from dmtable.io.memory import MemoryDevice
from dmtable.targets.zero import Zero
from dmtable.units import SECTOR_BYTES
from tests.control.requests import Fields, ioctl_number, request, spec

VERSION = struct.pack("<3I", 4, 47, 0)


class Talker(Zero):
    """Answers as many letters as it is told, and is not to be suspended."""

    name = "talker"
    version = (3, 2, 1)

    def message(self, args: Sequence[str]) -> str:
        return "x" * int(args[0])


class Machine:
    def __init__(self) -> None:
        registry = Registry()
        registry.add(Talker)
        self.mapper = DeviceMapper(registry=registry)
        self.mapper.add(MemoryDevice(64 * SECTOR_BYTES), "/dev/loop0")
        self.transport: Transport = machine_transport(self.mapper)

    def ask(self, nr: int, buffer: bytes) -> tuple[int, Fields]:
        number, reply = self.transport(ioctl_number(nr), buffer)
        return number, Fields(reply)


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    with machine.mapper:
        yield machine


@pytest.mark.parametrize(
    ("command", "buffer", "number", "reply"),
    [
        (0x1234, b"", errno.ENOTTY, b""),
        (0xC138FE00, request(), errno.ENOTTY, b""),
        (ioctl_number(2), b"", errno.EFAULT, b""),
        (ioctl_number(2), VERSION[:11], errno.EFAULT, b""),
        (ioctl_number(2), struct.pack("<3I", 4, 48, 0), errno.EINVAL, VERSION),
        (ioctl_number(18), VERSION, errno.ENOTTY, VERSION),
        (ioctl_number(0), VERSION, 0, VERSION),
        (ioctl_number(2), request(room=0)[:304], errno.EFAULT, VERSION),
        (ioctl_number(2), request(size=304), errno.EINVAL, VERSION),
        (ioctl_number(2), request(size=(1 << 30) + 1), errno.EINVAL, VERSION),
        (ioctl_number(2), request(size=4096), errno.EFAULT, VERSION),
        (ioctl_number(1), request(size=4096), 0, VERSION),
        (ioctl_number(7), request(b"a", uuid=b"U", size=4096), errno.EINVAL, VERSION),
        (ioctl_number(7), request(b"nosuch", flags=0x8000, room=0), errno.ENXIO, bytes(305)),
        (ioctl_number(12), request(b"nosuch", flags=0x8000, room=400), errno.ENXIO, bytes(400)),
    ],
)
def test_what_is_refused_before_anything_is_done(
    machine: Machine, command: int, buffer: bytes, number: int, reply: bytes
) -> None:
    assert machine.transport(command, buffer) == (number, reply)


def test_secrets_are_wiped_and_the_reply_lies_over_the_zeros(machine: Machine) -> None:
    machine.mapper.create_device("a")
    secret = request(b"a", spec(0, 8, b"zero", b"") + b"key" * 50, flags=0x8000, count=1, room=600)
    number, reply = machine.transport(ioctl_number(9), secret)
    assert (number, len(reply), reply[305:]) == (0, 600, bytes(295))
    assert Fields(reply).name == b"a"
    open_text = machine.transport(ioctl_number(9), request(b"a", spec(0, 8, b"zero", b""), flags=0, count=1))
    assert len(open_text[1]) == 305


@pytest.mark.parametrize(("letters", "full"), [(1, False), (98, False), (99, True), (100, True), (1000, True)])
def test_an_answer_fits_with_a_byte_to_spare(machine: Machine, letters: int, full: bool) -> None:
    machine.mapper.create("t", "0 8 talker")
    number, fields = machine.ask(14, request(b"t", struct.pack("<Q", 0) + b"%d\0" % letters, room=312 + 100))
    assert number == 0
    assert fields.flags & Flag.DATA_OUT
    assert bool(fields.flags & Flag.BUFFER_FULL) == full
    assert (fields.data_size, fields.data_start) == (305 if full else 312 + letters + 1, 312)
    assert fields.payload == (b"" if full else b"x" * letters + b"\0")


def test_a_target_of_ones_own_is_listed_first(machine: Machine) -> None:
    number, reply = machine.transport(ioctl_number(13), request())
    assert number == 0
    assert struct.unpack_from("<I3I7s", reply, 312) == (24, 3, 2, 1, b"talker\0")
    number, fields = machine.ask(17, request(b"talker"))
    assert (number, fields.payload[4:23]) == (0, struct.pack("<3I7s", 3, 2, 1, b"talker"))
    for unknown in (b"crypt", b"nosuch", b""):
        assert machine.transport(ioctl_number(17), request(unknown)) == (errno.EINVAL, VERSION)


def test_what_the_entry_refuses_is_logged(machine: Machine) -> None:
    for nr, buffer in (
        (2, request(version=(3, 9, 9))),
        (77, request()),
        (2, request(size=9)),
        (3, request()),
        (8, request(b"a", uuid=b"U")),
        (5, request(b"a", b"x" * 8, room=0)),
    ):
        machine.transport(ioctl_number(nr), buffer)
    assert [line.removeprefix("device-mapper: ioctl: ") for line in machine.mapper.klog] == [
        "ioctl interface mismatch: kernel(4.47.0), user(3.9.9), cmd(2)",
        "dm_ctl_ioctl: unknown command 0xc138fd4d",
        "Invalid data size in the ioctl structure: 9",
        "name not supplied when creating device",
        "only supply one of name or uuid, cmd(8)",
        "Invalid new mapped device name or uuid string supplied.",
    ]


def test_a_target_that_does_not_load_is_an_errno_and_a_line(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def does_not_load(name: str) -> None:
        raise DmtableError(f"target {name!r} does not load")

    machine.mapper.create_device("a")
    monkeypatch.setattr(machine.mapper.registry, "target", does_not_load)
    buffer = request(b"a", spec(0, 8, b"far", b""), count=1)
    assert machine.transport(ioctl_number(9), buffer) == (errno.EINVAL, VERSION)
    assert machine.mapper.klog[-1] == "device-mapper: ioctl: target 'far' does not load"


def test_a_table_is_judged_line_by_line(machine: Machine) -> None:
    """The second spec is broken; but the first is wrong already, and what it opened is closed again."""
    machine.mapper.create_device("a")
    broken = spec(0, 8, b"linear", b"7:0 0", step=7)
    for first, number in ((spec(0, 8, b"linear", b"/none 0", step=7), errno.ENODEV), (broken, errno.EINVAL)):
        assert machine.transport(ioctl_number(9), request(b"a", first, count=2))[0] == number
    assert machine.mapper.klog[-1] == "device-mapper: ioctl: unable to find target"
    assert not machine.mapper["a"].opened
    assert machine.mapper["a"].inactive is None


NAMES = st.sampled_from([b"a", b"b", b"", b"n" * 128, b"x/y", b"\xff"])
PAYLOADS = st.one_of(
    st.binary(max_size=120),
    st.builds(
        spec,
        st.sampled_from([0, 8, 1 << 64 - 1]),
        st.sampled_from([0, 8, 1 << 63]),
        st.sampled_from([b"zero", b"linear", b"talker", b"t" * 16]),
        st.sampled_from([b"", b"7:0 0", b"\\", b"253:0 0", b"\xff " * 9]),
        st.sampled_from([None, 0, 40, 48, 1 << 31, (1 << 32) - 1]),
    ),
    st.builds(
        lambda sector, words: struct.pack("<Q", sector) + words,
        st.sampled_from([0, 8, 1 << 63]),
        st.sampled_from([b"5\0", b"99999\0", b"@x\0", b"hi", b"\0"]),
    ),
)
BUFFERS = st.one_of(
    st.binary(max_size=400),
    st.builds(
        request,
        NAMES,
        PAYLOADS,
        uuid=st.sampled_from([b"", b"", b"U", b"u" * 129]),
        dev=st.sampled_from([0, 0, 0xFD00, 0x700, (1 << 64) - 1]),
        flags=st.integers(0, (1 << 32) - 1),
        count=st.sampled_from([0, 1, 2, 1 << 20, (1 << 32) - 1]),
        event_nr=st.just(9),
        start=st.sampled_from([312, 312, 305, 304, 0, 40, 400, (1 << 32) - 1]),
        size=st.sampled_from([None, None, 305, 311, 312, 320, 304, 0, 1 << 31, (1 << 32) - 1]),
        version=st.sampled_from([(4, 0, 0), (4, 47, 9), (4, 48, 0), (0, 0, 0)]),
        room=st.sampled_from([0, 353, 2048]),
    ),
)
ERRNOS = {
    0, errno.EINVAL, errno.ENXIO, errno.EBUSY, errno.ENOTTY, errno.EFAULT, errno.EOVERFLOW, errno.ENODEV, errno.EIO,
}  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, 19), BUFFERS), max_size=8))
def test_any_buffer_has_an_answer(requests: list[tuple[int, bytes]]) -> None:
    machine = Machine()
    with machine.mapper as mapper:
        machine.transport(ioctl_number(3), request(b"a"))
        for nr, buffer in requests:
            before = [(md.name, md.uuid, md.live, md.inactive, md.suspended) for md in mapper]
            number, reply = machine.transport(ioctl_number(nr), buffer)
            assert number in ERRNOS
            size = int.from_bytes(buffer[12:16].ljust(4, b"\0"), "little")
            assert len(reply) <= max(size, 305)
            assert reply[:12] in (VERSION, b"", bytes(12))
            if number and nr not in (Command.TARGET_MSG, Command.DEV_SUSPEND):
                assert [(md.name, md.uuid, md.live, md.inactive, md.suspended) for md in mapper] == before
        assert all(md.open_count == len(mapper.holders(md.number)) for md in mapper)
        assert all(md.holders == 0 for md in mapper)
