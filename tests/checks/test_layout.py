"""Gaps, overlaps and order: each mistake told once, with numbers, and mended where that is safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.checks import check, first_refusal
from dmtable.language.diagnostics import Severity
from tests.checks.told import mended, only, told

GAP_TEXT = "zero: Gap in table (-EINVAL)"


def test_a_gap_is_told_with_its_size_and_filled_with_error() -> None:
    table = "0 8 zero\n24 8 zero\n32 8 zero\n"
    found = check(table)
    assert told(found) == [("DM101", "2:1")]
    assert found[0].what == "sectors 8 to 23 are in no line: 16 (8 KiB)"
    assert found[0].kernel_text == GAP_TEXT
    assert [(label.span.line, label.text) for label in found[0].labels] == [(1, "ends before sector 8")]
    assert mended(table) == "0 8 zero\n8 16 error\n24 8 zero\n32 8 zero\n"


def test_an_overlap_is_told_and_left_to_the_author() -> None:
    found = check("0 16 zero\n8 16 zero\n24 8 zero\n")
    assert told(found) == [("DM102", "2:1")]
    assert found[0].how == "begin this line at 16, or let the one before have 8 sectors"
    assert found[0].fix is None
    assert found[0].kernel_text == GAP_TEXT


def test_a_first_line_elsewhere_has_a_rule_of_its_own() -> None:
    assert told(check("8 8 zero\n16 8 zero\n")) == [("DM103", "1:1")]
    assert mended("8 8 zero\n16 8 zero\n") == "0 8 error\n8 8 zero\n16 8 zero\n"


def test_a_line_that_stands_twice_is_one_finding_and_goes() -> None:
    table = "0 8 linear /dev/a 0\n8 8 linear /dev/a 8\n8 8  linear /dev/a 8 # again\n16 8 linear /dev/a 16\n"
    assert told(check(table)) == [("DM102", "3:1")]
    assert mended(table) == "0 8 linear /dev/a 0\n8 8 linear /dev/a 8\n16 8 linear /dev/a 16\n"
    assert mended("0 8 zero\n0 8 zero") == "0 8 zero\n"


def test_a_line_out_of_place_does_not_make_those_behind_it_wrong() -> None:
    assert told(check("0 8 zero\n4 8 zero\n8 8 zero\n16 8 zero\n")) == [("DM102", "2:1")]
    assert told(check("0 8 zero\n8 100 zero\n16 8 zero\n24 8 zero\n")) == [("DM102", "3:1")]
    assert told(check("0 8 zero\n8 0 zero\n16 8 zero\n")) == [("DM104", "2:3")]
    assert told(check("0 8 zero\n8 18446744073709551000 zero\n16 8 zero\n")) == [("DM105", "2:3")]


def test_a_gap_that_an_unreadable_line_leaves_is_not_told() -> None:
    assert told(check("0 8 zero\n8 8\n16 8 zero\n")) == [("DM001", "2:1")]
    assert told(check("vol: 0 8 zero\nvol: 16 8 zero\n"))[-1] == ("DM101", "2:6")


def test_numbers_that_the_reader_already_told_of_are_not_judged_again() -> None:
    assert told(check("0 -8 zero\n8 8 zero\n")) == [("DM303", "1:3")]


def test_lines_that_only_stand_in_the_wrong_order_are_one_finding() -> None:
    table = "0 8 zero\n16 8 error # c\n# between\n8 8 zero\n24 8 zero\n"
    found = check(table)
    assert told(found) == [("DM109", "2:1")]
    assert found[0].kernel_text == "error: Gap in table (-EINVAL)"
    assert mended(table) == "0 8 zero\n8 8 zero\n# between\n16 8 error # c\n24 8 zero\n"


def test_a_table_sorted_by_letters_is_put_in_order() -> None:
    lines = [f"{start} 8 linear /dev/a {start}\n" for start in range(0, 8 * 200, 8)]
    assert told(check("".join(sorted(lines)))) == [("DM109", "2:1")]
    assert mended("".join(sorted(lines))) == "".join(lines)


def test_a_gap_where_another_line_claims_sectors_is_not_filled() -> None:
    found = check("0 8 zero\n24 8 zero\n12 4 zero\n")
    assert told(found) == [("DM101", "2:1"), ("DM102", "3:1")]
    assert found[0].fix is None


def test_a_gap_before_a_line_that_reaches_into_the_next_is_not_filled() -> None:
    found = check("8 16 zero\n16 8 zero\n")
    assert told(found) == [("DM103", "1:1"), ("DM102", "2:1")]
    assert found[0].fix is None


def test_a_gap_behind_a_line_in_doubt_is_not_filled() -> None:
    found = check("0 8 zero 8 8\n16 8 zero\n")
    assert told(found) == [("DM421", "1:10"), ("DM101", "2:1")]
    assert only(found, "DM101").fix is None


@pytest.mark.parametrize(("name", "meant"), [("liner", "linear"), ("STRIPED", "striped"), ("snapshoot", "snapshot")])
def test_the_target_that_was_meant_is_named(name: str, meant: str) -> None:
    diagnostic = only(check(f"0 8 {name} x 0\n"), "DM106")
    assert diagnostic.what == f"no target is called {name!r}; did you mean {meant!r}?"
    assert diagnostic.kernel_text == f"{name}: unknown target type"
    assert diagnostic.fix is not None
    assert [edit.text for edit in diagnostic.fix.edits] == [meant]


def test_a_name_like_nothing_gets_no_suggestion() -> None:
    diagnostic = only(check("0 8 qqqq\n"), "DM106")
    assert diagnostic.what == "no target is called 'qqqq'"
    assert diagnostic.fix is None


def test_a_device_in_place_of_the_target_is_seen() -> None:
    assert mended("0 8 /dev/sda 0\n8 8 7:0 8\n") == "0 8 linear /dev/sda 0\n8 8 linear 7:0 8\n"
    diagnostic = only(check("0 8 /dev/sda 0 1\n"), "DM106")
    assert diagnostic.what == "a device, /dev/sda, stands where the target's name belongs"
    assert diagnostic.fix is None
    assert only(check("0 8 9999:0 0\n"), "DM106").what.startswith("a device")


def test_a_target_of_other_kernels_is_named_with_its_module() -> None:
    assert "module dm-verity" in only(check("0 8 verity 1\n"), "DM106").what


@given(st.lists(st.sampled_from([8, 16]), min_size=9, max_size=30), st.data())
def test_one_missing_line_is_one_gap(lengths: list[int], data: st.DataObject) -> None:
    lines = []
    at = 0
    for length in lengths:
        lines.append(f"{at} {length} linear /dev/a {at}\n")
        at += length
    missing = data.draw(st.integers(1, len(lines) - 2))
    found = check("".join(lines[:missing] + lines[missing + 1 :]))
    assert told(found) == [("DM101", f"{missing + 1}:1")]
    twice = check("".join(lines[: missing + 1] + lines[missing:]))
    assert told(twice) == [("DM102", f"{missing + 2}:1")]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=12))
def test_filled_and_mended_tables_have_no_gap_left(rows: list[tuple[int, int]]) -> None:
    table = "".join(f"{8 * start} {8 * length} zero\n" for start, length in rows)
    remaining = check(mended(table))
    assert not any(each.code == "DM109" for each in remaining)
    assert all(each.fix is None for each in remaining)
    if not rows:
        assert [each.severity for each in remaining] == [Severity.NOTE]
    elif first_refusal(remaining) is None:
        assert remaining == []
