"""Bad input: logs with a bit turned, cut short, of other kinds and versions, half made."""

from __future__ import annotations

import zlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.devices import DmDev
from dmtable.errors import CorruptLogError, CtrError
from dmtable.io.memory import MemoryDevice
from dmtable.language.diagnostics import refused
from dmtable.replog.format import LogHeader, State
from dmtable.replog.log import LogPlace, Membership, ReplicationLog
from dmtable.replog.opening import create, read_headers
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.sim.cache import blank
from dmtable.sim.choices import exhaustive
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World
from tests.replog.logs import Host, content, host

SECTORS = 88
SIZES = (1, 3, 1)
MEMBERS = {(1, 0): Membership.KNOWN, (1, 1): Membership.RESYNC_OWED}
NO = refused("replicator", 22, "Cannot create replication log context")


@cache
def image() -> bytes:
    """A small log after an orderly end: three entries, two members."""
    there = host(SECTORS)
    log = there.create(SECTORS)
    for member, membership in MEMBERS.items():
        log.remember(member, membership)
    for sectors in SIZES:
        there.append(log, sectors)
    there.commit(log)
    log.mark_done(0, log.entries[1])
    there.commit(log, marks=True)
    there.commit(log, marks=True)
    return there.disk.pread(SECTORS * 512, 0)


def disk_of(content: bytes) -> MemoryDevice:
    disk = MemoryDevice(len(content))
    disk.pwrite(content, 0)
    return disk


def judge(content_: bytes, what: str) -> str:
    """Opens a damaged log: a clear error, everything as it was, or a list of all that is lost."""
    there = Host(disk_of(content_))
    try:
        log = RingBufferLog.open(there, there.lock, there.disk, 0)
        assert log is not None, f"{what}: a log was there, and is taken for nothing"
    except (CorruptLogError, CtrError):
        return "refused"
    there.go(log.recovering())
    taken = [*log.entries]
    assert taken == list(range(1, len(taken) + 1)), what
    for number, entry in log.entries.items():
        assert (entry.sector, entry.sectors, entry.time) == (100 * number, SIZES[number - 1], 1234.5), what
        assert entry.owed == (2 if number == 1 else 3), what
        assert there.read(log, entry) == content(number, entry.sectors), what
    lost = {damage.number for damage in log.report.damage}
    assert {*taken} | lost >= {1, 2, 3}, f"{what}: entries are lost, and nobody says so"
    for damage in log.report.damage:
        if damage.area_known:
            assert (damage.first, damage.sectors) == (100 * damage.number, SIZES[damage.number - 1]), what
    assert log.members == MEMBERS or log.report.everything_suspect, f"{what}: a member is forgotten"
    return "damaged" if lost else "sound"


def turned(byte: int, bit: int) -> bytes:
    damaged = bytearray(image())
    damaged[byte] ^= 1 << bit
    return bytes(damaged)


def test_no_bit_of_the_headers_turns_unseen() -> None:
    for byte in (*range(512), *range(8 * 512, 9 * 512)):
        for bit in range(8):
            assert judge(turned(byte, bit), f"bit {bit} of byte {byte}") == "refused"


def test_a_log_that_is_being_made_has_nothing_of_the_originals() -> None:
    """Who looks at it after a power loss must find no log of an unknown version."""
    header = LogHeader(4096, 8, id=bytes(range(16)), state=State.CREATING).pack()
    assert not any(header[:26])
    assert not any(header[42:58])
    assert (header[68:72], header[74], header[80:96]) == (b"dmtb", State.CREATING, bytes(range(16)))


def test_a_log_has_room_for_an_entry() -> None:
    """Headers, an entry of one sector, and what is always kept: 16 + 8 + 8 + 8."""
    disk = MemoryDevice(64 * 512)
    create(disk, 0, 40, bytes(range(16)))
    assert read_headers(disk, 0, "here") is not None
    create(disk, 0, 39, bytes(range(16)))
    with pytest.raises(CorruptLogError, match="39 sectors") as caught:
        read_headers(disk, 0, "here")
    assert caught.value.offset == 26


@pytest.mark.parametrize("rotten", [0, 70])
def test_a_buffer_header_alone_tells_that_there_was_a_log(rotten: int) -> None:
    """By the original's magic, or by our mark, whichever is left."""
    damaged = bytearray(image())
    damaged[:512] = bytes(512)
    damaged[8 * 512 + rotten] ^= 1
    assert judge(bytes(damaged), "no log header") == "refused"
    damaged[8 * 512 : 9 * 512] = bytes(512)
    assert read_headers(disk_of(bytes(damaged)), 0, "here") is None


