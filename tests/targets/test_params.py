"""What linear, striped, zero, error and the targets that are not run say to their words."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.devices import DmDev
from dmtable.core.target import Area, Params
from dmtable.errors import DeviceLookupError
from dmtable.language.diagnostics import Finding
from dmtable.targets.error import ErrorParams
from dmtable.targets.linear import LinearParams
from dmtable.targets.striped import StripedParams
from dmtable.targets.unemulated import NAMES, unemulated
from dmtable.targets.zero import ZeroParams


def _found(params_class: type[Params], text: str, length: int = 64) -> list[Finding]:
    params, findings = params_class.inspect(text.split(), 0, length, None)
    assert (params is None) == any(finding.refusal for finding in findings)
    return findings


def _mended(text: str, findings: Sequence[Finding]) -> str:
    words = text.split()
    for finding in findings:
        for at, new in finding.fix:
            words[at] = new
    return " ".join(word for word in words if word)


def _texts(findings: Sequence[Finding]) -> list[str]:
    return [finding.refusal.text for finding in findings if finding.refusal]


def test_linear_is_a_device_and_an_offset() -> None:
    params, findings = LinearParams.inspect(["/dev/a", "007"], 0, 8, None)
    assert (params, findings) == (LinearParams("/dev/a", 7), [])
    assert params is not None
    assert params.words() == ["/dev/a", "7"]
    assert list(params.areas(8)) == [Area(0, 7, 8)]


@pytest.mark.parametrize("text", ["", "/dev/a", "/dev/a 0 1", "a b c d"])
def test_linear_takes_two_words(text: str) -> None:
    (finding,) = _found(LinearParams, text)
    assert finding.rule.code == "DM401"
    assert _texts([finding]) == ["linear: Invalid argument count (-EINVAL)"]
    assert _mended(text, [finding]) == " ".join(text.split()[:2])


@pytest.mark.parametrize(("word", "meant"), [("0x10", "16"), ("+8", "8"), ("-8", None), ("8k", None), ("1_0", None)])
def test_an_offset_is_plain_digits(word: str, meant: str | None) -> None:
    (finding,) = _found(LinearParams, f"/dev/a {word}")
    assert (finding.rule.code, finding.word) == ("DM402", 1)
    assert _texts([finding]) == ["linear: Invalid device sector (-EINVAL)"]
    assert _mended(f"/dev/a {word}", [finding]) == f"/dev/a {meant or word}"


def test_an_offset_of_too_many_bits_wraps_without_a_word_of_the_kernels() -> None:
    params, findings = LinearParams.inspect(["/dev/a", str((1 << 64) + 5)], 0, 8, None)
    assert params == LinearParams("/dev/a", 5)
    assert [(finding.rule.code, finding.refusal) for finding in findings] == [("DM305", None)]


@pytest.mark.parametrize(("number", "code"), [(errno.ENODEV, "DM201"), (errno.ENXIO, "DM204"), (errno.EINVAL, "DM208")])
def test_a_device_is_looked_up_behind_the_offset(number: int, code: str) -> None:
    def lookup(word: str) -> DmDev:
        raise DeviceLookupError(number, f"no {word}")

    params, findings = LinearParams.inspect(["/dev/a", "x"], 0, 8, lookup)
    assert params is None
    assert [finding.rule.code for finding in findings] == ["DM402", code]
    assert findings[1].refusal is not None
    assert findings[1].refusal.errno == number
    assert findings[1].refusal.text == f"linear: Device lookup failed (-{errno.errorcode[number]})"


def test_offsets_of_any_length_are_read_modulo_2_to_the_64() -> None:
    for params_class, words in ((LinearParams, "/dev/a {}"), (StripedParams, "1 8 /dev/a {}")):
        for digits, wraps in (("0" * 5000, False), ("0" * 5000 + "8", False), (str(1 << 64), True), ("9" * 5000, True)):
            codes = [finding.rule.code for finding in _found(params_class, words.format(digits))]
            assert codes == (["DM305"] if wraps else []), digits[-5:]


def test_a_bare_hexadecimal_word_is_a_number_to_the_kernel() -> None:
    (finding,) = _found(LinearParams, "700 0")
    assert (finding.rule.code, finding.refusal) == ("DM209", None)
    assert "7:0" in finding.how


def test_striped_is_numbers_and_pairs() -> None:
    params, findings = StripedParams.inspect(["+2", "8", "/dev/a", "0", "/dev/b", "16"], 0, 64, None)
    assert (params, findings) == (StripedParams(8, (("/dev/a", 0), ("/dev/b", 16))), [])
    assert params is not None
    assert params.words() == ["2", "8", "/dev/a", "0", "/dev/b", "16"]
    assert list(params.areas(64)) == [Area(2, 0, 32), Area(4, 16, 32)]


@pytest.mark.parametrize(
    ("text", "length", "codes"),
    [
        ("", 64, ["DM411"]),
        ("2", 64, ["DM411"]),
        ("x 8 a: 0", 64, ["DM412"]),
        ("0 8 a: 0", 64, ["DM412"]),
        ("2 0 a: 0 b: 0", 64, ["DM413"]),
        ("2 8k a: 0 b: 0", 64, ["DM413"]),
        ("2 8 a: 0 b: 0", 65, ["DM414"]),
        ("2 8 a: 0 b: 0", 72, ["DM415"]),
        ("2 8 a: 0", 64, ["DM416"]),
        ("2 8 a: 0 b:", 64, ["DM416"]),
        ("2 8 a: 0 b: x", 64, ["DM417"]),
        ("2 3 a: 0 b: 0", 66, ["DM418"]),
        ("2 4 a: 0 b: 0", 64, ["DM418"]),
        ("x 0 a: y b:", 64, ["DM412", "DM413", "DM417"]),
    ],
)
def test_striped_tells_all_that_is_wrong(text: str, length: int, codes: list[str]) -> None:
    assert [finding.rule.code for finding in _found(StripedParams, text, length)] == codes


def test_a_forgotten_number_of_stripes_is_one_finding() -> None:
    text = "8 /dev/a 0 /dev/b 0"
    findings = _found(StripedParams, text)
    assert _texts(findings) == ["striped: Invalid chunk_size (-EINVAL)"]
    assert _mended(text, findings) == "2 8 /dev/a 0 /dev/b 0"


def test_a_wrong_number_of_stripes_is_counted_and_left_to_its_owner() -> None:
    (finding,) = _found(StripedParams, "3 8 /dev/a 0 /dev/b 0", 72)
    assert finding.how == "write 2 stripes, or correct the devices"
    assert not finding.fix, "another number of stripes would deal the data out in another way"


def test_lengths_that_would_do_are_named() -> None:
    (finding,) = _found(StripedParams, "3 8 a: 0 b: 0 c: 0", 100)
    assert (finding.word, finding.how) == (-2, "write a length of 96 or 120")
    (finding,) = _found(StripedParams, "3 8 a: 0 b: 0 c: 0", 10)
    assert finding.how == "write a length of 24"


def test_zero_and_error_take_nothing() -> None:
    assert ZeroParams.inspect([], 0, 8, None) == (ZeroParams(), [])
    (finding,) = _found(ZeroParams, "0 1")
    assert _texts([finding]) == ["zero: No arguments required (-EINVAL)"]
    assert _mended("0 1", [finding]) == ""
    (finding,) = _found(ErrorParams, "0 1")
    assert finding.refusal is None
    assert _mended("0 1", [finding]) == ""


@pytest.mark.parametrize("name", NAMES)
def test_targets_that_are_not_run_are_known_by_the_number_of_their_words(name: str) -> None:
    target = unemulated(name)
    assert target is not None
    codes = {
        count: [finding.rule.code for finding in target.params.inspect(["x"] * count, 0, 8, None)[1]]
        for count in range(10)
    }
    assert codes[0] == ["DM108"]
    assert ["DM107"] in codes.values()


_WORDS = st.lists(st.sampled_from(["2", "8", "+2", "0", "/dev/a", "7:0", "x", "16", "700"]), max_size=8)


@given(_WORDS, st.sampled_from([0, 8, 64, 65, 72]))
def test_what_is_taken_is_written_so_that_it_is_taken_again(words: list[str], length: int) -> None:
    for params_class in (LinearParams, StripedParams, ZeroParams, ErrorParams):
        params, findings = params_class.inspect(words, 0, length, None)
        assert (params is None) == any(finding.refusal for finding in findings)
        if params is not None:
            assert params_class.inspect(params.words(), 0, length, None)[0] == params


def _count(findings: Sequence[Finding], like: Finding) -> int:
    return sum((finding.rule, finding.what) == (like.rule, like.what) for finding in findings)


@given(_WORDS)
def test_each_fix_leaves_less_to_say(words: list[str]) -> None:
    for params_class in (LinearParams, StripedParams):
        findings = params_class.inspect(words, 0, 48, None)[1]
        for finding in findings:
            if finding.fix:
                mended = _mended(" ".join(words), [finding]).split()
                again = params_class.inspect(mended, 0, 48, None)[1]
                assert _count(again, finding) < _count(findings, finding)
