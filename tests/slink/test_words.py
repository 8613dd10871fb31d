"""The words of a site link: what they mean, what they are again, and what they cannot be."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.slink.words import judge_together, limit_words, policy_words, read_limit, read_policy

POLICIES = st.builds(Policy, st.booleans(), st.booleans(), st.booleans(), st.booleans())


@given(POLICIES)
def test_a_policy_is_read_from_what_it_is_written_as(policy: Policy) -> None:
    assert read_policy(policy_words(policy)) == policy


@given(POLICIES, st.data())
def test_any_beginnings_in_any_order_mean_the_same(policy: Policy, data: st.DataObject) -> None:
    shortest = {"synchronous": 2, "asynchronous": 1, "stall": 1, "epoch": 1, "hold": 1}
    names = data.draw(st.permutations(policy_words(policy).split("+")))
    words = "+".join(name[: data.draw(st.integers(shortest[name], len(name)))] for name in names)
    assert read_policy(words) == policy


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("async", Policy()),
        ("asynchronous", Policy()),
        ("sync", Policy(synchronous=True)),
        ("sy", Policy(synchronous=True)),
        ("s", Policy(stall=True)),
        ("stall", Policy(stall=True)),
        ("async+stall", Policy(stall=True)),
        ("sync+stall", Policy(synchronous=True, stall=True)),
        ("a+e+h", Policy(epoch=True, hold=True)),
        ("a+a", Policy()),
    ],
)
def test_policies(text: str, policy: Policy) -> None:
    assert read_policy(text) == policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no policy"),
        ("async+", "'' is no policy"),
        ("asynchronously", "'asynchronously' is no policy"),
        ("Async", "'Async' is no policy"),
        ("async+later", "'later' is no policy"),
        ("sync+async", "synchronous and asynchronous at once"),
        ("a+sy+stall", "synchronous and asynchronous at once"),
    ],
)
def test_what_is_no_policy(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("+", r"\+")):
        read_policy(text)


SECTOR, KIB, MIB, GIB = 1, 2, 2048, 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("ios 100", FallBehind(Measure.IOS, 100, 100)),
        ("ios=100", FallBehind(Measure.IOS, 100, 100)),
        ("IOS=0", FallBehind(Measure.IOS, 0, 0)),
        ("size 7", FallBehind(Measure.SIZE, 7, 7)),
        ("size 7s", FallBehind(Measure.SIZE, 7 * SECTOR, 7, "s")),
        ("size 7k", FallBehind(Measure.SIZE, 7 * KIB, 7, "k")),
        ("size=7M", FallBehind(Measure.SIZE, 7 * MIB, 7, "M")),
        ("data 7g", FallBehind(Measure.SIZE, 7 * GIB, 7, "g")),
        ("size 7t", FallBehind(Measure.SIZE, 7 * 1024 * GIB, 7, "t")),
        ("size 7p", FallBehind(Measure.SIZE, 7 * 1024**2 * GIB, 7, "p")),
        ("size 7e", FallBehind(Measure.SIZE, 7 * 1024**3 * GIB, 7, "e")),
        ("timeout 90", FallBehind(Measure.TIMEOUT, 90, 90)),
        ("timeout 90t", FallBehind(Measure.TIMEOUT, 90, 90, "t")),
        ("timeout 90s", FallBehind(Measure.TIMEOUT, 90_000, 90, "s")),
        ("timeout 90m", FallBehind(Measure.TIMEOUT, 90 * 60_000, 90, "m")),
        ("timeout 90H", FallBehind(Measure.TIMEOUT, 90 * 60 * 60_000, 90, "H")),
        ("timeout=90d", FallBehind(Measure.TIMEOUT, 90 * 24 * 60 * 60_000, 90, "d")),
        ("", None),
    ],
)
def test_limits_and_their_documented_units(words: str, limit: FallBehind | None) -> None:
    assert read_limit(words.split()) == limit


@given(
    st.sampled_from(["ios", "size", "timeout"]), st.integers(0, (1 << 64) - 1), st.sampled_from(["", *"smgkpetdhSM"])
)
def test_a_limit_is_written_as_it_was_read(kind: str, value: int, unit: str) -> None:
    words = (kind, f"{value}{unit}")
    try:
        limit = read_limit(words)
    except ValueError:
        return
    assert limit is not None
    assert limit_words(limit) == words
    assert limit == read_limit(["=".join(words)]), "in one word it is another"
    assert 0 <= limit.limit < 1 << 64
    assert limit.limit % max(value, 1) == 0


def test_no_limit_has_no_words() -> None:
    assert limit_words(None) == ()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("ios", "'' is no limit"),
        ("ios 5 6", "'ios 5 6' is no fall-behind limit"),
        ("ios -1", "'-1' is no limit"),
        ("ios +1", "is no limit"),
        ("ios 1_0", "'1_0' is no limit"),
        ("ios ١", "is no limit"),
        ("ios 100k", "'k' is no unit of ios: it counts entries"),
        ("size 1x", "'x' is no unit of size: there are s k m g t p e"),
        ("timeout 1k", "'k' is no unit of timeout: there are t s m h d"),
        ("timeout 1ms", "'1ms' is no limit"),
        ("later 5", "'later 5' is no fall-behind limit"),
        ("=5", "'=5' is no fall-behind limit"),
        ("iosXYZ 5", "'iosXYZ 5' is no fall-behind limit"),
        ("size 18446744073709551616", "is too large"),
        ("size 8192e", "is too large"),
        ("ios " + "9" * 5000, "is no limit"),
    ],
)
def test_what_is_no_limit(words: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("+", r"\+")):
        read_limit(words.split())


@given(st.lists(st.text("ios=size timeout0123456789kKmMsS+-_.", max_size=30), max_size=4))
def test_whatever_the_words_they_are_a_limit_or_a_value_error(words: list[str]) -> None:
    with suppress(ValueError):
        assert read_limit(words) == read_limit(limit_words(read_limit(words)))


@given(st.text("asynchroustllepd+ A", max_size=30))
def test_whatever_the_word_it_is_a_policy_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert read_policy(policy_words(read_policy(text))) == read_policy(text)


def test_a_synchronous_site_has_no_limit_but_zero() -> None:
    sync, limit = Policy(synchronous=True), FallBehind(Measure.IOS, 5, 5)
    with pytest.raises(ValueError, match="never falls behind: leave out ios 5"):
        judge_together(sync, limit)
    judge_together(sync, None)
    judge_together(sync, FallBehind(Measure.IOS, 0, 0))
    judge_together(Policy(), limit)
