"""A subject that does not fit together, or a script that does not fit it, is told as such."""

from __future__ import annotations

from typing import ClassVar

import pytest

from dmtable.errors import UsageError
from dmtable.sim.explorer import Explorer
from dmtable.sim.playback import replay
from dmtable.sim.script import Act, Script
from dmtable.sim.workload import Flush, Write, Zero
from tests.proving.reference import Reference


class NoSites(Reference):
    sites: ClassVar = ()


class UnknownDisk(Reference):
    sites = (("here 0", "here 1"), ("there 0", "nowhere"))


class TooFew(Reference):
    sites: ClassVar = (("here 0", "here 1"), ("there 0",))


class WrongSize(Reference):
    device_sectors = (2, 3)


class NoSuchSite(Reference):
    synchronous: ClassVar = frozenset({2})


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        (NoSites, "NoSites.sites is missing or empty"),
        (UnknownDisk, "site 1 has a disk 'nowhere'"),
        (TooFew, r"have \[2, 2\] sectors, at site 1 \[2\]"),
        (WrongSize, r"have \[2, 3\] sectors, at site 0 \[2, 2\]"),
        (NoSuchSite, "there is no site 2"),
    ],
)
def test_a_subject_must_fit_together(subject: type[Reference], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Explorer(subject())


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (Script(()), "nothing to play"),
        (Script((Act(((Write(7, 0),),)),)), "there is no such device"),
        (Script((Act(((Flush(2),),)),)), "there is no such device"),
        (Script((Act(((Write(0, 900),),)),)), "the device has 2 sectors"),
        (Script((Act(((Zero(0, 0, 100_000_000),),)),)), "the device has 2 sectors"),
        (Script((Act(survivors={"moon": {0: 1}}),)), "disk 'moon'"),
        (Script((Act(survivors={"log": {99: 1}}),)), r"with sectors \[99\]"),
        (Script((Act(power_fails_before=-3),)), "numbered from 1, not -3"),
    ],
)
def test_a_script_must_fit_its_subject(script: Script, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replay(Reference(), script)
