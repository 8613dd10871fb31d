"""dust: the contract of all targets, its bad blocks, its messages and its refusals."""

from __future__ import annotations

import errno

import pytest

from dmtable.core.bio import Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.target import StatusKind
from dmtable.errors import IoctlError
from dmtable.io.memory import MemoryDevice
from dmtable.testing.contracts import Example, Refused
from tests.contracts import OnOneDevice
from tests.targets.machine import Machine


class TestDust(OnOneDevice):
    target = "dust"
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
