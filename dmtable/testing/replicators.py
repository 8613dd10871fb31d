"""A Hypothesis strategy for replicator tables of both dialects.

dmtable reads, checks and rewrites them; `check` finds no error in these, and no warning. What runs them is
another matter: there are notes that dmtable does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from dmtable.core.target import Params
from dmtable.errors import UsageError
from dmtable.targets.replicator import (
    CopyWords,
    DirtyLogWords,
    LogWords,
    ReplicatorDevParams,
    ReplicatorParams,
    SiteWords,
)

DIALECTS = ("2008", "2009")
"""Every site with its device on one line, as in the slides; or a control device and `replicator-dev` lines."""

_LIMITS = st.one_of(
    st.just(()),
    st.tuples(st.sampled_from(["ios", "size", "timeout"]), st.sampled_from(["100", "64k", "1000"])),
    st.sampled_from(["ios=100", "size=64k", "timeout=1000"]).map(lambda limit: (limit,)),
)


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
        if draw(st.sampled_from(dialects)) == "2008":
            params: list[Params] = [draw(replicators(max_sites=max_sites, in_line=True))]
        elif draw(st.booleans()):
            params = [draw(replicators(max_sites=max_sites, in_line=False))]
        else:
            count = draw(st.integers(1, max_devices))
            params = [draw(_devices(number, max_sites)) for number in range(count)]
        text = ""
        start = 0
        for each in params:
            length = draw(st.integers(1, 1 << 20))
            target = "replicator" if isinstance(each, ReplicatorParams) else "replicator-dev"
            text += is_joined.join([f"{start} {length} {target}", *_parts(each.words(), is_joined)]) + "\n"
            start += length
        return ReplicatorTable(text, tuple(params))

    return drawn()


@st.composite
def replicators(draw: st.DrawFn, *, max_sites: int, in_line: bool) -> ReplicatorParams:
    """Draws a log and its sites; with the sites' devices where `in_line`."""
    log = draw(
        st.builds(
            LogWords,
            st.sampled_from(["default", "ringbuffer"]),
            st.just("/dev/log"),
            st.integers(0, 64),
            st.sampled_from(["auto", "create", "open"]),
            st.none() | st.integers(8192, 1 << 21),
        )
    )
    number = draw(st.integers(0, 7))
    count = draw(st.integers(1, max_sites))
    sites = tuple(draw(_sites(site, number if in_line else None)) for site in range(count))
    return ReplicatorParams(log, sites)


@st.composite
def _sites(draw: st.DrawFn, number: int, device: int | None) -> SiteWords:
    policy = draw(st.sampled_from(["asynchronous", "async", "synchronous", "async+stall", None]))
    limit = draw(_LIMITS) if policy else ()
    kind = draw(st.sampled_from(["local", "blockdev"]))
    return SiteWords(kind, number, policy, limit, None if device is None else draw(_copies(number, device)))


def _copies(site: int, number: int) -> st.SearchStrategy[CopyWords]:
    return st.builds(CopyWords, st.just(number), st.just(f"/dev/site{site}/lv{number}"), _DIRTY_LOGS)


_REGIONS = st.integers(3, 15).map(lambda bits: 1 << bits)
_FIRST_STATES = st.sampled_from([None, "sync", "nosync"])
_DIRTY_LOGS = st.one_of(
    st.sampled_from(["-", "nolog"]).map(DirtyLogWords),
    st.builds(DirtyLogWords, st.just("core"), st.none(), _REGIONS, _FIRST_STATES),
    st.builds(DirtyLogWords, st.just("disk"), st.just("/dev/dirty"), _REGIONS, _FIRST_STATES),
)


@st.composite
def _devices(draw: st.DrawFn, number: int, max_sites: int) -> ReplicatorDevParams:
    count = draw(st.integers(1, max_sites))
    copies = tuple((site, draw(_copies(site, number))) for site in range(count))
    return ReplicatorDevParams("/dev/mapper/control", number, copies)


def _parts(words: list[str], joint: str) -> list[str]:
    """The words in groups, each of which may stand on a line of its own."""
    size = len(words) if joint == " " else 4
    return [" ".join(words[at : at + size]) for at in range(0, len(words), size)]
