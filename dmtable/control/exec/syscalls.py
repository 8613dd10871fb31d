"""The system calls that are trapped, by their numbers on each architecture.

Sources: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h (arm64), struct stat of each.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from dmtable.errors import UsageError


@dataclass(frozen=True, slots=True)
class Syscall:
    """One call: its number, None where the architecture has no such call."""

    name: str
    x86_64: int | None
    arm64: int | None


TRAPPED = (
    Syscall("open", 2, None),
    Syscall("creat", 85, None),
    Syscall("openat", 257, 56),
    Syscall("openat2", 437, 437),
    Syscall("stat", 4, None),
    Syscall("lstat", 6, None),
    Syscall("fstat", 5, 80),
    Syscall("newfstatat", 262, 79),
    Syscall("statx", 332, 291),
    Syscall("ioctl", 16, 29),
    Syscall("access", 21, None),
    Syscall("faccessat", 269, 48),
    Syscall("faccessat2", 439, 439),
    Syscall("readlink", 89, None),
    Syscall("readlinkat", 267, 78),
    Syscall("mknod", 133, None),
    Syscall("mknodat", 259, 33),
    Syscall("mkdir", 83, None),
    Syscall("mkdirat", 258, 34),
    Syscall("rmdir", 84, None),
    Syscall("unlink", 87, None),
    Syscall("unlinkat", 263, 35),
    Syscall("symlink", 88, None),
    Syscall("symlinkat", 266, 36),
    Syscall("rename", 82, None),
    Syscall("renameat", 264, 38),
    Syscall("renameat2", 316, 276),
    Syscall("chmod", 90, None),
    Syscall("fchmodat", 268, 53),
    Syscall("chown", 92, None),
    Syscall("lchown", 94, None),
    Syscall("fchownat", 260, 54),
    Syscall("getxattr", 191, 8),
    Syscall("lgetxattr", 192, 9),
    Syscall("listxattr", 194, 11),
    Syscall("llistxattr", 195, 12),
)
"""Calls that name a file, tell what a file descriptor is, or speak to a driver.

Not needed with nodes that are files: getdents, read, write, io_submit, fsync, lseek, fcntl. Not there: chdir, link,
mount, inotify, and whatever else takes a path.
"""

IOCTL_TYPES = (0xFD, 0x12, 0x03)
"""Of ioctl only these types: device-mapper, block devices, disk geometry (HDIO)."""

SUCCEEDING = (
    Syscall("getuid", 102, 174),
    Syscall("geteuid", 107, 175),
    Syscall("getgid", 104, 176),
    Syscall("getegid", 108, 177),
    Syscall("setpriority", 141, 140),
    Syscall("mlock", 149, 228),
    Syscall("mlock2", 325, 284),
    Syscall("munlock", 150, 229),
    Syscall("mlockall", 151, 230),
    Syscall("munlockall", 152, 231),
)
"""Calls that return 0 without being carried out, for programs that insist on being root."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What differs between processors."""

    name: str
    audit: int
    """AUDIT_ARCH_*, by which the filter knows calls of other architectures: those pass."""
    seccomp: int
    """The number of seccomp(2)."""
    stat_fields: tuple[str, ...]
    """What stands in struct stat before the three times, in seconds and nanoseconds each."""
    stat_layout: struct.Struct

    def number(self, call: Syscall) -> int | None:
        return call.x86_64 if self.name == "x86_64" else call.arm64


X86_64 = Architecture(
    "x86_64",
    0xC000003E,
    317,
    ("dev", "ino", "nlink", "mode", "uid", "gid", "rdev", "size", "blksize", "blocks"),
    struct.Struct("<QQQIII4xQqqqqqqqqq24x"),
)
ARM64 = Architecture(
    "aarch64",
    0xC00000B7,
    277,
    ("dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks"),
    struct.Struct("<QQIIIIQ8xqi4xqqqqqqq8x"),
)
"""Never run: compared with the kernel's headers alone."""
assert (X86_64.stat_layout.size, ARM64.stat_layout.size) == (144, 128)

STATX = struct.Struct("<IIQIIIHxxQQQQ" + "qI4x" * 4 + "IIIIQ104x")
assert STATX.size == 256


def this_architecture() -> Architecture:
    """Raises UsageError where it is none that `dmtable exec` knows."""
    machine = os.uname().machine
    for architecture in (X86_64, ARM64):
        if architecture.name == machine:
            return architecture
    raise UsageError(f"needs an x86-64 or arm64 processor; this is {machine}")
