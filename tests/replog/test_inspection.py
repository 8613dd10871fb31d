"""Looking into a log from outside: what is there, what a recovery would do, and nothing written."""

from __future__ import annotations

import pytest

from dmtable.core.bio import Op
from dmtable.errors import CorruptLogError, DmtableError
from dmtable.io.memory import MemoryDevice
from dmtable.replog.inspection import LogImage, Tail, entries_between, find_start, inspect, replay
from dmtable.replog.log import Membership
from tests.replog.logs import Host, content, host
from tests.replog.test_layout import theirs

SECTORS = 4096


def look(there: Host, start: int = 0) -> LogImage:
    return inspect(there.disk, start, "log", there.runtime)


def test_it_shows_what_was_written() -> None:
    there = host(SECTORS)
    log = there.create(SECTORS)
    there.append(log, 8, owed=2, device=7)
    there.append(log, 3, owed=2, op=Op.DISCARD)
    log.remember((1, 7), Membership.RESYNC_OWED)
    there.commit(log)
    image = look(there)
    assert [(each.entry.number, each.entry.device, each.entry.op) for each in image.entries] == [
        (1, 7, Op.WRITE),
        (2, 0, Op.DISCARD),
    ]
    first, second = image.entries
    assert (first.sector, first.data_sector, first.generation, first.checked) == (16, 24, 1, True)
    assert (first.entry.sector, first.entry.sectors, first.entry.time) == (100, 8, 1234.5)
    assert (image.content(first), image.content(second)) == (content(1, 8), None)
    assert image.owed_to(1) == [first.entry, second.entry]
    assert image.owed_to(0) == []
    assert image.members == [((1, 7), Membership.RESYNC_OWED)]
    assert (image.report.first, image.report.last, image.report.damage, image.retired) == (1, 2, (), False)


def test_it_says_what_recovery_then_says_and_writes_nothing() -> None:
    there = host(SECTORS)
    log = there.create(SECTORS)
    entries = [there.append(log, 8) for _ in range(6)]
    there.commit(log)
    log.mark_done(1, entries[2])
    there.commit(log, marks=True)
    before = there.disk.pread(SECTORS * 512, 0)
    rotten = bytearray(before)
    rotten[(16 + 4 * 16 + 8) * 512] ^= 1
    for disk in (before, bytes(rotten)):
        there.disk.pwrite(disk, 0)
        image = look(there)
        assert there.disk.pread(SECTORS * 512, 0) == disk
        recovered = there.open()
        assert image.report == recovered.report
        assert [each.entry.owed for each in image.entries] == [each.owed for each in recovered.entries.values()]
        assert [each.owed for each in image.entries][:4] == [3, 3, 1, 3]
        assert image.entries[2].entry.owed == 3, "whoever is owed an entry is owed all behind it"
        assert image.end_sector == 16 + 16 * len(image.entries)
    assert [damage.number for damage in image.report.damage] == [5, 6]


def test_a_retired_log_can_still_be_looked_at() -> None:
    there = host(SECTORS)
    log = there.create(SECTORS)
    there.append(log, 8)
    there.commit(log)
    there.go(log.retiring())
    image = look(there)
    assert image.retired
    assert len(image.entries) == 1


@pytest.mark.parametrize("start", [0, 32])
def test_it_is_found_where_logs_usually_are(start: int) -> None:
    there = host(SECTORS + start)
    there.create(SECTORS, start)
    assert find_start(there.disk, "log") == start


def test_what_is_no_log_is_said_to_be_none() -> None:
    there = host(SECTORS)
    with pytest.raises(CorruptLogError, match="no replication log at sector 0 or 32"):
        find_start(there.disk, "log")
    with pytest.raises(CorruptLogError, match="no replication log at sector 8"):
        look(there, 8)
    there.create(SECTORS)
    there.disk.pwrite(bytes(512), 8 * 512)
    with pytest.raises(CorruptLogError, match="there is no buffer header"):
        look(there)


# ---- tail


def test_a_tail_says_what_is_damaged_and_where() -> None:
    there = host(SECTORS + 32)
    log = there.create(SECTORS, 32)
    tail = Tail(look(there, 32), there.runtime)
    there.append(log, 8)
    there.append(log, 8)
    there.commit(log)
    there.commit(log, marks=True)
    there.disk.pwrite(b"\xff" * 512, (32 + 16 + 16 + 8) * 512)
    with pytest.raises(CorruptLogError) as caught:
        tail.poll()
    assert caught.value.offset == (16 + 16) * 512


