"""What the words of the built-in logs have in common: a region size, and what is in sync at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from dmtable.dirtylog.log import Place
from dmtable.language import rules
from dmtable.language.diagnostics import Finding
from dmtable.language.numbers import scan_u32

_MOST_REGIONS = (1 << 32) - 1
"""The kernel counts regions in 32 bits, and silently loses the rest."""


class Sync(StrEnum):
    """What a log says of its regions when it resumes: what is stored, that all differ, or that none does."""

    STORED = ""
    NONE = "sync"
    ALL = "nosync"

    @property
    def words(self) -> list[str]:
        return [self.value] if self else []


def region_findings(words: Sequence[str], first: int, place: Place) -> Iterator[Finding]:
    """Judges `SIZE [sync|nosync]`, which begin at index `first` of the log's words (kernel: create_log_context)."""
    size = words[first]
    if len(words) > first + 1 and words[first + 1] not in (Sync.NONE, Sync.ALL):
        text = words[first + 1]
        refusal = place.refused(f"unrecognised sync argument to dirty region log: {text}")
        yield Finding(
            rules.DIRTY_LOG_SYNC, f"{text!r} is neither sync nor nosync", place.at + first + 1, refusal=refusal
        )
    if region_size(size, place.length) is None:
        what, how, fix = f"{size!r} is no region size", "", None
        number = scan_u32(size)
        if number is not None and number & (number - 1):
            fix = min(1 << number.bit_length(), 1 << place.length.bit_length() - 1)
            what, how = f"{size} is no power of two", f"write {fix}"
        elif number is not None and number > place.length:
            what = f"a region of {size} sectors is longer than the line, which has {place.length}"
        fixes = ((place.at + first, str(fix)),) if fix and fix > 1 else ()
        refusal = place.refused(f"invalid region size {size}")
        yield Finding(rules.REGION_SIZE, what, place.at + first, how if fixes else "", refusal, fixes)


def region_size(word: str, length: int) -> int | None:
    """The region size that a word is, None where the kernel refuses it for a line of this length."""
    size = scan_u32(word)
    if size is None or not 2 <= size <= length or size & (size - 1) or -(-length // size) > _MOST_REGIONS:
        return None
    return size


def count_finding(words: Sequence[str], least: int, place: Place, reason: str) -> Finding | None:
    """Judges the number of words: `least`, or one more."""
    if least <= len(words) <= least + 1:
        return None
    what = f"the dirty log has {len(words)} words and takes {least} or {least + 1}"
    return Finding(rules.DIRTY_LOG_COUNT, what, place.at - 1, refusal=place.refused(reason))
