"""Sizes, logical blocks, units and look-ups: what is judged where devices are known, and what never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtable.checks import check, first_refusal
from dmtable.checks.devices import Sizes, lookup_in
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.devices import DeviceTable
from dmtable.errors import UsageError
from dmtable.io.memory import MemoryDevice
from dmtable.units import SECTOR_BYTES
from tests.checks.told import mended, only, told

SIZES: Sizes = {"/dev/a": 4096, "/dev/b": 2048, "/dev/k": (4096, 4096), "8:16": 100}


def test_without_devices_none_is_looked_up_and_none_is_too_small() -> None:
    assert check("0 99999 linear /dev/none 0\n99999 8 linear 8:99 77\n") == []
    assert told(check("0 8 linear 4096:0 0\n")) == [("DM203", "1:12")]


def test_a_device_that_is_too_small_is_told_in_sectors_and_bytes() -> None:
    found = check("0 2048 linear /dev/b 1024\n", SIZES)
    assert told(found) == [("DM205", "1:15")]
    assert found[0].what == (
        "/dev/b has 2048 sectors (1 MiB); of sectors 1024 to 3071 the last 1024 (524288 bytes) are not there"
    )
    assert found[0].how == "the largest length that fits is 1024"
    assert found[0].kernel_text == "b too small for target: start=1024, len=2048, dev_size=2048"
    assert mended("0 2048 linear /dev/b 1024\n", devices=SIZES) == "0 1024 linear /dev/b 1024\n"


def test_what_a_shortened_line_leaves_is_filled_so_that_nothing_moves() -> None:
    table = "0 4096 linear /dev/b 0\n4096 8 linear /dev/a 0\n"
    assert mended(table, devices=SIZES) == "0 2048 linear /dev/b 0\n2048 2048 error\n4096 8 linear /dev/a 0\n"


def test_an_offset_behind_the_end_has_no_length_that_fits() -> None:
    found = check("0 8 linear /dev/b 2048\n", SIZES)
    assert found[0].what == "/dev/b has 2048 sectors (1 MiB); sector 2048 lies behind its end"
    assert found[0].fix is None


def test_each_stripe_is_judged_by_its_share() -> None:
    found = check("0 8192 striped 2 8 /dev/a 0 /dev/b 0\n", SIZES)
    assert told(found) == [("DM205", "1:29")]
    assert found[0].how == "from sector 0 on it has room for 2048 sectors"
    assert found[0].fix is None


def test_a_device_of_size_0_is_never_judged() -> None:
    assert check("0 8 linear /dev/z 99\n", {"/dev/z": 0}) == []


def test_bytes_in_place_of_sectors() -> None:
    table = "0 8 linear /dev/b 524288\n"
    assert told(check(table, SIZES)) == [("DM205", "1:12"), ("DM501", "1:19")]
    assert mended(table, devices=SIZES) == "0 8 linear /dev/b 1024\n"
    table = "0 1048576 linear /dev/b 0\n"
    assert told(check(table, SIZES)) == [("DM205", "1:18"), ("DM502", "1:3")]
    assert mended(table, devices=SIZES) == "0 2048 linear /dev/b 0\n"
    table = "0 524288 linear /dev/b 524288\n"
    assert told(check(table, SIZES)) == [("DM205", "1:17"), ("DM501", "1:24"), ("DM502", "1:3")]
    assert mended(table, devices=SIZES) == "0 1024 linear /dev/b 1024\n"


def test_a_length_in_bytes_is_mended_on_the_last_line_only() -> None:
    found = check("0 1048576 linear /dev/b 0\n1048576 8 linear /dev/a 0\n", SIZES)
    assert only(found, "DM502").fix is None
    assert only(found, "DM205").fix is None


def test_numbers_that_fit_neither_way_are_not_called_bytes() -> None:
    assert told(check("0 8 linear /dev/b 2100\n", SIZES)) == [("DM205", "1:12")]
    assert told(check("0 8 linear /dev/b 2097152\n", SIZES)) == [("DM205", "1:12")]


def test_logical_blocks_name_the_device_that_imposes_them() -> None:
    found = check("0 24 striped 2 4 /dev/a 4 /dev/k 0\n", SIZES)
    assert [each.code for each in found] == ["DM418", "DM206", "DM206", "DM206"]
    assert found[1].what == "offset 4 is no multiple of 8 sectors, the logical block of /dev/k (4 KiB)"
    assert found[1].how == "write 0 or 8"
    assert found[2].how == "let each device have 8 or 16 sectors"
    assert found[1].kernel_text == "start=4 not aligned to h/w logical block size 4096 of a"


def test_a_line_that_cuts_a_block_is_told_when_all_lines_stand() -> None:
    table = "0 4 linear /dev/a 0\n4 8 linear /dev/k 8\n12 3 linear /dev/a 100\n"
    found = check(table, SIZES)
    assert told(found) == [("DM211", "2:1"), ("DM211", "3:4")]
    assert [each.how for each in found] == ["let it begin at 8", "let it end at 8 or 16"]
    refusal = first_refusal(found)
    assert refusal is not None
    assert refusal.text == "table line 1 (start sect 4 len 8) not aligned to h/w logical block size 4096"
    assert told(check(table.replace("12 3", "12 0"), SIZES)) == [("DM104", "3:4")]


def test_blocks_are_cut_by_rows_of_columns_too() -> None:
    rows = "".join(f"{4 * row} 4 linear /dev/a {4 * row}\n" for row in range(9))
    assert told(check(rows + "36 8 linear /dev/k 0\n", SIZES)) == [("DM211", "10:1"), ("DM211", "10:4")]


def test_words_that_are_not_known_are_not_there() -> None:
    found = check("0 8 linear /dev/none 0\n8 8 linear 8:99 0\n16 8 linear sda 0\n", SIZES)
    assert [(each.code, each.errno, each.what) for each in found] == [
        ("DM201", 19, "/dev/none does not exist"),
        ("DM204", 6, "no device has the number 8:99"),
        ("DM201", 19, "sda is no absolute path"),
    ]


def test_sizes_by_number_serve_numbers() -> None:
    assert told(check("0 200 linear 8:16 0\n", SIZES)) == [("DM205", "1:14")]


@pytest.mark.parametrize("size", [-1, (8, 100), (8, 0)])
def test_sizes_that_no_device_has_are_refused(size: int | tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="/dev/a cannot have"):
        check("0 8 zero\n", {"/dev/a": size})


def test_the_device_itself_is_no_device_to_map() -> None:
    for known in (None, {"/dev/mapper/vol": 100}):
        found = check("0 8 linear /dev/mapper//vol 0\n", known, md="vol")
        assert told(found) == [("DM208", "1:12")]
        assert found[0].kernel_text == "linear: Device lookup failed (-EINVAL)"
    assert check("0 8 linear /dev/mapper/other 0\n", md="vol") == []


def test_a_mapper_finds_loops_through_other_devices() -> None:
    with DeviceMapper() as dm:
        dm.create("base", "0 8 zero\n")
        dm.create("top", "0 8 linear /dev/mapper/base 0\n")
        assert told(check("0 8 linear /dev/mapper/top 0\n", dm, md="base")) == [("DM208", "1:12")]
        assert told(check("0 8 linear 253:1 0\n", dm, md="base")) == [("DM208", "1:12")]
        assert check("0 8 linear /dev/mapper/base 0\n", dm, md="top") == []
        assert check("0 8 linear /dev/mapper/base 0\n", dm, md="new") == []


def test_files_below_a_root_are_devices(tmp_path: Path) -> None:
    (tmp_path / "dev" / "dir").mkdir(parents=True)
    (tmp_path / "dev" / "a").write_bytes(bytes(8 * SECTOR_BYTES))
    table = DeviceTable(tmp_path)
    found = check("0 16 linear /dev/a 0\n16 8 linear /dev/dir 0\n24 8 linear /dev/x 0\n", lookup_in(table))
    table.close()
    assert [each.code for each in found] == ["DM205", "DM202", "DM201"]


def test_sectors_used_twice_are_told_with_both_places() -> None:
    found = check("0 8 linear /dev/a 0\n8 8 linear /dev/a 4\n16 8 linear /dev/a 100\n")
    assert told(found) == [("DM207", "2:12")]
    assert found[0].what == "sectors 4 to 7 of /dev/a are used in line 1 too"
    assert found[0].refusal is None
    assert [(label.span.line, label.span.column) for label in found[0].labels] == [(1, 12)]


def test_one_device_by_two_names_is_one_device() -> None:
    with DeviceMapper() as dm:
        dm.add(MemoryDevice(64 * SECTOR_BYTES), "/dev/a")
        found = check("0 8 linear /dev/a 0\n8 8 linear 7:0 0\n", dm)
        assert found[0].what == "sectors 0 to 7 of 7:0 are used in line 1 too (there /dev/a)"
    assert told(check("0 8 linear //dev/a 0\n8 8 linear /dev/../dev/a 0\n")) == [("DM207", "2:12")]
    assert told(check("0 8 linear 7:0 0\n8 8 linear 07:00 0\n")) == [("DM207", "2:12")]
    assert check("0 8 linear 7:0 0\n8 8 linear 7:1 0\n") == []


def test_stripes_of_one_line_may_share_sectors_with_one_another() -> None:
    found = check("0 16 striped 2 8 /dev/a 0 /dev/a 4\n")
    assert told(found) == [("DM207", "1:27")]
    assert found[0].what == "sectors 4 to 7 of /dev/a are used twice in this line"


def test_rows_of_columns_share_with_lines_and_with_one_another() -> None:
    rows = [f"{8 * row} 8 linear /dev/a {8 * row}\n" for row in range(20)]
    rows[15] = "120 8 linear /dev/a 40\n"
    table = "".join([*rows, "160 8 striped 1 8 /dev/a 84\n"])
    assert told(check(table)) == [("DM207", "16:14"), ("DM207", "21:19")]
    found = check(table)
    assert found[1].what == "sectors 84 to 87 of /dev/a are used in line 11 too"


def test_a_number_never_meets_a_device_of_which_only_the_path_is_known() -> None:
    for number in ("0", "0:0", "0:1", "1"):
        assert "DM204" in [each.code for each in check(f"0 8 linear {number} 0\n", {"/dev/a": 8, "/dev/b": 8})]
