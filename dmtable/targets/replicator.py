"""replicator and replicator-dev: the words of both dialects, judged and typed.

The slides of 2008 put the log and every site with its device and dirty log on one line:

    replicator LOG COUNT DEVICE START [MODE [SIZE]]
               { SLINK COUNT NUMBER [POLICY [LIMIT]]  COUNT DEV_NR DEVICE  DIRTY_LOG COUNT … }…

The code of 2009 splits this into a control device with the log and the bare site links, and one
`replicator-dev` for each device:

    replicator LOG COUNT DEVICE START [MODE [SIZE]]  { SLINK COUNT NUMBER [POLICY [LIMIT]] }…
    replicator-dev CONTROL DEV_NR { NUMBER COUNT DEVICE  DIRTY_LOG COUNT … }…

The words say by themselves where each part ends, so a wrong count never hides what follows it. A count
is right when it is the number of words that follow for its part, the number of the site link or device
among them. That is how the code of 2009 counts everything, and how the slides count devices and logs;
only their site links (`local 2 0 async ios=0`) leave the link's number out, and one of their logs
declares a size that is not there. Both can be understood, so a wrong count alone does not keep a line
from being read; `words` writes the right one.

A disk log's device and region size are read in either order: the slides print the size first.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Self

from dmtable.core.devices import Lookup
from dmtable.core.target import Params
from dmtable.core.words import device_findings
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, Rule, refused
from dmtable.language.numbers import is_decimal

_MAX_DIGITS = 20
"""2^64 has as many; no number of a replicator is larger."""

_MODES = ("auto", "create", "open")
_POLICIES = ("asynchronous", "synchronous", "stall")
_LIMIT = re.compile(r"[0-9]+[A-Za-z]?")
_MEASURE = re.compile(r"(?:ios|size|timeout|data)", re.IGNORECASE)
_MEASURE_AND_LIMIT = re.compile(rf"{_MEASURE.pattern}={_LIMIT.pattern}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LogWords:
    """A replication log: `start` and `size` in sectors of its device. Without a mode an existing log is opened."""

    kind: str
    device: str
    start: int
    mode: str | None = None
    size: int | None = None

    def words(self) -> list[str]:
        given = [self.mode, self.size]
        return _counted(self.kind, [self.device, self.start, *(word for word in given if word is not None)])


@dataclass(frozen=True, slots=True)
class DirtyLogWords:
    """A dirty log: `-` and `nolog` take nothing, `core` a region size in sectors, `disk` a device as well."""

    kind: str
    device: str | None = None
    region_size: int | None = None
    first_state: str | None = None

    def words(self) -> list[str]:
        given = [self.device, self.region_size, self.first_state]
        return _counted(self.kind, [word for word in given if word is not None])


@dataclass(frozen=True, slots=True)
class CopyWords:
    """One device of the group at one site, and the dirty log that remembers what this copy still lacks."""

    number: int
    device: str
    dirty_log: DirtyLogWords


@dataclass(frozen=True, slots=True)
class SiteWords:
    """A site link: policy and fall-behind limit as written, and in the slides' dialect the site's device."""

    kind: str
    number: int
    policy: str | None = None
    limit: tuple[str, ...] = ()
    copy: CopyWords | None = None

    def words(self) -> list[str]:
        link = _counted(self.kind, [self.number, *([self.policy] if self.policy else []), *self.limit])
        if self.copy is None:
            return link
        return [*link, "2", str(self.copy.number), self.copy.device, *self.copy.dirty_log.words()]


@dataclass(frozen=True, slots=True)
class ReplicatorParams(Params):
    """A log and its sites. Every site has a `copy`, or none has: then `replicator-dev` lines bring the devices."""

    log: LogWords
    sites: tuple[SiteWords, ...]

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        reader = _Reader("replicator", "Invalid argument count", words, lookup)
        try:
            log = _read_log(reader)
            sites = [_read_site(reader)]
            while not reader.done:
                sites.append(_read_site(reader, devices=sites[0].copy is not None))
        except _Misfit:
            return None, reader.findings
        return (None if reader.refused else cls(log, tuple(sites))), reader.findings

    def words(self) -> list[str]:
        return [*self.log.words(), *(word for site in self.sites for word in site.words())]


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
        reader = _Reader("replicator-dev", "Invalid device/dirtylog argument count", words, lookup)
        copies: list[tuple[int, CopyWords]] = []
        try:
            control = reader.device("the control device", needed=True)
            number = reader.number("the number of the device")
            while not (reader.done and copies):
                site = reader.number("the number of a site link")
                count = reader.count("the number of device parameters")
                device = reader.device("the device")
                count.judge(rules.REPLICATOR_COUNT, "the device")
                copies.append((site, CopyWords(number, device, _read_dirty_log(reader))))
        except _Misfit:
            return None, reader.findings
        return (None if reader.refused else cls(control, number, tuple(copies))), reader.findings

    def words(self) -> list[str]:
        words = [self.control, str(self.number)]
        for site, copy in self.copies:
            words += [str(site), "1", copy.device, *copy.dirty_log.words()]
        return words


def _counted(kind: str, words: Sequence[object]) -> list[str]:
    return [kind, str(len(words)), *map(str, words)]


def _read_log(reader: _Reader) -> LogWords:
    kind = reader.kind("the type of the log")
    count = reader.count("the number of log parameters")
    device = reader.device("the log's device", needed=True)
    start = reader.number("the log's first sector")
    mode = reader.take_if(lambda word: any(name.startswith(word) for name in _MODES))
    size = reader.take_if(_is_number) if mode else None
    count.judge(rules.REPLICATOR_LOG_COUNT, "the log")
    return LogWords(kind, device, start, mode, int(size) if size else None)


def _read_site(reader: _Reader, devices: bool | None = None) -> SiteWords:
    """A site link, and its device where `devices` says so; None leaves it to the words."""
    kind = reader.kind("the type of a site link")
    count = reader.count("the number of site link parameters")
    number = reader.number("the number of the site link")
    policy = reader.take_if(_is_policy)
    limit = _read_limit(reader) if policy else ()
    count.judge(rules.REPLICATOR_SLINK_COUNT, f"site link {number}")
    if devices is None:
        devices = reader.next is not None and _is_number(reader.next)
    return SiteWords(kind, number, policy, limit, _read_copy(reader) if devices else None)


def _read_limit(reader: _Reader) -> tuple[str, ...]:
    if one := reader.take_if(_MEASURE_AND_LIMIT.fullmatch):
        return (one,)
    if measure := reader.take_if(_MEASURE.fullmatch):
        limit = reader.take_if(_LIMIT.fullmatch) or reader.misfit(f"no limit stands behind {measure!r}")
        return measure, limit
    return ()


def _read_copy(reader: _Reader) -> CopyWords:
    count = reader.count("the number of device parameters")
    number = reader.number("the number of the device")
    device = reader.device("the device")
    count.judge(rules.REPLICATOR_COUNT, "the device")
    return CopyWords(number, device, _read_dirty_log(reader))


def _read_dirty_log(reader: _Reader) -> DirtyLogWords:
    kind = reader.kind("the type of the dirty log")
    if kind not in ("-", "nolog", "core", "disk"):
        reader.misfit(f"{kind!r} is no dirty log: there are `-`, nolog, core and disk", reader.at - 1)
    count = reader.count("the number of dirty log parameters")
    device = size = state = None
    if kind == "disk" and (first := reader.take_if(_is_number)):
        what = f"region size {first} stands before the dirty log's device"
        reader.findings.append(Finding(rules.REPLICATOR_WORD_ORDER, what, reader.at - 1))
        size, device = int(first), reader.device("the dirty log's device")
    elif kind == "disk":
        device = reader.device("the dirty log's device")
    if kind in ("core", "disk"):
        size = reader.number("the region size") if size is None else size
        state = reader.take_if(("sync", "nosync").__contains__)
    count.judge(rules.REPLICATOR_COUNT, "the dirty log")
    return DirtyLogWords(kind, device, size, state)


def _is_policy(word: str) -> bool:
    return all(part and any(name.startswith(part) for name in _POLICIES) for part in word.split("+"))


def _is_number(word: str) -> bool:
    return is_decimal(word) and len(word) <= _MAX_DIGITS


class _Misfit(Exception):
    """The words do not go on as they must; the finding is made."""


class _Reader:
    """The words of a line, read from left to right, and what is wrong with them.

    Words that do not fit are refused with one text, `misfit_text`; the original had one for each count
    that it might stumble over.
    """

    def __init__(self, target: str, misfit_text: str, words: Sequence[str], lookup: Lookup | None) -> None:
        self.findings: list[Finding] = []
        self.at = 0
        self.words = words
        self._target = target
        self._misfit_text = misfit_text
        self._lookup = lookup

    @property
    def done(self) -> bool:
        return self.at == len(self.words)

    @property
    def next(self) -> str | None:
        return None if self.done else self.words[self.at]

    @property
    def refused(self) -> bool:
        return any(finding.refusal for finding in self.findings)

    def take(self, what: str, fits: Callable[[str], object]) -> str:
        """The next word, which must fit; `what` names it for people."""
        word = self.take_if(fits)
        if word is None:
            found = "the line ends" if self.done else f"{self.next!r} stands"
            self.misfit(f"{found} where {what} belongs")
        return word

    def take_if(self, fits: Callable[[str], object]) -> str | None:
        """The next word where it fits."""
        word = self.next
        if word is None or not fits(word):
            return None
        self.at += 1
        return word

    def kind(self, what: str) -> str:
        return self.take(what, lambda word: word[0] not in "0123456789")

    def number(self, what: str) -> int:
        return int(self.take(what, _is_number))

    def count(self, what: str) -> _Count:
        at = self.at
        return _Count(self, at, self.number(what))

    def device(self, what: str, *, needed: bool = False) -> str:
        """A device's word; the original refuses the line without a `needed` one and tries the others later."""

        def refusal(number: int) -> Refusal | None:
            return refused(self._target, number, "Can't access replicator control device") if needed else None

        word = self.take(what, bool)
        self.findings.extend(device_findings(self.at - 1, word, self._lookup, refusal))
        return word

    def misfit(self, what: str, at: int | None = None) -> NoReturn:
        """Gives the line up at a word, the next one unless told."""
        refusal = refused(self._target, errno.EINVAL, self._misfit_text)
        self.findings.append(Finding(rules.REPLICATOR_SHAPE, what, self.at if at is None else at, refusal=refusal))
        raise _Misfit


@dataclass(frozen=True, slots=True)
class _Count:
    """A declared number of words, and where it stands; the words begin right behind it."""

    reader: _Reader
    at: int
    declared: int

    def judge(self, rule: Rule, what: str) -> None:
        """Compares with the words that were read since."""
        found = self.reader.at - self.at - 1
        if found != self.declared:
            words = " ".join(self.reader.words[self.at + 1 : self.reader.at])
            text = f"{what} declares {self.declared} words and has {found}: {words}"
            self.reader.findings.append(Finding(rule, text, self.at, f"write {found}", fix=((self.at, str(found)),)))
