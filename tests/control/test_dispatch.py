"""The control interface: look-ups, flags and replies as the kernel has them. Recorded cases cover the rest."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dmtable.control.dev import LocalDev
from dmtable.control.dispatch import LocalControl
from dmtable.control.interface import DmIoctl, Flag, TargetLine
from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import IoctlError
from dmtable.io.memory import MemoryDevice
from dmtable.sim.runtime import SimRuntime
from dmtable.units import SECTOR_BYTES

ZERO = [TargetLine(0, 8, "zero", "")]
TWO_DISKS = [
    TargetLine(0, 8, "linear", "7:0 4"),
    TargetLine(8, 8, "striped", "2 4 7:1 0 7:0 8"),
    TargetLine(16, 8, "linear", "7:1 8"),
]


class Emulator:
    """A DeviceMapper with two disks of 64 sectors, and its control interface."""

    def __init__(self) -> None:
        self.mapper = DeviceMapper()
        for number in range(2):
            self.mapper.add(MemoryDevice(64 * SECTOR_BYTES), f"/dev/loop{number}")
        self.control = LocalControl(self.mapper)

    def make(self, name: str, lines: list[TargetLine] = ZERO, uuid: str = "") -> DmIoctl:
        self.control.dev_create(DmIoctl(name, uuid))
        self.control.table_load(DmIoctl(name), lines)
        return self.control.dev_suspend(DmIoctl(name))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    with emulator.mapper:
        yield emulator


def test_a_device_is_found_by_each_of_its_names_and_the_reply_has_all(emulator: Emulator) -> None:
    emulator.make("a", uuid="U")
    for request in (DmIoctl("a"), DmIoctl(uuid="U"), DmIoctl(dev=(253, 0))):
        reply = emulator.control.dev_status(request)
        assert (reply.name, reply.uuid, reply.dev) == ("a", "U", (253, 0))


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        (DmIoctl(), errno.ENXIO),
        (DmIoctl("b"), errno.ENXIO),
        (DmIoctl(uuid="u"), errno.ENXIO),
        (DmIoctl(dev=(253, 1)), errno.ENXIO),
        (DmIoctl(dev=(7, 0)), errno.ENXIO),
        (DmIoctl("a", "U"), errno.EINVAL),
        (DmIoctl("a", dev=(253, 0)), errno.ENXIO),
        (DmIoctl(uuid="U", dev=(253, 0)), errno.ENXIO),
    ],
)
def test_other_requests_find_nothing(emulator: Emulator, request_: DmIoctl, number: int) -> None:
    emulator.make("a", uuid="U")
    control = emulator.control
    calls = (control.dev_status, control.dev_suspend, control.dev_remove, control.table_clear, control.table_deps)
    for call in (*calls, control.table_status, lambda request: control.table_load(request, ZERO)):
        with pytest.raises(IoctlError) as caught:
            call(request_)
        assert caught.value.errno == number
    assert [entry.name for entry in control.list_devices(DmIoctl())] == ["a"]


def test_two_names_for_one_device_are_logged(emulator: Emulator) -> None:
    emulator.make("a")
    with pytest.raises(IoctlError) as caught:
        emulator.control.dev_status(DmIoctl("a", dev=(253, 300)))
    line = "device-mapper: ioctl: Invalid ioctl structure: name a, dev 10fd2c"
    assert caught.value.log == (line,)
    assert emulator.mapper.klog[-1] == line


def test_flags_that_mean_nothing_come_back_and_those_of_replies_do_not(emulator: Emulator) -> None:
    emulator.make("a")
    only_out = Flag.BUFFER_FULL | Flag.UEVENT_GENERATED | Flag.SECURE_DATA | Flag.DATA_OUT
    state = Flag.SUSPEND | Flag.READONLY | Flag.INTERNAL_SUSPEND | Flag.INACTIVE_PRESENT
    odd = Flag.EXISTS | Flag.SKIP_BDGET | Flag(1 << 25)
    reply = emulator.control.dev_status(DmIoctl("a", flags=only_out | state | odd))
    assert reply.flags == odd | Flag.ACTIVE_PRESENT


def test_a_new_device_is_active_and_has_nothing(emulator: Emulator) -> None:
    reply = emulator.control.dev_create(DmIoctl("a", "U", flags=Flag.EXISTS))
    assert reply == DmIoctl("a", "U", (253, 0), Flag.EXISTS)


def test_a_minor_counts_only_with_its_flag(emulator: Emulator) -> None:
    create = emulator.control.dev_create
    assert create(DmIoctl("a", dev=(253, 5))).dev == (253, 0)
    assert create(DmIoctl("b", dev=(9, 5), flags=Flag.PERSISTENT_DEV)).dev == (253, 5)
    for taken in (0, 5, 1 << 20):
        with pytest.raises(IoctlError) as caught:
            create(DmIoctl("c", dev=(253, taken), flags=Flag.PERSISTENT_DEV))
        assert caught.value.errno == errno.ENXIO


def test_names_and_uuids_are_unique(emulator: Emulator) -> None:
    emulator.make("a", uuid="U")
    for request in (DmIoctl("a"), DmIoctl("b", "U")):
        with pytest.raises(IoctlError) as caught:
            emulator.control.dev_create(request)
        assert caught.value.errno == errno.EBUSY


def test_the_inactive_table_is_seen_where_it_is_asked_for(emulator: Emulator) -> None:
    emulator.make("a")
    control = emulator.control
    loaded = control.table_load(DmIoctl("a", flags=Flag.READONLY), TWO_DISKS)
    assert loaded.flags == Flag.ACTIVE_PRESENT | Flag.INACTIVE_PRESENT
    assert loaded.target_count == 1
    asked = DmIoctl("a", flags=Flag.QUERY_INACTIVE_TABLE)
    seen = control.dev_status(asked)
    assert seen.flags == loaded.flags | Flag.READONLY | Flag.QUERY_INACTIVE_TABLE
    assert seen.target_count == 3
    assert control.table_deps(asked)[1] == [(7, 1), (7, 0)]
    assert control.table_deps(DmIoctl("a"))[1] == []
    assert control.table_clear(DmIoctl("a")).flags == Flag.ACTIVE_PRESENT
    assert control.table_status(asked)[1] == []


def test_a_table_comes_back_as_its_targets_write_it(emulator: Emulator) -> None:
    emulator.make("a", [TargetLine(0, 8, "linear", r" /dev/loo\p0  0004 "), *TWO_DISKS[1:]])
    control = emulator.control
    assert control.table_status(DmIoctl("a", flags=Flag.STATUS_TABLE))[1] == TWO_DISKS
    assert [line.params for line in control.table_status(DmIoctl("a"))[1]] == ["", "2 7:1 7:0 1 AA", ""]


def test_a_resume_takes_the_inactive_table_and_its_mode(emulator: Emulator) -> None:
    emulator.make("a")
    control = emulator.control
    control.table_load(DmIoctl("a", flags=Flag.READONLY), TWO_DISKS)
    assert control.dev_suspend(DmIoctl("a", flags=Flag.SUSPEND)).flags == (
        Flag.ACTIVE_PRESENT | Flag.INACTIVE_PRESENT | Flag.SUSPEND
    )
    reply = control.dev_suspend(DmIoctl("a"))
    assert reply.flags == Flag.ACTIVE_PRESENT | Flag.READONLY
    assert reply.target_count == 3


def test_a_deferred_removal_waits_for_the_last_user(emulator: Emulator) -> None:
    emulator.make("a")
    emulator.make("b", [TargetLine(0, 8, "linear", "253:0 0")])
    control = emulator.control
    with pytest.raises(IoctlError) as caught:
        control.dev_remove(DmIoctl("a"))
    assert caught.value.errno == errno.EBUSY
    deferred = Flag.DEFERRED_REMOVE
    assert deferred in control.dev_remove(DmIoctl("a", flags=deferred)).flags
    assert deferred in control.dev_status(DmIoctl("a")).flags
    assert deferred not in control.dev_remove(DmIoctl("b", flags=deferred)).flags
    assert control.list_devices(DmIoctl()) == []


def test_the_list_is_sorted_by_bytes_and_begins_as_asked(emulator: Emulator) -> None:
    for name, uuid in (("b", "LVM-1"), ("ab", "x"), ("Z", ""), ("é", "LVM-2"), ("\udc80", "")):
        emulator.control.dev_create(DmIoctl(name, uuid))

    def names(request: DmIoctl) -> list[str]:
        return [entry.name for entry in emulator.control.list_devices(request)]

    assert names(DmIoctl()) == ["Z", "ab", "b", "\udc80", "é"]
    assert names(DmIoctl(name="a")) == ["ab"]
    assert names(DmIoctl(uuid="LVM-")) == ["b", "é"]
    entries = emulator.control.list_devices(DmIoctl(flags=Flag.UUID))
    assert [entry.uuid for entry in entries] == ["", "x", "LVM-1", "", "LVM-2"]


def test_a_disk_has_a_name_and_a_node_once_there_was_a_table(emulator: Emulator) -> None:
    control, dev = emulator.control, LocalDev(emulator.mapper)
    control.dev_create(DmIoctl("a"))
    assert (dev.block_name((253, 0)), dev.number("/dev/dm-0")) == (None, None)
    control.table_load(DmIoctl("a"), ZERO)
    assert (dev.block_name((253, 0)), dev.number("/dev/dm-0")) == ("dm-0", (253, 0))
    dev.nodes["a"] = (253, 0)
    for path in ("/dev/mapper/a", "//dev/./mapper/../mapper/a"):
        assert dev.number(path) == (253, 0)
    assert dev.number("/dev/loop1") == (7, 1)
    assert dev.block_name((7, 1)) == "loop1"
    for path in ("/dev/mapper/b", "/dev/dm-1", "/dev/dm-x", "/dev/dm-00", "/dev/loop9", "dev/loop1", "/dev/mapper/"):
        assert dev.number(path) is None
    assert (dev.block_name((253, 1)), dev.block_name((7, 9))) == (None, None)


# Names that change.


def test_a_device_gets_another_name_and_its_first_uuid(emulator: Emulator) -> None:
    emulator.make("a")
    emulator.control.dev_create(DmIoctl("bare"))
    renamed = emulator.control.dev_rename(DmIoctl("a", flags=Flag.EXISTS), "b")
    # The kernel tells the name that was asked for, and the event that the renaming is.
    assert renamed == DmIoctl("a", "", (253, 0), Flag.EXISTS | Flag.ACTIVE_PRESENT, 0, 1, 1)
    assert emulator.control.dev_rename(DmIoctl("bare"), "c").event_nr == 0
    emulator.control.dev_rename(DmIoctl("b", flags=Flag.UUID), "U/1")
    assert emulator.control.dev_status(DmIoctl(uuid="U/1")).name == "b"
    assert [entry.name for entry in emulator.control.list_devices(DmIoctl())] == ["b", "c"]
    assert emulator.mapper.lookup("/dev/mapper/b").number == (253, 0)
    emulator.control.dev_create(DmIoctl("a"))


@pytest.mark.parametrize(
    ("request_", "new", "number", "line"),
    [
        (DmIoctl("a"), "", errno.EINVAL, "Invalid new mapped device name or uuid string supplied."),
        (DmIoctl("a"), "n" * 128, errno.EINVAL, "Invalid new mapped device name or uuid string supplied."),
        (DmIoctl("a", flags=Flag.UUID), "", errno.EINVAL, "Invalid new mapped device name or uuid string supplied."),
        (DmIoctl("a"), "x/y", errno.EINVAL, "invalid device name"),
        (DmIoctl("a"), "b", errno.EBUSY, "Unable to change name on mapped device a to one that already exists: b"),
        (DmIoctl("a"), "a", errno.EBUSY, "Unable to change name on mapped device a to one that already exists: a"),
        (DmIoctl("z"), "y", errno.ENXIO, "Unable to rename non-existent device, z to y"),
        (DmIoctl("z", flags=Flag.UUID), "y", errno.ENXIO, "Unable to rename non-existent device, z to uuid y"),
        (DmIoctl(uuid="U"), "y", errno.ENXIO, "Unable to rename non-existent device,  to y"),
        (
            DmIoctl("a", flags=Flag.UUID),
            "U",
            errno.EBUSY,
            "Unable to change uuid on mapped device a to one that already exists: U",
        ),
        (
            DmIoctl("b", flags=Flag.UUID),
            "V",
            errno.EINVAL,
            "Unable to change uuid of mapped device b to V because uuid is already set to U",
        ),
    ],
)
def test_names_that_cannot_be_given(emulator: Emulator, request_: DmIoctl, new: str, number: int, line: str) -> None:
    emulator.make("a")
    emulator.make("b", uuid="U")
    with pytest.raises(IoctlError) as caught:
        emulator.control.dev_rename(request_, new)
    assert caught.value.errno == number
    assert emulator.mapper.klog[-1] == f"device-mapper: ioctl: {line}"
    assert [entry.name for entry in emulator.control.list_devices(DmIoctl())] == ["a", "b"]
    with pytest.raises(IoctlError):
        emulator.control.dev_rename(DmIoctl("a", "U"), "y")


def test_a_name_is_free_again_after_a_removal(emulator: Emulator) -> None:
    for _ in range(3):
        emulator.make("a", uuid="U")
        emulator.control.dev_rename(DmIoctl("a"), "b")
        emulator.control.dev_remove(DmIoctl("b"))
    assert emulator.control.dev_create(DmIoctl("c")).dev == (253, 0)


# Everything at once.


def test_all_that_nobody_uses_go_those_above_first(emulator: Emulator) -> None:
    emulator.make("a")
    emulator.make("b", [TargetLine(0, 8, "linear", "253:0 0")])
    emulator.make("c")
    opened = emulator.mapper["c"].open()
    emulator.control.remove_all(DmIoctl())
    assert [entry.name for entry in emulator.control.list_devices(DmIoctl())] == ["c"]
    assert emulator.mapper.klog[-1] == "device-mapper: ioctl: remove_all left 1 open device(s)"
    assert not emulator.mapper["c"].deferred_remove
    emulator.control.remove_all(DmIoctl(flags=Flag.DEFERRED_REMOVE))
    assert Flag.DEFERRED_REMOVE in emulator.control.dev_status(DmIoctl("c")).flags
    opened.close()
    assert emulator.control.list_devices(DmIoctl()) == []


def test_a_deferred_removal_is_cancelled(emulator: Emulator) -> None:
    emulator.make("a")
    opened = emulator.mapper["a"].open()
    emulator.control.dev_remove(DmIoctl("a", flags=Flag.DEFERRED_REMOVE))
    reply, answer = emulator.control.target_message(DmIoctl("a"), 0, "@Cancel_deferred_REMOVE")
    assert (Flag.DEFERRED_REMOVE in reply.flags, answer) == (False, None)
    opened.close()
    assert emulator.control.dev_status(DmIoctl("a")).open_count == 0


@pytest.mark.parametrize(
    ("sector", "message", "line"),
    [
        (0, "", "Empty message received."),
        (0, " \t", "Empty message received."),
        (0, "hi", "Target type does not support messages"),
        (8, "hi", "Target message sector outside device."),
        (0, "@stats_list", "Unsupported message sent to DM core: @stats_list"),
        (0, "@cancel_deferred_remove now", "Invalid arguments for @cancel_deferred_remove"),
    ],
)
def test_messages_that_are_refused(emulator: Emulator, sector: int, message: str, line: str) -> None:
    emulator.make("a")
    with pytest.raises(IoctlError) as caught:
        emulator.control.target_message(DmIoctl("a"), sector, message)
    assert caught.value.errno == errno.EINVAL
    assert emulator.mapper.klog[-1] == f"device-mapper: ioctl: {line}"


def test_a_device_without_a_table_takes_no_message(emulator: Emulator) -> None:
    emulator.control.dev_create(DmIoctl("a"))
    with pytest.raises(IoctlError) as caught:
        emulator.control.target_message(DmIoctl("a"), 0, "hi")
    assert caught.value.errno == errno.EINVAL
    assert emulator.mapper.klog[-1] == "device-mapper: ioctl: The device has no table."


def test_targets_are_listed_as_the_kernel_lists_them(emulator: Emulator) -> None:
    names = [entry.name for entry in emulator.control.list_versions()]
    kernel = ["flakey", "delay", "zero", "mirror", "striped", "linear", "error"]
    assert [name for name in names if name in kernel] == kernel
    assert set(names) - set(kernel) == {"dust", "replicator", "replicator-dev"}
    assert emulator.control.target_version(DmIoctl("mirror")).version == (1, 14, 0)
    for name in ("snapshot", "nosuch", ""):
        with pytest.raises(IoctlError) as caught:
            emulator.control.target_version(DmIoctl(name))
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("geometry", ["1 1 1 1", "65535 255 255 0", " 1\t1  1 0", "18446744073709551617 1 1 1"])
def test_geometries(emulator: Emulator, geometry: str) -> None:
    emulator.make("a")
    emulator.control.set_geometry(DmIoctl("a"), geometry)


@pytest.mark.parametrize(
    ("geometry", "line"),
    [
        ("1 1 1", "ioctl: Unable to interpret geometry settings."),
        ("1 1 1 0 ", "ioctl: Unable to interpret geometry settings."),
        ("-1 1 1 0", "ioctl: Unable to interpret geometry settings."),
        ("١ 1 1 0", "ioctl: Unable to interpret geometry settings."),
        ("65536 1 1 0", "ioctl: Geometry exceeds range limits."),
        ("1 256 1 0", "ioctl: Geometry exceeds range limits."),
        ("1 1 256 0", "ioctl: Geometry exceeds range limits."),
        ("2 3 4 25", "core: Start sector is beyond the geometry limits."),
    ],
)
def test_geometries_that_are_none(emulator: Emulator, geometry: str, line: str) -> None:
    emulator.make("a")
    with pytest.raises(IoctlError) as caught:
        emulator.control.set_geometry(DmIoctl("a"), geometry)
    assert caught.value.errno == errno.EINVAL
    assert emulator.mapper.klog[-1] == f"device-mapper: {line}"
    with pytest.raises(IoctlError) as caught:
        emulator.control.set_geometry(DmIoctl("b"), geometry)
    assert caught.value.errno == errno.ENXIO


# Events.


def test_what_changes_the_list_or_a_table_is_an_event_of_all(emulator: Emulator) -> None:
    control = emulator.control

    def is_event(what: Callable[[], object]) -> bool:
        before = control.event_number()
        what()
        return control.event_number() != before

    assert is_event(lambda: control.dev_create(DmIoctl("a")))
    assert not is_event(lambda: control.table_load(DmIoctl("a"), ZERO))
    assert is_event(lambda: control.dev_suspend(DmIoctl("a")))
    assert not is_event(lambda: control.dev_suspend(DmIoctl("a", flags=Flag.SUSPEND)))
    assert not is_event(lambda: control.dev_suspend(DmIoctl("a")))
    assert not is_event(lambda: control.dev_status(DmIoctl("a")))
    assert is_event(lambda: control.dev_rename(DmIoctl("a"), "b"))
    assert is_event(emulator.mapper["b"].event)
    assert is_event(lambda: control.dev_remove(DmIoctl("b")))
    assert is_event(lambda: control.remove_all(DmIoctl()))


def test_who_waits_goes_on_at_any_other_number() -> None:
    runtime = SimRuntime()
    with DeviceMapper(runtime=runtime) as mapper:
        control = LocalControl(mapper)
        control.dev_create(DmIoctl("a"))
        control.table_load(DmIoctl("a"), ZERO)
        control.dev_suspend(DmIoctl("a"))
        assert control.dev_wait(DmIoctl("a", event_nr=7))[1] == ZERO
        waiter = runtime.spawn(lambda: control.dev_wait(DmIoctl("a", flags=Flag.STATUS_TABLE)))
        anybody = runtime.spawn(lambda: control.wait_any_event(control.event_number()))
        runtime.settle()
        assert not waiter.done
        assert not anybody.done
        control.dev_rename(DmIoctl("a"), "b")
        runtime.settle()
        assert anybody.done
        reply, lines = waiter.result()
        assert (reply.event_nr, lines) == (1, ZERO)
        # A removal is one too, and the device is seen once more; without a table there is nothing to see.
        control.dev_create(DmIoctl("bare"))
        waiters = [
            runtime.spawn(partial(control.dev_wait, DmIoctl(name, event_nr=event_nr)))
            for name, event_nr in (("b", 1), ("bare", 0))
        ]
        runtime.settle()
        control.remove_all(DmIoctl())
        runtime.settle()
        assert [len(waiter.result()[1]) for waiter in waiters] == [1, 0]
        assert [waiter.result()[0].event_nr for waiter in waiters] == [2, 0]


def test_measurements_are_for_those_that_ask(emulator: Emulator) -> None:
    emulator.make("a", TWO_DISKS)
    lines = emulator.control.table_status(DmIoctl("a", flags=Flag.IMA_MEASUREMENT))[1]
    assert lines[0].params == "target_name=linear,target_version=1.4.0,device_name=7:0,start=4;"
    assert emulator.control.table_status(DmIoctl("a", flags=Flag.IMA_MEASUREMENT | Flag.STATUS_TABLE))[1] == TWO_DISKS


def test_an_odd_dev_asks_for_the_lowest_minor_by_number(emulator: Emulator) -> None:
    assert emulator.control.dev_create(DmIoctl("a", flags=Flag.PERSISTENT_DEV)).dev == (253, 0)
    with pytest.raises(IoctlError) as caught:
        emulator.control.dev_create(DmIoctl("b", flags=Flag.PERSISTENT_DEV))
    assert caught.value.errno == errno.ENXIO


NAMES = st.sampled_from("abc")
SIZES = st.sampled_from((8, 16, 24))


class Slots(RuleBasedStateMachine):
    """Any sequence of requests leaves what a model of three lines expects: a slot is a table's size."""

    def __init__(self) -> None:
        super().__init__()
        self.emulator = Emulator()
        self.live: dict[str, int] = {}
        self.inactive: dict[str, int] = {}
        self.suspended: set[str] = set()
        self.names: set[str] = set()

    def teardown(self) -> None:
        self.emulator.mapper.close()

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        if name in self.names:
            with pytest.raises(IoctlError, match="exists"):
                self.emulator.control.dev_create(DmIoctl(name))
        else:
            self.emulator.control.dev_create(DmIoctl(name))
            self.names.add(name)

    @rule(name=NAMES, size=SIZES, works=st.booleans())
    def load(self, name: str, size: int, works: bool) -> None:
        lines = [TargetLine(0, size, "zero", "" if works else "word")]
        if name in self.names and works:
            self.emulator.control.table_load(DmIoctl(name), lines)
            self.inactive[name] = size
        else:
            with pytest.raises(IoctlError):
                self.emulator.control.table_load(DmIoctl(name), lines)

    @rule(name=NAMES)
    def clear(self, name: str) -> None:
        if name in self.names:
            self.emulator.control.table_clear(DmIoctl(name))
            self.inactive.pop(name, None)

    @rule(name=NAMES)
    def suspend(self, name: str) -> None:
        if name in self.names:
            self.emulator.control.dev_suspend(DmIoctl(name, flags=Flag.SUSPEND))
            self.suspended.add(name)

    @rule(name=NAMES)
    def resume(self, name: str) -> None:
        if name not in self.names:
            return
        if name in self.inactive:
            self.live[name] = self.inactive.pop(name)
        if name in self.suspended and name not in self.live:
            with pytest.raises(IoctlError):
                self.emulator.control.dev_suspend(DmIoctl(name))
        else:
            self.emulator.control.dev_suspend(DmIoctl(name))
            self.suspended.discard(name)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.names:
            self.emulator.control.dev_remove(DmIoctl(name))
            self.names.remove(name)
            for slots in (self.live, self.inactive):
                slots.pop(name, None)
            self.suspended.discard(name)

    @invariant()
    def replies_tell_the_state(self) -> None:
        control = self.emulator.control
        assert {entry.name for entry in control.list_devices(DmIoctl())} == self.names
        for name in self.names:
            flags = Flag.SUSPEND if name in self.suspended else Flag(0)
            flags |= Flag.ACTIVE_PRESENT if name in self.live else Flag(0)
            flags |= Flag.INACTIVE_PRESENT if name in self.inactive else Flag(0)
            reply = control.dev_status(DmIoctl(name))
            assert (reply.flags, reply.target_count) == (flags, int(name in self.live))
            for slot, asked in ((self.live, Flag(0)), (self.inactive, Flag.QUERY_INACTIVE_TABLE)):
                seen, lines = control.table_status(DmIoctl(name, flags=asked))
                assert [line.length for line in lines] == ([slot[name]] if name in slot else [])
                assert seen.flags.without(asked) == flags


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
