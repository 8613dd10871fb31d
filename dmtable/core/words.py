"""What the words of several targets have in common: a sector number, and a device."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from dmtable.core.devices import Lookup, read_number
from dmtable.errors import DeviceLookupError, NoLiveTableError, NotBlockDeviceError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, Rule
from dmtable.language.numbers import scan_sector, scan_u32

_RULE_OF_ERROR = {NotBlockDeviceError: rules.NOT_BLOCK, NoLiveTableError: rules.NO_TABLE_BELOW}
_RULE_OF_ERRNO = {
    errno.ENXIO: rules.NO_SUCH_NUMBER,
    errno.EOVERFLOW: rules.DEVICE_NUMBER_RANGE,
    errno.EINVAL: rules.LOOP,
}


def sector_findings(rule: Rule, word: int, text: str, refusal: Refusal) -> Iterator[Finding]:
    """Judges a word that the kernel reads with `%llu`: digits only, and silently modulo 2^64."""
    value = scan_sector(text)
    if value is None:
        fix: tuple[tuple[int, str], ...] = ()
        how = ""
        if meant := _meant(text):
            fix, how = ((word, meant),), f"write {meant}"
        yield Finding(rule, f"{text!r} is not a number of sectors", word, how, refusal, fix)
    elif text.lstrip("0") != str(value).lstrip("0"):
        yield Finding(rules.NUMBER_WRAPS, f"{text} is more than 64 bits: the kernel takes it for {value}", word)


def u32_findings(rule: Rule, word: int, text: str, what: str, refusal: Refusal) -> Iterator[Finding]:
    """Judges a word that the kernel reads with `%u`: digits only, and silently modulo 2^32."""
    value = scan_u32(text)
    if value is None:
        yield Finding(rule, f"{text!r} is not {what}", word, refusal=refusal)
    elif text.lstrip("0") != str(value).lstrip("0"):
        yield Finding(rules.WRAPS_AT_32_BITS, f"{text} is more than 32 bits: the kernel takes it for {value}", word)


def device_findings(
    word: int, text: str, lookup: Lookup | None, refusal: Callable[[int], Refusal | None]
) -> Iterator[Finding]:
    """Judges a word that names a device; `refusal` words the target's own refusal for an errno."""
    try:
        number = read_number(text)
        if number is not None and ":" not in text:
            what = f"{text!r} is no path: the kernel reads it in hexadecimal, as device {number[0]}:{number[1]}"
            yield Finding(rules.HEX_DEVICE, what, word, f"write {number[0]}:{number[1]}, or the device's path")
        if lookup is not None:
            lookup(text)
    except DeviceLookupError as error:
        rule = _RULE_OF_ERROR.get(type(error)) or _RULE_OF_ERRNO.get(error.errno, rules.NO_SUCH_DEVICE)
        yield Finding(rule, error.text, word, refusal=refusal(error.errno))


def _meant(text: str) -> str | None:
    """The number that a hexadecimal or signed word surely means, in decimal."""
    try:
        if text[:2].lower() == "0x":
            return str(int(text, 16))
        return str(int(text)) if text[:1] == "+" and text[1:].isascii() and text[1:].isdigit() else None
    except ValueError:
        return None
