"""The words of a mirror (kernel: mirror_ctr, create_dirty_log and parse_features of dm-raid1.c)."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from dmtable.core.devices import Lookup
from dmtable.core.target import Area, Params
from dmtable.core.words import device_findings, sector_findings
from dmtable.dirtylog import kinds
from dmtable.dirtylog.log import LogParams, Place
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, refused
from dmtable.language.numbers import scan_sector, scan_u32

MAX_LEGS = 9
HANDLE_ERRORS, KEEP_LOG = "handle_errors", "keep_log"
_FEATURES = (HANDLE_ERRORS, KEEP_LOG)


@dataclass(frozen=True, slots=True)
class MirrorParams(Params):
    """`LOG #WORDS WORD… #LEGS {DEVICE OFFSET}… [#FEATURES FEATURE…]`: offsets in sectors."""

    log_kind: str
    log: LogParams
    legs: tuple[tuple[str, int], ...]
    handle_errors: bool = False
    keep_log: bool = False

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        log_count = scan_u32(words[1]) if len(words) > 1 else None
        if log_count is None or len(words) < 2 + log_count:
            return None, [_log_count_finding(words, log_count)]
        legs_at = 2 + log_count
        place = Place(length, 2, _no("Error creating mirror dirty log"), lookup)
        log, findings = kinds.inspect(words[0], words[2:legs_at], place)
        count = scan_u32(words[legs_at]) if len(words) > legs_at else None
        if count is None or not 2 <= count <= MAX_LEGS:
            return None, [*findings, _leg_count_finding(words, legs_at)]
        features_at = legs_at + 1 + 2 * count
        if len(words) < features_at:
            return None, [*findings, _few_legs_finding(words, legs_at, count)]
        for at in range(legs_at + 1, features_at, 2):
            offset_refusal = _no("Invalid offset")
            findings += sector_findings(rules.MIRROR_OFFSET, at + 1, words[at + 1], offset_refusal)
            findings += device_findings(at, words[at], lookup, partial(_no_number, "Device lookup failure"))
        findings += _feature_findings(words, features_at)
        if log is None or any(finding.refusal for finding in findings):
            return None, findings
        offsets = (scan_sector(word) or 0 for word in words[legs_at + 2 : features_at : 2])
        legs = tuple(zip(words[legs_at + 1 : features_at : 2], offsets, strict=True))
        features = words[features_at + 1 :]
        return cls(words[0], log, legs, HANDLE_ERRORS in features, KEEP_LOG in features), findings

    @property
    def features(self) -> list[str]:
        """The features, as the kernel prints them."""
        return [name for name, has in zip(_FEATURES, (self.handle_errors, self.keep_log), strict=True) if has]

    def words(self) -> list[str]:
        log = self.log.words()
        legs = [str(word) for leg in self.legs for word in leg]
        features = [str(len(self.features)), *self.features] if self.features else []
        return [self.log_kind, str(len(log)), *log, str(len(self.legs)), *legs, *features]

    def areas(self, length: int) -> Iterable[Area]:
        for area in self.log.areas(length):
            yield replace(area, word=2 + area.word)
        first = 3 + len(self.log.words())
        for index, (_device, offset) in enumerate(self.legs):
            yield Area(first + 2 * index, offset, length)


def _no(text: str) -> Refusal:
    return refused("mirror", errno.EINVAL, text)


def _no_number(text: str, number: int) -> Refusal:
    return refused("mirror", number, text)


def _log_count_finding(words: Sequence[str], count: int | None) -> Finding:
    if len(words) > 1 and count is None:
        what = f"{words[1]!r} is no number of words for the dirty log"
        return Finding(rules.MIRROR_LOG_COUNT, what, 1, refusal=_no("Invalid mirror log argument count"))
    what = "a mirror begins with its dirty log, the number of the log's words, and these words"
    if count is not None:
        what = f"the dirty log is said to have {count} words, and {len(words) - 2} follow in all"
    return Finding(rules.MIRROR_LOG_COUNT, what, 1, refusal=_no("Insufficient mirror log arguments"))


def _leg_count_finding(words: Sequence[str], at: int) -> Finding:
    what = f"{words[at]!r} is no number of legs" if len(words) > at else "the number of legs is missing"
    return Finding(rules.MIRROR_COUNT, what, at, refusal=_no("Invalid number of mirrors"))


def _few_legs_finding(words: Sequence[str], at: int, count: int) -> Finding:
    pairs, odd = divmod(len(words) - at - 1, 2)
    what = f"{count} legs and {pairs} pairs of device and offset" + (" and one word more" if odd else "")
    return Finding(rules.MIRROR_LEGS, what, at, refusal=_no("Too few mirror arguments"))


def _feature_findings(words: Sequence[str], at: int) -> Iterator[Finding]:
    """Judges what stands behind the legs."""
    if len(words) == at:
        return
    count, features = scan_u32(words[at]), words[at + 1 :]
    if count is None:
        what = f"{words[at]!r} is no number of features"
        yield Finding(rules.MIRROR_FEATURE_COUNT, what, at, refusal=_no("Invalid number of features"))
        return
    fix = ((at, str(len(features))),) if features and all(word in _FEATURES for word in features) else ()
    how = f"write {len(features)}" if fix else ""
    if count > len(features):
        what = f"{count} features are said to follow, and there are {len(features)}"
        text = _no("Not enough arguments to support feature count")
        yield Finding(rules.MIRROR_FEATURE_COUNT, what, at, how, text, fix)
        return
    for index, word in enumerate(features[:count], at + 1):
        if word not in _FEATURES:
            what = f"{word!r} is no feature of a mirror"
            yield Finding(rules.MIRROR_FEATURE, what, index, refusal=_no("Unrecognised feature requested"))
    if KEEP_LOG in features[:count] and HANDLE_ERRORS not in features[:count]:
        at_keep_log = at + 1 + features.index(KEEP_LOG)
        text = _no("keep_log feature requires the handle_errors feature")
        what = "keep_log changes how errors are handled, and without handle_errors they are not"
        yield Finding(rules.MIRROR_KEEP_LOG, what, at_keep_log, refusal=text)
    if count < len(features):
        what = f"behind the features stand {len(features) - count} more words"
        yield Finding(rules.MIRROR_FEATURE_COUNT, what, at + 1 + count, how, _no("Too many mirror arguments"), fix)
