"""Recovery: its table, each row of it reached, and what it lists of a damaged log."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable

import pytest

from dmtable.core.bio import Op
from dmtable.replog.opening import read_headers
from dmtable.replog.recovery import VERDICTS, Look, Place, Verdict, Walk
from dmtable.replog.ring import Ring
from dmtable.replog.ringbuffer import RingBufferLog
from tests.replog.logs import Host, content, host

SECOND = 32
"""The sector of entry 2's header, where each entry has one sector."""


def test_the_table_has_a_row_for_everything() -> None:
    assert {*VERDICTS} == {*itertools.product(Look, Place)}


def test_only_what_is_valid_is_taken() -> None:
    for (look, place), verdict in VERDICTS.items():
        if look is Look.VALID:
            assert verdict is Verdict.TAKE
        else:
            assert verdict is (Verdict.DAMAGE if place is Place.BEFORE_TAIL else Verdict.END)


def put(at: int, value: int, size: int) -> Callable[[bytearray], None]:
    def change(header: bytearray) -> None:
        header[at : at + size] = value.to_bytes(size, "little")
        header[68:72] = bytes(4)
        header[68:72] = zlib.crc32(header).to_bytes(4, "little")

    return change


def clear(at: int, size: int) -> Callable[[bytearray], None]:
    def change(header: bytearray) -> None:
        header[at : at + size] = bytes(size)

    return change


WAYS: list[tuple[Look, Callable[[bytearray], None]]] = [
    (Look.MISSING, clear(0, 512)),
    (Look.MISSING, clear(16, 4)),
    (Look.FOREIGN, clear(68, 188)),
    (Look.ROTTEN, clear(33, 1)),
    (Look.ROTTEN, clear(120, 8)),
    (Look.ROTTEN, clear(256, 1)),
    (Look.UNKNOWN_FORMAT, put(76, 2, 2)),
    (Look.OTHER_LOG, put(80, 1, 16)),
    (Look.MISPLACED, put(48, 48 * 512, 8)),
    (Look.OLDER_LAP, put(104, 1, 8)),
    (Look.OLDER_GENERATION, put(96, 0, 8)),
    (Look.AHEAD, put(104, 3, 8)),
    (Look.NOT_VALID, put(64, 0, 1)),
    (Look.IMPOSSIBLE, put(96, 2, 8)),
    (Look.IMPOSSIBLE, put(32, 1, 8)),
    (Look.IMPOSSIBLE, put(40, 0, 8)),
    (Look.IMPOSSIBLE, put(40, 1024, 8)),
    (Look.IMPOSSIBLE, put(56, 16 * 512, 8)),
    (Look.IMPOSSIBLE, put(65, 3, 1)),
    (Look.IMPOSSIBLE, put(65, 1, 1)),
    (Look.IMPOSSIBLE, put(78, 3, 1)),
    (Look.DATA_ROTTEN, put(116, 12345, 4)),
    (Look.VALID, lambda header: None),
]


def test_every_row_is_reached_below() -> None:
    assert {look for look, _ in WAYS} == {*Look}


def three_entries(place: Place) -> Host:
    """Entries 1 to 3 of one sector; the stored tail is behind the third, or behind the first."""
    there = host(128)
    log = there.create(128)
    there.append(log, 1)
    there.commit(log)
    there.commit(log, marks=True)
    there.append(log, 1)
    there.append(log, 1)
    there.commit(log)
    if place is Place.BEFORE_TAIL:
        there.commit(log, marks=True)
    return there


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize(("look", "change"), WAYS)
def test_each_row(place: Place, look: Look, change: Callable[[bytearray], None]) -> None:
    there = three_entries(place)
    header = bytearray(there.disk.pread(512, SECOND * 512))
    change(header)
    there.disk.pwrite(header, SECOND * 512)
    headers = read_headers(there.disk, 0, "log")
    assert headers is not None
    walk = Walk(there.disk, headers.buffer, Ring.of(0, 128))
    there.go(walk.reading())
    log = there.open()
    verdict = VERDICTS[look, place]
    if verdict is Verdict.TAKE:
        assert [*log.entries] == [1, 2, 3]
        return
    assert walk.last_look is look
    assert look.value in log.report.end
    assert [*log.entries] == [1], "entry 2 is not valid, and what is behind it must not be taken without it"
    if verdict is Verdict.END:
        assert not log.report.damage
        return
    first, second = log.report.damage
    assert (first.number, first.sector, first.what) == (2, SECOND, look.value)
    assert first.area_known is (look is Look.DATA_ROTTEN)
    assert log.report.everything_suspect is not first.area_known
    assert (second.number, second.sector, second.device, second.first, second.sectors) == (3, 48, 0, 300, 1)


