"""What is judged of a group, from the images of its disks and the history alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from dmtable.sim.breach import Breach, Flaw
from dmtable.sim.cache import Image
from dmtable.sim.durability import held
from dmtable.sim.ink import Blot, tags
from dmtable.sim.order import History, Prefix, Violation
from dmtable.sim.subject import Subject


def judged(subject: Subject, site: int, history: History, images: Mapping[str, Image]) -> Prefix | Breach:
    """How far a site is, from the images of the disks."""
    try:
        shown = [tag for device, image in enumerate(_devices(subject, site, images)) for tag in tags(image, device)]
    except Blot as blot:
        return Breach(Flaw.CORRUPT, str(blot))
    if not subject.ordered:
        whole = held(history, shown)
        if whole is not None:
            return Prefix(whole, whole)
    verdict = history.judge(shown, loose_after=_last_flush(history, shown) if site in subject.epochs else None)
    return Breach(Flaw.ORDER, str(verdict)) if isinstance(verdict, Violation) else verdict


def standing(
    subject: Subject, verdicts: Sequence[Prefix | Breach], acknowledged: int, unordered: frozenset[int] | None
) -> Iterator[Breach]:
    """What is wrong with the remote sites as they are, without any recovery; `verdicts` begins with site 1.

    Of those that are shown as resynchronising nothing is.
    """
    for site, verdict in enumerate(verdicts, 1):
        if unordered and site in unordered:
            continue
        if isinstance(verdict, Breach):
            yield Breach(verdict.flaw, f"site {site} as it stands: {verdict.text}")
        elif verdict.whole < acknowledged - most_lacking(subject, site):
            text = f"entry {acknowledged} was acknowledged, but site {site} as it stands holds {entries(verdict.whole)}"
            yield Breach(Flaw.LOST, text)


def most_lacking(subject: Subject, site: int) -> float:
    """How many acknowledged writes a remote site may lack as it stands."""
    return 0 if site in subject.synchronous else subject.lacking.get(site, math.inf)


def at_rest(
    subject: Subject, verdicts: Sequence[Prefix | Breach], images: Mapping[str, Image], durable: int
) -> Breach | None:
    """What is wrong with a group that has come to rest; `verdicts` begins with the local site."""
    for site, verdict in enumerate(verdicts):
        if isinstance(verdict, Breach):
            return Breach(verdict.flaw, f"site {site} at rest: {verdict.text}")
        if verdict.partial > verdict.whole:
            return Breach(Flaw.TORN, f"site {site} at rest has only some sectors of entry {verdict.partial}")
    wholes = [verdict.whole for verdict in verdicts if isinstance(verdict, Prefix)]
    if min(wholes) < max(wholes):
        told = ", ".join(f"site {site} holds {entries(whole)}" for site, whole in enumerate(wholes))
        return Breach(Flaw.DIVERGED, f"at rest {told}")
    if wholes[0] < durable:
        return Breach(Flaw.LOST, f"at rest the group holds {entries(wholes[0])}, and must hold {durable}")
    return _differing(subject, images)


def entries(count: int) -> str:
    """So many entries, in words that fit the number."""
    return "1 entry" if count == 1 else f"{count} entries"


def _last_flush(history: History, shown: Sequence[int]) -> int:
    """The last entry that a flush of the application made durable before the newest visible one was written."""
    visible = set(shown)
    return max([entry.behind for entry in history.entries if entry.tag and entry.tag in visible], default=0)


def _differing(subject: Subject, images: Mapping[str, Image]) -> Breach | None:
    """Where the sites show different bytes, though the same entries: in what no entry wrote."""
    local = _devices(subject, 0, images)
    for site in range(1, len(subject.sites)):
        for device, (here, there) in enumerate(zip(local, _devices(subject, site, images), strict=True)):
            if here != there:
                pairs = enumerate(zip(here, there, strict=True))
                sector = next(at for at, (one, other) in pairs if one != other)
                text = f"at rest site {site} differs from site 0 at device {device}, sector {sector}"
                return Breach(Flaw.DIVERGED, text)
    return None


def _devices(subject: Subject, site: int, images: Mapping[str, Image]) -> Sequence[Image]:
    """What the devices show at a site. Its own disks alone are told: verdicts are remembered by what is on those."""
    return subject.devices(site, {name: images[name] for name in subject.sites[site]})
