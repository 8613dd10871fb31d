"""The contracts, kept by all that is built in, and broken by what was made to break them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.registry import Registry
from dmtable.core.target import Target
from dmtable.io.constant import ZeroDevice
from dmtable.io.device import BlockDevice
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice
from dmtable.sim.world import World
from dmtable.targets.striped import Striped
from dmtable.testing.contracts import BlockDeviceContract, Example, Origin, Refused, TargetContract
from tests.contracts import OnOneDevice, message_of
from tests.testing.broken_devices import BROKEN_DEVICES
from tests.testing.broken_targets import BROKEN_TARGETS, Late


class TestMemoryDevice(BlockDeviceContract):
    discard_zeroes = True

    def make(self) -> BlockDevice:
        return MemoryDevice(self.size_bytes)

    def make_read_only(self) -> BlockDevice:
        return MemoryDevice(self.size_bytes, read_only=True)


class TestMemoryDeviceOfLargeBlocks(BlockDeviceContract):
    size_bytes = 256 << 10
    """Several of the pages in which it takes space, so that there are holes."""

    def make(self) -> BlockDevice:
        return MemoryDevice(self.size_bytes, logical_block_size=4096)


class TestFileDevice(BlockDeviceContract):
    size_bytes = 256 << 10
    """Enough for holes to be told."""
    direct = False

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def image(self) -> Path:
        path = self.path / f"image{len(os.listdir(self.path))}"
        path.write_bytes(bytes(self.size_bytes))
        return path

    def make(self) -> BlockDevice:
        return FileDevice(self.image(), direct=self.direct)

    def make_read_only(self) -> BlockDevice:
        return FileDevice(self.image(), read_only=True, direct=self.direct)

    def reopen(self, device: BlockDevice) -> BlockDevice:
        assert isinstance(device, FileDevice)
        device.close()
        return FileDevice(device.path, direct=self.direct)


class TestDirectFileDevice(TestFileDevice):
    direct = True

    def image(self) -> Path:
        path = super().image()
        try:
            FileDevice(path, direct=True).close()
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            pytest.skip("this file system has no direct I/O")
        return path


class TestSimDisk(BlockDeviceContract):
    threads_share = False

    def make(self) -> BlockDevice:
        return World().disk("a", self.size_bytes >> 9)


class ShortZero(ZeroDevice):
    """The zero device has no end to speak of; the contract wants one that it can fill."""

    @property
    def size_bytes(self) -> int:
        return BlockDeviceContract.size_bytes


class TestZeroDevice(BlockDeviceContract):
    discard_zeroes = True

    def make(self) -> BlockDevice:
        return ShortZero()

    def reads_as(self, written: bytes) -> bytes:
        return bytes(len(written))

    def test_more_than_there_is_ends_in_eio_and_changes_nothing(self) -> None:
        pytest.skip("it has no end")

    def test_nothing_lies_before_the_beginning(self) -> None:
        pytest.skip("it has no end")


class TestMappedDevice(BlockDeviceContract):
    """An md is asked as a device node is: what lies behind its end ends a request, and is no error."""

    table = "0 128 linear /dev/a 8"

    @pytest.fixture(autouse=True)
    def mappers(self) -> Iterator[None]:
        self.opened: list[DeviceMapper] = []
        yield
        for dm in self.opened:
            dm.close()

    def make(self) -> BlockDevice:
        dm = DeviceMapper()
        self.opened.append(dm)
        for name in "abc":
            dm.add(MemoryDevice(1 << 20), f"/dev/{name}")
        return dm.create("md", self.table)

    def test_more_than_there_is_ends_in_eio_and_changes_nothing(self) -> None:
        device = self.make()
        assert device.pread(1024, self.size_bytes - 512) == bytes(512)
        assert device.pwrite(b"x" * 1024, self.size_bytes - 512) == 512
        assert device.pread(512, self.size_bytes) == b""
        with pytest.raises(OSError, match="Errno 28"):
            device.pwrite(b"x" * 512, self.size_bytes)


class TestMappedDeviceOfManyLines(TestMappedDevice):
    table = "0 64 striped 2 8 /dev/a 0 /dev/b 16\n64 1 linear /dev/c 0\n65 31 linear /dev/b 100\n96 32 linear /dev/c 7"


class TestLinear(OnOneDevice):
    target = "linear"
    examples = (Example("/dev/a 8", 64), Example("7:0 0", 256), Example("/dev/a 255", 1))
    refused = (
        Refused("/dev/a", 64, errno.EINVAL),
        Refused("/dev/a x", 64, errno.EINVAL),
        Refused("/dev/none 0", 64, errno.ENODEV),
        Refused("/dev/a 200", 64, errno.EINVAL),
    )


class TestStriped(TargetContract):
    target = "striped"
    devices: ClassVar = {"/dev/a": 128, "/dev/b": 128, "/dev/c": 64}
    examples = (
        Example("2 8 /dev/a 0 /dev/b 16", 64),
        Example("3 4 /dev/c 1 /dev/a 2 /dev/b 3", 96),
        Example("1 7 /dev/a 9", 70),
        Example("2 8 /dev/a 0 /dev/a 64", 128),
    )
    refused = (
        Refused("2 8 /dev/a 0 /dev/b 0", 65, errno.EINVAL),
        Refused("2 8 /dev/a 0", 64, errno.EINVAL),
        Refused("2 8 /dev/a 0 /dev/none 0", 64, errno.ENODEV),
    )

    def origin(self, example: Example, sector: int) -> Origin:
        count, chunk, *legs = example.words.split()
        number, within = divmod(sector, int(chunk))
        row, leg = divmod(number, int(count))
        return legs[2 * leg], int(legs[2 * leg + 1]) + row * int(chunk) + within


class TestZero(TargetContract):
    target = "zero"
    examples = (Example("", 64),)
    refused = (Refused("0", 64, errno.EINVAL),)

    def origin(self, example: Example, sector: int) -> Origin:
        return "zero"


class TestError(TargetContract):
    target = "error"
    examples = (Example("", 64), Example("words that nobody reads", 64))

    def origin(self, example: Example, sector: int) -> Origin:
        return "error"


class TestLate(TestLinear):
    """A target that sees each bio and leaves it to a Worker; where a sector lies only the target knows."""

    target = "late"

    def registry(self) -> Registry:
        registry = Registry()
        registry.add(Late)
        return registry


@pytest.mark.parametrize(("check", "says", "broken"), BROKEN_DEVICES, ids=lambda what: getattr(what, "__name__", ""))
def test_a_broken_device_is_found_out(check: str, says: str, broken: type[MemoryDevice]) -> None:
    class Contract(BlockDeviceContract):
        discard_zeroes = True

        def make(self) -> BlockDevice:
            return broken(self.size_bytes)

        def make_read_only(self) -> BlockDevice:
            return broken(self.size_bytes, read_only=True)

        def reopen(self, device: BlockDevice) -> BlockDevice:
            return device

    assert says in message_of(Contract(), check)


@pytest.mark.parametrize(("check", "says", "broken"), BROKEN_TARGETS, ids=lambda what: getattr(what, "__name__", ""))
def test_a_broken_target_is_found_out(check: str, says: str, broken: type[Target]) -> None:
    kept: type[TargetContract] = TestStriped if issubclass(broken, Striped) else TestLinear

    class Contract(kept):  # type: ignore[misc, valid-type]
        target = broken.name

        def registry(self) -> Registry:
            registry = Registry()
            registry.add(broken)
            return registry

    assert says in message_of(Contract(), check)
