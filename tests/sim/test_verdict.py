"""What is judged of a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dmtable.sim.cache import Image, blank
from dmtable.sim.order import History
from dmtable.sim.subject import Entered, Group, Subject
from dmtable.sim.verdict import at_rest, judged
from dmtable.sim.world import World


class Looking(Subject):
    """Writes down where it was allowed to look."""

    device_sectors = (2,)
    disks = {"log": 4, "here": 2, "there": 2}  # noqa: RUF012
    sites = (("here",), ("there",))

    def __init__(self) -> None:
        self.looked: list[tuple[int, set[str]]] = []

    def open(self, world: World, entered: Entered) -> Group:
        raise NotImplementedError

    def devices(self, site: int, images: Mapping[str, Image]) -> Sequence[Image]:
        self.looked.append((site, {*images}))
        return super().devices(site, images)


def test_a_site_shows_what_is_on_its_own_disks() -> None:
    """The explorer remembers a verdict by those alone."""
    subject = Looking()
    images = {name: blank(sectors) for name, sectors in subject.disks.items()}
    history = History(subject.device_sectors)
    verdicts = [judged(subject, site, history, images) for site in (0, 1)]
    assert at_rest(subject, verdicts, images, 0) is None
    assert {site for site, _ in subject.looked} == {0, 1}
    assert all(names == {*subject.sites[site]} for site, names in subject.looked)
