"""From a word to a device: numbers as the kernel reads them, and paths below a root."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.devices import DeviceTable, DmDev, read_number
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
        (f"7:{7 << 32 | 1}:0", (7, 1)),
    ],
)
def test_words_that_are_numbers(word: str, number: tuple[int, int] | None) -> None:
    assert read_number(word) == number


def test_numbers_of_any_length_are_read() -> None:
    assert read_number(f"{'0' * 5000}7:{'0' * 5000}3:0") == (7, 3)
    assert read_number(f"7:1{'0' * 5000}:0") == (7, 0), "a power of ten is a multiple of 2^32"


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
    "path",
    [
        "/dev/none",
        "/dev/folder",
        "/dev/dangling",
        "/dev/circle",
        "dev/sda",
        "sda",
        "/dev/sda/",
        "/",
        "",
        "/dev/s\0a",
        "/dev/\ud800",
    ],
)
def test_paths_that_name_no_device(root: Path, path: str) -> None:
    with pytest.raises(DeviceLookupError) as refused:
        DeviceTable(root).by_path(path)
    assert refused.value.errno == errno.ENODEV


def test_the_parent_of_a_linked_folder_is_not_the_links_parent(root: Path) -> None:
    (root / "other" / "place").mkdir(parents=True)
    (root / "other" / "sda").write_bytes(bytes(512))
    (root / "dev" / "away").symlink_to("/other/place")
    devices = DeviceTable(root)
    for _ in range(2):
        assert devices.by_path("/dev/away/../sda").size_sectors == 1
        assert devices.by_path("/dev/sda").size_sectors == 16
    devices.close()


def test_no_chain_of_links_leads_out_of_the_root(root: Path) -> None:
    outside = root.parent / "outside"
    outside.write_bytes(bytes(512))
    (root / "dev" / "link0").symlink_to(outside)
    for number in range(1, 50):
        (root / "dev" / f"link{number}").symlink_to(f"link{number - 1}")
    for number in range(50):
        with pytest.raises(DeviceLookupError):
            DeviceTable(root).by_path(f"/dev/link{number}")


def test_threads_that_look_a_file_up_at_once_get_one_device(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening, go = threading.Event(), threading.Event()

    class SlowToOpen(FileDevice):
        def __init__(self, path: str, *, read_only: bool = False) -> None:
            opening.set()
            go.wait()
            super().__init__(path, read_only=read_only)

    monkeypatch.setattr("dmtable.core.devices.FileDevice", SlowToOpen)
    found: list[tuple[str, DmDev]] = []
    with DeviceMapper(root=root) as dm:

        def look_up(word: str) -> None:
            found.append((word, dm.lookup(word)))

        threads = [threading.Thread(target=look_up, args=(word,)) for word in ("/dev/sda", "/dev/sda", "/dev/sdb")]
        for thread in threads:
            thread.start()
        opening.wait()
        go.set()
        for thread in threads:
            thread.join()
        assert len({(word, dm_dev.number, id(dm_dev.device)) for word, dm_dev in found}) == 2
        assert len({dm_dev.number for _, dm_dev in found}) == 2


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


def test_a_block_device_keeps_its_number_unless_an_image_has_it(tmp_path: Path) -> None:
    path = "/dev/loop0"
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        pytest.skip(f"{path}: {error.strerror}; it needs root and the loop driver")
    alone, beside = DeviceTable("/"), DeviceTable("/")
    (tmp_path / "image").write_bytes(bytes(512))
    (tmp_path / "link").symlink_to(path)
    image = beside.attach(f"{tmp_path}/image")
    try:
        assert alone.by_path(path).number == image.number == (7, 0)
        assert beside.by_path(path) is image  # Of this machine, not of the one that it runs on.
        device = beside.by_path(f"{tmp_path}/link")
        assert (device.number, device.device is image.device) == ((7, 1), False)
    finally:
        alone.close()
        beside.close()


def test_a_file_in_place_of_another_is_another_disk(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    with DeviceMapper(root="/") as dm:
        used = dm.create("used", f"0 8 linear {image} 0")
        image.unlink()
        with pytest.raises(DeviceLookupError):
            dm.lookup(str(image))
        image.write_bytes(bytes(8192))
        md = dm.create("md", f"0 16 linear {image} 0")
        md.pwrite(b"x" * 512, 0)
        assert image.read_bytes()[:512] == b"x" * 512
        used.pwrite(b"y" * 512, 0)
        assert used.pread(512, 0) == b"y" * 512, "tables keep the file that they have"
        assert [dm_dev.number for dm_dev in dm.disks()] == [(7, 0), (7, 1)]
        dm.remove(md)
        image.unlink()
        image.write_bytes(bytes(512))
        assert dm.attach(str(image)).size_sectors == 1
        assert [dm_dev.number for dm_dev in dm.disks()] == [(7, 0), (7, 1)], "what nobody uses is forgotten"
        files = len(os.listdir("/proc/self/fd"))
    assert len(os.listdir("/proc/self/fd")) == files - 2
