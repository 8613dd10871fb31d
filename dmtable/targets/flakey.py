"""flakey: a device that works for some seconds and fails for some, in turn (kernel: dm-flakey.c, version 1.5.0)."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, Self

from dmtable.core.bio import Bio, Op
from dmtable.core.devices import Lookup
from dmtable.core.target import Area, Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.core.words import device_findings, sector_findings, u32_findings
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, refused
from dmtable.language.numbers import U32, scan_sector, scan_u32

_MOST_FEATURE_WORDS = 6

_OP_FLAGS = {Op.READ: 0, Op.WRITE: 1, Op.FLUSH: 2, Op.DISCARD: 3, Op.WRITE_ZEROES: 9}
"""The kernel's numbers of the operations, the low byte of a bio's flags."""
_SYNC_AND_IDLE = 1 << 11 | 1 << 15
"""What a direct write has set (kernel: REQ_SYNC, REQ_IDLE)."""
_FUA = 1 << 17


@dataclass(frozen=True, slots=True)
class Corruption:
    """Byte `nth` of a bio, from 1, becomes `value`, where the bio's flags include these."""

    nth: int
    write: bool
    value: int
    flags: int

    def words(self) -> list[str]:
        numbers = [str(self.nth), "w" if self.write else "r", str(self.value), str(self.flags)]
        return ["corrupt_bio_byte", *numbers]


@dataclass(frozen=True, slots=True)
class Features:
    """What happens while the device is down; where nothing is set, all I/O fails."""

    drop_writes: bool = False
    error_writes: bool = False
    corruption: Corruption | None = None

    def words(self) -> list[str]:
        words = ["drop_writes"] * self.drop_writes + ["error_writes"] * self.error_writes
        words += self.corruption.words() if self.corruption else []
        return [str(len(words)), *words]


@dataclass(frozen=True, slots=True)
class FlakeyParams(Params):
    """`DEVICE OFFSET UP DOWN [COUNT FEATURE…]`: the offset in sectors, the intervals in seconds."""

    device: str
    offset: int
    up: int
    down: int
    features: Features = Features()

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if len(words) < 4:
            what = f"flakey takes a device, its offset and two intervals, and has only {len(words)} of these words"
            return None, [Finding(rules.UNREAD_WORDS, what, 0, refusal=_no("Invalid argument count"))]
        features, wrong = read_features(words)
        findings = [
            *sector_findings(rules.FAULT_OFFSET, 1, words[1], _no("Invalid device sector")),
            *_interval_findings(words[2], words[3]),
            *wrong,
            *device_findings(0, words[0], lookup, lambda number: _no("Device lookup failed", number)),
        ]
        if any(finding.refusal for finding in findings):
            return None, findings
        offset, up, down = scan_sector(words[1]), scan_u32(words[2]), scan_u32(words[3])
        return cls(words[0], offset or 0, up or 0, down or 0, features), findings

    def words(self) -> list[str]:
        return [self.device, str(self.offset), str(self.up), str(self.down), *self.features.words()]

    def areas(self, length: int) -> Iterable[Area]:
        yield Area(0, self.offset, length)


class Flakey(Target):
    """Sector s of the target is sector `offset` + s of the device, while it is up; time counts from construction.

    Down, the features decide. A write is corrupted in a copy: its owner's memory stays what it is. Reads are
    corrupted as Linux documents it; 6.1 itself gives them back as they are.
    """

    name = "flakey"
    version = (1, 5, 0)
    params = FlakeyParams

    def __init__(self, context: Context, begin: int, length: int, params: FlakeyParams) -> None:
        super().__init__(context, begin, length)
        self._dm_dev = context.get_device(params.device)
        self._params = params
        self._born = context.runtime.now()
        self._spoiled_reads: set[Bio] = set()

    def map(self, bio: Bio) -> MapResult:
        if self._is_down():
            features = self._params.features
            spoils = features.corruption is not None and _matches(features.corruption, bio)
            if bio.op is Op.READ:
                if features == Features():
                    return MapResult.KILL
                if spoils:
                    self._spoiled_reads.add(bio)
            elif features.drop_writes:
                bio.complete()
                return MapResult.SUBMITTED
            elif features.error_writes or features.corruption is None:
                return MapResult.KILL
            elif spoils and bio.data is not None:
                bio.data = memoryview(bytearray(bio.data))
                _spoil(features.corruption, bio.data)
        bio.device = self._dm_dev.device
        if bio.sectors:
            bio.sector += self._params.offset - self.begin
        return MapResult.REMAPPED

    def end_io(self, bio: Bio) -> None:
        if bio in self._spoiled_reads:
            self._spoiled_reads.discard(bio)
            if not bio.error and bio.data is not None and self._params.features.corruption is not None:
                _spoil(self._params.features.corruption, bio.data)

    def status(self, kind: StatusKind) -> str:
        if kind is StatusKind.INFO:
            return ""
        # Every word is followed by a blank, the last one too.
        return " ".join([self._dm_dev.name, *self._params.words()[1:], ""])

    def iterate_devices(self) -> Iterable[DeviceRange]:
        yield DeviceRange(self._dm_dev, self._params.offset, self.length)

    def _is_down(self) -> bool:
        seconds = int(self.context.runtime.now() - self._born)
        return seconds % (self._params.up + self._params.down) >= self._params.up


def _matches(corruption: Corruption, bio: Bio) -> bool:
    if corruption.write == (bio.op is Op.READ):
        return False
    flags = _OP_FLAGS[bio.op] | (_SYNC_AND_IDLE if bio.op is Op.WRITE else 0) | (_FUA if bio.fua else 0)
    return flags & corruption.flags == corruption.flags


