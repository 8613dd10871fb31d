"""From a word to a device: numbers as the kernel reads them, and paths below a root."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.devices import DeviceTable, read_number
from dmtable.errors import DeviceLookupError, UsageError
from dmtable.io.file import FileDevice
from dmtable.io.memory import MemoryDevice


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("7:0", (7, 0)),
        ("07:00", (7, 0)),
        ("4294967303:0", (7, 0)),
        ("7:0:1", (7, 0)),
        ("700", (7, 0)),
        ("0x700", (7, 0)),
        ("a", (0, 10)),
        ("fd05", (253, 5)),
        ("100701", (7, 257)),
        ("7:", None),
        (":0", None),
        ("7:0x", None),
        ("+7:0", None),
        ("-7:0", None),
        ("loop0", None),
        ("/dev/sda", None),
        ("٧:٠", None),
    ],
)
def test_words_that_are_numbers(word: str, number: tuple[int, int] | None) -> None:
    assert read_number(word) == number


@pytest.mark.parametrize("word", ["4096:0", "7:1048576", "99999999999:0"])
def test_numbers_out_of_range(word: str) -> None:
    with pytest.raises(DeviceLookupError) as refused:
        read_number(word)
    assert refused.value.errno == errno.EOVERFLOW


@pytest.fixture
def root(tmp_path: Path) -> Path:
    dev = tmp_path / "root" / "dev"
    dev.mkdir(parents=True)
    (dev / "sda").write_bytes(bytes(8192))
    (dev / "sdb").write_bytes(bytes(4096))
    (dev / "folder").mkdir()
    (dev / "absolute").symlink_to("/dev/sda")
    (dev / "relative").symlink_to("../dev/./sdb")
    (dev / "dangling").symlink_to("nowhere")
    (dev / "circle").symlink_to("circle")
    (dev / "escape").symlink_to("../../../../../../dev/sda")
    return tmp_path / "root"


def test_paths_lie_below_the_root(root: Path) -> None:
    devices = DeviceTable(root)
    sda = devices.by_path("/dev/sda")
    assert (sda.name, sda.kernel_name, sda.size_sectors) == ("7:0", "loop0", 16)
    assert devices.by_path("//dev/../dev/./sda") is sda
    assert devices.by_path("/dev/absolute") is sda
    assert devices.by_path("/dev/escape") is sda
    assert devices.by_path("/dev/relative").size_sectors == 8
    assert devices.by_number((7, 1)).size_sectors == 8
    devices.close()


@pytest.mark.parametrize(
    "path", ["/dev/none", "/dev/folder", "/dev/dangling", "/dev/circle", "dev/sda", "sda", "/dev/sda/", "/", ""]
)
def test_paths_that_name_no_device(root: Path, path: str) -> None:
    with pytest.raises(DeviceLookupError) as refused:
        DeviceTable(root).by_path(path)
    assert refused.value.errno == errno.ENODEV


def test_without_a_root_only_added_devices_exist(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(512))
    devices = DeviceTable()
    with pytest.raises(DeviceLookupError):
        devices.by_path(str(tmp_path / "image"))
    added = devices.add(MemoryDevice(512), "/dev/x", (8, 3))
    assert devices.by_path("/dev/x") is added
    assert added.kernel_name == "x"
    with pytest.raises(DeviceLookupError) as refused:
        devices.by_number((8, 4))
    assert refused.value.errno == errno.ENXIO


def test_what_was_added_is_not_closed(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    device = FileDevice(image)
    with DeviceMapper() as dm:
        dm.add(device, "/dev/x")
        dm.create("md", "0 8 linear /dev/x 0")
    assert device.pread(512, 0) == bytes(512)
    device.close()


def test_images_that_cannot_be_written_are_read_only(root: Path) -> None:
    image = root / "dev" / "sda"
    image.chmod(0o400)
    with DeviceMapper(root=root) as dm:
        md = dm.create("md", "0 8 linear /dev/sda 0")
        assert md.pread(512, 0) == bytes(512)
        if os.geteuid() != 0:
            with pytest.raises(OSError, match="Errno 30"):
                md.pwrite(bytes(512), 0)


def test_a_number_of_the_mds_cannot_be_added() -> None:
    with DeviceMapper() as dm, pytest.raises(UsageError):
        dm.add(MemoryDevice(512), "/dev/x", (253, 0))
