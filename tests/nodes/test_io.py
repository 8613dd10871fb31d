"""Reads, writes, flushes and zeroes through a file do what they do on a block device."""

from __future__ import annotations

import errno
import mmap
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.nodes.conftest import KEEP_SIZE, PUNCH, SECTORS, ZERO, Machine, allocate, fails
from tests.nodes.devices import Disk

SIZE = SECTORS << 9
RANDOM = os.urandom(SIZE)


@pytest.fixture(params=["static", "bios"])
def vol(machine: Machine, request: pytest.FixtureRequest) -> int:
    """An open file of an md of all of the disk, one that goes the quick way and one whose target sees each bio."""
    line = "linear 7:0 0" if request.param == "static" else "flakey 7:0 0 1000000 0"
    machine.dm.create("vol", f"0 {SECTORS} {line}")
    machine.disk.pwrite(RANDOM, 0)
    machine.disk.calls.clear()
    return machine.open()


def content(machine: Machine) -> bytes:
    return machine.disk.pread(SIZE, 0)


def test_reads_of_any_size_from_anywhere(vol: int) -> None:
    chance = random.Random(1)
    for _ in range(300):
        offset, size = chance.randrange(SIZE + 2000), chance.choice([1, 100, 512, 1000, 4096, 70_000, SIZE])
        assert os.pread(vol, size, offset) == RANDOM[offset : offset + size]
    assert os.pread(vol, 0, 0) == b""
    os.close(vol)


def test_writes_of_any_size_to_anywhere(machine: Machine, vol: int) -> None:
    chance = random.Random(2)
    model = bytearray(RANDOM)
    for _ in range(300):
        offset, size = chance.randrange(SIZE), chance.choice([1, 100, 512, 1000, 4096, 70_000])
        if chance.random() < 0.5:
            offset &= -512
        data = chance.randbytes(size)
        count = min(size, SIZE - offset)
        assert os.pwrite(vol, data, offset) == count
        model[offset : offset + count] = data[:count]
    os.close(vol)
    assert content(machine) == model


def test_the_end_of_the_device(machine: Machine, vol: int) -> None:
    assert os.pread(vol, 1024, SIZE - 512) == RANDOM[-512:]
    assert os.pread(vol, 1024, SIZE) == os.pread(vol, 512, SIZE + 4096) == b""
    assert os.pwrite(vol, b"x" * 1024, SIZE - 512) == 512
    assert os.pwrite(vol, b"y" * 1024, SIZE - 5) == 5
    for offset in (SIZE, SIZE + 3, 1 << 62):
        with fails(errno.ENOSPC):
            os.pwrite(vol, b"z" * 512, offset)
    assert content(machine)[-512:] == b"x" * 507 + b"y" * 5
    os.close(vol)


def test_what_is_written_is_on_the_device_at_once(machine: Machine, vol: int) -> None:
    os.pwrite(vol, b"x" * 4096, 8192)
    assert machine.dm["vol"].pread(4096, 8192) == b"x" * 4096
    machine.dm["vol"].pwrite(b"y" * 4096, 8192)
    assert os.pread(vol, 4096, 8192) == b"y" * 4096
    os.close(vol)


def test_direct_io(machine: Machine, vol: int) -> None:
    fd = machine.open(flags=os.O_RDWR | os.O_DIRECT)
    memory = mmap.mmap(-1, 1 << 20)
    memory[:4] = b"well"
    assert os.pwrite(fd, memory, 0) == 1 << 20
    assert os.preadv(fd, [memory], 512) == 1 << 20
    assert content(machine)[:4] == b"well"
    os.close(fd)
    os.close(vol)


def test_a_flush_reaches_the_device(machine: Machine, vol: int) -> None:
    os.pwrite(vol, bytes(512), 0)
    assert "flush" not in machine.disk.calls
    os.fsync(vol)
    os.fdatasync(vol)
    assert machine.disk.calls.count("flush") == 2
    os.close(vol)


@pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC])
@pytest.mark.parametrize("size", [512, 100])
def test_a_synchronous_write_is_durable(machine: Machine, vol: int, flag: int, size: int) -> None:
    fd = machine.open(flags=os.O_WRONLY | flag)
    os.pwrite(fd, b"x" * size, 0)
    assert machine.disk.calls[-2:] == ["write", "flush"]
    os.close(fd)
    assert os.pwritev(vol, [b"y" * size], 0, os.RWF_DSYNC) == size
    assert machine.disk.calls[-2:] == ["write", "flush"]
    os.close(vol)


def test_holes_and_zeroes(machine: Machine, vol: int) -> None:
    model = bytearray(RANDOM)
    for mode, offset, length in (
        (PUNCH | KEEP_SIZE, 512, 1024),
        (ZERO, 8192, 4096),
        (ZERO | KEEP_SIZE, 65536, 512),
        (PUNCH | KEEP_SIZE, SIZE - 512, 4096),
    ):
        allocate(vol, mode, offset, length)
        model[offset : offset + length] = bytes(min(length, SIZE - offset))
    assert content(machine) == model
    assert machine.disk.calls.count("zeroes") == 4
    os.close(vol)


