"""The bench on which a site link is tried: a disk with a volatile cache, and the way to it, which can be closed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from dmtable.core.devices import DmDev
from dmtable.core.steps import Steps, carry_out
from dmtable.errors import DeviceLookupError
from dmtable.runtime.runtime import Runtime
from dmtable.sim.cache import Image, blank
from dmtable.sim.choices import exhaustive
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, Faults, Ill
from dmtable.sim.power import Power
from dmtable.sim.runtime import SimRuntime
from dmtable.slink.link import SiteDevice, SiteLink

SECTORS = 32
NUMBER = 3
"""The device's in the group."""


class SiteBench:
    """The site's only device is `disk`, which links of this machine reach as `word`. A Context.

    A link that reaches its devices otherwise has its own: override `word`, `take_away`, `give_back`, and `runtime`
    where it lives in real time.
    """

    word = "/dev/site"

    def __init__(self) -> None:
        self.failing: set[Call] = set()
        """The calls to the disk that it answers with EIO."""
        self.calls = 0
        """How many there were so far."""
        self.away = False
        always = dict.fromkeys(range(1, 1000), Fault(Ill.ERROR))
        self.disk = SimDisk("site", blank(SECTORS), Power(), faults=Faults(always, concerns=self._fails))
        self._runtime: Runtime = SimRuntime()

    def take_away(self) -> None:
        """Nobody reaches the disk any more, who has it open or not."""
        self.away = True

    def give_back(self) -> None:
        """The disk can be reached, and does not fail."""
        self.away = False
        self.failing.clear()

    def close(self) -> None:
        """The site is not needed any more."""
        self._runtime.close()

    def survivors(self) -> Iterator[Image]:
        """Everything that a power loss at the site might leave now."""
        for choices in exhaustive():
            yield self.disk.survivors(choices)

    def run(self, steps: Steps) -> None:
        """Carries steps out. Raises what they raise."""
        carry_out(steps, self.runtime)

    def opened(self, link: SiteLink) -> SiteLink:
        """The link, with the disk as its device NUMBER."""
        self.add(link)
        self.run(link.opening(self, NUMBER))
        return link

    def add(self, link: SiteLink) -> None:
        """The disk belongs to the link, and is not open yet."""
        link.devices[NUMBER] = SiteDevice(NUMBER, self.word, SECTORS, None)

    def _fails(self, disk: str, call: Call) -> bool:
        self.calls += 1
        return self.away or call in self.failing

    # Context.

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def owner(self) -> object:
        return self

    @property
    def shared(self) -> dict[object, Any]:
        return {}

    def get_device(self, word: str) -> DmDev:
        if word != self.word or self.away:
            raise DeviceLookupError(errno.ENODEV, f"{word} does not exist")
        return DmDev((7, 3), "loop3", self.disk)

    def event(self) -> None:
        return

    def log(self, text: str) -> None:
        return

    def log_limited(self, form: str, *values: object) -> None:
        return
