"""What is seen of mds in the folder: names, sizes, opens, and what they refuse."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Callable

import pytest

from dmtable.errors import IoctlError
from dmtable.language.parser import parse
from tests.nodes.conftest import SECTORS, ZERO, Machine, allocate, fails, until


def test_each_md_with_a_live_table_is_a_file(machine: Machine) -> None:
    assert os.listdir(machine.folder) == []
    machine.linear("vol", 16)
    machine.dm.create("empty")
    third = machine.linear("b b\n\udcff", 8)
    assert sorted(os.listdir(machine.folder)) == ["b b\n\udcff", "vol"]
    status = machine.node("b b\n\udcff").stat()
    assert (status.st_mode, status.st_size, status.st_blocks) == (stat.S_IFREG | 0o600, 8 << 9, 8)
    assert (status.st_ino, status.st_uid) == (third.number[1] + 2, os.geteuid())
    with fails(errno.ENOENT):
        machine.node("empty").stat()
    machine.dm.remove(third)
    assert os.listdir(machine.folder) == ["vol"]
    with fails(errno.ENOENT):
        machine.node("b b\n\udcff").stat()


@pytest.mark.parametrize("name", [".", ".."])
def test_names_that_no_file_can_have_do_not_show(machine: Machine, name: str) -> None:
    machine.linear(name)
    machine.linear("vol")
    assert os.listdir(machine.folder) == ["vol"]
    assert stat.S_ISDIR(machine.node(name).stat().st_mode)


def test_a_long_folder_is_read_whole(machine: Machine) -> None:
    names = [f"{number:0100}" for number in range(700)]
    for name in names:
        machine.dm.create(name, "0 1 zero")
    assert sorted(os.listdir(machine.folder)) == names
    assert {entry.inode() for entry in os.scandir(machine.folder)} == set(range(2, 702))
    assert all(entry.is_file() for entry in os.scandir(machine.folder))


def test_a_reload_changes_the_size_that_is_seen_at_once(machine: Machine) -> None:
    md = machine.linear("vol", 16)
    fd = machine.open()
    assert os.fstat(fd).st_size == 16 << 9
    machine.dm.load(md, parse("0 32 linear 7:0 0"))
    assert os.fstat(fd).st_size == 16 << 9
    machine.dm.resume(md)
    assert os.fstat(fd).st_size == 32 << 9
    assert machine.node().stat().st_size == 32 << 9
    assert os.lseek(fd, 0, os.SEEK_END) == 32 << 9
    assert os.pwrite(fd, b"x" * 512, 31 << 9) == 512
    assert os.pread(fd, 4096, 31 << 9) == b"x" * 512
    os.close(fd)


def test_another_md_with_the_same_number_is_another_file(machine: Machine) -> None:
    first = machine.linear("one", 16)
    inode = machine.node("one").stat().st_ino
    machine.dm.remove(first)
    machine.linear("two", 8)
    status = machine.node("two").stat()
    assert (status.st_ino, status.st_size) == (inode, 8 << 9)
    with fails(errno.ENOENT):
        machine.node("one").stat()


def test_opens_count(machine: Machine) -> None:
    md = machine.linear()
    fds = [machine.open(), machine.open(flags=os.O_RDONLY | os.O_DIRECT)]
    assert md.open_count == 2
    with pytest.raises(IoctlError) as refused:
        machine.dm.remove(md)
    assert refused.value.errno == errno.EBUSY
    another = os.dup(fds[0])
    for fd in fds:
        os.close(fd)
    until(lambda: md.open_count == 1)
    os.close(another)
    until(lambda: md.open_count == 0)
    machine.dm.remove(md)
    assert os.listdir(machine.folder) == []


def test_a_deferred_removal_happens_at_the_last_close(machine: Machine) -> None:
    md = machine.linear()
    fd = machine.open()
    machine.dm.remove(md, deferred=True)
    assert os.pread(fd, 512, 0) == bytes(512)
    assert not md.removed
    os.close(fd)
    until(lambda: md.removed)
    assert os.listdir(machine.folder) == []


def test_a_file_whose_md_is_gone_answers_so(machine: Machine) -> None:
    machine.linear()
    fd = machine.open()
    machine.dm.close()
    with fails(errno.ENXIO):
        os.pread(fd, 512, 0)
    with fails(errno.ENXIO):
        os.pwrite(fd, bytes(512), 0)
    with fails(errno.ENXIO):
        os.fsync(fd)
    assert os.fstat(fd).st_size == 0
    with fails(errno.ENOENT):
        machine.open()
    os.close(fd)


def test_an_md_that_is_being_removed_cannot_be_opened(machine: Machine) -> None:
    md = machine.linear()
    md.ending = True
    with fails(errno.ENXIO):
        machine.open()
    md.ending = False


def test_a_read_only_md_opens_and_refuses_writes(machine: Machine) -> None:
    machine.dm.create("vol", "0 16 linear 7:0 0", read_only=True)
    fd = machine.open()
    for data in (bytes(512), b"odd"):
        with fails(errno.EPERM):
            os.pwrite(fd, data, 0)
    with fails(errno.EPERM):
        allocate(fd, ZERO, 0, 512)
    assert os.pread(fd, 512, 0) == bytes(512)
    os.close(fd)


def test_a_truncating_open_changes_nothing(machine: Machine) -> None:
    machine.linear("vol", 16)
    machine.disk.pwrite(b"x" * 512, 0)
    fd = machine.open(flags=os.O_RDWR | os.O_TRUNC | os.O_CREAT)
    assert os.fstat(fd).st_size == 16 << 9
    assert os.pread(fd, 512, 0) == b"x" * 512
    os.ftruncate(fd, 16 << 9)
    for size in (0, 512, 17 << 9):
        with fails(errno.EINVAL):
            os.ftruncate(fd, size)
    with fails(errno.EINVAL):
        os.truncate(machine.node(), 512)
    assert os.fstat(fd).st_size == 16 << 9
    os.close(fd)


def test_attributes_stay(machine: Machine) -> None:
    machine.linear()
    node = machine.node()
    os.utime(node)
    os.chmod(node, 0o600)
    os.chown(node, os.geteuid(), os.getegid())
    with fails(errno.EPERM):
        os.chmod(node, 0o644)
    if os.geteuid() == 0:
        with fails(errno.EPERM):
            os.chown(node, 1, -1)
        with fails(errno.EPERM):
            os.chown(node, -1, 1)


def test_files_come_and_go_with_the_mds_alone(machine: Machine) -> None:
    machine.linear()
    node, other = machine.node(), machine.node("other")
    changes: tuple[Callable[[], object], ...] = (
        lambda: os.unlink(node),
        lambda: os.rename(node, other),
        lambda: os.link(node, other),
        lambda: os.symlink(node, other),
        lambda: os.mkdir(other),
        lambda: os.mknod(other),
        lambda: os.open(other, os.O_RDWR | os.O_CREAT),
    )
    for change in changes:
        with fails(errno.EPERM if os.geteuid() == 0 else errno.EACCES):
            change()
    assert os.listdir(machine.folder) == ["vol"]


def test_a_rename_is_seen_at_once(machine: Machine) -> None:
    machine.linear("vol")
    fd = machine.open("vol")
    machine.dm.rename("vol", "new")
    assert os.listdir(machine.folder) == ["new"]
    with fails(errno.ENOENT):
        machine.open("vol")
    assert os.path.samestat(os.fstat(fd), machine.node("new").stat())
    os.close(fd)


def test_programs_find_a_file_system_with_no_room(machine: Machine) -> None:
    assert os.statvfs(machine.folder).f_blocks == 0
    machine.linear("vol", SECTORS)
    listing = subprocess.run(["ls", "-l", machine.folder], capture_output=True, text=True, check=True)
    assert str(SECTORS << 9) in listing.stdout
