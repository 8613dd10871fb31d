"""What a replicator can be told: the words of a message to a typed request.

    resume|start [all]                    suspend|postsuspend|stop [all]
    slink add TYPE COUNT NUMBER …         slink del NUMBER
    slink message NUMBER fallbehind KIND=VALUE      slink message NUMBER policy POLICY
    slink pause NUMBER                    slink resume NUMBER
    slink resync NUMBER                   lets a resync begin that the policy `hold` holds back
    statistics on|off|reset               replog statistics on|off|reset
    replog resize SECTORS                 replog forget DEVICE_NUMBER

and a `replicator-dev`:

    resume|start                          suspend|postsuspend|stop
    device add SITE 1 DEVICE DIRTY_LOG COUNT …      device del SITE

A keyword may be any beginning of itself; the first that fits is meant, in the order of 2009: `s`, `st` and `sta` are
start, `sto` is stop and `stat` statistics. Case counts but in what a log or a site link is told. Three messages of
2009 could not work as they were; they have the words that they should have had. Nothing is carried out here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from dmtable.core.devices import Lookup
from dmtable.errors import IoctlError
from dmtable.language.diagnostics import Finding
from dmtable.slink.link import FallBehind, Policy
from dmtable.slink.words import read_limit, read_policy
from dmtable.targets.replicator.parts import LOCAL_SITE, MAX_SITE, CopyWords, SiteWords, read_remote_copy, read_site
from dmtable.targets.replicator.reading import Misfit, Reader, is_number

MIN_LOG_SECTORS = 4096
"""Two of the longest entries, and headers: what a log has at least."""


class Switch(Enum):
    """What becomes of statistics."""

    ON = "on"
    OFF = "off"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Start:
    """Lets the target take I/O; with `everything`, all devices of the group as well."""

    everything: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Stops it after what is in flight; with `everything`, all devices of the group as well."""

    everything: bool = False


@dataclass(frozen=True, slots=True)
class AddLink:
    """Adds a site to the group; it has no devices yet."""

    site: SiteWords


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Takes a site without devices away. Never site 0."""

    number: int


@dataclass(frozen=True, slots=True)
class SetFallBehind:
    """Changes how far a site may fall behind; a limit of 0 is none."""

    number: int
    fall_behind: FallBehind


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Changes a site's policy."""

    number: int
    policy: Policy


@dataclass(frozen=True, slots=True)
class Pause:
    """Sends nothing to a site until it is resumed."""

    number: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Sends to a paused site again."""

    number: int


@dataclass(frozen=True, slots=True)
class BeginResync:
    """Lets a resync begin that is held back."""

    number: int


@dataclass(frozen=True, slots=True)
class SetStatistics:
    """Counts the target's I/O, counts it no more, or from 0 on."""

    switch: Switch


@dataclass(frozen=True, slots=True)
class SetLogStatistics:
    """The same for what the log does."""

    switch: Switch


@dataclass(frozen=True, slots=True)
class ResizeLog:
    """Gives the log another size, headers included."""

    sectors: int


@dataclass(frozen=True, slots=True)
class ForgetDevice:
    """Drops the entries of a device that no table has, after listing them."""

    device: int


@dataclass(frozen=True, slots=True)
class AddCopy:
    """Adds the device at a remote site."""

    site: int
    copy: CopyWords


@dataclass(frozen=True, slots=True)
class DeleteCopy:
    """Takes the device at a remote site away."""

    site: int


Request = (
    Start
    | Stop
    | AddLink
    | DeleteLink
    | SetFallBehind
    | SetPolicy
    | Pause
    | Resume
    | BeginResync
    | SetStatistics
    | SetLogStatistics
    | ResizeLog
    | ForgetDevice
)
DeviceRequest = Start | Stop | AddCopy | DeleteCopy

T = TypeVar("T")

_START, _STOP = ("resume", "start"), ("suspend", "postsuspend", "stop")
_KEYWORDS = (*_START, *_STOP, "slink", "statistics", "replog")
_DEVICE_KEYWORDS = ("device", *_START, *_STOP)
_LINK_KEYWORDS = ("add", "del", "message", "pause", "resume", "resync")


def read_replicator_message(args: Sequence[str]) -> Request:
    """A message to a control device, or to a device of the slides' dialect. Raises IoctlError (EINVAL)."""
    keyword, rest = _keyword(args, _KEYWORDS, "")
    if keyword in _START:
        return Start(_everything(rest, keyword))
    if keyword in _STOP:
        return Stop(_everything(rest, keyword))
    if keyword == "slink":
        return _read_slink(rest)
    if keyword == "statistics":
        return SetStatistics(_switch(rest, "statistics"))
    return _read_replog(rest)


def read_device_message(args: Sequence[str], number: int, length: int, lookup: Lookup | None) -> DeviceRequest:
    """A message to a `replicator-dev` of so many sectors, device `number` of its group. Raises IoctlError."""
    keyword, rest = _keyword(args, _DEVICE_KEYWORDS, "")
    if keyword in _START:
        _exactly(0, rest, keyword)
        return Start()
    if keyword in _STOP:
        _exactly(0, rest, keyword)
        return Stop()
    what, rest = _keyword(rest, ("add", "del"), "device ")
    if what == "del":
        return DeleteCopy(_remote(rest, "device del SITE"))
    reader = Reader("replicator-dev", rest, lookup)
    site, copy = _judged(reader, lambda: read_remote_copy(reader, number, length))
    if site == LOCAL_SITE:
        raise IoctlError(errno.EINVAL, "site 0 has its device from the table")
    return AddCopy(site, copy)


