r"""How libdm writes names and UUIDs for the kernel: a byte outside its whitelist becomes `\xNN`.

The kernel would take any name; udev and the nodes under /dev/mapper would not. Everything here works on
UTF-8 bytes, as libdm does. Source: libdm 1.02.185, recorded in fixtures/kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from dmtable.errors import DmsetupError


class MangleMode(StrEnum):
    """`dmsetup --manglename`: auto leaves alone what is mangled already, hex mangles always, none never."""

    NONE = "none"
    AUTO = "auto"
    HEX = "hex"


@dataclass(frozen=True, slots=True)
class Field:
    """One of the four strings that are mangled: its limit in bytes, and its part in libdm's messages."""

    label: str
    limit: int
    too_long: str
    failed: str


NAME = Field("name", 127, 'Name "{}" too long.', 'Failed to mangle device name "{}".')
UUID = Field("UUID", 128, "", 'Failed to mangle device uuid "{}".')
NEW_NAME = Field("new name", 127, 'Name "{}" too long', 'Failed to mangle new device name "{}"')
NEW_UUID = Field("new UUID", 128, 'Uuid "{}" too long', 'Failed to mangle new device UUID "{}"')

_TWICE = b"\\x5cx"
_ODD = re.compile(rb"[^0-9A-Za-z#+\-.:=@_]")
_BLACKLISTED = re.compile(rb"[^0-9A-Za-z#+\-.:=@_\\]")
_SEQUENCE = re.compile(rb"\\x..", re.DOTALL)
# What is read back is scanf's `%2x` (blanks, a sign, one digit, all allowed); what is consumed is four bytes.
_CODE = re.compile(rb"\\x(?:(?=[ \t\n\v\f\r]*([0-9A-Fa-f]{1,2}|[+-][0-9A-Fa-f]))|).{0,2}", re.DOTALL)
_LEFT_OVER = b"\xfd"
"""What stands in the variable for that code as long as none was read."""


class MangleError(DmsetupError):
    """A name or UUID that libdm does not mangle, or does not show; the message is its own."""


class MangledTwice(MangleError):
    """The text was mangled more than once, it seems, which `auto` refuses."""


def mangle(text: str, mode: MangleMode, field: Field = NAME) -> str:
    """The form that goes to the kernel. Raises MangleError where libdm would refuse the text."""
    data = text.encode("utf-8", "surrogateescape")
    if field.too_long and len(data) > field.limit:
        raise MangleError(field.too_long.format(text))
    if mode is MangleMode.NONE:
        return _decoded(data[: field.limit])
    if mode is MangleMode.AUTO:
        _refuse_twice(data, text, field)
        return corrected(text, field)
    return _fitting(_hex(data), text, field)


def corrected(text: str, field: Field = NAME) -> str:
    """The form that a name or UUID of the kernel should have: mangled unless it is. Raises MangleError."""
    data = text.encode("utf-8", "surrogateescape")
    rest, sequences = _SEQUENCE.subn(b"_", data)
    if _ODD.search(rest) and (sequences or b"\\x" in rest):
        reason = "contains mixed mangled and unmangled characters or it's already mangled improperly."
        raise MangleError(f'The {field.label} "{text}" {reason}\n{field.failed.format(text)}')
    return _fitting(data if sequences else _hex(data), text, field)


def reverted(text: str) -> str:
    """A name or UUID of the kernel without one mangling, whatever else it contains."""
    data = text.encode("utf-8", "surrogateescape")
    last = _LEFT_OVER

    def meant(code: re.Match[bytes]) -> bytes:
        nonlocal last
        if code[1]:
            last = bytes([int(code[1], 16) & 0xFF])
        elif code[0] != b"\\x":
            return code[0]
        return last  # Where the text ends behind the x, scanf leaves the code that was read before.

    return _decoded(_CODE.sub(meant, data).partition(b"\0")[0])


def is_mangled_twice(text: str) -> bool:
    """Whether it seems that text was mangled more than once."""
    return _TWICE.decode() in text


def unmangle(text: str, mode: MangleMode, field: Field = NAME) -> str:
    """The form that is shown for what the kernel has. Raises MangleError for what libdm does not show."""
    if mode is MangleMode.NONE:
        return text
    data = text.encode("utf-8", "surrogateescape")
    if mode is MangleMode.AUTO:
        _refuse_twice(data, text, field)
    if _BLACKLISTED.search(_CODE.sub(b"_", data)):
        raise MangleError(f'The {field.label} "{text}" should be mangled but it contains blacklisted characters.')
    return reverted(text)


def _refuse_twice(data: bytes, text: str, field: Field) -> None:
    if _TWICE in data:
        reason = "seems to be mangled more than once. This is not allowed in auto mode."
        raise MangledTwice(f'The {field.label} "{text}" {reason}')


def _fitting(mangled: bytes, text: str, field: Field) -> str:
    if len(mangled) > field.limit:
        reason = f'Mangled form of the {field.label} too long for "{text}".'
        raise MangleError(f"{reason}\n{field.failed.format(text)}")
    return _decoded(mangled)


def _hex(data: bytes) -> bytes:
    return _ODD.sub(lambda odd: b"\\x%02x" % odd[0][0], data)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