def _spoil(corruption: Corruption, data: memoryview) -> None:
    if corruption.nth <= len(data):
        data[corruption.nth - 1] = corruption.value


def _no(text: str, number: int = errno.EINVAL) -> Refusal:
    return refused("flakey", number, text)


def _interval_findings(up_word: str, down_word: str) -> Iterator[Finding]:
    # The kernel gives the same text for both.
    for word, text in ((2, up_word), (3, down_word)):
        yield from u32_findings(rules.FLAKEY_INTERVALS, word, text, "a number of seconds", _no("Invalid up interval"))
    up, down = scan_u32(up_word), scan_u32(down_word)
    if up is None or down is None:
        return
    if (up + down) % U32 == 0:
        what = "an interval must not be empty: up and down are 0 seconds together, modulo 2^32"
        yield Finding(rules.FLAKEY_INTERVALS, what, 3, refusal=_no("Total (up + down) interval is zero"))
    elif up + down >= U32:
        what = f"{up} and {down} seconds are more than 32 bits together"
        yield Finding(rules.FLAKEY_INTERVALS, what, 3, refusal=_no("Interval overflow"))


def read_features(words: Sequence[str]) -> tuple[Features, list[Finding]]:
    """The features behind a line's four first words, and what is wrong with them: only the first fault is told."""
    if len(words) == 4:
        return Features(), []
    reader = _FeatureReader(words)
    try:
        return reader.read(), reader.wraps
    except _Misfit as misfit:
        return Features(), [*reader.wraps, misfit.finding]


class _Misfit(Exception):
    """The features do not go on as they must."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


class _FeatureReader:
    """Reads the features as the kernel does, which takes no notice of words behind those that it counts."""

    def __init__(self, words: Sequence[str]) -> None:
        self.wraps: list[Finding] = []
        self._words = words
        self._at = 4
        self._left = 0

    def read(self) -> Features:
        self._left = self._number("a number of words", 0, _MOST_FEATURE_WORDS, "Invalid number of feature args")
        if self._left > len(self._words) - 5:
            what = f"{self._left} words should follow, and there are {len(self._words) - 5}"
            self._misfit(what, 4, "Invalid number of feature args")
        drops = errors = False
        corruption: Corruption | None = None
        # A feature may take more words than are left: then the rest is read to the end, and one word is missing.
        while self._left:
            name = self._take(None, "Insufficient feature arguments").lower()
            if name == "drop_writes":
                self._once("drop_writes", drops, "error_writes", errors)
                drops = True
            elif name == "error_writes":
                self._once("error_writes", errors, "drop_writes", drops)
                errors = True
            elif name == "corrupt_bio_byte":
                if not self._left:
                    what = "corrupt_bio_byte needs four words more, and the count leaves none"
                    self._misfit(what, self._at - 1, "Feature corrupt_bio_byte requires parameters")
                corruption = self._corruption()
            else:
                what = f"flakey has no feature {self._words[self._at - 1]!r}"
                self._misfit(what, self._at - 1, "Unrecognised flakey feature requested")
        if corruption is not None and corruption.write and (drops or errors):
            name = "drop_writes" if drops else "error_writes"
            text = f"{name} is incompatible with corrupt_bio_byte with the WRITE flag set"
            self._misfit(f"{name} leaves no write to be corrupted", 4, text)
        return Features(drops, errors, corruption)

    def _corruption(self) -> Corruption:
        nth = self._number("the number of a byte, from 1", 1, U32 - 1, "Invalid corrupt bio byte")
        text = "Invalid corrupt bio direction (r or w)"
        direction = self._take("r or w", text).lower()
        if direction not in ("r", "w"):
            self._misfit(f"{direction!r} is neither r nor w", self._at - 1, text)
        text = "Invalid corrupt value to write into bio byte (0-255)"
        value = self._number("a byte's value, 0 to 255", 0, 255, text)
        flags = self._number("a mask of flags", 0, U32 - 1, "Invalid corrupt bio flags mask")
        self._left -= 4
        return Corruption(nth, direction == "w", value, flags)

    def _once(self, name: str, again: bool, other: str, conflict: bool) -> None:
        if again:
            self._misfit(f"{name} stands there twice", self._at - 1, f"Feature {name} duplicated")
        if conflict:
            text = f"Feature {name} conflicts with feature {other}"
            self._misfit(f"{name} and {other} exclude each other", self._at - 1, text)

    def _number(self, meaning: str, least: int, most: int, text: str) -> int:
        at = self._at
        word = self._words[at] if at < len(self._words) else self._missing(meaning, text)
        self._at += 1
        value = scan_u32(word)
        if value is None or not least <= value <= most:
            self._misfit(f"{word!r} is not {meaning}", at, text)
        self.wraps += u32_findings(rules.FLAKEY_FEATURES, at, word, meaning, _no(text))
        return value

    def _take(self, meaning: str | None, text: str) -> str:
        if self._at == len(self._words):
            self._missing(meaning or "another feature", text)
        self._at += 1
        if meaning is None:
            self._left -= 1
        return self._words[self._at - 1]

    def _missing(self, meaning: str, text: str) -> NoReturn:
        self._misfit(f"the line ends where {meaning} should stand", 4, text)

    def _misfit(self, what: str, word: int, text: str) -> NoReturn:
        raise _Misfit(Finding(rules.FLAKEY_FEATURES, what, word, refusal=_no(text)))
