"""What programs see of the machine: nodes, /proc, /sys, and who may open what."""

from __future__ import annotations

import os
import sys

import pytest

from tests.exec.labs import Lab, needs

SIZE = 2048 * 512


@pytest.fixture
def md(lab: Lab) -> str:
    """The node of an md of 1 MiB on /dev/loop0."""
    lab.mapper.create("a", "0 2048 linear 7:0 0", uuid="UUID-a")
    lab.run("mknod", "/dev/mapper/a", "b", "253", "0")
    return "/dev/mapper/a"


def test_a_node_is_a_block_device(lab: Lab, md: str) -> None:
    assert lab.run("stat", "-c", "%F %t:%T %s", md) == "block special file fd:0 0\n"
    assert lab.run("stat", "-c", "%F %t:%T", "/dev/dm-0", "/dev/loop1") == (
        "block special file fd:0\nblock special file 7:1\n"
    )
    lab.sh(f"test -b {md} && test -r {md} && test -w {md} && ! test -x {md} && ! test -f {md}")
    done = lab.try_run("ls", "-l", md, "/dev/loop0")
    assert (done.stdout.count("\nbrw"), done.stderr) == (1, "")
    assert done.stdout.startswith("brw")
    assert lab.sh(f"stat -L -c %F /dev/fd/3 3<{md}; cd /dev/mapper; stat -c %F {md}") == "block special file\n" * 2
    assert lab.sh("cd /dev && stat -c %F loop0 mapper/a ./mapper/../loop1") == "block special file\n" * 3


def test_descriptors_are_known_however_they_came_about(lab: Lab, md: str) -> None:
    script = f"""
import fcntl, os, struct, threading
def size(fd): return struct.unpack("Q", fcntl.ioctl(fd, 0x80081272, bytes(8)))[0]
fd = os.open("{md}", os.O_RDONLY)
both = os.dup(fd), os.open(f"/proc/self/fd/{{fd}}", os.O_RDONLY)
found = [size(each) for each in (fd, *both)]
threads = [threading.Thread(target=lambda: found.append(size(fd))) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if os.fork() == 0:
    os._exit(size(fd) == {SIZE})
found.append(os.waitstatus_to_exitcode(os.wait()[1]) * {SIZE})
print(set(found), len(found), os.fstat(fd).st_rdev == os.stat("{md}").st_rdev == os.makedev(253, 0))
print(os.fstat(fd).st_ino == os.stat("{md}").st_ino)
"""
    assert lab.run(sys.executable, "-c", script) == f"{{{SIZE}}} 8 True\nTrue\n"


def test_what_others_have_open_is_theirs(lab: Lab, md: str) -> None:
    """/proc/N/fd is of process N, whatever the one who asks has open by that number."""
    look = f"exec 5</dev/null 6<{md}; stat -L -c %F /proc/$PPID/fd/5 /proc/$PPID/fd/6"
    script = f"exec 5<{md} 6</dev/null; sh -c '{look}'; true"
    assert lab.sh(script) == "block special file\ncharacter special file\n"


def test_an_image_opened_as_a_file_is_a_file(lab: Lab) -> None:
    assert lab.run("stat", "-c", "%F", str(lab.images[0])) == "regular file\n"
    lab.run("cp", str(lab.images[0]), f"{lab.images[0]}.copy")
    assert lab.sh(f"stat -L -c %F /dev/fd/3 3<{lab.images[0]}") == "regular file\n"


def test_data_reaches_what_the_table_maps(lab: Lab, md: str) -> None:
    digest = lab.fill(md, 256 << 10, "seed")
    assert lab.sha256(md, 256 << 10) == lab.sha256("/dev/loop0", 256 << 10) == digest
    assert lab.images[0].read_bytes()[:32] != bytes(32)
    needs("blkdiscard")
    lab.run("blkdiscard", "-z", "-o", "4096", "-l", "8192", md)
    data = lab.images[0].read_bytes()
    assert data[4096:12288] == bytes(8192)
    assert data[:4096] != bytes(4096)
    assert data[12288:16384] != bytes(4096)