def test_damage_goes_on_behind_the_tail_as_long_as_headers_follow() -> None:
    there = host(256)
    log = there.create(256)
    for _ in range(3):
        there.append(log, 1)
    there.commit(log)
    there.append(log, 2)
    there.append(log, 3)
    there.commit(log)
    there.disk.pwrite(b"\xff" * 512, 40 * 512)
    report = there.open().report
    assert (report.first, report.last) == (1, 1)
    assert [damage.number for damage in report.damage] == [2, 3, 4, 5]
    assert [damage.sectors for damage in report.damage] == [1, 1, 2, 3]
    assert not report.everything_suspect


def test_everything_between_two_headers_is_unknown() -> None:
    there = host(256)
    log = there.create(256)
    for sectors in (1, 9, 1, 17, 1):
        there.append(log, sectors)
    there.commit(log)
    there.commit(log, marks=True)
    for at in (32, 56):
        there.disk.pwrite(bytes(512), at * 512)
    report = there.open().report
    assert [(damage.number, damage.area_known) for damage in report.damage] == [
        (2, False),
        (3, False),
        (4, True),
        (5, True),
    ]


def test_damage_is_told_again_until_it_is_dealt_with() -> None:
    there = three_entries(Place.BEFORE_TAIL)
    there.disk.pwrite(b"\xff" * 512, (SECOND + 8) * 512)
    assert not there.open().report.everything_suspect
    again = there.open()
    assert again.report.everything_suspect, "the power may have failed before anybody dealt with it"
    again.damage_handled()
    assert again.commit_pending
    there.commit(again)
    assert not there.open().report.damage


def test_what_follows_damage_is_never_taken_later() -> None:
    there = three_entries(Place.BEFORE_TAIL)
    there.disk.pwrite(bytes(512), SECOND * 512)
    log = there.open()
    there.append(log, 1)
    there.commit(log)
    again = there.open()
    assert [*again.entries] == [1, 2]
    assert there.read(again, again.entries[2]) == content(2, 1)
    assert again.entries[2].sector == 200


def test_a_site_that_is_owed_an_entry_is_owed_all_behind_it() -> None:
    there = host(256)
    log = there.create(256)
    for _ in range(4):
        there.append(log, 1)
    there.commit(log)
    for number in (2, 4):
        log.mark_done(1, log.entries[number])
    log.void(log.entries[3])
    there.commit(log, marks=True)
    log = there.open()
    assert [entry.owed for entry in log.entries.values()] == [3, 3, 0, 3]
    # And durably: else entry 1 could be marked done, and entry 2 would be missing at the site.
    again = there.open()
    again.mark_done(1, again.entries[1])
    there.commit(again, marks=True)
    assert [entry.owed for entry in there.open().entries.values()] == [1, 3, 0, 3]


def test_many_laps_with_entries_of_all_sizes() -> None:
    there = host(1000)
    log = there.create(800, start=13 * 8)
    for turn in range(300):
        op = Op.DISCARD if turn % 11 == 5 else Op.WRITE
        there.append(log, 1 + turn * 37 % 120, op=op)
        there.commit(log)
        if turn % 3 == 2:
            log = _reopened(there, log)
        while len(log.entries) > 2:
            log.mark_done(0, log.entries[log.head])
            log.mark_done(1, log.entries[log.head])
        there.commit(log)


def _reopened(there: Host, log: RingBufferLog) -> RingBufferLog:
    found = there.open(start=13 * 8)
    assert not found.report.damage
    assert [*found.entries] == [*log.entries]
    assert found.free_sectors == log.free_sectors
    for number, entry in found.entries.items():
        if entry.op is Op.WRITE:
            assert there.read(found, entry) == content(number, entry.sectors)
    return found
