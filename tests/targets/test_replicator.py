"""The words of replicator and replicator-dev, in both dialects."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.devices import DmDev
from dmtable.errors import DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Rule
from dmtable.targets.replicator import (
    CopyWords,
    DirtyLogWords,
    LogWords,
    ReplicatorDevParams,
    ReplicatorParams,
    SiteWords,
)

Read = tuple[ReplicatorParams | None, list[Finding]]


def _read(text: str) -> Read:
    return ReplicatorParams.inspect(text.split(), 0, 2048, None)


def _read_dev(text: str) -> tuple[ReplicatorDevParams | None, list[Finding]]:
    return ReplicatorDevParams.inspect(text.split(), 0, 2048, None)


SLIDES = (
    "default 4 /dev/vg/log 32 create 2097152"
    " local 3 0 async ios=0 2 0 /dev/vg/lvol0 - 0"
    " local 3 1 async ios=100 2 0 /dev/remote/lvol0 disk 3 /dev/vg/dirty 32768 sync"
)
LVM = "ringbuffer 4 253:2 0 auto 65536 blockdev 2 0 synchronous blockdev 4 1 asynchronous ios 8192"
LVM_DEV = "253:3 0 0 1 253:4 nolog 0 1 1 253:5 disk 3 253:6 8192 nosync"


def test_the_slides_dialect() -> None:
    params, findings = _read(SLIDES)
    assert findings == []
    assert params == ReplicatorParams(
        LogWords("default", "/dev/vg/log", 32, "create", 2097152),
        (
            SiteWords("local", 0, "async", ("ios=0",), CopyWords(0, "/dev/vg/lvol0", DirtyLogWords("-"))),
            SiteWords(
                "local",
                1,
                "async",
                ("ios=100",),
                CopyWords(0, "/dev/remote/lvol0", DirtyLogWords("disk", "/dev/vg/dirty", 32768, "sync")),
            ),
        ),
    )


def test_the_dialect_of_2009_as_lvm_writes_it() -> None:
    params, findings = _read(LVM)
    assert findings == []
    assert params == ReplicatorParams(
        LogWords("ringbuffer", "253:2", 0, "auto", 65536),
        (SiteWords("blockdev", 0, "synchronous"), SiteWords("blockdev", 1, "asynchronous", ("ios", "8192"))),
    )
    device, findings = _read_dev(LVM_DEV)
    assert findings == []
    assert device == ReplicatorDevParams(
        "253:3",
        0,
        (
            (0, CopyWords(0, "253:4", DirtyLogWords("nolog"))),
            (1, CopyWords(0, "253:5", DirtyLogWords("disk", "253:6", 8192, "nosync"))),
        ),
    )


@pytest.mark.parametrize("text", [SLIDES, LVM, "replog 2 /dev/log 0 local 1 0 local 2 1 async+stall"])
def test_right_words_are_written_as_they_were_read(text: str) -> None:
    params, findings = _read(text)
    assert findings == []
    assert params is not None
    assert " ".join(params.words()) == text


def test_replicator_dev_is_written_as_it_was_read() -> None:
    params, _ = _read_dev(LVM_DEV)
    assert params is not None
    assert " ".join(params.words()) == LVM_DEV


@pytest.mark.parametrize(
    ("right", "wrong", "rule", "what"),
    [
        ("default 4", "default 3", rules.REPLICATOR_LOG_COUNT, "the log declares 3 words and has 4"),
        ("create 2097152", "open", rules.REPLICATOR_LOG_COUNT, "the log declares 4 words and has 3"),
        ("local 3 0", "local 2 0", rules.REPLICATOR_SLINK_COUNT, "site link 0 declares 2 words and has 3"),
        ("local 3 1", "local 4 1", rules.REPLICATOR_SLINK_COUNT, "site link 1 declares 4 words and has 3"),
        ("ios=100", "ios 100", rules.REPLICATOR_SLINK_COUNT, "site link 1 declares 3 words and has 4"),
        ("2 0 /dev/vg/lvol0", "1 0 /dev/vg/lvol0", rules.REPLICATOR_COUNT, "the device declares 1 words and has 2"),
        ("- 0", "- 1", rules.REPLICATOR_COUNT, "the dirty log declares 1 words and has 0"),
        (" sync", "", rules.REPLICATOR_COUNT, "the dirty log declares 3 words and has 2"),
    ],
)
def test_each_count_that_is_off_is_found_and_can_be_mended(right: str, wrong: str, rule: Rule, what: str) -> None:
    assert SLIDES.count(right) == 1
    words = SLIDES.replace(right, wrong).split()
    params, findings = ReplicatorParams.inspect(words, 0, 2048, None)
    (finding,) = findings
    assert finding.rule is rule
    assert finding.what.startswith(what)
    assert finding.refusal is None
    ((at, text),) = finding.fix
    assert finding.word == at
    words[at] = text
    assert ReplicatorParams.inspect(words, 0, 2048, None) == (params, [])


def test_all_counts_are_found_at_once() -> None:
    numbers = {"4": "9", "3": "8", "2": "7"}
    words = SLIDES.split()
    for at in (1, 7, 11, 17, 21, 25):
        words[at] = numbers[words[at]]
    _, findings = ReplicatorParams.inspect(words, 0, 2048, None)
    assert [finding.word for finding in findings] == [1, 7, 11, 17, 21, 25]


def test_a_disk_logs_words_are_read_in_either_order() -> None:
    params, findings = _read(SLIDES.replace("/dev/vg/dirty 32768", "32768 /dev/vg/dirty"))
    assert [finding.rule for finding in findings] == [rules.REPLICATOR_WORD_ORDER]
    assert params == _read(SLIDES)[0]


@pytest.mark.parametrize("end", range(len(SLIDES.split())))
def test_a_line_that_ends_early_is_read_or_told_where(end: int) -> None:
    words = SLIDES.split()[:end]
    params, findings = ReplicatorParams.inspect(words, 0, 2048, None)
    shapeless = [finding for finding in findings if finding.rule is rules.REPLICATOR_SHAPE]
    if params is None:
        (finding,) = shapeless
        assert finding.word == end
        assert finding.what.startswith("the line ends where ")
        assert finding.refusal is not None
        assert finding.refusal.text == "replicator: Invalid argument count (-EINVAL)"
    else:
        assert shapeless == []
        assert end in (9, 10, 11, 16, 28)


@pytest.mark.parametrize(
    ("text", "word", "what"),
    [
        ("4 4 /dev/log 0", 0, "'4' stands where the type of the log belongs"),
        ("default x /dev/log 0", 1, "'x' stands where the number of log parameters belongs"),
        ("default 2 /dev/log x", 3, "'x' stands where the log's first sector belongs"),
        ("default 2 /dev/log 0 local 2 x", 6, "'x' stands where the number of the site link belongs"),
        ("default 2 /dev/log 0 local 3 0 async ios x", 9, "no limit stands behind 'ios'"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a tape 0", 10, "'tape' is no dirty log"),
        (
            "default 2 /dev/log 0 local 1 0 2 0 /dev/a - 0 local 1 1",
            15,
            "the line ends where the number of device parameters belongs",
        ),
        ("default 2 /dev/log 0 blockdev 1 0 blockdev 1 1 2 0", 10, "'2' stands where the type of a site link belongs"),
        (f"default 2 /dev/log {'9' * 21}", 3, f"'{'9' * 21}' stands where the log's first sector belongs"),
    ],
)
def test_words_out_of_shape_are_told_with_what_belongs_there(text: str, word: int, what: str) -> None:
    params, findings = _read(text)
    assert params is None
    assert findings[-1].rule is rules.REPLICATOR_SHAPE
    assert findings[-1].word == word
    assert findings[-1].what.startswith(what)


@pytest.mark.parametrize("text", ["", "253:3", "253:3 0", "253:3 0 0 1 253:4", "253:3 0 0 1 253:4 nolog 0 1"])
def test_replicator_dev_needs_all_of_its_words(text: str) -> None:
    params, findings = _read_dev(text)
    assert params is None
    assert findings[-1].rule is rules.REPLICATOR_SHAPE
    assert findings[-1].refusal is not None
    assert findings[-1].refusal.text == "replicator-dev: Invalid device/dirtylog argument count (-EINVAL)"


def test_the_log_must_be_there_and_the_devices_may_come_later() -> None:
    def lookup(word: str) -> DmDev:
        raise DeviceLookupError(errno.ENODEV, f"{word} does not exist")

    params, findings = ReplicatorParams.inspect(SLIDES.split(), 0, 2048, lookup)
    assert params is None
    assert [(finding.word, finding.refusal is not None) for finding in findings] == [
        (2, True),
        (13, False),
        (23, False),
        (26, False),
    ]
    assert findings[0].refusal is not None
    assert findings[0].refusal.text == "replicator: Can't access replicator control device (-ENODEV)"


@given(st.lists(st.sampled_from([*SLIDES.split(), *LVM.split(), *LVM_DEV.split(), "x", ""]), max_size=30))
def test_no_words_upset_it(words: list[str]) -> None:
    for params_class in (ReplicatorParams, ReplicatorDevParams):
        words = [word for word in words if word]
        params, findings = params_class.inspect(words, 0, 2048, None)
        assert (params is None) == any(finding.refusal for finding in findings)
        if params is not None:
            again, left = params_class.inspect(params.words(), 0, 2048, None)
            assert again == params
            # What no writing mends: a device given as one hexadecimal number.
            assert {finding.rule.code for finding in left} <= {"DM209"}
