"""The parts of a replicator line: its log, its site links, and each device with its dirty log.

The words say by themselves where each part ends, so a wrong count never hides what follows it; where words are of a
kind that is not known here, the count is believed. What is `written` are a part's words as they stood in the line;
it is printed again, and takes no part in comparisons. Without it a part is written in full words.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from dmtable.core.target import Area
from dmtable.dirtylog import kinds as dirty_log_kinds
from dmtable.dirtylog.log import LogParams, Place
from dmtable.language import rules
from dmtable.language.diagnostics import Finding
from dmtable.replog import kinds as replog_kinds
from dmtable.replog.log import LogPlace, ReplogParams
from dmtable.slink import kinds as slink_kinds
from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.slink.words import judge_together, limit_words, policy_words, read_limit, read_policy
from dmtable.targets.replicator.reading import Count, Reader, is_number, is_uri

LOCAL_SITE = 0
MAX_SITE = 2047
"""A log's entries have a bit for each site up to this number (kernel: slink bitmap of the ring's data header)."""
RING_KINDS = frozenset({"ringbuffer", "default", "replog"})
NODE_KINDS = frozenset({"blockdev", "local"})
"""The site links that reach devices by their nodes; other kinds' words are none that anybody could look up."""
ASYNCHRONOUS = Policy()
"""Where a table names no policy."""
NO_DIRTY_LOG = ("-", "nolog")
MIN_REGION_SECTORS = 2048
"""What the code of 2009 asks of a region: that no entry is longer."""

_LOG_REFUSED = "Cannot create replication log context"
_LINK_REFUSED = "Cannot create site link context"
_DEVICE_REFUSED = "Failed to add device to site link"
_MODES = ("create", "open", "auto")
_BLOCK_SECTORS = 8
"""Dirty logs write whole logical blocks, and those of most devices fit into 4 KiB."""
_LIMIT_IN_ONE = re.compile(r"[A-Za-z]+=.*")
_SUB_SECOND = 1000


@dataclass(frozen=True, slots=True)
class LogWords:
    """A replication log: its kind as it was called, and its parameters."""

    kind: str
    params: ReplogParams
    written: tuple[str, ...] | None = field(default=None, compare=False)

    def words(self) -> list[str]:
        return _counted(self.kind, self.params.words() if self.written is None else self.written)


