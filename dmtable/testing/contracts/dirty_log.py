"""What a dirty log promises, as checks: the docstrings of DirtyLog, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.target import StatusKind
from dmtable.dirtylog import kinds
from dmtable.dirtylog.log import DirtyLog, LogParams, Place
from dmtable.language.diagnostics import Finding
from dmtable.sim.cache import Image
from dmtable.sim.choices import exhaustive
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, Faults, Ill, every_call
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World
from dmtable.testing.contracts.log_bench import AT, REFUSAL, LogMachine, LogModel, regions_in_sync
from dmtable.testing.contracts.properties import ANY_CLASS
from dmtable.units import SECTOR_BYTES

Kind = Literal["mark", "clear", "in sync", "out of sync", "work", "rewind", "flush", "resume"]
Operation = tuple[Kind, int]
"""(what, region)"""

_KINDS: tuple[Kind, ...] = ("mark", "clear", "in sync", "out of sync", "work", "rewind", "flush", "resume")


class DirtyLogContract:
    """Checks of a kind of dirty log. Inherit it in a class that pytest collects:

        class TestMyLog(DirtyLogContract):
            kind = "mine"
            words = "/dev/log 2"
            persistent = True

    The words are those behind the log's name and count, without `sync` and `nosync`, which it must know as the
    kernel's logs do. They make regions of `region_size` sectors, and may name the device `/dev/log`.
    """

    kind: str
    words: str
    region_size: int = 2
    log_sectors: int = 16
    """How large /dev/log is."""
    log_block_size: int = SECTOR_BYTES
    """Its logical block size, in bytes."""
    persistent: bool = False
    """Whether a log on the same device, made anew, knows what an older one stored."""
    regions: int = 12_000
    """How many the checks of power losses and faults use: enough for the stored bits to fill several sectors."""
    refused: Sequence[str] = ("", "0", "x", "2 never", "2 sync nosync")
    """Words that the log must refuse for a line of `regions` regions."""

    def log_class(self) -> type[DirtyLog]:
        """The class under test: the one that is registered as `kind`."""
        found = kinds.KINDS.find(self.kind)
        assert found is not None, f"no dirty log is registered as {self.kind!r}"
        return found

    def make_disk(self, world: World, image: Image) -> SimDisk:
        """/dev/log, with a content."""
        return world.disk("log", image=image, logical_block_size=self.log_block_size)

    # Words

    def test_its_words_make_parameters_and_the_same_words_again(self) -> None:
        machine = LogMachine(self, World())
        for state in ("", " sync", " nosync"):
            words = (self.words + state).split()
            for lookup in (None, machine.lookup):
                params, findings = self._inspect(words, Place(640, AT, REFUSAL, lookup))
                said = [finding.what for finding in findings]
                assert params is not None, f"inspect refuses {words}: {said}"
                assert params.words() == words, f"words() makes {params.words()} of {words}"

    def test_wrong_words_are_refused_where_they_stand(self) -> None:
        for text in self.refused:
            words = text.split()
            params, findings = self._inspect(words, Place(640, AT, REFUSAL))
            assert params is None, f"{words} make parameters, and should be refused"
            assert any(finding.refusal for finding in findings), f"no finding of {words} has a refusal"
            for finding in findings:
                refusal = finding.refusal or REFUSAL
                assert (refusal.errno, refusal.text) == (REFUSAL.errno, REFUSAL.text), (
                    "a log refuses as the place says, and gives its own reason in the refusal's log"
                )
                assert finding.word is None or AT - 2 <= finding.word < AT + max(len(words), 1), (
                    f"the finding {finding.what!r} points to word {finding.word} of the target; "
                    f"the log's begin at {AT}, behind its name and count"
                )

    def test_its_table_status_is_its_words(self) -> None:
        for state in ("", " sync", " nosync"):
            words = (self.words + state).split()
            log = LogMachine(self, World()).open(state.strip(), 8)
            told = log.status(StatusKind.TABLE)
            name, count, *rest = told.split()
            assert (name, len(rest)) == (self.kind, int(count)), f"the status {told!r} counts its words wrongly"
            assert len(rest) == len(words), f"the status {told!r} has other words than {words}"
            assert told.endswith(" "), "a log's table status ends in a blank: the target's words follow"

    def test_its_info_status_is_counted(self) -> None:
        count, *rest = LogMachine(self, World()).open("", 8).status(StatusKind.INFO).split()
        assert len(rest) == int(count), "the first word of a log's status is the number of words behind it"
        assert rest[0] == self.kind, "the second word of a log's status is its name"

    # States

    def test_regions_cover_the_line(self) -> None:
        for length in (self.region_size, 7 * self.region_size, 7 * self.region_size + 1):
            log = LogMachine(self, World()).open_length("", length)
            assert log.region_size == self.region_size, f"region_size is to be {self.region_size} with these words"
            assert log.region_count == -(-length // self.region_size), f"region_count is wrong for {length} sectors"

    def test_the_first_state_is_what_its_words_say(self) -> None:
        for state, in_sync in (("", False), ("sync", False), ("nosync", True)):
            log = LogMachine(self, World()).open(state, 70)
            found = {log.in_sync(region) for region in range(70)}
            assert found == {in_sync}, f"with {state!r} a new log has regions {'out of' if in_sync else 'in'} sync"
            assert log.sync_count == 70 * in_sync, "sync_count does not count the regions that are in sync"

    def test_work_comes_once_and_in_order(self) -> None:
        log = LogMachine(self, World()).open("", 70)
        for region in (3, 4, 69):
            log.set_region_sync(region, True)
        work = list(iter(log.get_resync_work, None))
        assert work == [region for region in range(70) if region not in (3, 4, 69)]
        log.set_region_sync(5, False)
        assert log.get_resync_work() is None, "the search for work ends once, and goes back by rewind and resume only"
        log.rewind(5)
        assert log.get_resync_work() == 5, "rewind lets the search find a region again that is not recovering any more"
        assert log.get_resync_work() is None, "regions that are recovering are no work"

    def test_states_need_no_device(self) -> None:
        world = World()
        log = LogMachine(self, world).open("", 70)
        calls, reads = world.power.calls, len(world.trace or ())
        for region in range(70):
            log.mark_region(region)
            log.clear_region(region)
            log.set_region_sync(region, log.in_sync(region) or log.is_clean(region))
        log.get_resync_work()
        assert (world.power.calls, len(world.trace or ())) == (calls, reads), "only resume, flush and suspend do I/O"

    def test_a_flush_of_nothing_does_nothing(self) -> None:
        world = World()
        log = LogMachine(self, world).open("", 70)
        log.mark_region(3)
        log.flush()
        calls = world.power.calls
        log.flush()
        assert world.power.calls == calls, "a flush wrote though nothing had changed since the last"

    @ANY_CLASS
    @given(data=st.data())
    def test_any_sequence_of_operations_equals_sets_of_regions(self, data: st.DataObject) -> None:
        state = data.draw(st.sampled_from(["", "sync", "nosync"]))
        count = data.draw(st.integers(1, 70))
        machine = LogMachine(self, World(traced=False))
        log, model = machine.open(state, count), LogModel(count, state, self.persistent)
        for kind, at in data.draw(_sequences()):
            region = at % count
            if kind == "mark":
                log.mark_region(region)
                model.dirty.add(region)
            elif kind == "clear":
                log.clear_region(region)
                model.dirty.discard(region)
            elif kind in ("in sync", "out of sync"):
                log.set_region_sync(region, kind == "in sync")
                model.set_sync(region, kind == "in sync")
            elif kind == "work":
                work, expected = log.get_resync_work(), model.work()
                assert work == expected, f"get_resync_work returned {work}, and should have returned {expected}"
            elif kind == "rewind":
                log.rewind(region)
                model.cursor = min(model.cursor, region)
            elif kind == "flush":
                log.flush()
            else:
                log.presuspend()
                log.postsuspend()
                log.resume()
                model.resume()
            model.compare(log, f"after {kind} of region {region}")

    # What is stored

    def test_a_log_made_anew_knows_what_was_stored(self) -> None:
        self._needs_persistence()
        for state, in_sync in (("", {0, 1, 2, 4, 6}), ("sync", set()), ("nosync", {*range(7)})):
            machine = LogMachine(self, World())
            log = machine.open("nosync", 7)
            for region in (3, 4, 5):
                log.mark_region(region)
            log.flush()
            log.clear_region(4)
            log.postsuspend()
            log.dtr()
            found = machine.open(state, 7)
            assert regions_in_sync(found) == in_sync, (
                f"a log made anew with {state!r} has {regions_in_sync(found)} in sync"
            )
            assert found.sync_count == len(in_sync), "sync_count is wrong after a resume"

    def test_a_line_may_grow_and_shrink(self) -> None:
        self._needs_persistence()
        for state in ("", "sync", "nosync"):
            for before, after in ((7, 70), (70, 7), (64, 65), (65, 64), (8, 9)):
                world = World()
                self.make_disk(world, _ones(self.log_sectors))
                machine = LogMachine(self, world)
                log = machine.open("nosync", before)
                log.mark_region(3)
                log.flush()
                kept = {region for region in range(min(before, after)) if region != 3}
                expected = {"": kept, "sync": set(), "nosync": {*range(after)}}[state]
                found = regions_in_sync(machine.open(state, after))
                assert found == expected, f"{before} regions that became {after} with {state!r} have {found} in sync"
                assert regions_in_sync(machine.open("", after)) == expected, (
                    "a resume did not store what it made of the log"
                )

    def test_clean_regions_are_stored_behind_their_data(self) -> None:
        self._needs_persistence()
        machine = LogMachine(self, World())
        log = machine.open("nosync", 7, machine.flush_data)
        log.mark_region(3)
        log.flush()
        machine.data_flushes = 0
        log.clear_region(3)
        log.flush()
        assert machine.data_flushes == 1, "before a region is stored as clean, its data must be flushed"
        log.mark_region(4)
        log.clear_region(4)
        machine.data_fails = True
        log.flush()
        assert regions_in_sync(machine.open("", 7)) == set(), (
            "the data could not be flushed, and regions are stored as clean"
        )

    def test_no_power_loss_loses_a_dirty_region_or_dirties_another(self) -> None:
        self._needs_persistence()
        for state in ("", "nosync"):
            self._cut_everywhere(partial(self._survives, state))

    def test_no_power_loss_takes_what_lay_on_the_device_for_the_state_of_regions(self) -> None:
        self._needs_persistence()
        for before in (None, 8, self.regions // 3):
            self._cut_everywhere(partial(self._grows, before))

    # Faults

    def test_a_log_that_cannot_be_read_calls_nothing_in_sync(self) -> None:
        self._needs_persistence()
        machine = LogMachine(self, World())
        machine.open("nosync", self.regions).postsuspend()
        for call in (Call.READ, Call.WRITE, Call.FLUSH):
            log, error = machine.with_faults(_lasting(call)).try_open("", self.regions)
            assert call is not Call.READ or log.sync_count == 0, "the log could not be read, and regions are in sync"
            assert call is Call.READ or error is not None, f"a resume whose {call.value} failed says nothing of it"
            assert machine.events == 1, f"a log device fails to {call.value}, and one event should say so"
            log.mark_region(3)
            assert not log.is_clean(3), "a log is of use even if it cannot be stored"

    def test_what_a_failed_flush_left_the_next_one_stores(self) -> None:
        self._needs_persistence()
        for faults in every_call(Fault(Ill.ERROR), lambda _, call: call is not Call.READ):
            machine = LogMachine(self, World())
            log = machine.open("nosync", self.regions)
            machine.disk.faults = faults
            marked = self._marked()
            for region in marked:
                before = len(faults.struck)
                log.mark_region(region)
                assert _fails(log.flush) is (len(faults.struck) > before), (
                    "a flush whose I/O failed must raise OSError, and one that went well must not"
                )
            faults.healed = True
            log.flush()
            machine.disk.lose_cache(machine.disk.durable)
            stored = machine.open("", self.regions)
            lost = [region for region in marked if stored.in_sync(region)]
            assert not lost, f"a flush that went well, after one that failed, has not stored {lost}"

    # Inside

    def _needs_persistence(self) -> None:
        if not self.persistent:
            pytest.skip("persistent is False: nothing is stored")

    def _inspect(self, words: Sequence[str], place: Place) -> tuple[LogParams | None, list[Finding]]:
        return self.log_class().params.inspect(words, place)

    def _marked(self) -> list[int]:
        """Regions far from one another."""
        return [0, self.regions // 2, self.regions - 1]

    def _cut_everywhere(self, life: Callable[[World, int], bool]) -> None:
        """Leads a life with a power loss at each of its calls, and everything that this may leave on the device.

        The life says whether it was cut.
        """
        cut_at, cut = 1, True
        while cut:
            cut = sum(life(World(choices, traced=False), cut_at) for choices in exhaustive()) > 0
            cut_at += 1

    def _survives(self, state: str, world: World, cut_at: int) -> bool:
        """Regions are marked and cleared, with a power loss at a call."""
        machine = LogMachine(self, world)
        machine.open("nosync", self.regions).postsuspend()
        machine.disk.flush()
        world.power.cut_at = world.power.calls + cut_at
        marked, dirty = self._marked(), set()
        cut = False
        try:
            log = machine.open("", self.regions)
            for again in (marked, marked[:1], marked[1:]):
                for region in again:
                    log.mark_region(region)
                log.flush()
                dirty |= {*again}
                for region in again[::2]:
                    # From here on it may be stored as clean.
                    dirty.discard(region)
                    log.clear_region(region)
            log.postsuspend()
        except PowerLoss:
            cut = True
        found = LogMachine(self, world.after_power_loss()).open(state, self.regions)
        if state:
            assert found.sync_count == self.regions, "with nosync every region is in sync, whatever is stored"
            return cut
        when = f"after a power loss at call {cut_at}"
        lost = [region for region in dirty if found.in_sync(region)]
        assert not lost, f"regions {lost} were marked and flushed, and are in sync {when}"
        others = self.regions - found.sync_count - sum(not found.in_sync(region) for region in marked)
        assert not others, f"{others} regions that nobody marked are out of sync {when}"
        return cut

    def _grows(self, before: int | None, world: World, cut_at: int) -> bool:
        """A log becomes longer, or is made, on a device full of ones, with a power loss at a call."""
        self.make_disk(world, _ones(self.log_sectors))
        machine = LogMachine(self, world)
        if before is not None:
            machine.open("nosync", before).postsuspend()
            machine.disk.flush()
        world.power.cut_at = world.power.calls + cut_at
        cut = False
        try:
            machine.open("", self.regions)
        except PowerLoss:
            cut = True
        found = LogMachine(self, world.after_power_loss()).open("", self.regions)
        known = {*range(before or 0)}
        assert regions_in_sync(found) == known, (
            f"a power loss at call {cut_at} of a first resume made regions be in sync"
        )
        return cut


def _ones(sectors: int) -> Image:
    """What looks like regions that are clean, to somebody who does not know how many there are."""
    return (b"\xff" * SECTOR_BYTES,) * sectors


def _lasting(call: Call) -> Faults:
    return Faults({1: Fault(Ill.ERROR, lasting=True)}, concerns=lambda disk, called: called is call)


def _fails(work: Callable[[], None]) -> bool:
    try:
        work()
    except OSError:
        return True
    return False


@cache
def _sequences() -> st.SearchStrategy[list[Operation]]:
    return st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 69)), max_size=20)
