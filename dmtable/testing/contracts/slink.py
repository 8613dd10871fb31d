"""What a site link promises, as checks: the docstrings of SiteLink, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Op
from dmtable.core.steps import Steps
from dmtable.sim.faults import Call
from dmtable.slink import kinds
from dmtable.slink.link import DeviceError, FallBehind, Measure, Policy, SiteDevice, SiteLink
from dmtable.testing.contracts.bench import cut, fill
from dmtable.testing.contracts.properties import ANY_CLASS
from dmtable.testing.contracts.slink_bench import NUMBER, SECTORS, SiteBench
from dmtable.units import SECTOR_BYTES

_ZEROES = bytes(SECTOR_BYTES)


class SiteLinkContract:
    """Checks of a kind of site link. Inherit it in a class that pytest collects:

        class TestMyLink(SiteLinkContract):
            kind = "mine"

            def make_site(self) -> SiteBench:
                return MyBench()

    A SiteBench is one disk, and the way to it, which can be closed: the way of a table's devices, and where a link
    goes another, that of a subclass.
    """

    kind: str

    def link_class(self) -> type[SiteLink]:
        """The class under test: the one that is registered as `kind`."""
        found = kinds.KINDS.find(self.kind)
        assert found is not None, f"no site link is registered as {self.kind!r}"
        return found

    def make_site(self) -> SiteBench:
        """A new site."""
        return SiteBench()

    # What it is

    def test_it_is_what_it_was_made_of(self) -> None:
        limit = FallBehind(Measure.IOS, 5, 5)
        link = self.link_class()(4, Policy(stall=True), limit)
        assert link.kind == self.kind, "a link's `kind` is its name in tables"
        assert (link.number, link.policy, link.fall_behind) == (4, Policy(stall=True), limit)
        assert (link.accessible, link.error_letters, link.failures) == (True, "A", 0), (
            "a new link has failed at nothing"
        )
        assert not link.devices, "a new link has no devices"

    def test_an_open_device_has_a_name_for_tables(self) -> None:
        with self._opened() as (site, link):
            name = link.devices[NUMBER].name
            assert name, "an open device has a name"
            assert not any(letter.isspace() for letter in name), f"a name is one word of a table, and not {name!r}"
            again = site.opened(self._make())
            assert again.devices[NUMBER].name == name, "the same word leads to the same name"
            again.remove(NUMBER)

    def test_opening_an_open_device_does_nothing(self) -> None:
        with self._opened() as (site, link):
            device = link.devices[NUMBER].device
            site.run(link.opening(site, NUMBER))
            assert link.devices[NUMBER].device is device, "opening replaced a device that others may be using"

    def test_a_removed_device_is_forgotten(self) -> None:
        with self._opened() as (_, link):
            link.failed(NUMBER, DeviceError.WRITE)
            link.remove(NUMBER)
            assert link.accessible, "what a removed device failed with must not keep the site from its entries"
            assert NUMBER not in link.devices

    # What is sent

    @ANY_CLASS
    @given(data=st.data())
    def test_what_was_sent_is_there(self, data: st.DataObject) -> None:
        model = [_ZEROES] * SECTORS
        with self._opened() as (site, link):
            for tag, (op, first, count, fua) in enumerate(data.draw(_entries())):
                count = min(count, SECTORS - first)
                content = fill(tag, count) if op is Op.WRITE else None
                site.run(link.writing(NUMBER, op, first, count, content, fua=fua))
                model[first : first + count] = cut(content) if content else [_ZEROES] * count
                assert [*site.disk.image] == model, f"after {op.name} of {count} sectors at {first} others are there"
                if fua:
                    assert [*site.disk.durable][first : first + count] == model[first : first + count], (
                        f"{op.name} with fua ended before it was durable"
                    )
            site.run(link.flushing(NUMBER))
            assert [*site.disk.durable] == model, "a flush ended before everything was durable"

    def test_a_power_loss_at_the_site_takes_nothing_that_was_flushed(self) -> None:
        with self._opened() as (site, link):
            flushed, later, single = fill(1, 4), fill(2, 2), fill(3, 1)
            site.run(link.writing(NUMBER, Op.WRITE, 0, 4, flushed))
            site.run(link.flushing(NUMBER))
            site.run(link.writing(NUMBER, Op.WRITE, 0, 2, later))
            site.run(link.writing(NUMBER, Op.DISCARD, 2, 1, None))
            site.run(link.writing(NUMBER, Op.WRITE, 8, 1, single, fua=True))
            old, new = cut(flushed), cut(later)
            for image in site.survivors():
                for at, allowed in ((0, (old[0], new[0])), (1, (old[1], new[1])), (2, (old[2], _ZEROES))):
                    assert image[at] in allowed, f"sector {at} was flushed, and has neither that nor what came later"
                assert image[3] == old[3], "sector 3 was flushed, and a power loss took it"
                assert image[8] == single, "sector 8 was written with fua, and a power loss took it"

    def test_a_step_makes_one_device_call_at_most(self) -> None:
        with self._opened() as (site, link):
            link.failed(NUMBER, DeviceError.READ | DeviceError.WRITE)
            for what, steps in (
                ("writing", link.writing(NUMBER, Op.WRITE, 0, 2, fill(1, 2))),
                ("writing of a discard", link.writing(NUMBER, Op.DISCARD, 0, 2, None)),
                ("flushing", link.flushing(NUMBER)),
                ("testing", link.testing(site)),
            ):
                most = max(_calls(site, steps))
                assert most <= 1, f"a step of {what} makes {most} device calls, and a Worker's may make one"

    # What fails

    @pytest.mark.parametrize("call", [Call.READ, Call.WRITE, Call.FLUSH], ids=lambda call: call.value)
    def test_an_error_is_told_and_forgiven_when_a_test_goes_well(self, call: Call) -> None:
        with self._opened() as (site, link):
            error = DeviceError.READ if call is Call.READ else DeviceError.WRITE
            site.failing.add(call)
            if call is not Call.READ:
                assert _fails(site, _durably(link)), f"a {call.value} failed, and nobody was told"
            assert link.failed(NUMBER, error), "the first error of a kind is news"
            assert not link.failed(NUMBER, error), "the second is none"
            assert link.failures == 2, "failures counts them all"
            assert not link.accessible, "while a device failed, nothing is sent to the site"
            assert link.error_letters == ("R" if call is Call.READ else "W")
            if call is not Call.WRITE:
                assert _fails(site, link.testing(site)), f"a test went well, and {call.value} fails"
                assert not link.accessible, "a test that failed forgives nothing"
            site.give_back()
            site.run(link.testing(site))
            assert link.accessible, "the device answers, and the site gets nothing all the same"
            assert link.error_letters == "A"
            site.run(_durably(link))
            assert site.disk.durable[0] == fill(1, 1), "what is sent after a test that went well does not arrive"

    def test_a_device_that_cannot_be_opened_is_opened_when_it_can(self) -> None:
        with self._site() as site:
            link = self._make()
            site.take_away()
            site.add(link)
            for again in (link.opening(site, NUMBER), _durably(link), link.flushing(NUMBER)):
                assert _fails(site, again), "the device cannot be reached, and nobody was told"
            assert link.devices[NUMBER].name == site.word, "until it was open, a device has its word for a name"
            link.failed(NUMBER, DeviceError.READ)
            assert _fails(site, link.testing(site)), "the device cannot be reached, and a test went well"
            site.give_back()
            site.run(link.testing(site))
            assert link.accessible
            site.run(_durably(link))
            assert site.disk.durable[0] == fill(1, 1)
            link.remove(NUMBER)

    def test_a_device_that_goes_away_comes_back_as_the_same_object(self) -> None:
        with self._opened() as (site, link):
            device = link.opened(NUMBER)
            site.take_away()
            assert _fails(site, _durably(link)), "the device cannot be reached, and nobody was told"
            link.failed(NUMBER, DeviceError.WRITE)
            assert _fails(site, link.testing(site)), "the device cannot be reached, and a test went well"
            site.give_back()
            site.run(link.testing(site))
            assert link.opened(NUMBER) is device, "the copies under way use the device that was open"
            site.run(_durably(link))
            assert site.disk.durable[0] == fill(1, 1)

    def test_one_device_that_fails_stops_the_whole_site(self) -> None:
        with self._opened() as (site, link):
            link.devices[NUMBER + 1] = SiteDevice(NUMBER + 1, site.word, SECTORS, None)
            link.failed(NUMBER, DeviceError.WRITE)
            link.failed(NUMBER + 1, DeviceError.READ)
            assert link.error_letters == "RW", "the letters are those of all devices"
            site.run(link.testing(site))
            assert link.accessible
            link.remove(NUMBER + 1)

    def test_tests_become_rare_until_something_is_durable(self) -> None:
        with self._opened() as (site, link):
            waits = [link.next_test_seconds() for _ in range(6)]
            assert waits == [1, 2, 4, 8, 15, 15], f"tests come after {waits} seconds"
            site.run(link.testing(site))
            assert link.next_test_seconds() == 15, "a test that went well proves little"
            for proof in (link.flushing(NUMBER), link.writing(NUMBER, Op.WRITE, 0, 1, fill(1, 1), fua=True)):
                link.next_test_seconds()
                site.run(proof)
                assert link.next_test_seconds() == 1, "the site made something durable, and tests are still rare"

    def test_a_paused_link_gets_nothing_and_forgets_nothing(self) -> None:
        link = self._make()
        link.paused = True
        assert not link.accessible
        assert link.error_letters == "A", "to pause is no error"
        link.failed(NUMBER, DeviceError.READ)
        link.paused = False
        assert not link.accessible, "a device failed while the link was paused"

    # How far behind

    def test_a_synchronous_site_is_always_waited_for(self) -> None:
        link = self.link_class()(1, Policy(synchronous=True), None)
        assert link.must_wait(1, 0.0)
        assert not link.is_behind(0.0), "status shows as behind who is beyond a limit, and not who has the policy"

    def test_without_a_limit_nothing_waits(self) -> None:
        for limit in (None, *(FallBehind(measure, 0, 0) for measure in Measure)):
            link = self.link_class()(1, Policy(), limit)
            for _ in range(100):
                link.queued(2048)
            assert not link.must_wait(2048, 1e9)
            assert not link.is_behind(1e9)

    @ANY_CLASS
    @given(data=st.data())
    def test_acknowledged_writes_never_exceed_the_limit(self, data: st.DataObject) -> None:
        measure = data.draw(st.sampled_from([Measure.IOS, Measure.SIZE]))
        limit = data.draw(st.integers(1, 20))
        link = self.link_class()(1, Policy(), FallBehind(measure, limit, limit))
        lacks: list[tuple[int, bool]] = []
        for sectors in data.draw(_arrivals()):
            if sectors == 0:
                if lacks:
                    link.done(1, lacks.pop(0)[0])
                continue
            waits = link.must_wait(sectors, 0.0)
            lacks.append((sectors, not waits))
            link.queued(sectors)
            weight = [1 if measure is Measure.IOS else size for size, _ in lacks]
            acknowledged = sum(each for each, (_, told) in zip(weight, lacks, strict=True) if told)
            assert acknowledged <= limit, f"{acknowledged} are acknowledged and missing, with a limit of {limit}"
            assert waits == (sum(weight) > limit), "who waits is decided by what the site lacks, and by nothing else"
            assert link.is_behind(0.0) == (sum(weight) > limit), "is_behind and must_wait see different limits"
            assert (link.outstanding_ios, link.outstanding_sectors) == (len(lacks), sum(size for size, _ in lacks))

    def test_behind_a_timeout_everybody_waits(self) -> None:
        link = self.link_class()(1, Policy(), FallBehind(Measure.TIMEOUT, 1500, 1500))
        for _ in range(100):
            link.queued(2048)
        for seconds, waits in ((0.0, False), (1.5, False), (1.501, True), (1e9, True)):
            assert link.must_wait(1, seconds) is waits, f"the oldest has waited {seconds} s, the timeout is 1.5 s"
            assert link.is_behind(seconds) is waits

    # Inside

    def _make(self) -> SiteLink:
        return self.link_class()(1, Policy(), None)

    @contextmanager
    def _site(self) -> Iterator[SiteBench]:
        site = self.make_site()
        try:
            yield site
        finally:
            site.close()

    @contextmanager
    def _opened(self) -> Iterator[tuple[SiteBench, SiteLink]]:
        with self._site() as site:
            link = site.opened(self._make())
            yield site, link
            if NUMBER in link.devices:
                link.remove(NUMBER)


def _durably(link: SiteLink) -> Steps:
    """Sends one sector, and flushes."""
    yield from link.writing(NUMBER, Op.WRITE, 0, 1, fill(1, 1))
    yield from link.flushing(NUMBER)


def _fails(site: SiteBench, steps: Steps) -> bool:
    try:
        site.run(steps)
    except OSError:
        return True
    return False


def _calls(site: SiteBench, steps: Steps) -> Iterator[int]:
    """How many device calls each step makes."""
    before = site.calls
    for completion in steps:
        yield site.calls - before
        site.runtime.wait(completion)
        before = site.calls
    yield site.calls - before


@cache
def _entries() -> st.SearchStrategy[list[tuple[Op, int, int, bool]]]:
    """(what, first sector, how many, whether with fua)."""
    ops = st.sampled_from([Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES])
    return st.lists(st.tuples(ops, st.integers(0, SECTORS - 1), st.integers(1, 8), st.booleans()), max_size=8)


@cache
def _arrivals() -> st.SearchStrategy[list[int]]:
    """The sectors of an entry; 0 where the site is done with its oldest."""
    return st.lists(st.integers(0, 8), max_size=40)
