"""Asked by its bytes, a machine answers as it does by calls, whatever is asked; and its own calls besides."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtable.control.calls import Call, CallError, Calls
from dmtable.control.client import IoctlControl
from dmtable.control.codec import Command
from dmtable.control.dispatch import LocalControl
from dmtable.control.interface import Control, DmIoctl, Flag, NameEntry, TargetLine
from dmtable.control.ioctl import Transport
from dmtable.control.server import machine_transport
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.table import TargetSpec
from dmtable.errors import IoctlError
from dmtable.io.memory import MemoryDevice
from dmtable.units import SECTOR_BYTES

NAMES = st.sampled_from(["", "a", "b", "c d", "é\udc80", "n" * 127, "x/y"])
UUIDS = st.sampled_from(["", "", "", "U", "u" * 128])
DEVS = st.sampled_from([None, None, None, (253, 0), (253, 1), (253, 300), (7, 0)])
FLAGS = st.sampled_from(
    [0, 0, 2, 1, 2 | 0x800, 8, 0x10, 0x1000, 0x1010, 0x4000, 0x20000, 0x80000, 0x8000, 0xFFFFFFFF & ~8, 0x2114]
).map(Flag)
REQUESTS = st.builds(DmIoctl, NAMES, UUIDS, DEVS, FLAGS, event_nr=st.sampled_from([0, 1, 7]))
PARAMS = st.sampled_from(["", "7:0 0", r"7:\0 4", " /dev/loop1  8 ", "7:9 0", "x\\", "é 0", "2 8 7:0 0 7:1 16"])
LINES = st.lists(
    st.builds(
        TargetLine,
        st.sampled_from([0, 8, 16, 1 << 63]),
        st.sampled_from([8, 8, 16, 0, 1 << 63]),
        st.sampled_from(["zero", "linear", "error", "striped", "nosuch", "t" * 15]),
        PARAMS,
    ),
    max_size=3,
)
TEXTS = st.sampled_from(["", "a", "new", "x/y", "é\udc80", "U", "n" * 127, "n" * 128, "u" * 129])
MESSAGES = st.sampled_from(["", " ", "hi", "@nope", "@cancel_deferred_remove", "@cancel_deferred_remove x", "a\\ b"])
GEOMETRIES = st.sampled_from(["", "1 1 1 0", "1 1 1 2", "70000 1 1 0", "1 1 1", "\t10\n1 1 0", "1\xa01 1 0"])

Asking = Callable[[Control], Any]


def asked(method: str, *words: object) -> Asking:
    return lambda control: getattr(control, method)(*words)


QUESTIONS: st.SearchStrategy[Asking] = st.one_of(
    *(
        st.builds(asked, st.just(method), REQUESTS)
        for method in (
            "list_devices",
            "dev_create",
            "dev_create",
            "dev_remove",
            "dev_suspend",
            "dev_suspend",
            "dev_status",
            "table_clear",
            "table_deps",
            "table_status",
            "remove_all",
            "target_version",
        )
    ),
    st.builds(asked, st.just("table_load"), REQUESTS, LINES),
    st.builds(asked, st.just("table_load"), REQUESTS, LINES),
    st.builds(asked, st.just("dev_rename"), REQUESTS, TEXTS),
    st.builds(asked, st.just("target_message"), REQUESTS, st.sampled_from([0, 8, 1 << 63]), MESSAGES),
    st.builds(asked, st.just("set_geometry"), REQUESTS, GEOMETRIES),
    st.just(asked("list_versions")),
    st.just(asked("version")),
    st.just(asked("event_number")),
)


@contextmanager
def a_mapper() -> Iterator[DeviceMapper]:
    with DeviceMapper() as mapper:
        for number in range(2):
            mapper.add(MemoryDevice(64 * SECTOR_BYTES), f"/dev/loop{number}")
        yield mapper


def outcome(ask: Asking, control: Control) -> object:
    try:
        return ask(control)
    except IoctlError as error:
        return error.errno


@settings(max_examples=300)
@given(st.lists(QUESTIONS, max_size=12))
def test_bytes_and_calls_are_one(questions: list[Asking]) -> None:
    with a_mapper() as by_calls, a_mapper() as by_bytes:
        local, client = LocalControl(by_calls), IoctlControl(machine_transport(by_bytes))
        for ask in questions:
            assert outcome(ask, client) == outcome(ask, local)
        everything = DmIoctl(flags=Flag.UUID)
        assert local.list_devices(everything) == client.list_devices(everything)
        # The entry of the kernel has lines of its own; none is lost.
        theirs = [line for line in by_bytes.klog if "only supply one of" not in line]
        assert theirs == list(by_calls.klog)


@pytest.mark.parametrize("count", [1, 400, 3000])
def test_the_buffer_grows_until_everything_fits(count: int) -> None:
    with a_mapper() as mapper:
        client = IoctlControl(machine_transport(mapper))
        lines = [TargetLine(8 * at, 8, "linear", f"7:{at % 2} {at % 8}") for at in range(count)]
        client.dev_create(DmIoctl("a", "U"))
        assert client.table_load(DmIoctl("a"), lines).flags & Flag.INACTIVE_PRESENT
        client.dev_suspend(DmIoctl("a"))
        assert client.table_status(DmIoctl("a", flags=Flag.STATUS_TABLE))[1] == lines
        for number in range(1, count):
            client.dev_create(DmIoctl(f"{number:04}"))
        assert len(client.list_devices(DmIoctl())) == count
        assert client.list_devices(DmIoctl("a", flags=Flag.UUID)) == [NameEntry((253, 0), "a", 0, "U")]


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        (DmIoctl("n" * 128), errno.EINVAL),
        (DmIoctl(uuid="u" * 129), errno.EINVAL),
        (DmIoctl("a\0b"), errno.EINVAL),
        (DmIoctl("\ud800"), errno.EINVAL),
        (DmIoctl(dev=(253, 1 << 20)), errno.ENXIO),
        (DmIoctl(dev=(4096, 0)), errno.ENXIO),
    ],
)
def test_what_has_no_form_in_bytes_is_never_sent(request_: DmIoctl, number: int) -> None:
    def nobody(command: int, buffer: bytes) -> tuple[int, bytes]:
        raise AssertionError

    with pytest.raises(IoctlError) as caught:
        IoctlControl(nobody).dev_status(request_)
    assert caught.value.errno == number
    for lines in ([TargetLine(0, 8, "t" * 16, "")], [TargetLine(-1, 8, "zero", "")], [TargetLine(0, 1 << 64, "a", "")]):
        with pytest.raises(IoctlError):
            IoctlControl(nobody).table_load(DmIoctl("a"), lines)
    with pytest.raises(IoctlError):
        IoctlControl(nobody).target_message(DmIoctl("a"), 1 << 64, "x")


@settings(max_examples=200)
@given(st.integers(0, 400), st.binary(max_size=64), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_broken_reply_is_an_error_and_no_traceback(length: int, end: bytes, size: int, start: int) -> None:
    head = bytearray(length) + end
    if len(head) >= 20:
        head[12:20] = size.to_bytes(4, "little") + start.to_bytes(4, "little")
        head[20:24] = (3).to_bytes(4, "little")
    client = IoctlControl(lambda command, buffer: (0, bytes(head)))
    for ask in (
        asked("list_devices", DmIoctl()),
        asked("table_deps", DmIoctl("a")),
        asked("table_status", DmIoctl("a")),
        asked("list_versions"),
        asked("dev_status", DmIoctl("a")),
        asked("target_message", DmIoctl("a"), 0, "x"),
        asked("version"),
    ):
        outcome(ask, client)


def test_each_request_has_the_version_that_libdm_sends() -> None:
    sent: dict[int, bytes] = {}

    def remember(command: int, buffer: bytes) -> tuple[int, bytes]:
        sent[command & 0xFF] = buffer[:12]
        return errno.ENXIO, b""

    client = IoctlControl(remember)
    for ask in (
        asked("list_versions"),
        asked("target_message", DmIoctl("a"), 0, "x"),
        asked("set_geometry", DmIoctl("a"), "x"),
        asked("target_version", DmIoctl("a")),
        asked("dev_status", DmIoctl("a")),
    ):
        assert outcome(ask, client) == errno.ENXIO
    minors = {number: int.from_bytes(version[4:8], "little") for number, version in sent.items()}
    assert minors == {
        Command.LIST_VERSIONS: 1,
        Command.TARGET_MSG: 2,
        Command.DEV_SET_GEOMETRY: 6,
        Command.GET_TARGET_VERSION: 41,
        Command.DEV_STATUS: 0,
    }


# The machine's own calls.


@pytest.fixture
def served() -> Iterator[tuple[DeviceMapper, Transport]]:
    with a_mapper() as mapper:
        yield mapper, machine_transport(mapper, lambda: {"pid": 17}, lambda: mapper.log.write("told to stop"))


def test_block_devices_are_as_in_sysfs(served: tuple[DeviceMapper, Transport]) -> None:
    mapper, transport = served
    mapper.create_device("bare")
    mapper.create("low", "0 8 linear 7:0 0", uuid="L")
    top = mapper.create("top", "0 8 linear 253:1 0\n8 8 linear 7:1 0")
    mapper.suspend(top)
    low, high = Calls(transport).block_devices()[2:]
    assert [info.kernel_name for info in Calls(transport).block_devices()] == ["loop0", "loop1", "dm-1", "dm-2"]
    assert (low.number, low.dm_name, low.dm_uuid, low.size_bytes) == ((253, 1), "low", "L", 4096)
    assert (low.holders, low.slaves, low.suspended) == (("dm-2",), ("loop0",), False)
    assert (high.holders, set(high.slaves), high.suspended) == ((), {"dm-1", "loop1"}, True)
    assert [info.holders for info in Calls(transport).block_devices()[:2]] == [("dm-1",), ("dm-2",)]
    # A table that is only loaded claims its devices too.
    mapper.load(mapper["low"], [TargetSpec(0, 8, "linear", ("7:1", "0"))])
    assert Calls(transport).block_devices()[1].holders == ("dm-1", "dm-2")


def test_files_come_and_go_as_disks(served: tuple[DeviceMapper, Transport], tmp_path: Path) -> None:
    mapper, transport = served
    calls = Calls(transport)
    image = tmp_path / "image"
    image.write_bytes(bytes(8192))
    disk = calls.attach(str(image))
    assert (disk.number, disk.kernel_name, disk.path, disk.size_bytes) == ((7, 2), "loop2", str(image), 8192)
    assert calls.attach(f"{tmp_path}/./image").number == disk.number
    md = mapper.create("m", "0 16 linear /dev/loop2 0")
    md.pwrite(b"x" * 512, 0)
    with pytest.raises(CallError) as caught:
        calls.detach(disk.number)
    assert caught.value.errno == errno.EBUSY
    mapper.remove(md)
    calls.detach(disk.number)
    assert image.read_bytes()[:512] == b"x" * 512
    with pytest.raises(CallError) as caught:
        calls.detach(disk.number)
    assert caught.value.errno == errno.ENXIO
    with pytest.raises(CallError) as caught:
        calls.attach(str(tmp_path / "none"))
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(CallError):
        calls.attach(str(tmp_path))
    image.chmod(0o444)
    assert calls.attach(str(image), read_only=True).read_only


def test_the_log_the_status_and_the_end(served: tuple[DeviceMapper, Transport]) -> None:
    mapper, transport = served
    calls = Calls(transport)
    assert calls.klog() == ([], 0)
    for name in ("x/y", "\udc80/"):
        with pytest.raises(IoctlError):
            mapper.create_device(name)
    line = "device-mapper: ioctl: invalid device name"
    assert calls.klog() == ([line, line], 2)
    assert calls.klog(1) == ([line], 2)
    assert calls.klog(9) == ([], 2)
    assert calls.status() == {"pid": 17}
    calls.stop()
    assert calls.klog(2) == (["device-mapper: told to stop"], 3)


@pytest.mark.parametrize(
    ("command", "buffer", "number"),
    [
        (0x6D63, b"{}", errno.ENOTTY),
        (0x6D00, b"{", errno.EINVAL),
        (0x6D00, b"\xff", errno.EINVAL),
        (0x6D00, b"[" * 100_000, errno.EINVAL),
        (0x6D00, b"[]", errno.EINVAL),
        (0x6D01, b"{}", errno.EINVAL),
        (0x6D01, b'{"path": "relative"}', errno.EINVAL),
        (0x6D01, b'{"path": "/\\u0000"}', errno.EINVAL),
        (0x6D01, b'{"path": "/dev/null", "read_only": 1}', errno.EINVAL),
        (0x6D02, b'{"number": 7}', errno.EINVAL),
        (0x6D02, b'{"number": [7]}', errno.EINVAL),
        (0x6D02, b'{"number": [true, false]}', errno.EINVAL),
        (0x6D02, b'{"number": [7, 9]}', errno.ENXIO),
        (0x6D03, b'{"since": -1}', errno.EINVAL),
        (0x6D03, b'{"since": "1"}', errno.EINVAL),
        (0x6D07, b'{"number": 1.5}', errno.EINVAL),
    ],
)
def test_nonsense_is_refused(served: tuple[DeviceMapper, Transport], command: int, buffer: bytes, number: int) -> None:
    assert served[1](command, buffer)[0] == number


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["path", "number", "since", "read_only"]), inner),
    max_leaves=5,
)


@settings(max_examples=200)
@given(st.sampled_from([call for call in Call if call is not Call.WAIT_ANY_EVENT]), JSON)
def test_any_json_is_answered(call: Call, value: object) -> None:
    with a_mapper() as mapper:
        number, reply = machine_transport(mapper)(call.request, json.dumps(value).encode())
        assert number or isinstance(json.loads(reply), (list, dict, int, type(None)))