@pytest.mark.parametrize(
    ("mode", "offset", "length", "number"),
    [
        (0, 0, 512, errno.EOPNOTSUPP),
        (KEEP_SIZE, 0, 512, errno.EOPNOTSUPP),
        (ZERO, 1, 512, errno.EINVAL),
        (ZERO, 0, 511, errno.EINVAL),
        (ZERO, SIZE - 512, 1024, errno.EINVAL),
        (ZERO, SIZE, 512, errno.EINVAL),
        (PUNCH | KEEP_SIZE, SIZE, 512, errno.EINVAL),
        (PUNCH | KEEP_SIZE, 3, 512, errno.EINVAL),
    ],
)
def test_holes_that_a_block_device_refuses(
    machine: Machine, vol: int, mode: int, offset: int, length: int, number: int
) -> None:
    with fails(number):
        allocate(vol, mode, offset, length)
    assert content(machine) == RANDOM
    os.close(vol)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EREMOTEIO, errno.ENODATA, errno.EILSEQ])
def test_errors_of_the_device_come_up(machine: Machine, vol: int, number: int) -> None:
    machine.disk.error = number
    for size in (512, 100, 1 << 20):
        with fails(number):
            os.pread(vol, size, 0)
        with fails(number):
            os.pwrite(vol, bytes(size), 0)
    with fails(number):
        os.fsync(vol)
    with fails(number):
        allocate(vol, ZERO, 0, 512)
    machine.disk.error = 0
    assert os.pread(vol, 512, 0) == RANDOM[:512]
    os.close(vol)


def test_writes_of_parts_of_a_sector_keep_one_another(machine: Machine, vol: int) -> None:
    """Each thread has a byte of each of 64 records of eight; all lie in the same sector, and none may be lost."""

    def write(thread: int) -> None:
        for record in range(64):
            os.pwrite(vol, bytes([thread]), record * 8 + thread)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content(machine)[:512] == bytes(range(8)) * 64
    os.close(vol)


def test_a_device_with_large_blocks(machine: Machine) -> None:
    disk = Disk(64 << 10)
    disk.logical_block_size = 4096
    machine.add(disk, 1)
    machine.dm.create("vol", "0 128 linear 7:1 0")
    fd = machine.open()
    os.pwrite(fd, b"x" * 512, 512)
    assert os.pread(fd, 600, 500) == bytes(12) + b"x" * 512 + bytes(76)
    assert disk.pread(4096, 0) == bytes(512) + b"x" * 512 + bytes(3072)
    with fails(errno.EINVAL):
        allocate(fd, ZERO, 512, 512)
    os.close(fd)


def test_a_table_of_many_kinds(machine: Machine) -> None:
    """Requests across targets, with one in them that fails."""
    machine.disk.pwrite(RANDOM, 0)
    machine.dm.create("vol", "0 8 linear 7:0 8\n8 8 zero\n16 8 linear 7:0 0\n24 8 error")
    fd = machine.open()
    want = RANDOM[8 << 9 : 16 << 9] + bytes(8 << 9) + RANDOM[: 8 << 9]
    assert os.pread(fd, 24 << 9, 0) == want
    assert os.pread(fd, 12_000, 100) == want[100:12_100]
    with fails(errno.EIO):
        os.pread(fd, 32 << 9, 0)
    with fails(errno.EIO):
        os.pwrite(fd, b"x", 24 << 9)
    os.close(fd)


def test_a_private_mapping(machine: Machine, vol: int, tmp_path: Path) -> None:
    # In a process of its own: a page fault does not let other threads of Python run.
    code = "import mmap, os, sys; fd = os.open(sys.argv[1], 2); m = mmap.mmap(fd, 0, mmap.MAP_PRIVATE)"
    code += "\nm[0:4] = b'mine'; sys.stdout.buffer.write(bytes(m[0:70000]))"
    done = subprocess.run([sys.executable, "-c", code, machine.node()], capture_output=True, check=True)
    assert done.stdout == b"mine" + RANDOM[4:70_000]
    assert content(machine) == RANDOM
    os.close(vol)


def test_programs(machine: Machine, vol: int, tmp_path: Path) -> None:
    node, copy = machine.node(), tmp_path / "copy"
    os.close(vol)
    head = subprocess.run(["head", "-c", "100", node], capture_output=True, check=True)
    assert head.stdout == RANDOM[:100]
    subprocess.run(["cp", node, copy], check=True)
    assert copy.read_bytes() == RANDOM
    subprocess.run(["dd", f"if={copy}", f"of={node}", "bs=1000", "seek=1", "count=9", "status=none"], check=True)
    assert content(machine) == RANDOM[:1000] + RANDOM[:9000] + RANDOM[10_000:]
    subprocess.run(["dd", f"if={copy}", f"of={node}", "bs=64k", "oflag=direct", "status=none"], check=True)
    subprocess.run(["cmp", node, copy], check=True)
