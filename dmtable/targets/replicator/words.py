"""replicator and replicator-dev: the words of both dialects, judged and typed.

The slides of 2008 put the log and every site with its device and dirty log on one line:

    replicator LOG COUNT DEVICE START [MODE [SIZE]]
               { SLINK COUNT NUMBER [POLICY [LIMIT]]  COUNT DEV_NR DEVICE  DIRTY_LOG COUNT … }…

The code of 2009 splits this into a control device with the log and the bare site links, and one
`replicator-dev` for each device:

    replicator LOG COUNT DEVICE START [MODE [SIZE]]  { SLINK COUNT NUMBER [POLICY [LIMIT]] }…
    replicator-dev CONTROL DEV_NR { NUMBER COUNT DEVICE  DIRTY_LOG COUNT … }…

A count is right when it is the number of words that follow for its part, the number of the site link or device among
them. That is how the code of 2009 counts everything, and how the slides count devices and logs; only their site links
(`local 2 0 async ios=0`) leave the link's number out, and one of their logs declares a size that is not there. These
two are found and understood. Any other count that is off is refused, as it was, and can be mended.

A disk log's device and region size are read in either order: the slides print the size first.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from dmtable.core.devices import Lookup
from dmtable.core.target import Area, Params
from dmtable.language import rules
from dmtable.language.diagnostics import Finding
from dmtable.targets.replicator.parts import (
    LOCAL_SITE,
    MAX_SITE,
    MIN_REGION_SECTORS,
    RING_KINDS,
    CopyWords,
    LogWords,
    SiteWords,
    copy_areas,
    read_log,
    read_remote_copy,
    read_site,
)
from dmtable.targets.replicator.reading import Misfit, Reader

_FEWEST_REGIONS = 4
_SMALL_RING_SECTORS = 32768
"""16 MiB: a second's writes of one busy disk."""


@dataclass(frozen=True, slots=True)
class ReplicatorParams(Params):
    """A log and its sites. Every site has a `copy`, or none has: then `replicator-dev` lines bring the devices."""

    log: LogWords
    sites: tuple[SiteWords, ...]

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        reader = Reader("replicator", words, lookup)
        sites: list[SiteWords] = []
        try:
            log = _read_only_log(reader)
            while reader.left or not sites:
                first = reader.at
                has_device = sites[0].copy is not None if sites else None
                site = read_site(reader, has_device=has_device, length=length)
                reader.findings += _number_findings(reader, site, sites, first + 2)
                if site.copy:
                    device_at = first + len(site.link_words())
                    reader.findings += _copy_findings(reader, site.copy, sites, device_at, length)
                sites.append(site)
        except Misfit:
            return None, reader.findings
        if log is not None:
            reader.findings += _ring_findings(log, sites)
        return (None if log is None or reader.refused else cls(log, tuple(sites))), reader.findings

    @property
    def in_line(self) -> bool:
        """Whether this is the slides' dialect: the line is a device of the group, and not its control device."""
        return self.sites[0].copy is not None

    def words(self) -> list[str]:
        return [*self.log.words(), *(word for site in self.sites for word in site.words())]

    def areas(self, length: int) -> Iterable[Area]:
        """Of the devices and dirty logs. The log is shared by all tables of its group, and judges its own room."""
        at = len(self.log.words())
        for site in self.sites:
            for area in site.areas(length):
                yield replace(area, word=at + area.word)
            at += len(site.words())


@dataclass(frozen=True, slots=True)
class ReplicatorDevParams(Params):
    """One device of a group: its control device, its number, and its (site, copy) pairs."""

    control: str
    number: int
    copies: tuple[tuple[int, CopyWords], ...]

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        reader = Reader("replicator-dev", words, lookup)
        copies: list[tuple[int, CopyWords]] = []
        try:
            control, number = _read_device_head(reader)
            while reader.left or not copies:
                _judge_rest(reader, copies)
                first = reader.at
                site, copy = read_remote_copy(reader, number, length)
                reader.findings += _dev_findings(reader, site, copy, copies, first, length)
                copies.append((site, copy))
        except Misfit:
            return None, reader.findings
        return (None if reader.refused else cls(control, number, tuple(copies))), reader.findings

    def words(self) -> list[str]:
        words = [self.control, str(self.number)]
        for site, copy in self.copies:
            words += [str(site), "1", copy.device, *copy.dirty_log.words()]
        return words

    def areas(self, length: int) -> Iterable[Area]:
        """Of the devices and dirty logs."""
        at = 2
        for _site, copy in self.copies:
            for area in copy_areas(copy, length):
                yield replace(area, word=at + area.word)
            at += 3 + len(copy.dirty_log.words())


# ---- replicator


def _read_only_log(reader: Reader) -> LogWords | None:
    """The log, behind which at least a site link must stand; None where its parameters are refused."""
    if reader.left < 3:
        reader.at = reader.left
        reader.misfit("the line ends where the log belongs" if reader.at else "the line has no words")
    log = read_log(reader)
    if reader.left < 2:
        which = "site link" if reader.left else "log"
        reader.otherwise = reader.refusal(f"Invalid replicator {which} parameter number")
        reader.misfit("the line ends where a site link belongs", len(reader.words))
    return log