def test_ioctls_of_block_devices(lab: Lab, md: str) -> None:
    questions = ("--getsize64", "--getsz", "--getss", "--getpbsz", "--getbsz", "--getro", "--getra", "--getiomin")
    for node, size in ((md, SIZE), ("/dev/loop0", 16 << 20)):
        answers = lab.run("blockdev", *questions, node).split()
        assert answers == [str(size), str(size // 512), "512", "512", "4096", "0", "256", "512"]
    lab.run("blockdev", "--flushbufs", md)
    script = f"""
import errno, fcntl, os, struct
for flags, start, length in (os.O_RDWR, 512, {SIZE}), (os.O_RDWR, 1, 512), (os.O_RDONLY, 0, 512):
    for request in 0x127f, 0x1277:
        try: fcntl.ioctl(os.open("{md}", flags), request, struct.pack("QQ", start, length))
        except OSError as error: print(errno.errorcode[error.errno], end=" ")
"""
    assert lab.run(sys.executable, "-c", script) == "EINVAL EINVAL EINVAL EINVAL EBADF EBADF "


def test_a_file_system(lab: Lab, md: str) -> None:
    needs("mkfs.ext4", "e2fsck", "blkid")
    lab.run("mkfs.ext4", "-q", "-L", "emulated", md)
    assert 'LABEL="emulated"' in lab.run("blkid", "-p", md)
    lab.run("e2fsck", "-fn", md)


def test_proc_and_sys(lab: Lab, md: str) -> None:
    devices = lab.run("cat", "/proc/devices")
    blocks = devices.partition("Block devices:\n")[2].splitlines()
    assert [line for line in blocks if line.startswith(("253 ", "  7 "))] == ["  7 loop", "253 device-mapper"]
    assert "236 device-mapper" in lab.run("cat", "/proc/misc")
    assert " 253        0       1024 dm-0\n" in lab.run("cat", "/proc/partitions")
    assert lab.run("cat", "/sys/block/dm-0/dm/name", "/sys/dev/block/253:0/dm/uuid", "/sys/block/dm-0/size") == (
        "a\nUUID-a\n2048\n"
    )
    assert lab.run("readlink", "/sys/dev/block/253:0") == "../../block/dm-0\n"
    assert lab.run("ls", "/sys/block/loop0/holders") + lab.run("ls", "/sys/block/dm-0/slaves") == "dm-0\nloop0\n"
    done = lab.try_run("ls", "-l", "/sys/dev/block")
    assert (done.returncode, done.stderr) == (0, "")
    lab.mapper.remove(lab.mapper["a"])
    assert lab.try_run("cat", "/sys/block/dm-0/dm/name").returncode == 1
    assert lab.run("ls", "/sys/block/loop0/holders") == ""


def test_dev_is_the_machines_own(lab: Lab, md: str) -> None:
    assert lab.run("ls", "/dev", "/dev/mapper").split() == ["/dev:", "loop0", "loop1", "mapper", "/dev/mapper:", "a"]
    lab.sh("mkdir /dev/vg; ln -s /dev/mapper/a /dev/vg/lv; test -b /dev/vg/lv; mv /dev/vg/lv /dev/vg/new")
    assert lab.run("readlink", "/dev/vg/new") == "/dev/mapper/a\n"
    assert os.path.isdir(f"{lab.folder.dev}/vg")
    assert not os.path.exists("/dev/vg")
    lab.sh("rm /dev/vg/new; rmdir /dev/vg; chmod 600 /dev/mapper/a; test $(stat -c %a /dev/mapper/a) = 600")
    lab.sh("echo > /dev/null; test -c /dev/null; test -c /dev/mapper/control; head -c 1 /dev/zero | wc -c")
    done = lab.try_run("mkdir", "/dev/mapper/none/below")
    assert "No such file or directory" in done.stderr


def test_a_table_may_name_whatever_is_a_node(lab: Lab, md: str) -> None:
    lab.sh("mkdir /dev/vg; ln -s ../mapper/a /dev/vg/lv; ln -s loop1 /dev/sda")
    needs("dmsetup")
    table = "0 8 linear /dev/vg/lv 0\n8 8 linear /dev/sda 0\n16 8 linear /dev/dm-0 8"
    lab.run("dmsetup", "create", "b", "--table", table)
    assert lab.run("dmsetup", "table", "b") == "0 8 linear 253:0 0\n8 8 linear 7:1 0\n16 8 linear 253:0 8\n"


def _exclusively(lab: Lab, node: str, command: str = "true") -> str:
    """What a command says while somebody has a node open with O_EXCL; or what he is told who tries that."""
    code = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_EXCL); os.system(sys.argv[2])"
    done = lab.try_run(sys.executable, "-c", code, node, command)
    return done.stderr.splitlines()[-1] if done.returncode else done.stdout + done.stderr


BUSY = "[Errno 16] Device or resource busy"


@pytest.mark.parametrize("node", ["/dev/loop1", "/dev/mapper/a"])
def test_one_alone(lab: Lab, md: str, node: str) -> None:
    """As bd_prepare_to_claim: tables share a device among them, whoever opens it with O_EXCL has it alone."""
    needs("dmsetup")
    again = f"{sys.executable} -c 'import os; os.open(\"{node}\", os.O_RDONLY|os.O_EXCL)' 2>&1 | tail -1"
    assert BUSY in _exclusively(lab, node, again)
    assert _exclusively(lab, node, f"head -c 4 {node} | wc -c") == "4\n"
    refused = "device-mapper: reload ioctl on b (253:1) failed: Device or resource busy\nCommand failed.\n"
    assert _exclusively(lab, node, f"dmsetup create b --table '0 8 linear {node} 0'") == refused
    lab.sh(f"dmsetup create b --table '0 8 linear {node} 0'; dmsetup create c --table '0 8 linear {node} 8'")
    assert BUSY in _exclusively(lab, node)
    lab.sh(f"exec 3<>{node}; dmsetup remove b; dmsetup remove c")
    assert _exclusively(lab, node) == ""


def test_others_are_left_alone(lab: Lab) -> None:
    """Files, terminals and devices that are none of the machine's; errors stay what they are."""
    script = """
import errno, os, fcntl, termios
for call in (lambda: os.stat("/none"), lambda: open("/none/x"), lambda: os.readlink("/etc"), lambda: os.mkdir("/etc"),
             lambda: os.open("x", os.O_RDONLY, dir_fd=99),
             lambda: fcntl.ioctl(os.open("/etc/passwd", os.O_RDONLY), 0x80081272, bytes(8)), lambda: os.unlink("/etc")):
    try: call()
    except OSError as error: print(errno.errorcode[error.errno], end=" ")
print(os.stat("/etc/passwd").st_size > 0, os.path.exists("/dev/null"))
"""
    assert lab.run(sys.executable, "-c", script) == "ENOENT ENOENT EINVAL EEXIST EBADF ENOTTY EISDIR True True\n"


def test_bad_addresses(lab: Lab, md: str) -> None:
    script = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
fd, control = os.open("{md}", os.O_RDONLY), os.open("/dev/mapper/control", os.O_RDWR)
for file, request in (fd, 0x80081272), (control, 0xc138fd00), (control, 0x1260), (fd, 0xc138fd00):
    print(libc.ioctl(file, ctypes.c_ulong(request), ctypes.c_void_p(8)), ctypes.get_errno(), end=" ")
print(libc.open(ctypes.c_void_p(8), 0), ctypes.get_errno())
"""
    assert lab.run(sys.executable, "-c", script) == "-1 14 -1 14 -1 25 -1 25 -1 14\n"


def test_whoever_insists_on_being_root(lab: Lab) -> None:
    assert lab.try_run("id", "-u", as_root=True).stdout == "0\n"
