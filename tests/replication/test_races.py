"""What one thread does while another is in the midst of something."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.kcopyd import CopyService
from dmtable.replog.memory import MemoryLog
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.faults import Call, Faults
from dmtable.slink.blockdev import BlockdevLink
from dmtable.slink.link import Policy
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.resync import Resync
from dmtable.targets.replicator.site import Site
from tests.replication.places import running
from tests.replication.simulated import Place

if TYPE_CHECKING:
    from dmtable.core.target import Context

_PATIENCE_SECONDS = 0.2
"""Whoever may go on has long done so."""


class _Watched:
    """The group's lock; calls `act` when a site's Worker has taken a batch, or with `before` when it is about to."""

    def __init__(self, group: Group, act: Callable[[], None], *, before: bool) -> None:
        self.lock = group.lock
        self._act = act
        self._before = before

    def __enter__(self) -> object:
        self._perhaps(self._before)
        return self.lock.__enter__()

    def __exit__(self, *error: Any) -> object:
        answer = self.lock.__exit__(*error)
        self._perhaps(not self._before)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lock, name)

    def _perhaps(self, now: bool) -> None:
        if now and sys._getframe(2).f_code.co_name == "_take":
            self._act()


def test_nothing_is_sent_after_a_group_was_stopped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.group()
    md = place.device(0)
    place.wait(1)
    group = running(place.dm).group

    def stop() -> None:
        group.stopped = True

    monkeypatch.setattr(group, "lock", _Watched(group, stop, before=True))
    place.write(md, 0, "x")
    assert not any(place.sector(name, 0) for name in ("l0", "r0"))


def test_a_batch_goes_as_it_was_taken(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    group, md = place.group(), place.device(0)
    place.wait(1)
    site = running(place.dm).group.sites[1]
    place.tell(group, "slink pause 1")
    place.write(md, 0, "one epoch")
    md.submit(Bio(Op.FLUSH, 0, 0))
    place.write(md, 1, "the next")
    calls: list[Call] = []

    def concerns(disk: str, call: Call) -> bool:
        calls.append(call)
        return False

    def change() -> None:
        if site.batch:
            site.link.policy = Policy(epoch=True)

    place.world.disks["r0"].faults = Faults(concerns=concerns)
    monkeypatch.setattr(running(place.dm).group, "lock", _Watched(running(place.dm).group, change, before=False))
    place.tell(group, "slink resume 1")
    place.wait(1)
    assert calls == [Call.WRITE, Call.FLUSH] * 2


class _Meanwhile:
    """Another thread, which takes the group's lock and acts; whoever lets it go waits for it a little."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._thread = Thread(target=act)

    def go(self) -> None:
        self._thread.start()
        self._thread.join(_PATIENCE_SECONDS)

    def end(self) -> None:
        self._thread.join()


@pytest.fixture(name="bare")
def _bare() -> Group:
    """A group without sites, for real threads."""
    runtime = ThreadRuntime()
    lock = runtime.condition()
    return Group(runtime, lock, MemoryLog(cast("Context", None), lock, 4096), print)


def test_an_order_that_is_lost_as_it_is_regained_is_told(bare: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wavering(Site):
        order = False
        meanwhile: _Meanwhile | None = None

        @property
        def ordered(self) -> bool:
            order, meanwhile = self.order, self.meanwhile
            self.meanwhile = None
            if meanwhile is not None:
                meanwhile.go()
            return order

    told: list[bool] = []
    site = Wavering(BlockdevLink(1, Policy(), None))
    monkeypatch.setattr(bare, "event", lambda: told.append(site.order))

    def lose() -> None:
        site.order = False
        bare.tell_order(site)

    bare.tell_order(site)
    meanwhile = _Meanwhile(lose)
    site.order, site.meanwhile = True, meanwhile
    bare.tell_order(site)
    meanwhile.end()
    site.order = True
    bare.tell_order(site)
    assert len(told) == 4


def test_a_device_leaves_while_it_is_looked_for_regions_in_sync(bare: Group) -> None:
    site = Site(BlockdevLink(1, Policy(), None))

    def forget() -> None:
        with bare.lock:
            site.forget(0)

    meanwhile = _Meanwhile(forget)

    class Places(dict[tuple[int, int], int]):
        def items(self) -> Any:
            for number, item in enumerate(super().items()):
                if number == 1:
                    meanwhile.go()
                yield item

    site.awaiting = Places({(device, 0): 100 for device in range(3)})
    assert not list(Resync(bare, site, CopyService(bare.runtime)).going_on())
    meanwhile.end()
    assert (0, 0) not in site.awaiting
