"""Dirty logs that each break one promise, with the check that finds it out and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from dmtable.core.steps import Steps
from dmtable.core.target import StatusKind
from dmtable.dirtylog.core import CoreLog, CoreParams
from dmtable.dirtylog.disk import DiskLog
from dmtable.dirtylog.log import DirtyLog, Place
from dmtable.language.diagnostics import Finding, refused


class ForgetsWordsParams(CoreParams):
    def words(self) -> list[str]:
        return super().words()[:1]


class ForgetsWords(CoreLog):
    params = ForgetsWordsParams


class AnyWordsParams(CoreParams):
    @classmethod
    def inspect(cls, words: Sequence[str], place: Place) -> tuple[Self | None, list[Finding]]:
        return cls(2), []


class AnyWords(CoreLog):
    params = AnyWordsParams


class OwnRefusalParams(CoreParams):
    @classmethod
    def inspect(cls, words: Sequence[str], place: Place) -> tuple[Self | None, list[Finding]]:
        place = Place(place.length, place.at, refused("mine", 5, "no"), place.lookup)
        return super().inspect(words, place)


class OwnRefusal(CoreLog):
    params = OwnRefusalParams


class NoBlankBehind(CoreLog):
    def status(self, kind: StatusKind) -> str:
        return super().status(kind).strip()


class CountsItself(CoreLog):
    def status(self, kind: StatusKind) -> str:
        return "2 core" if kind is StatusKind.INFO else super().status(kind)


class ForgetsTheRest(CoreLog):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.region_count = max(self.region_count - 1, 1)


class AlwaysInSync(CoreLog):
    def in_sync(self, region: int) -> bool:
        return True


class WorkTwice(CoreLog):
    def get_resync_work(self) -> int | None:
        work = super().get_resync_work()
        if work is not None:
            self._recovering[work] = 0
        return work

    def rewind(self, region: int) -> None:
        self._cursor = 0


class WorkRewinds(CoreLog):
    def set_region_sync(self, region: int, in_sync: bool) -> None:
        super().set_region_sync(region, in_sync)
        self.rewind(region)


class WritesAtOnce(DiskLog):
    def mark_region(self, region: int) -> None:
        super().mark_region(region)
        self.flush()


class WritesAlways(DiskLog):
    def flushing(self) -> Steps:
        self._has_dirtied = True
        return super().flushing()


class CountsTwice(CoreLog):
    def set_region_sync(self, region: int, in_sync: bool) -> None:
        self._sync_count += in_sync and self.in_sync(region)
        super().set_region_sync(region, in_sync)


class NeverFlushes(DiskLog):
    def _flush_log(self) -> Steps:
        return iter(())


class ForgetsOnSuspend(DiskLog):
    def postsuspend(self) -> None:
        return


class GrowsClean(DiskLog):
    def _take_over(self, known: int) -> None:
        super()._take_over(self.region_count if known else 0)


class ForgetsData(DiskLog):
    def flushing(self) -> Steps:
        self._has_cleaned = False
        return super().flushing()


class IgnoresData(DiskLog):
    def flushing(self) -> Steps:
        try:
            yield from super().flushing()
        except OSError:
            return
        self._data_failed = False

    def _unstored(self):  # type: ignore[no-untyped-def]
        if self._data_failed:
            self._clean.setall(1)
        return super()._unstored()


class WritesInOne(DiskLog):
    """As the kernel does: header and bitmap in one request, of which a part may be lost."""

    def _take_over(self, known: int) -> None:
        super()._take_over(known)
        self._renew_header()


class TrustsUnread(DiskLog):
    def resuming(self) -> Steps:
        yield from super().resuming()
        if self._failed:
            self._in_sync.setall(1)
            self._sync_count = self.region_count


class KeepsQuiet(DiskLog):
    def flushing(self) -> Steps:
        try:
            yield from super().flushing()
        except OSError:
            return


class TriesOnce(DiskLog):
    def flushing(self) -> Steps:
        try:
            yield from super().flushing()
        except OSError:
            self._has_dirtied = self._has_cleaned = False
            raise


BROKEN: list[tuple[str, str, type[DirtyLog]]] = [
    ("test_its_words_make_parameters_and_the_same_words_again", "words() makes", ForgetsWords),
    ("test_wrong_words_are_refused_where_they_stand", "and should be refused", AnyWords),
    ("test_wrong_words_are_refused_where_they_stand", "refuses as the place says", OwnRefusal),
    ("test_its_table_status_is_its_words", "ends in a blank", NoBlankBehind),
    ("test_its_info_status_is_counted", "number of words behind it", CountsItself),
    ("test_regions_cover_the_line", "region_count is wrong", ForgetsTheRest),
    ("test_the_first_state_is_what_its_words_say", "has regions in sync", AlwaysInSync),
    ("test_work_comes_once_and_in_order", "rewind lets", WorkTwice),
    ("test_work_comes_once_and_in_order", "ends once", WorkRewinds),
    ("test_states_need_no_device", "do I/O", WritesAtOnce),
    ("test_a_flush_of_nothing_does_nothing", "nothing had changed", WritesAlways),
    ("test_any_sequence_of_operations_equals_sets_of_regions", "sync_count is", CountsTwice),
    ("test_no_power_loss_loses_a_dirty_region_or_dirties_another", "were marked and flushed", NeverFlushes),
    ("test_a_log_made_anew_knows_what_was_stored", "a log made anew", ForgetsOnSuspend),
    ("test_a_line_may_grow_and_shrink", "regions that became", GrowsClean),
    ("test_clean_regions_are_stored_behind_their_data", "must be flushed", ForgetsData),
    ("test_clean_regions_are_stored_behind_their_data", "regions are stored as clean", IgnoresData),
    ("test_no_power_loss_takes_what_lay_on_the_device_for_the_state_of_regions", "made regions be in", WritesInOne),
    ("test_a_log_that_cannot_be_read_calls_nothing_in_sync", "regions are in sync", TrustsUnread),
    ("test_what_a_failed_flush_left_the_next_one_stores", "must raise OSError", KeepsQuiet),
    ("test_what_a_failed_flush_left_the_next_one_stores", "has not stored", TriesOnce),
]
