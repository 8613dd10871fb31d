"""The words of replicator and replicator-dev, in both dialects."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.devices import DmDev
from dmtable.core.target import Area
from dmtable.dirtylog.disk import DiskParams
from dmtable.dirtylog.words import Sync
from dmtable.errors import DeviceLookupError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Rule
from dmtable.replog.ring_words import Mode, RingParams
from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.targets.replicator.parts import CopyWords, DirtyLogWords, LogWords, SiteWords
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

LENGTH = 209715200


def _read(text: str) -> tuple[ReplicatorParams | None, list[Finding]]:
    return ReplicatorParams.inspect(text.split(), 0, LENGTH, None)


def _read_dev(text: str) -> tuple[ReplicatorDevParams | None, list[Finding]]:
    return ReplicatorDevParams.inspect(text.split(), 0, LENGTH, None)


def _refusals(findings: list[Finding]) -> list[str]:
    return [finding.refusal.text for finding in findings if finding.refusal]


SLIDES = (
    "default 4 /dev/vg/log 32 create 2097152"
    " local 3 0 async ios=0 2 0 /dev/vg/lvol0 - 0"
    " local 3 1 async ios=100 2 0 /dev/remote/lvol0 disk 3 /dev/vg/dirty 32768 sync"
)
LVM = "ringbuffer 4 253:2 0 auto 65536 blockdev 2 0 synchronous blockdev 4 1 asynchronous ios 8192"
LVM_DEV = "253:3 0 0 1 253:4 nolog 0 1 1 253:5 disk 3 253:6 8192 nosync"


def test_the_slides_dialect() -> None:
    params, findings = _read(SLIDES)
    assert [finding.rule for finding in findings] == [rules.FIRST_STATE]
    dirty_log = DirtyLogWords("disk", DiskParams("/dev/vg/dirty", 32768, Sync.NONE))
    limit = FallBehind(Measure.IOS, 100, 100)
    assert params == ReplicatorParams(
        LogWords("default", RingParams("/dev/vg/log", 32, Mode.CREATE, 2097152)),
        (
            SiteWords(
                "local", 0, Policy(), FallBehind(Measure.IOS, 0, 0), CopyWords(0, "/dev/vg/lvol0", DirtyLogWords("-"))
            ),
            SiteWords("local", 1, Policy(), limit, CopyWords(0, "/dev/remote/lvol0", dirty_log)),
        ),
    )
    assert params is not None
    assert params.in_line
    words = params.words()
    used = [(words[area.word], area.start) for area in params.areas(LENGTH)]
    assert used == [("/dev/vg/lvol0", 0), ("/dev/remote/lvol0", 0), ("/dev/vg/dirty", 0)]


def test_the_dialect_of_2009_as_lvm_writes_it() -> None:
    params, findings = _read(LVM)
    assert findings == []
    limit = FallBehind(Measure.IOS, 8192, 8192)
    assert params == ReplicatorParams(
        LogWords("ringbuffer", RingParams("253:2", 0, Mode.AUTO, 65536)),
        (SiteWords("blockdev", 0, Policy(synchronous=True)), SiteWords("blockdev", 1, Policy(), limit)),
    )
    device, findings = _read_dev(LVM_DEV)
    assert [finding.rule for finding in findings] == [rules.FIRST_STATE]
    dirty_log = DirtyLogWords("disk", DiskParams("253:6", 8192, Sync.ALL))
    assert device == ReplicatorDevParams(
        "253:3",
        0,
        ((0, CopyWords(0, "253:4", DirtyLogWords("nolog"))), (1, CopyWords(0, "253:5", dirty_log))),
    )
    assert device is not None
    assert list(device.areas(64)) == [Area(4, 0, 64), Area(9, 0, 64), Area(12, 0, 8)]


def test_lvms_other_limits() -> None:
    data, findings = _read(LVM.replace("ios", "data"))
    assert findings == []
    assert data is not None
    assert data.sites[1].fall_behind == FallBehind(Measure.SIZE, 8192, 8192)
    words = LVM.replace("ios 8192", "timeout 30").split()
    params, (finding,) = ReplicatorParams.inspect(words, 0, LENGTH, None)
    assert finding.rule is rules.TIMEOUT_UNIT
    assert params is not None
    assert params.sites[1].fall_behind == FallBehind(Measure.TIMEOUT, 30, 30)
    ((at, text),) = finding.fix
    words[at] = text
    params, findings = ReplicatorParams.inspect(words, 0, LENGTH, None)
    assert findings == []
    assert params is not None
    assert params.sites[1].fall_behind == FallBehind(Measure.TIMEOUT, 30_000, 30, "s")


def test_full_words_where_none_were_written() -> None:
    site = SiteWords("local", 1, Policy(stall=True), FallBehind(Measure.SIZE, 128, 64, "k"))
    assert " ".join(site.words()) == "local 4 1 asynchronous+stall size 64k"
    copy = CopyWords(3, "/dev/a", DirtyLogWords("-"))
    in_line = SiteWords(site.kind, site.number, site.policy, site.fall_behind, copy)
    assert " ".join(in_line.words()) == "local 3 1 asynchronous+stall size=64k 2 3 /dev/a - 0"


@pytest.mark.parametrize(
    "text", [SLIDES, LVM, "replog 2 /dev/log 0 local 1 0 nbd 2 1 async+stall", "memory 1 8192 local 1 0"]
)
def test_right_words_are_written_as_they_were_read(text: str) -> None:
    params, findings = _read(text)
    assert {finding.rule for finding in findings} <= {rules.FIRST_STATE}
    assert params is not None
    assert " ".join(params.words()) == text


def test_replicator_dev_is_written_as_it_was_read() -> None:
    params, _ = _read_dev(LVM_DEV)
    assert params is not None
    assert " ".join(params.words()) == LVM_DEV


@pytest.mark.parametrize(
    ("right", "wrong", "rule", "what", "refusal"),
    [
        ("default 4", "default 3", rules.REPLICATOR_LOG_COUNT, "the log declares 3 words and has 4",
         "Invalid replicator log parameter number"),
        ("local 3 1", "local 4 1", rules.REPLICATOR_SLINK_COUNT, "site link 1 declares 4 words and has 3",
         "Invalid site link parameter number argument"),
        ("2 0 /dev/vg/lvol0", "1 0 /dev/vg/lvol0", rules.REPLICATOR_COUNT, "the device declares 1 words and has 2",
         "Invalid device parameter number argument"),
        ("- 0", "- 1", rules.REPLICATOR_COUNT, "the dirty log declares 1 words and has 0",
         "Invalid dirtylog parameter number argument"),
        # What the slides print is understood.
        ("create 2097152", "open", rules.REPLICATOR_LOG_COUNT, "the log declares 4 words and has 3", None),
        ("local 3 0", "local 2 0", rules.REPLICATOR_SLINK_COUNT, "site link 0 declares 2 words and has 3", None),
        ("ios=100", "ios 100", rules.REPLICATOR_SLINK_COUNT, "site link 1 declares 3 words and has 4", None),
    ],
)  # fmt: skip
def test_each_count_that_is_off_is_found_and_can_be_mended(
    right: str, wrong: str, rule: Rule, what: str, refusal: str | None
) -> None:
    assert SLIDES.count(right) == 1
    words = SLIDES.replace(right, wrong).split()
    params, findings = ReplicatorParams.inspect(words, 0, LENGTH, None)
    finding, *rest = findings
    assert [each.rule for each in rest] == [rules.FIRST_STATE]
    assert finding.rule is rule
    assert finding.what.startswith(what)
    assert _refusals(findings) == ([f"replicator: {refusal} (-EINVAL)"] if refusal else [])
    assert (params is None) == (refusal is not None)
    ((at, text),) = finding.fix
    assert finding.word == at
    words[at] = text
    mended, left = ReplicatorParams.inspect(words, 0, LENGTH, None)
    assert mended is not None
    assert left == rest


def test_all_counts_are_found_at_once() -> None:
    numbers = {"4": "9", "3": "8", "2": "7"}
    words = SLIDES.split()
    for at in (1, 7, 11, 17, 21, 25):
        words[at] = numbers[words[at]]
    _, findings = ReplicatorParams.inspect(words, 0, LENGTH, None)
    assert [finding.word for finding in findings if finding.rule is not rules.FIRST_STATE] == [1, 7, 11, 17, 21, 25]


def test_a_disk_logs_words_are_read_in_either_order() -> None:
    params, findings = _read(SLIDES.replace("/dev/vg/dirty 32768", "32768 /dev/vg/dirty"))
    assert [finding.rule for finding in findings] == [rules.REPLICATOR_WORD_ORDER, rules.FIRST_STATE]
    assert params == _read(SLIDES)[0]
    assert params is not None
    words = params.words()
    assert [words[area.word] for area in params.areas(LENGTH)][-1] == "/dev/vg/dirty"


def test_a_region_size_before_its_device_is_judged_in_its_place() -> None:
    words = SLIDES.replace("/dev/vg/dirty 32768", "3000 /dev/vg/dirty").split()
    _, findings = ReplicatorParams.inspect(words, 0, LENGTH, None)
    (finding,) = [finding for finding in findings if finding.rule is rules.REGION_SIZE]
    assert finding.word == words.index("3000")
    assert finding.fix == ((words.index("3000"), "4096"),)


@pytest.mark.parametrize("end", range(len(SLIDES.split())))
def test_a_line_that_ends_early_is_read_or_told_where(end: int) -> None:
    params, findings = ReplicatorParams.inspect(SLIDES.split()[:end], 0, LENGTH, None)
    shapeless = [finding for finding in findings if finding.rule is rules.REPLICATOR_SHAPE]
    assert (params is None) == bool(_refusals(findings))
    if end in (9, 10, 11, 16):
        assert shapeless == []
    elif end < 28:
        (finding,) = shapeless
        assert finding.word == end
        assert finding.refusal is not None
        assert finding.refusal.errno == errno.EINVAL or end == 17


@pytest.mark.parametrize(
    ("text", "code", "refusal"),
    [
        ("a b", "DM454", "Invalid argument count (-EINVAL)"),
        ("4 4 /dev/log 0", "DM454", "Cannot create replication log context (-ENOENT)"),
        ("tape 2 /dev/log 0 local 1 0", "DM456", "Cannot create replication log context (-ENOENT)"),
        ("default x /dev/log 0", "DM454", "Invalid replicator log parameter number (-EINVAL)"),
        ("default 9 /dev/log 0 local 1 0", "DM451", "Invalid replicator log parameter number (-EINVAL)"),
        ("default 2 /dev/log x", "DM454", "Cannot create replication log context (-EINVAL)"),
        ("default 4 /dev/log 0 crate 8192 local 1 0", "DM454", "Cannot create replication log context (-EINVAL)"),
        ("default 4 /dev/log 0 auto 4095 local 1 0", "DM454", "Cannot create replication log context (-EINVAL)"),
        ("default 3 /dev/log 0 auto local 1 0", "DM451", "Cannot create replication log context (-EINVAL)"),
        ("memory 1 8192", "DM454", "Invalid replicator log parameter number (-EINVAL)"),
        ("default 2 /dev/log 0", "DM454", "Invalid replicator log parameter number (-EINVAL)"),
        ("default 2 /dev/log 0 local", "DM454", "Invalid replicator site link parameter number (-EINVAL)"),
        ("default 2 /dev/log 0 local x 0", "DM454", "Invalid site link parameter number argument (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 x", "DM454", "Invalid site link number argument (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 1", "DM457", "Cannot create site link context (-EPERM)"),
        ("default 2 /dev/log 0 local 1 0 local 1 0", "DM457", "slink already existing (-EPERM)"),
        ("default 2 /dev/log 0 local 1 0 local 1 2048", "DM457", "Cannot create site link context (-EINVAL)"),
        ("default 2 /dev/log 0 tcp 1 0", "DM456", "Cannot create site link context (-ENOENT)"),
        ("default 2 /dev/log 0 local 2 0 fast", "DM458", "Cannot create site link context (-ENOENT)"),
        ("default 2 /dev/log 0 local 2 0 sync+a", "DM458", "Cannot create site link context (-EINVAL)"),
        ("default 2 /dev/log 0 local 4 0 sync ios 1", "DM458", "Cannot create site link context (-EINVAL)"),
        ("default 2 /dev/log 0 local 4 0 async ios x", "DM458", "Cannot create site link context (-EINVAL)"),
        ("default 2 /dev/log 0 local 4 0 async bytes 1", "DM458", "Cannot create site link context (-EINVAL)"),
        ("default 2 /dev/log 0 local 3 0 async size=1q", "DM458", "Cannot create site link context (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 0 2 x /dev/a - 0", "DM454", "Invalid device number argument (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a - x", "DM454",
         "Invalid dirtylog parameter number argument (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a core 1 64", "DM459", "Failed to add device to site link (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a - 0 local 1 1 2 0 /dev/b - 0", "DM459",
         "Failed to add device to site link (-EINVAL)"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a - 0 local 1 1 2 7 /dev/b core 1 64", "DM459",
         "Failed to add device to site link (-ENODEV)"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a - 0 local 1 1 2 0 /dev/b tape 1 64", "DM461",
         "Failed to add device to site link (-ENXIO)"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a - 0 local 1 1 2 0 /dev/b core 1 65", "DM464",
         "Failed to add device to site link (-ENXIO)"),
        ("default 2 /dev/log 0 local 1 0 local 1 1 2 0", "DM454",
         "Invalid site link parameter number argument (-EINVAL)"),
    ],
)  # fmt: skip
def test_the_refusals_of_a_replicator(text: str, code: str, refusal: str) -> None:
    params, findings = _read(text)
    assert params is None
    first = next(finding for finding in findings if finding.refusal)
    assert (first.rule.code, _refusals(findings)[0]) == (code, f"replicator: {refusal}")


_DEV = "253:3 0 0 1 253:4 nolog 0"


@pytest.mark.parametrize(
    ("text", "code", "refusal"),
    [
        ("", "DM454", "Not enough device arguments (-EINVAL)"),
        ("253:3 0 0 1 253:4 nolog", "DM454", "Not enough device arguments (-EINVAL)"),
        ("253:3 x 0 1 253:4 nolog 0", "DM454", "Invalid device number argument (-EINVAL)"),
        ("253:3 0 x 1 253:4 nolog 0", "DM454", "Invalid site link number argument (-EINVAL)"),
        ("253:3 0 0 x 253:4 nolog 0", "DM454", "Invalid device parameter number argument (-EINVAL)"),
        ("253:3 0 0 2 253:4 nolog 0", "DM453", "Invalid device parameter number argument (-EINVAL)"),
        ("253:3 0 0 1 253:4 nolog x", "DM454", "Invalid dirtylog parameter number argument (-EINVAL)"),
        (f"{_DEV} 1 1 253:5", "DM454", "Invalid device arguments (-EINVAL)"),
        ("253:3 0 1 1 253:4 core 1 2048", "DM457", "Failed to add device to site link (-ENODEV)"),
        (f"{_DEV} 2048 1 253:5 core 1 2048", "DM457", "Cannot find site link context (-ENOENT)"),
        (f"{_DEV} 1 1 253:5 core 1 2048 1 1 253:6 core 1 2048", "DM457", "Failed to add device to site link (-EBUSY)"),
        (f"{_DEV} 1 1 253:5 core 1 1024", "DM459", "Failed to add device to site link (-EINVAL)"),
        (f"{_DEV} 1 1 253:5 core 1 2048 2 1 253:6 core 1 4096", "DM459", "Failed to add device to site link (-EINVAL)"),
        (f"{_DEV} 1 1 253:5 nolog 0", "DM459", "Failed to add device to site link (-EINVAL)"),
        (f"{_DEV} 1 1 253:5 core 2 2048 maybe", "DM453", "Invalid dirtylog parameter number argument (-EINVAL)"),
    ],
)
def test_the_refusals_of_a_replicator_dev(text: str, code: str, refusal: str) -> None:
    params, findings = _read_dev(text)
    assert params is None
    first = next(finding for finding in findings if finding.refusal)
    assert (first.rule.code, _refusals(findings)[0]) == (code, f"replicator-dev: {refusal}")


def test_the_log_must_be_there_and_the_devices_may_come_later() -> None:
    def lookup(word: str) -> DmDev:
        raise DeviceLookupError(errno.ENODEV, f"{word} does not exist")

    words = SLIDES.replace("/dev/remote/lvol0", "nbd://far/lvol0").replace(" sync", "").replace("disk 3", "disk 2")
    params, findings = ReplicatorParams.inspect(words.split(), 0, LENGTH, lookup)
    assert params is None
    assert [(finding.word, finding.rule.code) for finding in findings] == [(2, "DM201"), (13, "DM201"), (26, "DM201")]
    assert findings[0].refusal is not None
    assert findings[0].refusal.text == "replicator: Can't access replicator control device (-ENODEV)"
    assert findings[1].refusal is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("default 4 /dev/log 0 auto 8192 local 1 0 local 2 1 async", "DM513"),
        ("default 2 /dev/log 0 local 1 0 local 2 1 sync+stall", "DM511"),
        ("default 2 /dev/log 0 local 1 0 2 0 /dev/a - 0 local 1 1 2 0 /dev/b core 1 134217728", "DM514"),
    ],
)
def test_what_is_taken_and_surely_wrong(text: str, code: str) -> None:
    params, (finding,) = _read(text)
    assert params is not None
    assert finding.rule.code == code


_WORDS = [*SLIDES.split(), *LVM.split(), *LVM_DEV.split(), "x", "core", "memory", "nbd", "timeout=3", "2048", "+"]


@given(st.sampled_from([SLIDES, LVM, LVM_DEV]), st.data())
def test_no_words_upset_it(text: str, data: st.DataObject) -> None:
    words = text.split()
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(words)))
        words[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(_WORDS), max_size=2))
    for params_class in (ReplicatorParams, ReplicatorDevParams):
        params, findings = params_class.inspect(words, 0, LENGTH, None)
        assert (params is None) == any(finding.refusal for finding in findings)
        if params is not None:
            again, left = params_class.inspect(params.words(), 0, LENGTH, None)
            assert again == params
            assert not _refusals(left)
            assert len(params.words()) == len(words)
            assert all(area.word < len(words) for area in params.areas(LENGTH))