USED = {1: 1, 2: 1, 16: 1, 24: 1, 32: 1, 40: 3, 48: 1, 56: 1}
"""The sectors that hold something, by their first; the rest is never read."""


def test_a_bit_of_every_byte_turns() -> None:
    used = [byte for first, count in USED.items() for byte in range(first * 512, (first + count) * 512)]
    seen = {judge(turned(byte, byte * 5 % 8), f"byte {byte}") for byte in used}
    assert seen == {"damaged"}


@given(byte=st.integers(0, SECTORS * 512 - 1), bit=st.integers(0, 7))
def test_any_bit_turns(byte: int, bit: int) -> None:
    judge(turned(byte, bit), f"bit {bit} of byte {byte}")


@given(
    first=st.integers(0, SECTORS - 1),
    count=st.integers(1, SECTORS),
    fill=st.sampled_from([b"\0", b"\xff", b"dm-repli"]),
)
def test_any_sectors_are_gone(first: int, count: int, fill: bytes) -> None:
    damaged = bytearray(image())
    end = min(first + count, SECTORS) * 512
    damaged[first * 512 : end] = (fill * 512)[:512] * ((end - first * 512) // 512)
    if first == 0 and count > 8:
        # Nothing is left that says that a log was here.
        assert read_headers(disk_of(bytes(damaged)), 0, "log") is None or fill != b"\0"
    else:
        judge(bytes(damaged), f"{count} sectors from {first} on")


@pytest.mark.parametrize("sectors", [0, 1, 8, 15, 16, 17, 40, SECTORS - 1])
def test_a_device_that_is_too_short(sectors: int) -> None:
    with pytest.raises(CorruptLogError, match="the device has"):
        read_headers(disk_of(image()[: sectors * 512]), 0, "7:3")


def changed(at: int, value: bytes) -> MemoryDevice:
    """The log with other bytes in the log header or the buffer header, and a crc32 that is right."""
    damaged = bytearray(image())
    damaged[at : at + len(value)] = value
    start = at // 512 * 512
    damaged[start + 64 : start + 68] = bytes(4)
    damaged[start + 64 : start + 68] = zlib.crc32(damaged[start : start + 512]).to_bytes(4, "little")
    return disk_of(bytes(damaged))


@pytest.mark.parametrize(
    ("at", "value", "offset", "says"),
    [
        (0, b"dm-replicatorXXX", 0, "magic"),
        (16, bytes(4), 0, "crc"),
        (20, bytes([0, 0, 0, 0, 2, 0]), 20, r"version 0\.0\.2 is unknown"),
        (20, bytes([0, 0, 1, 0, 0, 0]), 20, r"version 0\.1\.0 is unknown"),
        (42, b"linear".ljust(16, b"\0"), 42, "kind 'linear'"),
        (26, (SECTORS + 1).to_bytes(8, "little"), 26, "the device has 88"),
        (26, (20).to_bytes(8, "little"), 26, "the log has 20 sectors"),
        (34, bytes(8), 34, "sector 0, not 8"),
        (72, bytes([2, 0]), 72, "format 2"),
        (74, b"\x09", 74, "state 9"),
        (4096, b"dm-replbufferXXX", 4096, "magic"),
        (4096 + 20, (17 * 512).to_bytes(8, "little"), 4096 + 20, "begins at sector 17"),
        (4096 + 28, (81 * 512).to_bytes(8, "little"), 4096 + 28, "the head is at sector 81"),
        (4096 + 36, (8 * 512).to_bytes(8, "little"), 4096 + 36, "the tail is at sector 8"),
        (4096 + 36, (16 * 512 + 1).to_bytes(8, "little"), 4096 + 36, "begin of a sector"),
        (4096 + 72, bytes([2, 0]), 4096 + 72, "format 2"),
        (4096 + 80, bytes(16), 4096 + 80, "another log"),
        (4096 + 120, bytes(8), 4096 + 112, "behind the tail"),
    ],
)
def test_a_log_that_cannot_be_is_told_by_what_and_where(at: int, value: bytes, offset: int, says: str) -> None:
    with pytest.raises(CorruptLogError, match=says) as caught:
        read_headers(changed(at, value), 0, "7:3")
    assert (caught.value.where, caught.value.offset) == ("7:3", offset)


# create, open, auto


def construct(there: Host, words: str) -> ReplicationLog:
    params, findings = RingBufferLog.params.inspect(words.split(), LogPlace(2, NO, there.get_device))
    assert params is not None, findings
    return RingBufferLog.construct(there, params, there.lock)


def large(entries: int = 0, *, retired: bool = False) -> Host:
    there = host(4200)
    log = there.create(4096)
    for _ in range(entries):
        there.append(log, 1)
    there.commit(log)
    if retired:
        there.go(log.retiring())
    return there


def found(there: Host, words: str) -> int:
    log = construct(there, words)
    there.go(log.recovering())
    return log.last


@pytest.mark.parametrize("words", ["7:3 0", "7:3 0 open", "7:3 0 o", "7:3 0 auto 4096", "7:3 0 a 4100"])
def test_open_and_auto_open_what_is_there(words: str) -> None:
    there = large(2)
    assert found(there, words) == 2
    assert construct(there, words).size_sectors == 4096, "the size of a log that is there is its own"


@pytest.mark.parametrize("words", ["7:3 0 create 4096", "7:3 0 c 4100"])
def test_create_makes_a_new_one(words: str) -> None:
    assert found(large(2), words) == 0
    assert found(host(4200), words) == 0


def test_auto_creates_where_there_is_nothing() -> None:
    assert found(host(4200), "7:3 0 auto 4096") == 0
    other = host(4200)
    other.disk.pwrite(b"something else" * 512, 0)
    assert found(other, "7:3 0 auto 4096") == 0


@pytest.mark.parametrize("words", ["7:3 0", "7:3 0 open"])
def test_open_refuses_where_there_is_nothing(words: str) -> None:
    there = host(4200)
    with pytest.raises(CtrError, match="there is no log"):
        construct(there, words)
    assert there.lines == ["ringbuffer log: there is no log at sector 0 of 7:3"]


@pytest.mark.parametrize("words", ["7:3 0 open", "7:3 0 auto 4096"])
def test_neither_takes_a_retired_or_damaged_log(words: str) -> None:
    for there in (large(1, retired=True), large(1)):
        if there.disk.pread(512, 0)[74] == 2:
            there.disk.pwrite(bytes(512), 8 * 512)
        with pytest.raises(CtrError):
            construct(there, words)
        assert len(there.lines) == 1
        assert found(there, "7:3 0 create 4096") == 0, "create asks for a new one, whatever is there"


def test_a_log_must_fit_its_device() -> None:
    there = host(4200)
    params, findings = RingBufferLog.params.inspect(["7:3", "200", "create", "4096"], LogPlace(2, NO, there.get_device))
    assert params is None
    assert [finding.word for finding in findings] == [2]
    blind, _ = RingBufferLog.params.inspect(["7:3", "200", "create", "4096"], LogPlace(2, NO))
    assert blind is not None
    with pytest.raises(CtrError, match="does not fit"):
        RingBufferLog.construct(there, blind, there.lock)


def test_a_log_begins_at_a_block() -> None:
    there = Host(MemoryDevice(4200 * 512, logical_block_size=4096))
    with pytest.raises(CtrError, match="begin of a block"):
        construct(there, "7:3 4 create 4096")


@pytest.mark.parametrize("old", [False, True])
def test_a_power_loss_while_a_log_is_made_leaves_the_old_one_or_none_or_the_new_one(old: bool) -> None:
    cut_at, cut = 1, True
    outcomes = set()
    while cut:
        cut = False
        for choices in exhaustive():
            world = World(choices, traced=False)
            image_ = tuple(image()[at : at + 512] for at in range(0, len(image()), 512)) if old else blank(SECTORS)
            disk = world.disk("log", image=image_)
            world.power.cut_at = cut_at
            try:
                create(disk, 0, SECTORS, b"n" * 16)
            except PowerLoss:
                cut = True
            headers = read_headers(world.after_power_loss().disks["log"], 0, "log")
            outcomes.add("none" if headers is None else "new" if headers.log.id == b"n" * 16 else "old")
        cut_at += 1
    assert outcomes == ({"old", "none", "new"} if old else {"none", "new"})


def test_two_logs_on_one_place_never_have_one_id() -> None:
    """Not even in simulations, where every life draws the same."""
    disk = MemoryDevice(SECTORS * 512)
    ids = set()
    for _ in range(5):
        Host(disk).create(SECTORS)
        ids.add(disk.pread(512, 0)[80:96])
    assert len(ids) == 5


def test_the_number_of_a_device_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    there = host(4200)
    params, _ = RingBufferLog.params.inspect(["7:3", "8"], LogPlace(2, NO))
    assert params is not None
    assert params.key(there) == ("ringbuffer", (7, 3), 8)
    monkeypatch.setattr(there, "get_device", lambda word: DmDev((7, 3), "loop3", there.disk))
    assert params.key(there) == ("ringbuffer", (7, 3), 8)


def test_entries_of_the_log_that_was_there_before_are_never_taken() -> None:
    there = large(3)
    log = there.create(4096)
    there.append(log, 1, owed=1)
    there.commit(log)
    again = there.open()
    assert [entry.owed for entry in again.entries.values()] == [1]
    assert again.report.end.endswith("the entry is another log's")
