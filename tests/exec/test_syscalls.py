"""The table of trapped calls against the kernel's own headers, and the filter against the table.

arm64 was never run here: this is all that is known of it.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from dmtable.control.exec.bpf import ALLOW, NOTIFY, SUCCEED, filter_program
from dmtable.control.exec.syscalls import ARM64, STATX, SUCCEEDING, TRAPPED, X86_64, Architecture, Syscall

_GENERIC = Path("/usr/include/asm-generic/unistd.h")
_X86_64 = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
_GENERIC_STAT = Path("/usr/include/asm-generic/stat.h")
_X86_STAT = Path("/usr/include/x86_64-linux-gnu/asm/stat.h")
_LINUX_STAT = Path("/usr/include/linux/stat.h")
_SECCOMP = Syscall("seccomp", X86_64.seccomp, ARM64.seccomp)
_ALL = [*TRAPPED, *SUCCEEDING, _SECCOMP]


def _text(header: Path) -> str:
    if not header.exists():
        pytest.skip(f"{header} is not installed (linux-libc-dev)")
    return header.read_text()


def _numbers(header: Path) -> dict[str, int]:
    """The calls of a header by name; those that are 64 bits wide have their own names in the generic one."""
    found = dict(re.findall(r"#define __NR_?(\w+) (\w+)", _text(header)))
    wide = {name.removeprefix("3264_"): value for name, value in found.items() if name.startswith("3264_")}
    wide = {{"fstatat": "newfstatat"}.get(name, name): value for name, value in wide.items()}
    return {name: int(value) for name, value in (found | wide).items() if value.isdecimal()}


@pytest.mark.parametrize("call", _ALL, ids=lambda call: call.name)
def test_x86_64(call: Syscall) -> None:
    assert call.x86_64 == _numbers(_X86_64)[call.name]


@pytest.mark.parametrize("call", _ALL, ids=lambda call: call.name)
def test_arm64(call: Syscall) -> None:
    assert call.arm64 == _numbers(_GENERIC).get(call.name)


def _offsets(text: str, name: str, sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Where the fields of a structure are, aligned as C does, and its size."""
    match = re.search(rf"struct {name} {{(.*?)\n}};", text, re.DOTALL)
    assert match
    body = re.sub(r"/\*.*?\*/", "", match[1], flags=re.DOTALL)
    offsets, at = {}, 0
    for kind, field, count in re.findall(r"([\w ]+?)\s+(\w+)(?:\[(\d+)\])?;", body):
        size = sizes[kind.strip()]
        at += -at % min(size, 8)
        offsets[field] = at
        at += size * int(count or 1)
    return offsets, at + -at % 8


_C = {
    "unsigned long": 8, "long": 8, "unsigned int": 4, "int": 4, "__kernel_ulong_t": 8, "__kernel_long_t": 8,
    "__u64": 8, "__s64": 8, "__u32": 4, "__s32": 4, "__u16": 2, "struct statx_timestamp": 16,
}  # fmt: skip


@pytest.mark.parametrize(("architecture", "header"), [(X86_64, _X86_STAT), (ARM64, _GENERIC_STAT)], ids=["x86", "arm"])
def test_struct_stat(architecture: Architecture, header: Path) -> None:
    text = _text(header)
    if architecture is X86_64:
        text = text[text.index("#else /* __i386__ */") :]
    offsets, size = _offsets(text, "stat", _C)
    fields = [*architecture.stat_fields, "atime", "atime_nsec", "mtime", "mtime_nsec", "ctime", "ctime_nsec"]
    values = range(1, len(fields) + 1)
    packed = architecture.stat_layout.pack(*values)
    assert len(packed) == size
    for field, value in zip(fields, values, strict=True):
        assert struct.unpack_from("<I", packed, offsets[f"st_{field}"])[0] == value, field


def test_struct_statx() -> None:
    offsets, size = _offsets(_text(_LINUX_STAT), "statx", _C)
    fields = ["mask", "blksize", "attributes", "nlink", "uid", "gid", "mode", "ino", "size", "blocks"]
    fields += ["attributes_mask", "atime", "", "btime", "", "ctime", "", "mtime", ""]
    fields += ["rdev_major", "rdev_minor", "dev_major", "dev_minor", "mnt_id"]
    packed = STATX.pack(*range(1, len(fields) + 1))
    assert len(packed) == size
    for value, field in enumerate(fields, 1):
        if field:
            assert struct.unpack_from("<H", packed, offsets[f"stx_{field}"])[0] == value, field


def _run(program: bytes, architecture: int, number: int, second: int = 0) -> int:
    """What a filter returns for a call: an interpreter of the four instructions that it is made of."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, 0, second, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("<HBBI", program))
    word, at = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x20:
            word = struct.unpack_from("<I", data, value)[0]
        elif code == 0x54:
            word &= value
        elif code == 0x15:
            at += if_true if word == value else if_false
        else:
            assert code == 0x06
            return int(value)


@pytest.mark.parametrize("architecture", [X86_64, ARM64], ids=lambda architecture: architecture.name)
def test_the_filter_traps_what_the_table_says(architecture: Architecture) -> None:
    program = filter_program(architecture)
    trapped = {architecture.number(call) for call in TRAPPED if call.name != "ioctl"}
    for number in range(600):
        assert (_run(program, architecture.audit, number) == NOTIFY) == (number in trapped)
    other = ARM64 if architecture is X86_64 else X86_64
    assert {_run(program, other.audit, number) for number in range(600)} == {ALLOW}


@pytest.mark.parametrize("architecture", [X86_64, ARM64], ids=lambda architecture: architecture.name)
def test_the_filter_knows_ioctls_by_type(architecture: Architecture) -> None:
    program = filter_program(architecture)
    ioctl = next(number for call in TRAPPED if call.name == "ioctl" and (number := architecture.number(call)))
    dm, size64, size, geometry = 0xC138FD03, 0x80081272, 0x1260, 0x0301
    for command in (dm, size64, size, geometry, 0xFFFFFFFF_00001260):
        assert _run(program, architecture.audit, ioctl, command) == NOTIFY
    for command in (0x5401, 0x5413, 0xC0105500, 0):
        assert _run(program, architecture.audit, ioctl, command) == ALLOW


@pytest.mark.parametrize("architecture", [X86_64, ARM64], ids=lambda architecture: architecture.name)
def test_roots_own_calls_succeed_for_those_who_ask(architecture: Architecture) -> None:
    numbers = [number for call in SUCCEEDING if (number := architecture.number(call)) is not None]
    assert len(numbers) == len(SUCCEEDING)
    for number in numbers:
        assert _run(filter_program(architecture), architecture.audit, number) == ALLOW
        assert _run(filter_program(architecture, as_root=True), architecture.audit, number) == SUCCEED
