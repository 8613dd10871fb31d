"""flakey, delay and dust: the contracts of all targets, and what each of them is for."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.target import StatusKind, Target
from dmtable.errors import IoctlError
from dmtable.io.memory import MemoryDevice
from dmtable.language.parser import parse
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.world import World
from dmtable.targets.flakey import Corruption, Features, read_features
from dmtable.testing.contracts import Example, Origin, Refused, TargetContract

SECTORS = 64


class TestFlakey(TargetContract):
    """Up for as long as anybody looks, or down with nothing that shows."""

    target = "flakey"
    devices: ClassVar = {"/dev/a": 256}
    examples = (
        Example("/dev/a 8 3600 0", 64),
        Example("/dev/a 192 3600 60 1 drop_writes", 64),
        Example("/dev/a 0 3600 60 6 error_writes corrupt_bio_byte 5 r 1 32", 16),
        Example("/dev/a 255 0 60 5 corrupt_bio_byte 4294967295 w 255 0", 1),
    )
    refused = (
        Refused("/dev/a 0 1", 64, errno.EINVAL),
        Refused("/dev/a x 1 1", 64, errno.EINVAL),
        Refused("/dev/a 0 0 0", 64, errno.EINVAL),
        Refused("/dev/a 0 1 1 2 drop_writes error_writes", 64, errno.EINVAL),
        Refused("/dev/a 0 1 1 4 corrupt_bio_byte 1 w 255", 64, errno.EINVAL),
        Refused("/dev/none 0 1 1", 64, errno.ENODEV),
        Refused("/dev/a 200 1 1", 64, errno.EINVAL),
    )

    def origin(self, example: Example, sector: int) -> Origin:
        return "/dev/a", int(example.words.split()[1]) + sector


class TestDelay(TargetContract):
    target = "delay"
    devices: ClassVar = {"/dev/a": 256}
    examples = (
        Example("/dev/a 8 0", 64),
        Example("/dev/a 8 50", 64),
        Example("/dev/a 0 0 /dev/a 0 20", 32),
        Example("/dev/a 4 10 /dev/a 4 20 /dev/a 4 30", 16),
    )
    refused = (
        Refused("/dev/a 0", 64, errno.EINVAL),
        Refused("/dev/a x 1", 64, errno.EINVAL),
        Refused("/dev/a 0 -1", 64, errno.EINVAL),
        Refused("/dev/a 0 1 /dev/none 0 1", 64, errno.ENODEV),
        Refused("/dev/a 200 1", 64, errno.EINVAL),
    )

    def origin(self, example: Example, sector: int) -> Origin:
        return "/dev/a", int(example.words.split()[1]) + sector


class TestDust(TargetContract):
    target = "dust"
    devices: ClassVar = {"/dev/a": 256}
    examples = (Example("/dev/a 0 512", 12), Example("/dev/a 8 4096", 24), Example("/dev/a 3 1024", 7))
    refused = (
        Refused("/dev/a 0", 64, errno.EINVAL),
        Refused("/dev/a 0 0", 64, errno.EINVAL),
        Refused("/dev/a 0 256", 64, errno.EINVAL),
        Refused("/dev/a 0 1536", 64, errno.EINVAL),
        Refused("/dev/a 0 65536", 64, errno.EINVAL),
        Refused("/dev/a x 512", 64, errno.EINVAL),
        Refused("/dev/none 0 512", 64, errno.EINVAL),
        Refused("/dev/a 200 512", 64, errno.EINVAL),
    )

    def origin(self, example: Example, sector: int) -> Origin:
        return "/dev/a", int(example.words.split()[1]) + sector


class Machine:
    """Two disks, each sector of which tells its number, and one md."""

    def __init__(self, table: str) -> None:
        self.world = World()
        self.runtime = self.world.runtime
        self.dm = DeviceMapper(runtime=self.runtime)
        for name in "ab":
            image = tuple([f"{name}{at}".encode().ljust(512) for at in range(256)])
            self.dm.add(self.world.disk(name, image=image), f"/dev/{name}")
        self.md = self.dm.create("md", table)

    @property
    def target(self) -> Target:
        assert self.md.live is not None
        target = self.md.live.target_at(0)
        assert target is not None
        return target

    def sent(self, op: Op, sector: int, data: bytes = b"", *, sectors: int = 0, fua: bool = False) -> Bio:
        bio = Bio(op, sector, sectors or len(data) >> 9, memoryview(bytearray(data)) if data else None, fua=fua)
        self.md.submit(bio)
        return bio

    def message(self, *words: str) -> str:
        return self.target.message(words)


@pytest.fixture(name="make")
def _make() -> Iterator[type[Machine]]:
    made: list[Machine] = []

    class Kept(Machine):
        def __init__(self, table: str) -> None:
            super().__init__(table)
            made.append(self)

    yield Kept
    for machine in made:
        machine.dm.close()


# flakey


@given(st.integers(0, 3), st.integers(0, 3), st.lists(st.floats(0, 5), max_size=6))
def test_flakey_is_down_when_the_whole_seconds_say_so(up: int, down: int, waits: list[float]) -> None:
    if not up + down:
        return
    machine = Machine(f"0 64 flakey /dev/a 0 {up} {down}")
    for wait in waits:
        machine.runtime.pass_time(wait)
        is_down = int(machine.runtime.now()) % (up + down) >= up
        for op in (Op.READ, Op.WRITE):
            assert machine.sent(op, 0, bytes(512)).error == (errno.EIO if is_down else 0)
        assert machine.sent(Op.FLUSH, 0).error == (errno.EIO if is_down else 0)
    machine.dm.close()


def test_a_flakeys_time_begins_with_its_table(make: type[Machine]) -> None:
    machine = make("0 64 flakey /dev/a 0 2 100")
    machine.runtime.pass_time(3)
    assert machine.sent(Op.READ, 0, bytes(512)).error == errno.EIO
    machine.dm.load(machine.md, parse("0 64 flakey /dev/a 0 2 100"))
    machine.runtime.pass_time(1)
    machine.dm.resume(machine.md)
    assert machine.sent(Op.READ, 0, bytes(512)).error == 0
    machine.runtime.pass_time(1)
    assert machine.sent(Op.READ, 0, bytes(512)).error == errno.EIO


@pytest.mark.parametrize(
    ("features", "read", "wrote", "lands"),
    [
        ("", False, False, b""),
        ("1 drop_writes", True, True, b""),
        ("1 error_writes", True, False, b""),
        ("5 corrupt_bio_byte 513 w 88 0", True, True, b"n" * 512 + b"X" + b"n" * 511),
        ("5 corrupt_bio_byte 1025 w 88 0", True, True, b"n" * 1024),
        ("5 corrupt_bio_byte 1 w 88 1", True, True, b"X" + b"n" * 1023),
        ("5 corrupt_bio_byte 1 w 88 131072", True, True, b"n" * 1024),
    ],
)
def test_what_a_flakey_does_when_it_is_down(
    make: type[Machine], features: str, read: bool, wrote: bool, lands: bytes
) -> None:
    machine = make(f"0 64 flakey /dev/a 100 0 60 {features}")
    reading = machine.sent(Op.READ, 4, bytes(1024))
    assert (reading.error == 0) == read
    if read:
        assert reading.data is not None
        assert bytes(reading.data)[:4] == b"a104"
    writing = machine.sent(Op.WRITE, 8, b"n" * 1024)
    assert (writing.error == 0) == wrote
    assert bytes(writing.data or b"") == b"n" * 1024, "the memory is its owner's"
    image = b"".join(machine.world.disks["a"].image)
    assert image[108 * 512 : 110 * 512] == lands or (not lands and image[108 * 512 :].startswith(b"a108 "))
    assert (machine.sent(Op.DISCARD, 0, sectors=1).error == 0) == wrote


def test_a_flakey_corrupts_reads_and_leaves_the_disk_alone(make: type[Machine]) -> None:
    machine = make("0 32 flakey /dev/a 0 0 60 5 corrupt_bio_byte 514 r 88 0\n32 32 linear /dev/b 0")
    before = machine.world.disks["a"].image
    assert machine.md.pread(1536, 512) == before[1] + before[2][:1] + b"X" + before[2][2:] + before[3]
    assert machine.md.pread(512, 512) == before[1]
    assert machine.sent(Op.WRITE, 0, b"n" * 1024).error == 0
    assert machine.world.disks["a"].image[:2] == (b"n" * 512,) * 2


def test_only_writes_with_the_flags_are_corrupted(make: type[Machine]) -> None:
    machine = make("0 64 flakey /dev/a 0 0 60 5 corrupt_bio_byte 1 w 88 131072")
    machine.sent(Op.WRITE, 0, b"n" * 512)
    machine.sent(Op.WRITE, 1, b"n" * 512, fua=True)
    image = machine.world.disks["a"].image
    assert (image[0][:2], image[1][:2]) == (b"nn", b"Xn")


_FEATURE_WORDS = st.sampled_from(
    ["0", "1", "2", "4", "5", "6", "7", "x", "drop_writes", "error_writes", "corrupt_bio_byte", "r", "w", "255", "256"]
)


@given(st.lists(_FEATURE_WORDS, max_size=8))
def test_features_that_are_read_are_written_in_the_same_sense(words: list[str]) -> None:
    features, findings = read_features(["/dev/a", "0", "1", "1", *words])
    if not any(finding.refusal for finding in findings):
        assert read_features(["/dev/a", "0", "1", "1", *features.words()]) == (features, [])


def test_features_in_any_case_and_order() -> None:
    words = ["/dev/a", "0", "1", "1", "6", "CORRUPT_bio_byte", "7", "R", "8", "9", "Error_Writes", "more"]
    assert read_features(words) == (Features(False, True, Corruption(7, False, 8, 9)), [])


def test_numbers_of_more_than_32_bits_are_told() -> None:
    _, findings = read_features(["/dev/a", "0", "1", "1", "5", "corrupt_bio_byte", "4294967297", "w", "1", "0"])
    assert [finding.rule.code for finding in findings] == ["DM486"]


# delay


def test_each_kind_of_request_waits_for_its_own_time(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 1000 /dev/b 8 2000 /dev/b 0 3000")
    read = machine.sent(Op.READ, 0, bytes(512))
    write, zero = machine.sent(Op.WRITE, 1, b"n" * 512), machine.sent(Op.WRITE_ZEROES, 2)
    flush = machine.sent(Op.FLUSH, 0)
    done: list[tuple[float, str]] = []
    for name, bio in (("read", read), ("write", write), ("flush", flush)):
        bio.on_done(lambda name=name: done.append((machine.runtime.now(), name)))  # type: ignore[misc]
    assert zero.done, "a request for nothing is over at once"
    assert machine.target.status(StatusKind.INFO) == "1 1 1"
    machine.runtime.pass_time(2.5)
    assert machine.target.status(StatusKind.INFO) == "0 0 1"
    machine.runtime.run()
    assert done == [(1.0, "read"), (2.0, "write"), (3.0, "flush")]
    assert bytes(read.data or b"").startswith(b"a0 ")
    assert machine.world.disks["b"].image[9] == b"n" * 512
    assert machine.target.status(StatusKind.TABLE) == "7:0 0 1000 7:1 8 2000 7:1 0 3000"


def test_a_suspend_lets_go_what_waits_in_the_order_of_its_coming(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 0 /dev/a 0 5000")
    ends: list[int] = []
    bios = [machine.sent(Op.WRITE, at, f"{at}".encode().ljust(512)) for at in (3, 1, 2)]
    for bio in bios:
        bio.on_done(lambda bio=bio: ends.append(bio.sector))  # type: ignore[misc]
    machine.runtime.pass_time(1)
    assert ends == []
    machine.dm.suspend(machine.md)
    assert (ends, machine.runtime.now()) == ([3, 1, 2], 1.0)
    late = machine.sent(Op.WRITE, 0, bytes(512))
    machine.dm.resume(machine.md)
    machine.runtime.settle()
    assert machine.target.status(StatusKind.INFO) == "0 1 0"
    machine.runtime.run()
    assert late.done
    assert machine.runtime.now() == 6.0


def test_a_suspend_that_is_taken_back_leaves_the_delay(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 1000")
    machine.target.presuspend()
    machine.target.presuspend_undo()
    read = machine.sent(Op.READ, 0, bytes(512))
    machine.runtime.settle()
    assert not read.done


def test_overlapping_waits_do_not_add_up(make: type[Machine]) -> None:
    machine = make("0 64 delay /dev/a 0 1000")
    bios = [machine.sent(Op.READ, at, bytes(512)) for at in range(20)]
    machine.runtime.run()
    assert all(bio.done and not bio.error for bio in bios)
    assert machine.runtime.now() == 1.0


def test_a_delay_on_threads(make: type[Machine]) -> None:
    runtime = ThreadRuntime()
    with DeviceMapper(runtime=runtime) as dm:
        dm.add(MemoryDevice(1 << 16), "/dev/a")
        md = dm.create("md", "0 64 delay /dev/a 0 1")
        _write_and_read(md)
        begin = runtime.now()
        md.pread(512, 0)
        assert runtime.now() - begin >= 0.001
        dm.suspend(md)
        dm.resume(md)
        _write_and_read(md)
    runtime.close()


def _write_and_read(md: MappedDevice) -> None:
    for at in range(8):
        md.pwrite(bytes([at]) * 512, at * 512)
    assert [md.pread(512, at * 512)[0] for at in range(8)] == [*range(8)]


# dust


def refusal(machine: Machine, *words: str) -> list[str]:
    """What the kernel logs of a message that it refuses."""
    with pytest.raises(IoctlError) as raised:
        machine.message(*words)
    assert raised.value.errno == errno.EINVAL
    return list(raised.value.log)


def test_a_bad_block_fails_reads_until_it_is_written(make: type[Machine]) -> None:
    machine = make("0 64 dust /dev/a 0 1024")
    assert machine.target.status(StatusKind.INFO) == "7:0 bypass verbose"
    machine.message("addbadblock", "3")
    machine.message("AddBadBlock", "5", "2")
    assert machine.message("countbadblocks") == "countbadblocks: 2 badblock(s) found"
    assert machine.message("listbadblocks") == "3\n5\n"
    assert machine.sent(Op.READ, 6, bytes(1024)).error == 0, "not yet enabled"
    machine.message("enable")
    assert machine.target.status(StatusKind.INFO) == "7:0 fail_read_on_bad_block verbose"
    errors = [machine.sent(Op.READ, at, bytes(512)).error for at in range(16)]
    assert errors == [errno.EIO if at // 2 in (3, 5) else 0 for at in range(16)]
    assert machine.sent(Op.READ, 0, bytes(16 * 512)).error == errno.EIO
    assert machine.sent(Op.FLUSH, 0).error == 0
    assert [machine.sent(Op.WRITE, 10, bytes(512)).error for _ in range(3)] == [errno.EIO, errno.EIO, 0]
    assert machine.sent(Op.READ, 10, bytes(1024)).error == 0
    assert machine.message("queryblock", "5") == "dust_query_block: block 5 not found in badblocklist"
    assert machine.message("queryblock", "3") == "dust_query_block: block 3 found in badblocklist"
    machine.message("removebadblock", "3")
    assert machine.message("listbadblocks") == "No blocks in badblocklist"
    assert [*machine.dm.klog] == [
        "device-mapper: dust: dust_add_block: badblock added at block 3 with write fail count 0",
        "device-mapper: dust: dust_add_block: badblock added at block 5 with write fail count 2",
        "device-mapper: dust: enabling read failures on bad sectors",
        "device-mapper: dust: block 2 removed from badblocklist by write",
        "device-mapper: dust: dust_remove_block: badblock removed at block 3",
    ]


def test_blocks_are_counted_from_the_beginning_of_the_device(make: type[Machine]) -> None:
    machine = make("0 64 dust /dev/a 8 512")
    machine.message("addbadblock", "10")
    machine.message("enable")
    assert [at for at in range(8) if machine.sent(Op.READ, at, bytes(512)).error] == [2]
    machine.message("disable")
    assert machine.md.pread(512, 1024).startswith(b"a10 ")


def test_quiet_is_turned_on_and_off(make: type[Machine]) -> None:
    machine = make("0 64 dust /dev/a 0 512")
    machine.message("quiet")
    assert machine.target.status(StatusKind.INFO) == "7:0 bypass quiet"
    machine.message("addbadblock", "1")
    assert refusal(machine, "addbadblock", "1") == []
    assert refusal(machine, "removebadblock", "2") == []
    assert [*machine.dm.klog] == []
    machine.message("quiet")
    assert refusal(machine, "addbadblock", "1") == [
        "device-mapper: dust: dust_add_block: block 1 already in badblocklist"
    ]
    assert machine.message("clearbadblocks") == "dust_clear_badblocks: badblocks cleared"
    assert machine.message("clearbadblocks") == "dust_clear_badblocks: no badblocks found"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("addbadblock", "addbadblock requires an additional argument"),
        ("queryBlock", "queryBlock requires an additional argument"),
        ("hello", "unrecognized message 'hello' received"),
        ("hello 1", "unrecognized message 'hello' received"),
        ("removebadblock 1 1", "unrecognized message 'removebadblock' received"),
        ("addbadblock 257", "selected block value out of range"),
        ("addbadblock 257 256", "selected write fail count out of range"),
        ("addbadblock 1 256", "selected write fail count out of range"),
        ("addbadblock 1 2 3", "invalid number of arguments '4'"),
        ("removebadblock 7", "dust_remove_block: block 7 not found in badblocklist"),
        ("addbadblock x", None),
        ("addbadblock 1 x", None),
        ("hello x y", None),
    ],
)
def test_dust_refuses_in_the_kernels_words(make: type[Machine], words: str, says: str | None) -> None:
    machine = make("0 64 dust /dev/a 0 512")
    wanted = [f"device-mapper: dust: {says}"] if says else []
    assert refusal(machine, *words.split()) == wanted == [*machine.dm.klog]


def test_the_last_block_may_be_one_too_many(make: type[Machine]) -> None:
    machine = make("0 64 dust /dev/a 0 512")
    assert machine.message("addbadblock", "256") == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("/dev/a 0", "Invalid argument count"),
        ("/dev/none x 0", "Invalid block size parameter"),
        ("/dev/a 0 4294967296", "Invalid block size parameter"),
        ("/dev/a x 256", "Block size must be at least 512"),
        ("/dev/a x 1000", "Block size must be a power of 2"),
        ("/dev/a x 65536", "Block size is too large"),
        ("/dev/none x 512", "Invalid device offset sector"),
        ("/dev/none 0 512", "Device lookup failed"),
    ],
)
def test_dusts_constructor_refuses_in_the_kernels_order(words: str, says: str) -> None:
    with DeviceMapper() as dm:
        dm.add(MemoryDevice(1 << 20), "/dev/a")
        with pytest.raises(IoctlError, match=f"dust: {says} \\(-EINVAL\\)"):
            dm.create("md", f"0 64 dust {words}")