def _number_findings(reader: Reader, site: SiteWords, others: Sequence[SiteWords], word: int) -> Iterator[Finding]:
    no = partial(reader.refusal, "Cannot create site link context")
    if site.number > MAX_SITE:
        what = f"sites have numbers up to {MAX_SITE}, not {site.number}"
        yield Finding(rules.REPLICATOR_SITE, what, word, refusal=no())
    elif not others and site.number != LOCAL_SITE:
        what = f"the first site link is {site.number}, and must be the local one, 0"
        yield Finding(rules.REPLICATOR_SITE, what, word, refusal=no(errno.EPERM))
    elif any(site.number == other.number for other in others):
        refusal = reader.refusal("slink already existing", errno.EPERM)
        yield Finding(rules.REPLICATOR_SITE, f"there is a site link {site.number} before", word, refusal=refusal)


def _copy_findings(
    reader: Reader, copy: CopyWords, others: Sequence[SiteWords], at: int, length: int
) -> Iterator[Finding]:
    """Judges a site's device, whose count stands at word `at`, against the local one."""
    local = others[0].copy if others else None
    if local is not None and local.number != copy.number:
        what = f"this is device {copy.number} of the group, and the local one is device {local.number}"
        no = reader.refusal("Failed to add device to site link", errno.ENODEV)
        fix = ((at + 1, str(local.number)),)
        yield Finding(rules.REPLICATOR_DEVICE, what, at + 1, f"write {local.number}", no, fix)
    yield from _region_findings(copy, at + 5, length)


def _region_findings(copy: CopyWords, first: int, length: int) -> Iterator[Finding]:
    """Judges a region size that anybody would take; the dirty log's parameters begin at word `first`."""
    size = copy.dirty_log.region_sectors
    if size is not None and size > MIN_REGION_SECTORS and size * (_FEWEST_REGIONS - 1) >= length:
        count = -(-length // size)
        what = f"the device has {count} region{'s' if count > 1 else ''} of {size} sectors, copied as a whole or not"
        words = copy.dirty_log.words()[2:]
        yield Finding(rules.HUGE_REGION, what, first + words.index(str(size)) if str(size) in words else first)


def _ring_findings(log: LogWords, sites: Sequence[SiteWords]) -> Iterator[Finding]:
    """A small ring, and a site whose entries it would drop with nothing to slow the writers down."""
    words = log.words()
    if log.kind not in RING_KINDS or len(words) < 6 or int(words[5]) >= _SMALL_RING_SECTORS:
        return
    at = len(words)
    for site in sites:
        is_limited = site.fall_behind is not None and site.fall_behind.limit
        if site.number and not (site.policy.synchronous or site.policy.stall or is_limited):
            what = f"site {site.number} may fall behind without limit, and the log holds {words[5]} sectors"
            yield Finding(rules.SMALL_RING, what, at + 2)
        at += len(site.words())


# ---- replicator-dev


def _read_device_head(reader: Reader) -> tuple[str, int]:
    if reader.left < 7:
        reader.otherwise = reader.refusal("Not enough device arguments")
        reader.misfit(f"the line has {reader.left} words of at least 7", len(reader.words))
    control = reader.device(
        "the control device", lambda number: reader.refusal("Can't access replicator control device", number)
    )
    reader.otherwise = reader.refusal("Invalid device number argument")
    return control, reader.number("the number of the device")


def _judge_rest(reader: Reader, copies: Sequence[object]) -> None:
    if copies and reader.left < 5:
        reader.otherwise = reader.refusal("Invalid device arguments")
        reader.misfit("what stands behind the last site is too short for another one")


def _dev_findings(
    reader: Reader, site: int, copy: CopyWords, others: Sequence[tuple[int, CopyWords]], at: int, length: int
) -> Iterator[Finding]:
    """Judges a copy whose site's number stands at word `at`."""
    no = partial(reader.refusal, "Failed to add device to site link")
    size = copy.dirty_log.region_sectors
    sizes = [other.dirty_log.region_sectors for _, other in others if other.dirty_log.region_sectors]
    if site > MAX_SITE:
        refusal = reader.refusal("Cannot find site link context", errno.ENOENT)
        yield Finding(rules.REPLICATOR_SITE, f"sites have numbers up to {MAX_SITE}, not {site}", at, refusal=refusal)
    elif not others and site != LOCAL_SITE:
        what = f"the first site is {site}, and must be the local one, 0"
        yield Finding(rules.REPLICATOR_SITE, what, at, refusal=no(errno.ENODEV))
    elif any(site == number for number, _ in others):
        yield Finding(rules.REPLICATOR_SITE, f"site {site} stands before", at, refusal=no(errno.EBUSY))
    elif size is not None and size < MIN_REGION_SECTORS:
        what = f"a region has at least {MIN_REGION_SECTORS} sectors here, not {size}"
        yield Finding(rules.REPLICATOR_DEVICE, what, at + 3, refusal=no())
    elif size is not None and sizes and size != sizes[0]:
        what = f"all regions of a group are of one size here, {size} and not {sizes[0]}"
        yield Finding(rules.REPLICATOR_DEVICE, what, at + 3, refusal=no())
    yield from _region_findings(copy, at + 5, length)