def _read_slink(args: Sequence[str]) -> Request:
    keyword, rest = _keyword(args, _LINK_KEYWORDS, "slink ")
    if keyword == "add":
        reader = Reader("replicator", rest, None)
        site = _judged(reader, lambda: read_site(reader, has_device=False, length=0))
        if site.number == LOCAL_SITE or site.number > MAX_SITE:
            raise IoctlError(errno.EPERM, f"a site that is added has a number from 1 to {MAX_SITE}, not {site.number}")
        return AddLink(site)
    if keyword == "del":
        return DeleteLink(_remote(rest, "slink del NUMBER"))
    if keyword == "message":
        return _read_link_message(rest)
    _exactly(1, rest, f"slink {keyword} NUMBER")
    number = _number(rest[0], MAX_SITE)
    if keyword == "resync":
        return BeginResync(number)
    return Pause(number) if keyword == "pause" else Resume(number)


def _read_link_message(args: Sequence[str]) -> Request:
    if not args:
        raise IoctlError(errno.EINVAL, "write slink message NUMBER fallbehind KIND=VALUE, or … policy POLICY")
    number = _number(args[0], MAX_SITE)
    lower = [word.lower() for word in args[1:2]]
    keyword, _ = _keyword(lower, ("fallbehind", "policy"), "slink message NUMBER ")
    values = args[2:]
    try:
        if keyword == "policy":
            _exactly(1, values, "slink message NUMBER policy POLICY")
            return SetPolicy(number, read_policy(values[0]))
        _exactly(1, values, "slink message NUMBER fallbehind KIND=VALUE")
        limit = read_limit(values)
    except ValueError as error:
        raise IoctlError(errno.EINVAL, str(error)) from error
    assert limit is not None, "one word is no absent limit"
    return SetFallBehind(number, limit)


def _read_replog(args: Sequence[str]) -> Request:
    keyword, _ = _keyword([word.lower() for word in args[:1]], ("statistics", "resize", "forget"), "replog ")
    rest = args[1:]
    if keyword == "statistics":
        return SetLogStatistics(_switch([word.lower() for word in rest], "replog statistics"))
    if keyword == "forget":
        _exactly(1, rest, "replog forget DEVICE_NUMBER")
        return ForgetDevice(_number(rest[0]))
    _exactly(1, rest, "replog resize SECTORS")
    sectors = _number(rest[0])
    if sectors < MIN_LOG_SECTORS:
        raise IoctlError(errno.EINVAL, f"a log has at least {MIN_LOG_SECTORS} sectors, not {sectors}")
    return ResizeLog(sectors)


def _keyword(args: Sequence[str], keywords: Sequence[str], before: str) -> tuple[str, Sequence[str]]:
    """The keyword that the first word begins, and what follows it; `before` is what stands in front."""
    word = args[0] if args else ""
    found = next((keyword for keyword in keywords if word and keyword.startswith(word)), None)
    if found is None:
        known = ", ".join(keywords)
        what = f"{before}{word}: unknown message" if word else f"{before}…: a word is missing"
        raise IoctlError(errno.EINVAL, f"{what}; there are {known}")
    return found, args[1:]


def _everything(args: Sequence[str], keyword: str) -> bool:
    if len(args) > 1 or (args and not "all".startswith(args[0])):
        raise IoctlError(errno.EINVAL, f"{keyword} takes nothing, or all, and not {' '.join(args)}")
    return bool(args)


def _switch(args: Sequence[str], what: str) -> Switch:
    _exactly(1, args, f"{what} on|off|reset")
    keyword, _ = _keyword(args, [switch.value for switch in Switch], f"{what} ")
    return Switch(keyword)


def _exactly(count: int, args: Sequence[str], form: str) -> None:
    if len(args) != count:
        raise IoctlError(errno.EINVAL, f"write {form}: {len(args)} words follow instead of {count}")


def _remote(args: Sequence[str], form: str) -> int:
    _exactly(1, args, form)
    number = _number(args[0], MAX_SITE)
    if number == LOCAL_SITE:
        raise IoctlError(errno.EPERM, "site 0 is the local one, and stays")
    return number


def _number(word: str, highest: int = (1 << 64) - 1) -> int:
    if not is_number(word) or int(word) > highest:
        raise IoctlError(errno.EINVAL, f"{word!r} is no number from 0 to {highest}")
    return int(word)


def _judged(reader: Reader, read: Callable[[], T]) -> T:
    """What the reader reads, all words of it, as it would from a table."""
    try:
        part = read()
    except Misfit:
        raise _refused(reader.findings) from None
    if reader.left:
        raise IoctlError(errno.EINVAL, f"{reader.next!r} is one word too many")
    if reader.refused:
        raise _refused(reader.findings)
    return part


def _refused(findings: Sequence[Finding]) -> IoctlError:
    finding = next(finding for finding in findings if finding.refusal)
    assert finding.refusal is not None
    return IoctlError(finding.refusal.errno, finding.what)
