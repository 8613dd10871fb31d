"""What the paths in tables mean to a daemon: image files, disks with numbers, the mds' own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.daemon.machines import TestedMachine, has_fuse

SECTORS = 64
needs_nodes = pytest.mark.skipif(not has_fuse, reason="no /dev/fuse here: modprobe fuse")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(bytes(SECTORS << 9))
    return path


def test_a_table_names_a_file_by_its_path(machine: TestedMachine, image: Path) -> None:
    machine.start()
    machine.run("create", "v", "--table", f"0 {SECTORS} linear {image} 0")
    assert machine.run("table", "v") == f"0 {SECTORS} linear 7:0 0\n"
    assert machine.run("deps", "-o", "blkdevname", "v") == "1 dependencies\t: (loop0)\n"


def test_a_machine_has_no_working_folder(machine: TestedMachine, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.start()
    monkeypatch.chdir(image.parent)
    status, _, err = machine.try_run("create", "v", "--table", "0 8 linear image 0")
    assert status == 1
    assert err == "device-mapper: reload ioctl on v (253:0) failed: No such device\nCommand failed.\n"
    assert machine.run("daemon", "dmesg").splitlines() == [
        "device-mapper: table: 253:0: linear: Device lookup failed (-ENODEV)",
        "device-mapper: ioctl: error adding target to table",
    ]
    assert machine.run("ls") == "No devices found\n"


def test_files_get_numbers_and_lose_them(machine: TestedMachine, image: Path) -> None:
    other = image.with_name("other")
    other.write_bytes(bytes(512))
    machine.start()
    assert machine.run("daemon", "attach", str(image), str(other)) == f"{image}: 7:0\n{other}: 7:1\n"
    assert machine.run("daemon", "attach", str(image)) == f"{image}: 7:0\n"
    machine.run("create", "v", "--table", f"0 {SECTORS} linear 7:0 0")
    busy = f"dmtable daemon detach: {image}: loop0 is in use by v\n"
    assert machine.try_run("daemon", "detach", str(image)) == (1, "", busy)
    machine.run("remove", "v")
    machine.run("daemon", "detach", str(image), "7:1")
    nothing = f"dmtable daemon detach: {image} is no disk of the machine\n"
    assert machine.try_run("daemon", "detach", str(image)) == (1, "", nothing)
    status, _, err = machine.try_run("daemon", "attach", f"{image}.none")
    assert (status, err.count("\n")) == (1, 1)
    assert "No such file or directory" in err


@needs_nodes
def test_a_disk_can_be_closed_to_writes(machine: TestedMachine, image: Path) -> None:
    machine.start()
    machine.run("daemon", "attach", "--read-only", str(image))
    machine.run("create", "v", "--table", f"0 {SECTORS} linear 7:0 0")
    with open(machine.node("v"), "r+b", buffering=0) as file, pytest.raises(OSError, match=r"Read-only|Input/output"):
        file.write(b"x" * 512)
    assert image.read_bytes() == bytes(SECTORS << 9)


def test_a_root_of_ones_own_has_disks_from_the_beginning(machine: TestedMachine, tmp_path: Path) -> None:
    dev = tmp_path / "root" / "dev"
    dev.mkdir(parents=True)
    for name in ("sdb", "sda"):
        (dev / name).write_bytes(bytes(SECTORS << 9))
    (dev / "folder").mkdir()
    machine.start("--root", str(tmp_path / "root"))
    for table in ("7:0", "/dev/sda"):
        machine.run("create", "v", "--table", f"0 {SECTORS} linear {table} 0")
        assert machine.run("table", "v") == f"0 {SECTORS} linear 7:0 0\n"
        machine.run("remove", "v")
    machine.run("create", "v", "--table", f"0 {SECTORS} linear /dev/sdb 0")
    assert machine.run("table", "v") == f"0 {SECTORS} linear 7:1 0\n"
    problem = f"{machine.folder.path} is served already, with the root {tmp_path}/root; stop that first"
    assert machine.try_run("daemon", "start", "--root", "/") == (2, "", f"dmtable daemon start: {problem}\n")


@needs_nodes
def test_an_mds_own_file_in_a_table_is_the_md(machine: TestedMachine, image: Path) -> None:
    machine.start()
    machine.run("create", "below", "--table", f"0 {SECTORS} linear {image} 0")
    link = image.with_name("link")
    link.symlink_to(machine.node("below"))
    for path in (machine.node("below"), link, Path("/dev/mapper/below")):
        machine.run("create", "top", "--table", f"0 {SECTORS} linear {path} 0")
        assert machine.run("table", "top") == f"0 {SECTORS} linear 253:0 0\n"
        machine.run("remove", "top")
    status, _, err = machine.try_run("create", "top", "--table", f"0 8 linear {machine.node('none')} 0")
    assert (status, err.splitlines()[0]) == (1, "device-mapper: reload ioctl on top (253:1) failed: No such device")
    status, _, err = machine.try_run("daemon", "attach", str(machine.node("below")))
    assert (status, err.count("\n")) == (1, 1)
    assert "Device or resource busy" in err


@needs_nodes
def test_what_is_written_to_a_node_stands_in_the_file(machine: TestedMachine, image: Path) -> None:
    machine.start()
    machine.run("create", "v", "--table", f"0 {SECTORS} linear {image} 0")
    node = machine.node("v")
    assert os.stat(node).st_size == SECTORS << 9
    with open(node, "r+b", buffering=0) as file:
        file.seek(512)
        file.write(b"x" * 512)
        assert machine.run("info", "-c", "--noheadings", "-o", "open") == "1\n"
        status, _, err = machine.try_run("remove", "v")
        assert (status, err.splitlines()[0]) == (
            1,
            "device-mapper: remove ioctl on v  failed: Device or resource busy",
        )
    assert image.read_bytes()[512:1024] == b"x" * 512
    machine.run("remove", "v", "--retry")


def test_a_device_is_found_by_the_path_of_its_node(machine: TestedMachine) -> None:
    machine.start()
    machine.run("create", "v", "--table", "0 8 zero")
    folder = machine.folder
    for path in ("/dev/mapper/v", "/dev/dm-0", f"{folder.dev_mapper}/v", f"{folder.mapper}/v"):
        assert machine.run("table", path) == "0 8 zero \n"
    assert machine.try_run("table", "/dev/mapper/w")[2] == "Device /dev/mapper/w not found\nCommand failed.\n"
