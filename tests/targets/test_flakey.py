"""flakey: the contract of all targets, and what it does to requests while it is down."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Op
from dmtable.language.parser import parse
from dmtable.targets.flakey import Corruption, Features, read_features
from dmtable.testing.contracts import Example, Refused
from tests.contracts import OnOneDevice
from tests.targets.machine import Machine


class TestFlakey(OnOneDevice):
    """Up for as long as anybody looks, or down with nothing that shows."""

    target = "flakey"
    examples = (
        Example("/dev/a 8 3600 0", 64),
        Example("/dev/a 192 3600 60 1 drop_writes", 64),
        Example("/dev/a 0 3600 60 6 error_writes corrupt_bio_byte 5 r 1 32", 16),
        Example("/dev/a 255 0 60 5 corrupt_bio_byte 4294967295 w 255 0", 1),
    )
    refused = (
        Refused("/dev/a 0 1", 64, errno.EINVAL),
        Refused("/dev/a x 1 1", 64, errno.EINVAL),
        Refused("/dev/a 0 0 0", 64, errno.EINVAL),
        Refused("/dev/a 0 1 1 2 drop_writes error_writes", 64, errno.EINVAL),
        Refused("/dev/a 0 1 1 4 corrupt_bio_byte 1 w 255", 64, errno.EINVAL),
        Refused("/dev/none 0 1 1", 64, errno.ENODEV),
        Refused("/dev/a 200 1 1", 64, errno.EINVAL),
    )


@given(st.integers(0, 3), st.integers(0, 3), st.lists(st.floats(0, 5), max_size=6))
def test_flakey_is_down_when_the_whole_seconds_say_so(up: int, down: int, waits: list[float]) -> None:
    if not up + down:
        return
    machine = Machine(f"0 64 flakey /dev/a 0 {up} {down}")
    for wait in waits:
        machine.runtime.pass_time(wait)
        is_down = int(machine.runtime.now()) % (up + down) >= up
        for op in (Op.READ, Op.WRITE):
            assert machine.sent(op, 0, bytes(512)).error == (errno.EIO if is_down else 0)
        assert machine.sent(Op.FLUSH, 0).error == (errno.EIO if is_down else 0)
    machine.dm.close()


def test_a_flakeys_time_begins_with_its_table(make: type[Machine]) -> None:
    machine = make("0 64 flakey /dev/a 0 2 100")
    machine.runtime.pass_time(3)
    assert machine.sent(Op.READ, 0, bytes(512)).error == errno.EIO
    machine.dm.load(machine.md, parse("0 64 flakey /dev/a 0 2 100"))
    machine.runtime.pass_time(1)
    machine.dm.resume(machine.md)
    assert machine.sent(Op.READ, 0, bytes(512)).error == 0
    machine.runtime.pass_time(1)
    assert machine.sent(Op.READ, 0, bytes(512)).error == errno.EIO


@pytest.mark.parametrize(
    ("features", "read", "wrote", "lands"),
    [
        ("", False, False, b""),
        ("1 drop_writes", True, True, b""),
        ("1 error_writes", True, False, b""),
        ("5 corrupt_bio_byte 513 w 88 0", True, True, b"n" * 512 + b"X" + b"n" * 511),
        ("5 corrupt_bio_byte 1025 w 88 0", True, True, b"n" * 1024),
        ("5 corrupt_bio_byte 1 w 88 1", True, True, b"X" + b"n" * 1023),
        ("5 corrupt_bio_byte 1 w 88 131072", True, True, b"n" * 1024),
    ],
)
def test_what_a_flakey_does_when_it_is_down(
    make: type[Machine], features: str, read: bool, wrote: bool, lands: bytes
) -> None:
    machine = make(f"0 64 flakey /dev/a 100 0 60 {features}")
    reading = machine.sent(Op.READ, 4, bytes(1024))
    assert (reading.error == 0) == read
    if read:
        assert reading.data is not None
        assert bytes(reading.data)[:4] == b"a104"
    writing = machine.sent(Op.WRITE, 8, b"n" * 1024)
    assert (writing.error == 0) == wrote
    assert bytes(writing.data or b"") == b"n" * 1024, "the memory is its owner's"
    image = b"".join(machine.world.disks["a"].image)
    assert image[108 * 512 : 110 * 512] == lands or (not lands and image[108 * 512 :].startswith(b"a108 "))
    assert (machine.sent(Op.DISCARD, 0, sectors=1).error == 0) == wrote


def test_a_flakey_corrupts_reads_and_leaves_the_disk_alone(make: type[Machine]) -> None:
    machine = make("0 32 flakey /dev/a 0 0 60 5 corrupt_bio_byte 514 r 88 0\n32 32 linear /dev/b 0")
    before = machine.world.disks["a"].image
    assert machine.md.pread(1536, 512) == before[1] + before[2][:1] + b"X" + before[2][2:] + before[3]
    assert machine.md.pread(512, 512) == before[1]
    assert machine.sent(Op.WRITE, 0, b"n" * 1024).error == 0
    assert machine.world.disks["a"].image[:2] == (b"n" * 512,) * 2


def test_only_writes_with_the_flags_are_corrupted(make: type[Machine]) -> None:
    machine = make("0 64 flakey /dev/a 0 0 60 5 corrupt_bio_byte 1 w 88 131072")
    machine.sent(Op.WRITE, 0, b"n" * 512)
    machine.sent(Op.WRITE, 1, b"n" * 512, fua=True)
    image = machine.world.disks["a"].image
    assert (image[0][:2], image[1][:2]) == (b"nn", b"Xn")


_FEATURE_WORDS = st.sampled_from(
    ["0", "1", "2", "4", "5", "6", "7", "x", "drop_writes", "error_writes", "corrupt_bio_byte", "r", "w", "255", "256"]
)


@given(st.lists(_FEATURE_WORDS, max_size=8))
def test_features_that_are_read_are_written_in_the_same_sense(words: list[str]) -> None:
    features, findings = read_features(["/dev/a", "0", "1", "1", *words])
    if not any(finding.refusal for finding in findings):
        assert read_features(["/dev/a", "0", "1", "1", *features.words()]) == (features, [])


def test_features_in_any_case_and_order() -> None:
    words = ["/dev/a", "0", "1", "1", "6", "CORRUPT_bio_byte", "7", "R", "8", "9", "Error_Writes", "more"]
    assert read_features(words) == (Features(False, True, Corruption(7, False, 8, 9)), [])


def test_numbers_of_more_than_32_bits_are_told() -> None:
    _, findings = read_features(["/dev/a", "0", "1", "1", "5", "corrupt_bio_byte", "4294967297", "w", "1", "0"])
    assert [finding.rule.code for finding in findings] == ["DM486"]
