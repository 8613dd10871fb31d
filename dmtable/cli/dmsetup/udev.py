"""The verbs about udev transactions, on a machine without udev: there are none, and nothing waits for them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.values import read_cookie
from dmtable.errors import DmsetupError
from dmtable.language.numbers import atoi

_FLAG_SHIFT = 16
_DM_FLAGS = (
    "DISABLE_DM_RULES",
    "DISABLE_SUBSYSTEM_RULES",
    "DISABLE_DISK_RULES",
    "DISABLE_OTHER_RULES",
    "LOW_PRIORITY",
    "DISABLE_LIBRARY_FALLBACK",
    "PRIMARY_SOURCE",
)
_SUBSYSTEM_SHIFT = 8
"""The flags from here on are a subsystem's own."""
_PREFIX = 0x0D4D
_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]")


def udevcreatecookie(session: Session, operands: Sequence[str]) -> None:
    session.libdm.use_no_udev()


def udevreleasecookie(session: Session, operands: Sequence[str]) -> None:
    if operands:
        _cookie(session, operands[0])
    elif not session.cookie:
        raise DmsetupError("No udev transaction cookie given.")
    session.libdm.use_no_udev()


def udevflags(session: Session, operand: Sequence[str]) -> None:
    """Prints the flags of a cookie, as udev's rules import them."""
    flags = _cookie(session, operand[0]) >> _FLAG_SHIFT
    for bit in range(_FLAG_SHIFT):
        if flags >> bit & 1:
            session.out(f"{_flag_name(bit)}='1'\n")


def udevcomplete(session: Session, operands: Sequence[str]) -> None:
    cookie = _cookie(session, operands[0])
    session.out(f"DM_COOKIE_COMPLETED={f'0x{cookie:x}':<12}\n")


def udevcomplete_all(session: Session, operands: Sequence[str]) -> None:
    """Asks first, unless told that the answer is yes."""
    if operands and not _NUMBER.match(operands[0]):
        raise DmsetupError("Failed to read age_in_minutes parameter.")
    minutes = atoi(operands[0]) % (1 << 32) if operands else 0
    keyed = f"{_PREFIX} (0x{_PREFIX:x})"
    if "yes" not in session.options:
        older = f"older than {minutes} minutes " if minutes else ""
        what = f"all semaphores {older}with keys that have a prefix {keyed}"
        session.libdm.complain(f"WARNING: This operation will destroy {what}.")
        if not _is_wanted(session):
            session.out(f"Semaphores with keys prefixed by {keyed} NOT destroyed.\n")
            return
    session.out(f"0 semaphores with keys prefixed by {keyed} destroyed. 0 skipped.\n")


def udevcookies(session: Session, operands: Sequence[str]) -> None:
    session.out("Cookie       Semid      Value      Last semop time           Last change time\n")


def _is_wanted(session: Session) -> bool:
    """The last y or n of the first line that has one; the end of input is a no."""
    while True:
        session.out("Do you really want to continue? [y/n]: ")
        line = session.stdin.readline()
        if not line.endswith("\n"):
            session.out("\n")
            return False
        if letters := [letter for letter in line.lower() if letter in "yn"]:
            return letters[-1] == "y"


def _cookie(session: Session, word: str) -> int:
    try:
        return read_cookie(word)
    except ValueError as error:
        raise session.libdm.failed(str(error)) from None


def _flag_name(bit: int) -> str:
    if bit < len(_DM_FLAGS):
        return f"DM_UDEV_{_DM_FLAGS[bit]}_FLAG"
    return f"DM_UDEV_FLAG{bit}" if bit < _SUBSYSTEM_SHIFT else f"DM_SUBSYSTEM_UDEV_FLAG{bit - _SUBSYSTEM_SHIFT}"
