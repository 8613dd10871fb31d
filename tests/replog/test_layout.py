"""A log that was written here, field by field against the specification, by code that shares nothing with format.py."""

from __future__ import annotations

import struct
import zlib

import pytest

from dmtable.core.bio import Op
from dmtable.io.device import BlockDevice
from dmtable.io.memory import MemoryDevice
from dmtable.replog.log import UNLISTED, Entry, Membership
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.sim.cache import blank
from dmtable.sim.choices import exhaustive
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World
from tests.replog.logs import Host, host


def sector(disk: BlockDevice, at: int) -> bytes:
    return disk.pread(512, at * 512)


def u(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def without(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(4) + data[at + 4 :]


def worked_example() -> tuple[Host, RingBufferLog]:
    """The steps of §4.7: E1 to E6, in a log of 4096 sectors."""
    there = host(4096)
    log = there.create(4096)
    for _ in range(4):
        append(there, log, 0, 0, 1000)
    there.commit(log)
    done(there, log, 1, 2)
    append(there, log, 0, 204800, 1000)
    there.commit(log)
    done(there, log, 3, 4)
    append(there, log, 7, 5, 1)
    there.commit(log, marks=True)
    there.commit(log, marks=True)
    return there, log


def append(there: Host, log: RingBufferLog, device: int, first: int, sectors: int) -> None:
    log.append(Entry(device, Op.WRITE, first, sectors, bytes([log.last + 1]) * (512 * sectors), 3, 1199145600.25))


def done(there: Host, log: RingBufferLog, *numbers: int) -> None:
    for number in numbers:
        for site in (0, 1):
            log.mark_done(site, log.entries[number])
    there.commit(log)


def test_the_log_header() -> None:
    there, _ = worked_example()
    header = sector(there.disk, 0)
    assert header[:20].hex(" ") == "64 6d 2d 72 65 70 6c 69 63 61 74 6f 72 48 4a 4d 83 94 12 b9"
    assert header[20:26].hex(" ") == "00 00 00 00 01 00"
    assert header[26:34].hex(" ") == "00 10 00 00 00 00 00 00"
    assert header[34:42].hex(" ") == "08 00 00 00 00 00 00 00"
    assert header[42:58] == b"ringbuffer" + bytes(6)
    assert header[68:72] == b"dmtb"
    assert (u(header, 72, 2), header[74]) == (1, 2)
    assert header[80:96] != bytes(16)
    assert u(header, 64, 4) == zlib.crc32(without(header, 64))
    assert not any(header[96:])


def test_the_buffer_header() -> None:
    there, _ = worked_example()
    header = sector(there.disk, 8)
    assert header[:20] == b"dm-replbufferHJM" + bytes.fromhex("0b 4d c0 2e")
    assert header[20:28].hex(" ") == "00 20 00 00 00 00 00 00"
    assert (u(header, 28, 8), u(header, 36, 8), u(header, 44, 8)) == (4048 * 512, 1032 * 512, 0)
    assert header[68:72] == b"dmtb"
    assert header[80:96] == sector(there.disk, 0)[80:96], "the log's id"
    assert u(header, 96, 8) == 1, "generation"
    assert u(header, 104, 8) == 1, "entries of it begin here"
    assert (u(header, 112, 8), u(header, 120, 8)) == (5, 7), "numbers at head and tail"
    assert u(header, 128, 8) == 1, "entries carry ours from here on"
    assert u(header, 64, 4) == zlib.crc32(without(header, 64))


def test_the_buffer_header_of_the_first_entry() -> None:
    there = host(4096)
    log = there.create(4096)
    append(there, log, 0, 0, 1000)
    there.commit(log)
    there.commit(log, marks=True)
    header = sector(there.disk, 8)
    assert (u(header, 28, 8), u(header, 36, 8)) == (8192, 524288)


def test_the_header_of_an_entry_whose_data_wraps() -> None:
    there, _ = worked_example()
    header = sector(there.disk, 4048)
    assert header[:20] == b"dm-replicdataHJM" + bytes.fromhex("83 94 12 b9")
    assert header[24:32] == bytes(8)
    assert header[32:40].hex(" ") == "00 00 40 06 00 00 00 00"
    assert header[40:48].hex(" ") == "00 d0 07 00 00 00 00 00"
    assert header[48:56].hex(" ") == "00 a0 1f 00 00 00 00 00"
    assert header[56:64].hex(" ") == "00 20 00 00 00 00 00 00"
    assert header[64:67].hex(" ") == "01 01 00"
    assert header[256:512] == b"\x03" + bytes(255)
    assert there.disk.pread(1000 * 512, 16 * 512) == b"\x05" * 512_000
    check_ours(there, header, number=5, sectors=1000, data=b"\x05" * 512_000)


def test_the_header_of_the_newest_entry() -> None:
    there, _ = worked_example()
    header = sector(there.disk, 1016)
    assert (u(header, 24, 8), u(header, 32, 8), u(header, 40, 8)) == (7, 5 * 512, 512)
    assert (u(header, 48, 8), u(header, 56, 8)) == (1016 * 512, 1024 * 512)
    assert header[64:67].hex(" ") == "01 00 00"
    check_ours(there, header, number=6, sectors=1, data=b"\x06" * 512)


def check_ours(there: Host, header: bytes, number: int, sectors: int, data: bytes) -> None:
    assert u(header, 68, 4) == zlib.crc32(without(header, 68))
    assert header[72:76] == b"dmtb"
    assert (u(header, 76, 2), header[78], header[79]) == (1, 0, 0)
    assert header[80:96] == sector(there.disk, 0)[80:96]
    assert (u(header, 96, 8), u(header, 104, 8)) == (1, number)
    assert (u(header, 112, 4), u(header, 116, 4)) == (sectors, zlib.crc32(data))
    assert struct.unpack_from("<d", header, 120) == (1199145600.25,)
    assert not any(header[128:256])


def test_marks_are_bits_of_sites() -> None:
    there = host(4096)
    log = there.create(4096)
    there.append(log, 1, owed=1 << 0 | 1 << 9 | 1 << 2047)
    there.commit(log)
    assert sector(there.disk, 16)[256:] == bytes([1, 2]) + bytes(253) + b"\x80"
    log.mark_done(2047, log.entries[1])
    log.mark_done(0, log.entries[1])
    there.commit(log, marks=True)
    assert sector(there.disk, 16)[256:] == bytes([0, 2]) + bytes(254)


def test_entries_without_data_and_the_version() -> None:
    there = host(4096)
    log = there.create(4096)
    there.append(log, 1)
    there.commit(log)
    assert sector(there.disk, 0)[20:26].hex() == "000000000100"
    there.append(log, 24, op=Op.DISCARD)
    there.append(log, 40, op=Op.WRITE_ZEROES)
    there.commit(log)
    assert sector(there.disk, 0)[20:26].hex() == "000001000100", "0.1.1: the original refuses it"
    discard, zeroes = sector(there.disk, 32), sector(there.disk, 40)
    assert (discard[78], u(discard, 40, 8), u(discard, 112, 4)) == (1, 24 * 512, 24)
    assert (zeroes[78], u(zeroes, 40, 8)) == (2, 40 * 512)
    assert u(discard, 56, 8) == 40 * 512, "no data: the next header is where it would be"
    for site in (0, 1):
        for number in (1, 2, 3):
            if number in log.entries:
                log.mark_done(site, log.entries[number])
    there.commit(log)
    assert sector(there.disk, 0)[20:26].hex() == "000001000100"
    there.commit(log, marks=True)
    assert sector(there.disk, 0)[20:26].hex() == "000000000100", "an orderly end without such entries"


def test_an_entry_that_is_given_up() -> None:
    there = host(4096)
    log = there.create(4096)
    there.append(log, 1)
    there.append(log, 1)
    there.commit(log)
    log.void(log.entries[2])
    there.commit(log, marks=True)
    header = sector(there.disk, 32)
    assert (header[64], header[79], any(header[256:])) == (1, 1, False)


def test_the_table_of_members() -> None:
    there = host(4096)
    log = there.create(4096)
    log.remember((3, 7), Membership.KNOWN)
    log.remember((2047, 9), Membership.RESYNC_OWED)
    log.remember((4, 8), Membership.STORED)
    there.commit(log)
    table = sector(there.disk, 1)
    assert u(table, 0, 4) == zlib.crc32(without(table, 0))
    assert (table[4:8], u(table, 8, 2), u(table, 10, 2)) == (b"dmtb", 1, 3)
    assert table[16:32] == sector(there.disk, 0)[80:96]
    assert table[32:50].hex(" ") == "03 00 07 00 00 00 ff 87 09 00 00 00 04 40 08 00 00 00"
    for at in range(2, 8):
        assert sector(there.disk, at)[4:8] == b"dmtb", "all seven are there, empty or not"


def test_the_member_that_stands_for_all_is_device_0_at_site_0() -> None:
    there = host(4096)
    log = there.create(4096)
    log.remember(UNLISTED, Membership.RESYNC_OWED)
    there.commit(log)
    assert sector(there.disk, 1)[32:38].hex(" ") == "00 80 00 00 00 00"


def test_a_retired_log() -> None:
    there = host(4096)
    log = there.create(4096)
    there.go(log.retiring())
    assert sector(there.disk, 0)[74] == 3


# The original's logs.


def theirs(*entries: tuple[int, int, int, int, bytes], tail: int, crc: str = "83 94 12 b9", head: int = 16) -> Host:
    """A log as the original writes it, its fillers full of old memory: (at, data at, wrap, owed, data)."""
    there = Host(MemoryDevice(4200 * 512))
    buffer_crc = "3b 52 d1 b4" if crc == "3b 52 d1 b4" else "0b 4d c0 2e"
    log = b"dm-replicatorHJM" + bytes.fromhex(crc) + struct.pack("<3HQQ16s", 0, 0, 1, 4096, 8, b"ringbuffer")
    there.disk.pwrite(log.ljust(512, b"\x5a"), 0)
    buffer = b"dm-replbufferHJM" + bytes.fromhex(buffer_crc) + struct.pack("<4Q", 16 * 512, head * 512, tail * 512, 2)
    there.disk.pwrite(buffer.ljust(512, b"\xa5"), 8 * 512)
    for number, (at, data_at, wrap, owed, data) in enumerate(entries):
        header = b"dm-replicdataHJM" + bytes.fromhex(crc) + bytes(4)
        header += struct.pack("<5Q3B", number % 2, number * 512, len(data), at * 512, data_at * 512, 1, wrap, 0)
        there.disk.pwrite(header.ljust(256, b"\x77") + owed.to_bytes(256, "little"), at * 512)
        there.disk.pwrite(data, data_at * 512)
    return there


@pytest.mark.parametrize("crc", ["83 94 12 b9", "3b 52 d1 b4"])
def test_a_log_of_the_original_is_taken_by_its_rules(crc: str) -> None:
    there = theirs((4048, 16, 1, 3, b"a" * 512_000), (1016, 1024, 0, 2, b"b" * 512), tail=1032, crc=crc, head=4048)
    log = there.open()
    assert not log.report.damage
    assert log.report.end == "the tail that the original stored"
    assert [(e.device, e.sector, e.sectors, e.owed) for e in log.entries.values()] == [(0, 0, 1000, 3), (1, 1, 1, 3)]
    assert there.read(log, log.entries[1]) == b"a" * 512_000
    assert there.read(log, log.entries[2]) == b"b" * 512
    there.append(log, 2)
    there.commit(log)
    log.mark_done(0, log.entries[1])
    there.commit(log, marks=True)
    again = there.open()
    assert not again.report.damage
    assert [(e.number, e.owed) for e in again.entries.values()] == [(1, 2), (2, 3), (3, 3)]
    assert there.read(again, again.entries[1]) == b"a" * 512_000


def test_a_log_that_the_original_used_in_between_is_opened() -> None:
    there, _ = worked_example()
    there.open()
    header = bytearray(sector(there.disk, 8))
    # The original takes the first entry away, and knows nothing of what is behind its own 52 bytes.
    header[28:36] = (1016 * 512).to_bytes(8, "little")
    header[52:] = bytes(460)
    there.disk.pwrite(header, 8 * 512)
    log = there.open()
    assert not log.report.damage
    assert [(entry.number, entry.device) for entry in log.entries.values()] == [(1, 7)]
    assert there.read(log, log.entries[1]) == b"\x06" * 512


def test_damage_in_a_log_of_the_original_makes_everything_suspect() -> None:
    there = theirs((16, 24, 0, 3, b"a" * 512), (32, 40, 0, 3, b"b" * 512), tail=48)
    there.disk.pwrite(bytes(512), 32 * 512)
    log = there.open()
    assert list(log.entries) == [1]
    assert log.report.everything_suspect


def test_a_power_loss_while_a_log_of_the_original_becomes_ours_loses_nothing() -> None:
    entries = [(16 + 16 * number, 24 + 16 * number, 0, 3 - number % 2, bytes([number]) * 512) for number in range(3)]
    before = theirs(*entries, tail=64).disk.pread(80 * 512, 0)
    image = tuple(before[at : at + 512] for at in range(0, len(before), 512)) + blank(4096 - 80)
    cut_at, cut, seen = 1, True, set()
    while cut:
        cut = False
        for choices in exhaustive():
            world = World(choices, traced=False)
            world.power.cut_at = cut_at
            try:
                Host(world.disk("log", image=image)).open()
            except PowerLoss:
                cut = True
            after = Host(world.after_power_loss().disks["log"])
            seen.add(sector(after.disk, 0)[74] if sector(after.disk, 0)[68:72] == b"dmtb" else 0)
            log = after.open()
            assert not log.report.damage
            assert [entry.owed for entry in log.entries.values()] == [3, 3, 3]
            assert [after.read(log, entry)[0] for entry in log.entries.values()] == [0, 1, 2]
            after.append(log, 1)
            after.commit(log)
            assert [*after.open().entries] == [1, 2, 3, 4]
        cut_at += 1
    assert seen == {0, 1, 2}, "the original's, becoming ours, and ours"
