"""Weather: while clients work, links are cut, slow down, flap and heal, and remote machines lose their power."""

from __future__ import annotations

from dmtable.runtime.runtime import Worker
from dmtable.sim.link import Link
from dmtable.sim.world import World

_MOST_CHANGES = 6
_SHORTEST_SECONDS = 0.1
_EIGHTHS = 8


class Weather(Worker):
    """Changes a few times, as the choices decide, then clears up for good."""

    name = "the weather"

    def __init__(self, world: World) -> None:
        self._world = world
        self._links = list(world.links.values())
        self._changes = world.choices.pick(_MOST_CHANGES + 1, "how often the weather changes")

    def step(self) -> bool:
        if not self._changes:
            for link in self._links:
                link.cut_at = None
                link.heal()
            if self._world.faults is not None:
                self._world.faults.healed = True
            return False
        self._changes -= 1
        if self._links:
            self._change()
        wait = self._world.choices.pick(_EIGHTHS, "how long the weather stays")
        self._world.runtime.sleep(_SHORTEST_SECONDS * 2**wait)
        return True

    def _change(self) -> None:
        choices = self._world.choices
        link = self._links[choices.pick(len(self._links), "which link")]
        match choices.pick(6, f"what becomes of link {link.name}"):
            case 0:
                link.heal()
            case 1:
                link.cut()
            case 2:
                link.cut_at = link.calls + 1 + choices.pick(_EIGHTHS, "during which call")
            case 3:
                link.slow(_SHORTEST_SECONDS)
            case 4:
                link.flap_anyhow(3, 1.0)
            case _:
                self._remote_power_loss(link)

    def _remote_power_loss(self, link: Link) -> None:
        """The machine behind the link loses its power; until the link heals nobody reaches it."""
        if any(disk.machine == link.name for disk in self._world.disks.values()):
            self._world.remote_power_loss(link.name)
        else:
            link.cut()