@dataclass(frozen=True, slots=True)
class DirtyLogWords:
    """A dirty log; `-` and `nolog` say that there is none, and have no parameters."""

    kind: str
    params: LogParams | None = None
    written: tuple[str, ...] | None = field(default=None, compare=False)

    def words(self) -> list[str]:
        return _counted(self.kind, self._words())

    @property
    def region_sectors(self) -> int | None:
        """The size of a region, where the kind has one."""
        return getattr(self.params, "region_size", None)

    def areas(self, length: int) -> Iterator[Area]:
        """The sectors of its devices; their words are counted from its kind on."""
        if self.params is not None:
            words = self.params.words()
            for area in self.params.areas(length):
                length = -(-area.length // _BLOCK_SECTORS) * _BLOCK_SECTORS
                yield replace(area, word=2 + self._words().index(words[area.word]), length=length)

    def _words(self) -> list[str]:
        if self.written is not None:
            return list(self.written)
        return self.params.words() if self.params else []


@dataclass(frozen=True, slots=True)
class CopyWords:
    """One device of the group at one site, and the dirty log that remembers what this copy still lacks."""

    number: int
    device: str
    dirty_log: DirtyLogWords


@dataclass(frozen=True, slots=True)
class SiteWords:
    """A site link, and in the slides' dialect the site's device."""

    kind: str
    number: int
    policy: Policy = ASYNCHRONOUS
    fall_behind: FallBehind | None = None
    copy: CopyWords | None = None
    written: tuple[str, ...] | None = field(default=None, compare=False)
    """Policy and limit."""

    def words(self) -> list[str]:
        return self.link_words() + self.copy_words()

    def link_words(self) -> list[str]:
        """Without the device."""
        given = [policy_words(self.policy), *self._limit_words()] if self.written is None else self.written
        return _counted(self.kind, [self.number, *given])

    def copy_words(self) -> list[str]:
        """The device alone, as in the slides."""
        if self.copy is None:
            return []
        return ["2", str(self.copy.number), self.copy.device, *self.copy.dirty_log.words()]

    def _limit_words(self) -> tuple[str, ...]:
        """In one word in the slides' dialect, in two in that of 2009."""
        words = limit_words(self.fall_behind)
        return ("=".join(words),) if words and self.copy else words

    def areas(self, length: int) -> Iterator[Area]:
        """The sectors that the site's device and dirty log use; words are counted from the link's kind on."""
        if self.copy is not None:
            at = len(self.link_words())
            if self.kind in NODE_KINDS:
                yield from _device_area(at + 2, self.copy.device, length)
            for area in self.copy.dirty_log.areas(length):
                yield replace(area, word=at + 3 + area.word)


def copy_areas(copy: CopyWords, length: int) -> Iterator[Area]:
    """The sectors that a copy of `replicator-dev` uses; words are counted from its site's number on."""
    yield from _device_area(2, copy.device, length)
    for area in copy.dirty_log.areas(length):
        yield replace(area, word=3 + area.word)


def _device_area(word: int, device: str, length: int) -> Iterable[Area]:
    return () if is_uri(device) else (Area(word, 0, length),)


def _counted(kind: str, words: Iterable[object]) -> list[str]:
    given = [*map(str, words)]
    return [kind, str(len(given)), *given]


# ---- the log


def read_log(reader: Reader) -> LogWords | None:
    """The log's part; None where its parameters are refused."""
    no_count = reader.refusal("Invalid replicator log parameter number")
    at = reader.at
    reader.otherwise = reader.refusal(_LOG_REFUSED, errno.ENOENT)
    kind = reader.kind("the type of the log")
    reader.otherwise = no_count
    count = reader.count("the number of log parameters")
    reader.otherwise = reader.refusal(_LOG_REFUSED)
    if kind not in replog_kinds.KINDS:
        known = ", ".join(replog_kinds.KINDS.names())
        what = f"{kind!r} is no type of replication log; there are {known}"
        reader.find(rules.REPLICATOR_KIND, what, at, reader.refusal(_LOG_REFUSED, errno.ENOENT))
    first = reader.at
    if kind in RING_KINDS:
        _read_ring(reader, count)
        is_open = reader.at == first + 3 and "open".startswith(reader.words[reader.at - 1])
        count.judge(rules.REPLICATOR_LOG_COUNT, "the log", no_count, understood=4 if is_open else None)
    else:
        reader.take_some(count.declared, "a word of the log")
    written = tuple(reader.words[first : reader.at])
    log = replog_kinds.KINDS.find(kind)
    if log is None:
        return None
    is_refused = reader.refused
    place = LogPlace(first, reader.refusal(_LOG_REFUSED), None if is_refused else reader.lookup)
    params, findings = log.params.inspect(written, place)
    known_places = {(finding.rule, finding.word) for finding in reader.findings}
    reader.findings += [each for each in findings if (each.rule, each.word) not in known_places]
    return None if params is None else LogWords(kind, params, written)


def _read_ring(reader: Reader, count: Count) -> None:
    reader.device("the log's device", lambda number: reader.refusal("Can't access replicator control device", number))
    reader.number("the log's first sector")
    if reader.take_if(lambda word: any(name.startswith(word) for name in _MODES)):
        reader.take_if(is_number)
    elif not count.undeclared and reader.next is not None and reader.next not in slink_kinds.KINDS:
        # A mode that nobody knows: the log will say so.
        reader.take_some(min(count.declared - 2, reader.left), "a word of the log")


# ---- site links


def read_site(reader: Reader, *, has_device: bool | None, length: int) -> SiteWords:
    """A site link, and its device where `has_device` says so; None leaves it to the words."""
    at = reader.at
    no_count = reader.otherwise = reader.refusal("Invalid site link parameter number argument")
    kind = reader.kind("the type of a site link")
    if kind not in slink_kinds.KINDS:
        what = f"{kind!r} is no type of site link; there are {', '.join(slink_kinds.KINDS.names())}"
        reader.find(rules.REPLICATOR_KIND, what, at, reader.refusal(_LINK_REFUSED, errno.ENOENT))
    count = reader.count("the number of site link parameters")
    reader.otherwise = reader.refusal("Invalid site link number argument")
    number = reader.number("the number of the site link")
    first = reader.at
    policy, limit = _read_policy(reader, count)
    written = tuple(reader.words[first : reader.at])
    if has_device is None:
        has_device = reader.next is not None and is_number(reader.next)
    without_number = reader.at - first if has_device else None
    count.judge(rules.REPLICATOR_SLINK_COUNT, f"site link {number}", no_count, understood=without_number)
    copy = _read_copy(reader, number, kind, length) if has_device else None
    return SiteWords(kind, number, policy, limit, copy, written)


def _read_policy(reader: Reader, count: Count) -> tuple[Policy, FallBehind | None]:
    """Policy and limit; each that is refused is read as if it were not there."""
    at, word = reader.at, reader.take_if(_is_policy)
    if word is None:
        if _goes_on(reader, count):
            word = reader.take("a policy", bool)
            what = f"{word!r} is no policy: there are asynchronous, synchronous, stall, and our epoch and hold"
            reader.find(rules.REPLICATOR_POLICY, what, at, reader.refusal(_LINK_REFUSED, errno.ENOENT))
        return ASYNCHRONOUS, None
    no = reader.refusal(_LINK_REFUSED)
    limit_at = reader.at
    if not reader.take_if(_LIMIT_IN_ONE.fullmatch) and _goes_on(reader, count, behind_policy=True):
        reader.take("a fall-behind limit", bool)
        reader.take_if(lambda text: text not in slink_kinds.KINDS) or reader.misfit(
            f"no limit stands behind {reader.words[limit_at]!r}"
        )
    policy, limit = ASYNCHRONOUS, None
    try:
        policy = read_policy(word)
        limit = read_limit(reader.words[limit_at : reader.at])
        judge_together(policy, limit)
    except ValueError as error:
        reader.find(rules.REPLICATOR_POLICY, str(error), at, no)
        return ASYNCHRONOUS, None
    if policy.synchronous and policy.stall:
        what = f"a synchronous site is waited for in any case, so {word} says no more than synchronous"
        short = policy_words(replace(policy, stall=False))
        reader.findings.append(Finding(rules.SYNC_AND_STALL, what, at, f"write {short}", fix=((at, short),)))
    if limit and limit.measure is Measure.TIMEOUT and not limit.unit and 0 < limit.value < _SUB_SECOND:
        reader.findings.append(_timeout_finding(reader, limit, reader.at - 1))
    return policy, limit


def _is_policy(word: str) -> bool:
    """Whether each part of a word is a policy, though they may contradict one another."""
    return all(_reads(part) for part in word.split("+"))


def _reads(policy: str) -> bool:
    try:
        read_policy(policy)
    except ValueError:
        return False
    return True


def _goes_on(reader: Reader, count: Count, *, behind_policy: bool = False) -> bool:
    """Whether the next word still belongs to the link, though it is none that must."""
    word = reader.next
    if word is None or is_number(word) or word in slink_kinds.KINDS:
        return False
    return (behind_policy and word.lower() in ("ios", "size", "timeout", "data")) or not count.undeclared


def _timeout_finding(reader: Reader, limit: FallBehind, at: int) -> Finding:
    what = f"{limit.value} is taken for milliseconds; LVM2 writes seconds here"
    fixed = f"{reader.words[at]}s"
    return Finding(rules.TIMEOUT_UNIT, what, at, f"write {fixed}", fix=((at, fixed),))


# ---- devices


def _read_copy(reader: Reader, site: int, kind: str, length: int) -> CopyWords:
    """The device of a site in the slides' dialect."""
    no_count = reader.otherwise = reader.refusal("Invalid device parameter number argument")
    count = reader.count("the number of device parameters")
    reader.otherwise = reader.refusal("Invalid device number argument")
    number = reader.number("the number of the device")
    device = reader.device("the device", lambda _number: None, is_node=kind in NODE_KINDS)
    count.judge(rules.REPLICATOR_COUNT, "the device", no_count)
    return CopyWords(number, device, _read_dirty_log(reader, site, length))


def read_remote_copy(reader: Reader, number: int, length: int) -> tuple[int, CopyWords]:
    """A site's number and its copy of device `number`, as in `replicator-dev`."""
    reader.otherwise = reader.refusal("Invalid site link number argument")
    site = reader.number("the number of a site link")
    no_count = reader.otherwise = reader.refusal("Invalid device parameter number argument")
    count = reader.count("the number of device parameters")
    device = reader.device("the device", lambda _number: None)
    count.judge(rules.REPLICATOR_COUNT, "the device", no_count)
    return site, CopyWords(number, device, _read_dirty_log(reader, site, length))


def _read_dirty_log(reader: Reader, site: int, length: int) -> DirtyLogWords:
    no_count = reader.otherwise = reader.refusal("Invalid dirtylog parameter number argument")
    at = reader.at
    kind = reader.kind("the type of the dirty log")
    count = reader.count("the number of dirty log parameters")
    if kind in NO_DIRTY_LOG:
        dirty_log = DirtyLogWords(kind, None, ())
    else:
        dirty_log = DirtyLogWords(kind, *_read_regions(reader, kind, count, length))
    count.judge(rules.REPLICATOR_COUNT, "the dirty log", no_count)
    if (site == LOCAL_SITE) != (kind in NO_DIRTY_LOG):
        what = f"site {site} may come to lack something, and needs a dirty log to remember what"
        if site == LOCAL_SITE:
            what = "site 0 lacks nothing that a dirty log could remember"
        reader.find(rules.REPLICATOR_DEVICE, what, at, reader.refusal(_DEVICE_REFUSED))
    return dirty_log


def _read_regions(reader: Reader, kind: str, count: Count, length: int) -> tuple[LogParams | None, tuple[str, ...]]:
    """The words of a dirty log, judged by its kind; where they do not tell their end, the count does."""
    first = reader.at
    is_swapped = kind == "disk" and reader.next is not None and is_number(reader.next)
    if kind == "disk" and not is_swapped:
        reader.take_some(1, "the dirty log's device")
    if kind in ("core", "disk") and reader.take_if(is_number):
        if is_swapped:
            what = f"region size {reader.words[first]} stands before the dirty log's device"
            reader.find(rules.REPLICATOR_WORD_ORDER, what, first)
            reader.take_some(1, "the dirty log's device")
        reader.take_if(("sync", "nosync").__contains__)
    else:
        reader.take_some(max(0, count.declared - (reader.at - first)), "a word of the dirty log")
    written = tuple(reader.words[first : reader.at])
    order = [1, 0, *range(2, len(written))] if is_swapped else range(len(written))
    place = Place(length, first, reader.refusal(_DEVICE_REFUSED, errno.ENXIO), reader.lookup)
    params, findings = dirty_log_kinds.inspect(kind, [written[index] for index in order], place)
    for finding in findings:
        inside = None if finding.word is None else finding.word - first
        if is_swapped and inside in (0, 1):
            fix = tuple((first + 1 - (word - first), text) for word, text in finding.fix)
            finding = replace(finding, word=first + 1 - inside, fix=fix)
        reader.findings.append(finding)
    if written and kind == "disk" and written[-1] in ("sync", "nosync"):
        what = f"{written[-1]} counts once, for a device that is new to its replication log; then the stored bits do"
        reader.find(rules.FIRST_STATE, what, reader.at - 1)
    return params, written
