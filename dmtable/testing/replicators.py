"""A Hypothesis strategy for replicator tables of both dialects.

`check` finds no error in these, and no warning. Their devices need not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from dmtable.core.target import Params
from dmtable.dirtylog.core import CoreParams
from dmtable.dirtylog.disk import DiskParams
from dmtable.dirtylog.words import Sync
from dmtable.errors import UsageError
from dmtable.slink.words import read_limit, read_policy
from dmtable.targets.replicator.parts import (
    LOCAL_SITE,
    MIN_REGION_SECTORS,
    NO_DIRTY_LOG,
    CopyWords,
    DirtyLogWords,
    SiteWords,
)
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

DIALECTS = ("2008", "2009")
"""Every site with its device on one line, as in the slides; or a control device and `replicator-dev` lines."""

_LIMITS = (
    st.sampled_from(["ios 100", "size 64k", "data 4m", "timeout 1000", "timeout 2m"]).map(str.split).map(read_limit)
)
_MIN_REGION_BITS, _MAX_REGION_BITS = 1, 15
DIRTY_LOGS = ("core", "disk")


@dataclass(frozen=True, slots=True)
class ReplicatorTable:
    """A table of one replicator line, or of `replicator-dev` lines over a control device."""

    text: str
    params: tuple[Params, ...]
    """The parameters of each line, as ReplicatorParams or ReplicatorDevParams read them."""


def replicator_tables(
    *, dialects: Sequence[str] = DIALECTS, max_sites: int = 3, max_devices: int = 3, continued: bool = True
) -> st.SearchStrategy[ReplicatorTable]:
    """Draws replicator tables: of 2008, and of 2009 either a control device's line or the lines of its devices.

    With `continued`, a long line may go on over several with a backslash at the end of each, as in the slides;
    `check` then has a note about it.
    """
    if isinstance(dialects, str) or not dialects or not set(dialects) <= set(DIALECTS):
        raise UsageError(f"{dialects!r}: give a sequence of dialects among {' and '.join(DIALECTS)}")
    if max_sites < 1 or max_devices < 1:
        raise UsageError(f"a replicator has sites and devices, at least 1 of each, not {max_sites} and {max_devices}")

    @st.composite
    def drawn(draw: st.DrawFn) -> ReplicatorTable:
        is_joined = draw(st.sampled_from([" ", " \\\n"])) if continued else " "
        lines: list[tuple[int, Params]] = []
        if draw(st.sampled_from(dialects)) == "2008":
            length = draw(_LENGTHS)
            lines.append((length, draw(replicators(max_sites=max_sites, length=length))))
        elif draw(st.booleans()):
            lines.append((draw(_LENGTHS), draw(replicators(max_sites=max_sites, length=None))))
        else:
            count = draw(st.integers(1, max_devices))
            length = draw(_LENGTHS.filter(lambda length: length >= 4 * MIN_REGION_SECTORS))
            lines += [(length, draw(_devices(number, max_sites, length))) for number in range(count)]
        text = ""
        start = 0
        for length, each in lines:
            target = "replicator" if isinstance(each, ReplicatorParams) else "replicator-dev"
            text += is_joined.join([f"{start} {length} {target}", *_parts(each.words(), is_joined)]) + "\n"
            start += length
        return ReplicatorTable(text, tuple(each for _length, each in lines))

    return drawn()


_LENGTHS = st.integers(2, 1 << 20)


@st.composite
def replicators(
    draw: st.DrawFn,
    *,
    max_sites: int,
    length: int | None,
    log: str = "/dev/log",
    dirty_logs: Sequence[str] = DIRTY_LOGS,
) -> ReplicatorParams:
    """Draws a log and its sites; in the slides' dialect, with devices for a line of this length, where one is given.

    The log's device needs 8,192 sectors.
    """
    log_words = [log, "0", *draw(st.sampled_from(["auto 8192", "create 8192", "open", "o"])).split()]
    words = [draw(st.sampled_from(["default", "ringbuffer", "replog"])), str(len(log_words)), *log_words]
    number = draw(st.integers(0, 7))
    for site in range(draw(st.integers(1, max_sites))):
        region = 0 if length is None else draw(_regions(_MIN_REGION_BITS, length))
        copy = None if length is None else draw(_copies(site, number, region, dirty_logs))
        words += draw(_sites(site, copy)).words()
    params, _ = ReplicatorParams.inspect(words, 0, length or 1, None)
    assert params is not None, words
    return params


@st.composite
def _sites(draw: st.DrawFn, number: int, copy: CopyWords | None) -> SiteWords:
    policy = draw(st.sampled_from(["async", "async+stall", "synchronous", "async+epoch", "a+hold"]).map(read_policy))
    limit = None if policy.synchronous else draw(_LIMITS)
    return SiteWords(draw(st.sampled_from(["local", "blockdev"])), number, policy, limit, copy)


def _regions(min_bits: int, length: int) -> st.SearchStrategy[int]:
    """Region sizes of which a line of this length has four, or that are smaller than anybody cares about."""
    most = max(min_bits, min(_MAX_REGION_BITS, (length // 4).bit_length() - 1))
    return st.integers(min_bits, most).map(lambda bits: 1 << bits)


@st.composite
def _copies(draw: st.DrawFn, site: int, number: int, region: int, dirty_logs: Sequence[str] = DIRTY_LOGS) -> CopyWords:
    path = f"/dev/site{site}/lv{number}"
    if site == LOCAL_SITE:
        return CopyWords(number, path, DirtyLogWords(draw(st.sampled_from(NO_DIRTY_LOG))))
    if draw(st.sampled_from(dirty_logs)) == "core":
        return CopyWords(number, path, DirtyLogWords("core", CoreParams(region, draw(st.sampled_from(Sync)))))
    return CopyWords(number, path, DirtyLogWords("disk", DiskParams(f"/dev/dirty{site}-{number}", region)))


@st.composite
def _devices(draw: st.DrawFn, number: int, max_sites: int, length: int) -> ReplicatorDevParams:
    region = draw(_regions(MIN_REGION_SECTORS.bit_length() - 1, length))
    count = draw(st.integers(1, max_sites))
    copies = tuple((site, draw(_copies(site, number, region))) for site in range(count))
    return ReplicatorDevParams("/dev/mapper/control", number, copies)


def _parts(words: list[str], joint: str) -> list[str]:
    """The words in groups, each of which may stand on a line of its own."""
    size = len(words) if joint == " " else 4
    return [" ".join(words[at : at + size]) for at in range(0, len(words), size)]
