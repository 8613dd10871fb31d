"""Lines that are something else than they seem."""

from __future__ import annotations

import pytest

from dmtable.checks import check, first_refusal
from tests.checks.told import mended, only, told


def test_two_lines_in_one_are_parted_and_both_are_judged() -> None:
    table = "0 8 linear /dev/a 0 8 8 linear /dev/a x 16 8 zero\n24 8 zero\n"
    found = check(table)
    assert told(found) == [("DM010", "1:21"), ("DM402", "1:39")]
    assert [each.kernel_text for each in found] == ["linear: Invalid argument count (-EINVAL)", None]
    assert mended(table) == "0 8 linear /dev/a 0\n8 8 linear /dev/a x\n16 8 zero\n24 8 zero\n"


def test_a_gap_between_lines_in_one_is_found() -> None:
    assert told(check("0 8 zero 16 8 error\n")) == [("DM010", "1:10"), ("DM101", "1:10")]


def test_what_error_ignores_is_a_line_to_us_and_not_to_the_kernel() -> None:
    found = check("0 8 error 8 8 zero\n16 8 zero\n")
    assert told(found) == [("DM010", "1:11"), ("DM101", "2:1")]
    refusal = first_refusal(found)
    assert refusal is not None
    assert refusal.text == "zero: Gap in table (-EINVAL)"
    assert mended("0 8 error 8 8 zero\n16 8 zero\n") == "0 8 error\n8 8 zero\n16 8 zero\n"


def test_numbers_alone_make_no_second_line() -> None:
    assert told(check("0 64 striped 2 8 /dev/a 0 /dev/b 0 7:7 7\n")) == [("DM416", "1:14")]
    assert check("0 64 striped 2 8 /dev/a 0 /dev/b 64\n") == []


@pytest.mark.parametrize(
    "words",
    [
        "striped 2 7:0 7:1 1 AA",
        "striped 2 7:0 7:1 1 AD",
        "mirror 2 7:0 7:1 8/8 1 AA 1 core",
        "snapshot 16/2048 16",
        "thin-pool 0 14/1024 2/64 - rw discard_passdown queue_if_no_space - 1024",
    ],
)
def test_status_output_is_known_for_what_it_is(words: str) -> None:
    assert [each.code for each in check(f"0 64 {words}\n")] == ["DM503"]


def test_status_carries_what_the_kernel_says() -> None:
    assert only(check("0 64 striped 2 7:0 7:1 1 AA\n"), "DM503").kernel_text == "striped: Invalid chunk_size (-EINVAL)"
    assert only(check("0 64 snapshot 16/2048 16\n"), "DM503").errno == 22


def test_a_status_is_shown_from_its_first_word_to_its_last() -> None:
    span = only(check("0 64 snapshot 16/2048 16 0\n"), "DM503").span
    assert (span.start, span.end, span.column) == (14, 26, 15)


@pytest.mark.parametrize("words", ["linear", "striped 3 7:0 7:1 1 AA", "striped 2 8 7:0 0 7:1 0 1/2"])
def test_other_words_are_no_status(words: str) -> None:
    assert "DM503" not in [each.code for each in check(f"0 64 {words}\n")]
