"""The filter that chooses which system calls the supervisor sees (classic BPF over struct seccomp_data)."""

from __future__ import annotations

import struct

from dmtable.control.exec.syscalls import IOCTL_TYPES, SUCCEEDING, TRAPPED, Architecture

ALLOW = 0x7FFF0000
NOTIFY = 0x7FC00000
SUCCEED = 0x00050000
"""SECCOMP_RET_ERRNO with errno 0: the call returns 0 and is not carried out."""

_LOAD_WORD = 0x20
_AND = 0x54
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06

_AT_NUMBER, _AT_ARCHITECTURE, _AT_SECOND_ARGUMENT = 0, 4, 24
_TYPE_BITS = 0xFF00

_INSTRUCTION = struct.Struct("<HBBI")


def filter_program(architecture: Architecture, *, as_root: bool = False) -> bytes:
    """The instructions (struct sock_filter). `as_root` lets the calls of SUCCEEDING succeed unseen."""
    ioctl = next(number for call in TRAPPED if call.name == "ioctl" and (number := architecture.number(call)))
    program = [
        (_LOAD_WORD, 0, 0, _AT_ARCHITECTURE),
        *_unless_equal(architecture.audit, ALLOW),
        (_LOAD_WORD, 0, 0, _AT_NUMBER),
    ]
    for call in TRAPPED:
        number = architecture.number(call)
        if number is not None and number != ioctl:
            program += _if_equal(number, NOTIFY)
    for call in SUCCEEDING if as_root else ():
        number = architecture.number(call)
        if number is not None:
            program += _if_equal(number, SUCCEED)
    program += _unless_equal(ioctl, ALLOW)
    program += [(_LOAD_WORD, 0, 0, _AT_SECOND_ARGUMENT), (_AND, 0, 0, _TYPE_BITS)]
    for kind in IOCTL_TYPES:
        program += _if_equal(kind << 8, NOTIFY)
    program.append((_RETURN, 0, 0, ALLOW))
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)


def _if_equal(value: int, action: int) -> list[tuple[int, int, int, int]]:
    return [(_JUMP_IF_EQUAL, 0, 1, value), (_RETURN, 0, 0, action)]


def _unless_equal(value: int, action: int) -> list[tuple[int, int, int, int]]:
    return [(_JUMP_IF_EQUAL, 1, 0, value), (_RETURN, 0, 0, action)]