def test_a_tail_sees_each_entry_once_and_counts_those_that_went_by() -> None:
    there = host(SECTORS)
    log = there.create(SECTORS)
    there.append(log, 8)
    there.commit(log)
    tail = Tail(look(there), there.runtime)
    assert tail.poll() == []
    second, third = there.append(log, 8), there.append(log, 16)
    there.commit(log)
    assert [each.entry.number for each in tail.poll()] == [2, 3]
    assert tail.poll() == []
    fourth = there.append(log, 8)
    there.commit(log)
    for entry in (log.entries[1], second, third, fourth):
        log.mark_done(0, entry)
        log.mark_done(1, entry)
    there.append(log, 8)
    there.commit(log, marks=True)
    assert [each.entry.number for each in tail.poll()] == [5]
    assert tail.missed == 1


def test_a_tail_waits_a_second_between_two_looks() -> None:
    there = host(SECTORS)
    log = there.create(SECTORS)
    there.commit(log)
    runtime, came = there.runtime, []
    tail = Tail(look(there), runtime)

    def write() -> None:
        there.append(log, 8)
        there.commit(log)

    write()
    for logged in tail.follow():
        came.append((logged.entry.number, runtime.now()))
        if len(came) == 3:
            break
        write()
    assert came == [(1, 0.0), (2, 1.0), (3, 2.0)]


def test_a_tail_notices_another_log() -> None:
    there = host(SECTORS)
    there.create(SECTORS)
    tail = Tail(look(there), there.runtime)
    there.create(SECTORS)
    with pytest.raises(CorruptLogError, match="another log took this one's place"):
        tail.poll()


# ---- images as of an entry


def ring_of_ten() -> tuple[Host, list[bytes]]:
    """A log with entries 4 to 10 of device 0 and 1, and what device 0 was as of each entry."""
    there = host(SECTORS)
    log = there.create(SECTORS)
    device, states = bytearray(64 * 512), []
    states.append(bytes(device))
    for number in range(1, 11):
        entry = there.append(log, 4, device=number % 2, op=Op.WRITE if number != 8 else Op.WRITE_ZEROES)
        entry.sector = 3 * number
        if not entry.device:
            device[entry.sector * 512 : (entry.sector + 4) * 512] = entry.data or bytes(4 * 512)
        states.append(bytes(device))
    there.commit(log)
    for number in range(1, 4):
        for site in range(2):
            log.mark_done(site, log.entries[number])
    there.commit(log, marks=True)
    return there, states


@pytest.mark.parametrize(("at", "as_of"), [(at, as_of) for at in range(3, 11) for as_of in range(at, 11)])
def test_every_state_between_the_ring_s_ends_can_be_had(at: int, as_of: int) -> None:
    there, states = ring_of_ten()
    image = look(there)
    onto = MemoryDevice(64 * 512)
    onto.pwrite(states[at], 0)
    replay(image, entries_between(image, at, as_of), 0, onto)
    assert onto.pread(64 * 512, 0) == states[as_of]


@pytest.mark.parametrize(
    ("at", "as_of", "text"),
    [
        (5, 4, "nothing is undone"),
        (5, 11, "which ends with entry 10"),
        (2, 7, "entries 3 to 3 are gone from the ring, which begins with entry 4: give an image at entry 3"),
        (0, 2, "entries 1 to 2 are gone"),
    ],
)
def test_what_cannot_be_known_is_refused(at: int, as_of: int, text: str) -> None:
    there, _ = ring_of_ten()
    with pytest.raises(DmtableError, match=text):
        entries_between(look(there), at, as_of)


def test_an_image_that_is_too_small_is_refused() -> None:
    there, _ = ring_of_ten()
    image = look(there)
    with pytest.raises(DmtableError, match="entry 10 ends at sector 34, behind the image's end"):
        replay(image, entries_between(image, 3, 10), 0, MemoryDevice(33 * 512))


def test_what_was_given_up_is_left_out() -> None:
    there = host(SECTORS)
    log = there.create(SECTORS)
    entries = [there.append(log, 4) for _ in range(3)]
    there.commit(log)
    log.void(entries[1])
    there.commit(log, marks=True)
    assert [each.entry.number for each in entries_between(look(there), 0, 3)] == [1, 3]


def test_a_log_of_the_original_has_neither_times_nor_checksums() -> None:
    there = theirs((16, 24, 0, 3, b"a" * 512), (32, 40, 0, 2, b"b" * 512), tail=48)
    image = look(there)
    first, second = image.entries
    assert (first.checked, first.generation, first.entry.number) == (False, None, 1)
    assert (second.owed, second.entry.owed) == (2, 3)
    assert image.content(second) == b"b" * 512
    assert image.log.id is None
    assert there.open().report == image.report
