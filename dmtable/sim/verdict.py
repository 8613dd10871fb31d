"""What is judged of a group, from the images of its disks and the history alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dmtable.sim.cache import Image
from dmtable.sim.finding import Finding, Flaw
from dmtable.sim.ink import Blot, tags
from dmtable.sim.order import History, Prefix, Violation
from dmtable.sim.subject import Subject


def judged(history: History, devices: Sequence[Image]) -> Prefix | Finding:
    """How far a site is, from the images of its devices."""
    try:
        verdict = history.judge([tag for device, image in enumerate(devices) for tag in tags(image, device)])
    except Blot as blot:
        return Finding(Flaw.CORRUPT, str(blot))
    return Finding(Flaw.ORDER, str(verdict)) if isinstance(verdict, Violation) else verdict


def standing(subject: Subject, verdicts: Sequence[Prefix | Finding], acknowledged: int) -> Iterator[Finding]:
    """What is wrong with the remote sites as they are, without any recovery; `verdicts` begins with site 1."""
    for site, verdict in enumerate(verdicts, 1):
        if isinstance(verdict, Finding):
            yield Finding(verdict.flaw, f"site {site} as it stands: {verdict.text}")
        elif site in subject.synchronous and verdict.whole < acknowledged:
            text = f"entry {acknowledged} was acknowledged, but site {site} as it stands holds only {verdict.whole}"
            yield Finding(Flaw.LOST, text)


def at_rest(verdict: Prefix | Finding, durable: int) -> Finding | None:
    """What is wrong with a group that has come to rest, from what its local site shows."""
    if isinstance(verdict, Finding):
        return Finding(verdict.flaw, f"at rest: {verdict.text}")
    if verdict.whole < durable:
        return Finding(Flaw.LOST, f"at rest the sites hold {verdict.whole} entries, and must hold {durable}")
    if verdict.partial > verdict.whole:
        return Finding(Flaw.TORN, f"at rest only some sectors of entry {verdict.partial} are there")
    return None


def diverged(subject: Subject, images: Mapping[str, Image]) -> Finding | None:
    """Where the sites of a group at rest differ, if they do."""
    local = subject.sites[0]
    for site, disks in enumerate(subject.sites[1:], 1):
        for device, (here, there) in enumerate(zip(local, disks, strict=True)):
            if images[here] != images[there]:
                pairs = enumerate(zip(images[here], images[there], strict=True))
                sector = next(at for at, (one, other) in pairs if one != other)
                text = f"at rest site {site} differs from site 0 at device {device}, sector {sector}"
                return Finding(Flaw.DIVERGED, text)
    return None
