"""The ring-buffer log: its status and messages, resizing, failures; and any life of it against the log in memory."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Op
from dmtable.core.target import StatusKind
from dmtable.errors import CorruptLogError, CtrError, IoctlError
from dmtable.io.file import FileDevice
from dmtable.replog.log import LogFullError, LogPlace, Membership
from dmtable.replog.memory import MemoryLog
from dmtable.replog.ring_words import Mode
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.runtime.threads import ThreadRuntime
from dmtable.sim.choices import exhaustive
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World
from tests.replog.logs import Host, content, host
from tests.replog.test_damage import NO, construct


def drop_all(there: Host, log: RingBufferLog) -> None:
    for entry in list(log.entries.values()):
        for site in range(2):
            log.mark_done(site, entry)
    there.commit(log)


# Words, status, messages


@pytest.mark.parametrize(
    ("words", "mode"),
    [("c", Mode.CREATE), ("cre", Mode.CREATE), ("o", Mode.OPEN), ("a", Mode.AUTO), ("auto", Mode.AUTO)],
)
def test_modes_may_be_shortened(words: str, mode: Mode) -> None:
    assert Mode.read(words) is mode
    given_ = f"7:3 0 {words}" + ("" if mode is Mode.OPEN else " 4096")
    params, _ = RingBufferLog.params.inspect(given_.split(), LogPlace(2, NO))
    assert params is not None
    assert params.words()[2] == mode.value
    assert params.creates is (mode is Mode.CREATE)


@pytest.mark.parametrize(
    ("words", "at"),
    [("7:3 x", 3), ("7:3 0 nope 4096", 4), ("7:3 0 create 4095", 5), ("7:3 0 create 5x", 5), ("7:3 0 create", 1)],
)
def test_a_wrong_word_is_pointed_to(words: str, at: int) -> None:
    params, findings = RingBufferLog.params.inspect(words.split(), LogPlace(2, NO))
    assert params is None
    assert [finding.word for finding in findings if finding.refusal] == [at]


def test_table_status() -> None:
    there = host(5000)
    assert construct(there, "7:3 8 auto 4096").status(StatusKind.TABLE) == "ringbuffer 4 7:3 8 auto 4096 "
    assert construct(there, "7:3 8").status(StatusKind.TABLE) == "ringbuffer 2 7:3 8 "
    assert construct(there, "7:3 8 op").status(StatusKind.TABLE) == "ringbuffer 3 7:3 8 open "


def test_statistics() -> None:
    there = host(4096)
    log = there.create(4096)
    assert log.status(StatusKind.INFO) == ""
    log.message(["STAT", "on"])
    for sectors in (1000, 1000, 1000, 1000):
        there.append(log, sectors)
    there.commit(log)
    with pytest.raises(LogFullError):
        there.append(log, 1000)
    drop_all(there, log)
    there.append(log, 1000)
    there.commit(log)
    assert there.read(log, log.entries[5]) == content(5, 1000)
    assert log.status(StatusKind.INFO) == (
        " ring->start=16 ring->head=4048 ring->tail=4048 ring->next_avail=1016 ring->end=4096 ring_free=3032"
        " wrap=1 r=1 w=5 wp=0 he=1 hash_insert=5 hash_insert_max=4 single=1 multi=1 stall=1"
    )
    log.message(["statistics", "reset"])
    assert "wrap=0 r=0 w=0" in log.status(StatusKind.INFO)
    log.message(["s", "of"])
    assert log.status(StatusKind.INFO) == ""


# Resizing


def test_a_log_grows() -> None:
    there = host(9000)
    log = there.create(4096)
    there.append(log, 2000)
    there.commit(log)
    log.message(["resize", "8192"])
    assert log.size_sectors == 4096, "not before it is durable"
    with pytest.raises(IoctlError) as caught:
        log.message(["resize", "8000"])
    assert caught.value.errno == errno.EPERM
    assert log.commit_pending
    there.commit(log)
    assert (log.size_sectors, log.free_sectors) == (8192, 8192 - 16 - 8 - 2008)
    there.append(log, 2000)
    there.append(log, 2000)
    there.commit(log)
    assert [*there.open().entries] == [1, 2, 3]


def test_a_ring_that_wrapped_grows() -> None:
    there = host(9000)
    log = there.create(4096)
    for _ in range(3):
        there.append(log, 1200)
    there.commit(log)
    for site in range(2):
        log.mark_done(site, log.entries[1])
    there.commit(log)
    there.append(log, 800)
    there.append(log, 100)
    there.commit(log)
    log.message(["resize", "8192"])
    there.commit(log)
    found = there.open()
    assert not found.report.damage
    assert [*found.entries] == [2, 3, 4, 5]
    assert found.free_sectors == log.free_sectors
    assert there.read(found, found.entries[4]) == content(4, 800)
    drop_all(there, found)
    for _ in range(4):
        there.append(found, 2000)
        there.commit(found)
        drop_all(there, found)
    assert not there.open().report.damage


def test_a_log_shrinks_where_its_entries_fit() -> None:
    there = host(9000)
    log = there.create(8192)
    there.append(log, 1000)
    there.commit(log)
    log.message(["resize", "4096"])
    there.commit(log)
    assert (log.size_sectors, log.free_sectors) == (4096, 4096 - 16 - 8 - 1008)
    assert [*there.open().entries] == [1]


def test_a_log_does_not_shrink_over_its_entries() -> None:
    there = host(9000)
    log = there.create(8192)
    for _ in range(5):
        there.append(log, 1000)
    there.commit(log)
    with pytest.raises(IoctlError) as caught:
        log.message(["resize", "4096"])
    assert caught.value.errno == errno.EBUSY
    drop_all(there, log)
    log.message(["resize", "4096"])
    while log.commit_pending:
        there.commit(log)
    assert (log.size_sectors, log.free_sectors) == (4096, 4096 - 16 - 8), "an empty ring begins at its start again"
    there.append(log, 1000)
    there.commit(log)
    assert [*there.open().entries] == [6]


@pytest.mark.parametrize("size", ["4095", "4100", "x", "-1", ""])
def test_a_size_that_cannot_be(size: str) -> None:
    there = host(4105)
    log = there.create(4096, start=8)
    with pytest.raises(IoctlError) as caught:
        log.message(["resize", size])
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(("before", "after"), [(4096, 6000), (6000, 4096)])
def test_a_power_loss_while_a_log_is_resized_loses_nothing(before: int, after: int) -> None:
    def life(there: Host, log: RingBufferLog) -> None:
        log.message(["resize", str(after)])
        for _ in range(3):
            there.append(log, 1)
            there.commit(log)

    cut_at, cut, sizes = 1, True, set()
    while cut:
        cut = False
        for choices in exhaustive():
            world = World(choices, traced=False)
            there = Host(world.disk("log", 6000))
            log = there.create(before)
            there.append(log, 8)
            there.commit(log)
            world.power.cut_at = world.power.calls + cut_at
            try:
                life(there, log)
            except PowerLoss:
                cut = True
            committed = log.committed
            found = Host(world.after_power_loss().disks["log"]).open()
            assert not found.report.damage
            assert found.last >= committed
            sizes.add(found.size_sectors)
        cut_at += 1
    assert sizes == {before, after}


# Failures and damage


@pytest.mark.parametrize("start", [0, 64])
def test_rotten_data_is_never_given_out(start: int) -> None:
    """The error tells where in the log it lies."""
    there = host(4096 + start)
    log = there.create(4096, start)
    entry = there.append(log, 8)
    there.commit(log)
    there.disk.pwrite(b"\xff" * 512, (start + 25) * 512)
    with pytest.raises(CorruptLogError, match="entry 1 is rotten") as caught:
        there.read(log, entry)
    assert caught.value.offset == 24 * 512
    assert not log.failed


def test_the_table_of_members_is_bounded() -> None:
    there = host(4096)
    log = there.create(4096)
    for device in range(560):
        log.remember((1, device), Membership.KNOWN)
    with pytest.raises(CtrError) as caught:
        log.remember((1, 560), Membership.KNOWN)
    assert caught.value.errno == errno.ENOSPC
    log.remember((1, 100), None)
    log.remember((1, 560), Membership.RESYNC_OWED)
    log.remember((5, 5), None)
    there.commit(log)
    assert there.open().members == log.members
    assert len(log.members) == 560


def test_a_member_has_a_number_that_the_table_can_hold() -> None:
    log = host(4096).create(4096)
    log.remember((2047, (1 << 32) - 1), Membership.KNOWN)
    for member in ((0, 1 << 32), (2048, 0), (0, -1), (-1, 0)):
        with pytest.raises(CtrError) as caught:
            log.remember(member, Membership.KNOWN)
        assert caught.value.errno == errno.ENOSPC
    assert [*log.members] == [(2047, (1 << 32) - 1)]


def test_a_file_is_written_as_any_device_is(tmp_path: Path) -> None:
    """By one call for many pieces, where there is a descriptor."""
    path = tmp_path / "log"
    path.write_bytes(bytes(9000 * 512))
    device = FileDevice(path)
    there, other = Host(device), host(9000)
    for here in (there, other):
        log = here.create(9000)
        for lap in range(3):
            for sectors in (1, 8, 9, 300, 64, 2048, *[3] * 500):
                try:
                    here.append(log, sectors, op=Op.DISCARD if sectors == 9 else Op.WRITE, device=lap)
                except LogFullError:
                    break
            here.commit(log)
            drop_all(here, log)
    assert device.pread(9000 * 512, 0) == other.disk.pread(9000 * 512, 0)
    device.close()


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(4096 * 512))
    there = Host(FileDevice(path))
    log = there.create(4096)
    there.append(log, 8)
    there.append(log, 300)
    whole = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, pieces, at: whole(fd, [b"".join(pieces)[:5000]], at))
    there.commit(log)
    found = there.open()
    assert [there.read(found, entry) for entry in found.entries.values()] == [content(1, 8), content(2, 300)]
    there.disk.close()


def test_what_cannot_be_read_behind_the_end_hinders_nobody() -> None:
    disk = World(traced=False).disk("log", 4096)
    there = Host(disk)
    log = there.create(4096)
    there.append(log, 8)
    there.commit(log)
    disk.unreadable = {600}
    assert [*there.open().entries] == [1]
    disk.unreadable = {27}
    with pytest.raises(OSError, match="READ"):
        there.open()


def test_threads_append_and_mark_while_another_commits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(4096 * 512))
    there, count = Host(FileDevice(path)), 600
    there.lock = threading.RLock()
    log = there.create(4096)
    done = threading.Event()

    def commit() -> None:
        while not done.is_set() or log.commit_pending or log.marks_pending:
            for _ in log.committing(marks=log.last % 3 == 0 or done.is_set()):
                pass

    committer = threading.Thread(target=commit)
    committer.start()
    try:
        while log.last < count:
            with there.lock:
                for entry in list(log.entries.values())[:-20]:
                    if entry.number <= log.committed:
                        log.mark_done(0, entry)
                        log.mark_done(1, entry)
                with suppress(LogFullError):
                    there.append(log, 1 + log.last % 30)
    finally:
        done.set()
        committer.join()
    assert not log.failed
    found = there.open()
    assert not found.report.damage
    assert (found.head, found.last, found.free_sectors) == (log.head, count, log.free_sectors)
    for number, entry in found.entries.items():
        assert there.read(found, entry) == content(number, entry.sectors)
    there.disk.close()


def test_ids_are_random() -> None:
    assert len(ThreadRuntime().random_bytes(16)) == 16
    assert ThreadRuntime().random_bytes(16) != ThreadRuntime().random_bytes(16)


# Against the log in memory


def _steps() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    kinds = st.sampled_from(["append", "append", "append", "commit", "marks", "done", "done", "void", "member", "open"])
    return st.lists(st.tuples(kinds, st.integers(0, 40), st.integers(0, 2)), max_size=60)


@given(steps=_steps(), size=st.integers(80, 240))
def test_any_life_equals_that_of_a_log_in_memory(steps: list[tuple[str, int, int]], size: int) -> None:
    there = host(size)
    ring: RingBufferLog = there.create(size)
    memory = MemoryLog(there, there.lock, 1 << 30)
    for kind, at, site in steps:
        live = [*memory.entries]
        if kind == "append":
            try:
                there.append(ring, at + 1, owed=7, op=Op.WRITE_ZEROES if at == 7 else Op.WRITE)
            except LogFullError:
                continue
            there.append(memory, at + 1, owed=7, op=Op.WRITE_ZEROES if at == 7 else Op.WRITE)
        elif kind == "open":
            # What it knew by its marks must be known again.
            for log in (ring, memory):
                there.commit(log, marks=True)
                there.commit(log, marks=True)
            ring = there.open()
            assert not ring.report.damage
        elif kind in ("commit", "marks"):
            for log in (ring, memory):
                there.commit(log, marks=kind == "marks")
        elif kind == "member":
            for log in (ring, memory):
                log.remember((site, at), Membership.KNOWN)
        elif live and kind == "void":
            for log in (ring, memory):
                log.void(log.entries[live[at % len(live)]])
        elif live and kind == "done":
            # As a site does: in order.
            for number in live[: at % len(live) + 1]:
                for log in (ring, memory):
                    if number in log.entries and number <= log.committed:
                        log.mark_done(site, log.entries[number])
        assert (ring.head, ring.last, ring.committed) == (memory.head, memory.last, memory.committed)
        assert [(e.number, e.owed) for e in ring.entries.values()] == [
            (e.number, e.owed) for e in memory.entries.values()
        ]
        assert [ring.settled(site) for site in range(3)] == [memory.settled(site) for site in range(3)]
        assert ring.members == memory.members
        for number, entry in ring.entries.items():
            if number <= ring.committed and entry.op is Op.WRITE:
                assert there.read(ring, entry) == content(number, entry.sectors)
