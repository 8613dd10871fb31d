"""libdm's regular expressions against Python's, on texts that carry their begin and end as bytes, as libdm's do."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.cli.dmsetup.report.regex import Regex
from dmtable.errors import DmsetupError

LEAVES = st.sampled_from(
    [
        ("a", "a"),
        ("b", "b"),
        ("-", "-"),
        ("é", "\xc3\xa9"),
        (".", r"[^\n\r\0]"),
        ("^", "\x02"),
        ("$", "\x03"),
        (r"\.", r"\."),
        (r"\t", r"\t"),
        ("[ab]", "[ab]"),
        ("[^a]", r"[^a\0]"),
        ("[-a-c]", r"[\-a-c]"),
        (r"[\]c]", r"[\]c]"),
        ("[c-a]", "[a-c]"),
    ]
)


def larger(smaller: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    pairs = st.lists(smaller, min_size=1, max_size=3)
    return st.one_of(
        pairs.map(lambda parts: ("".join(one for one, _ in parts), "".join(f"(?:{other})" for _, other in parts))),
        pairs.map(lambda parts: tuple("(" + "|".join(sides) + ")" for sides in zip(*parts, strict=True))),
        st.tuples(smaller, st.sampled_from("*+?")).map(lambda it: tuple(f"({side}){it[1]}" for side in it[0])),
    )


@given(st.recursive(LEAVES, larger, max_leaves=8), st.text("abc.-é\t", max_size=8))
def test_what_it_matches_is_what_pythons_match(patterns: tuple[str, str], text: str) -> None:
    ours, theirs = patterns
    data = b"\x02" + text.encode() + b"\x03"
    assert Regex(ours, pytest.fail).matches(text) == bool(re.search(theirs.encode("latin-1"), data))


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(a?){0}" + "a?" * 30 + "a" * 30])
def test_no_expression_takes_long(pattern: str) -> None:
    assert not Regex(pattern, pytest.fail).matches("a" * 29 + "c")


@pytest.mark.parametrize(
    ("pattern", "complaints"),
    [
        ("", ["missing ')' in regular expression"]),
        ("(", ["missing ')' in regular expression"] * 2),
        ("*", ["missing ')' in regular expression"] * 2),
        ("[a", ["missing ')' in regular expression"] * 2),
        ("a\\", ["missing ')' in regular expression"]),
        ("a|", ["Badly formed 'or' expression", "missing ')' in regular expression"]),
        ("a|b|", ["Badly formed 'or' expression"] * 2 + ["missing ')' in regular expression"]),
    ],
)
def test_what_cannot_be_read_is_complained_about_as_often_as_libdm_does(pattern: str, complaints: list[str]) -> None:
    heard: list[str] = []
    with pytest.raises(DmsetupError, match=r"^Parse error in regex\nCouldn't parse regex$"):
        Regex(pattern, heard.append)
    assert heard == complaints


def test_what_is_complained_about_may_be_read_all_the_same() -> None:
    heard: list[str] = []
    assert Regex("|a", heard.append).matches("b")
    assert heard == ["missing ')' in regular expression"]


@given(st.text("ab()[]{}|*+?.^$\\-\n é", max_size=12), st.text("ab\n é", max_size=6))
def test_any_expression_is_read_or_refused(pattern: str, text: str) -> None:
    with suppress(DmsetupError):
        assert Regex(pattern, lambda _: None).matches(text) in (False, True)
