"""The language of `-S`: what it selects against the obvious evaluation, and that any text is read or refused."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.cli.dmsetup.report.columns import Columns
from dmtable.cli.dmsetup.report.fields import Value
from dmtable.cli.dmsetup.report.selection import read_selection
from dmtable.errors import DmsetupError

Row = dict[str, Value]
NUMBERS, STRINGS = ("minor", "open"), ("name", "vg_name")
OPERATORS: dict[str, Callable[[Value, Value], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
WORDS = st.text("ab&|#,!()= '", max_size=3)
ROWS = st.fixed_dictionaries(
    {**dict.fromkeys(NUMBERS, st.integers(0, 5)), **dict.fromkeys(STRINGS, st.text("ab ,", max_size=2))}
)


@dataclass(frozen=True, slots=True)
class Case:
    """A selection as text, and what it means."""

    text: str
    selects: Callable[[Row], bool]
    is_negated: bool = False


def of_number(name: str, sign: str, number: int, blank: str) -> Case:
    return Case(f"{name}{blank}{sign}{blank}{number}", lambda row: OPERATORS[sign](row[name], number))


def of_string(name: str, shall_equal: bool, word: str) -> Case:
    quoted = f'"{word}"' if "'" in word else f"'{word}'"
    return Case(f"{name}{'=' if shall_equal else '!='}{quoted}", lambda row: (row[name] == word) is shall_equal)


def of_pattern(name: str, shall_match: bool, word: str) -> Case:
    return Case(f"{name}{'=~' if shall_match else '!~'}{{{word}}}", lambda row: (word in str(row[name])) is shall_match)


def joined(members: list[Case], sign: str, needs_all: bool, blank: str) -> Case:
    text = f"{blank}{sign}{blank}".join(member.text for member in members)
    enough = all if needs_all else any
    return Case(f"({text})", lambda row: enough(member.selects(row) for member in members))


def negated(case: Case) -> Case:
    if case.is_negated:
        return case
    return Case(f"!({case.text})", lambda row: not case.selects(row), is_negated=True)


BLANKS = st.sampled_from(["", " ", "\t", " \n "])
COMPARISONS = st.one_of(
    st.builds(of_number, st.sampled_from(NUMBERS), st.sampled_from(list(OPERATORS)), st.integers(0, 5), BLANKS),
    st.builds(of_string, st.sampled_from(STRINGS), st.booleans(), WORDS),
    st.builds(of_pattern, st.sampled_from(STRINGS), st.booleans(), st.text("ab ", min_size=1, max_size=2)),
)


def larger(smaller: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    members = st.lists(smaller, min_size=2, max_size=3)
    return st.one_of(
        st.builds(joined, members, st.sampled_from(["&&", ","]), st.just(True), BLANKS),
        st.builds(joined, members, st.sampled_from(["||", "#"]), st.just(False), BLANKS),
        smaller.map(negated),
    )


@given(st.recursive(COMPARISONS, larger, max_leaves=6), st.lists(ROWS, min_size=1, max_size=4))
def test_a_selection_selects_what_it_says(case: Case, rows: list[Row]) -> None:
    columns = Columns(pytest.fail)
    selection = read_selection(case.text, columns)
    assert selection is not None
    for row in rows:
        filled = {column: row[column.field.name] for column in columns.all}
        assert selection.selects(filled) == case.selects(row), case.text


def test_and_binds_more_than_or() -> None:
    columns = Columns(pytest.fail)
    selection = read_selection("minor=1||minor=2,open=3#open=4", columns)
    assert selection is not None
    chosen = [
        (minor, open_count)
        for minor in range(4)
        for open_count in range(5)
        if selection.selects({each: minor if each.field.name == "minor" else open_count for each in columns.all})
    ]
    assert chosen == [(0, 4), *((1, count) for count in range(5)), (2, 3), (2, 4), (3, 4)]


def test_the_columns_that_it_needs_are_hidden_and_there_once() -> None:
    columns = Columns(pytest.fail)
    columns.ask_for("name,minor", "")
    read_selection("name=a||open>1||open<7||minor=3", columns)
    assert [(column.field.name, column.is_shown) for column in columns.all] == [
        ("open", False),
        ("name", True),
        ("minor", True),
    ]


@given(st.text("nameior=~!<>|&#,()[]{}'\" 019.%k\\é\udc80_-", max_size=16))
def test_any_text_is_read_or_refused(text: str) -> None:
    for selection in (text, f"name=a,{text}", f"minor>{text}", f"(name=~{text})"):
        columns = Columns(lambda _: None)
        with suppress(DmsetupError):
            read = read_selection(selection, columns)
            assert (read is None) == (selection.lower() in ("", "all"))


@pytest.mark.parametrize("text", ["(" * 5000 + "name=a" + ")" * 5000, "name=~'" + "(" * 5000 + "a" + ")" * 5000 + "'"])
def test_too_many_parentheses_are_refused(text: str) -> None:
    with pytest.raises(DmsetupError, match="too many parentheses"):
        read_selection(text, Columns(pytest.fail))


def test_a_number_of_thousands_of_digits_is_out_of_range() -> None:
    with pytest.raises(DmsetupError, match=r"^Field selection value 9+ out of supported range for field minor\.$"):
        read_selection(f"minor={'9' * 5000}", Columns(pytest.fail))
    assert read_selection(f"minor={'0' * 5000}1", Columns(pytest.fail)) is not None
