"""Tables on paper: every device is there, none can be used, and what the kernel refuses is refused."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from dmtable.core.paper import Disks, OpaqueDevice, PaperStack, UnknownDevice
from dmtable.core.registry import Registry
from dmtable.core.target import Target
from dmtable.errors import DeviceLookupError, IoctlError
from dmtable.io.file import FileDevice
from dmtable.language.parser import parse
from dmtable.targets.linear import Linear


def stack(disks: Disks | None = None, **tables: str) -> PaperStack:
    stack = PaperStack(disks or Disks())
    for name, text in tables.items():
        stack.add(name, parse(text).pieces)
    return stack


def opaque(stack: PaperStack, name: str) -> OpaqueDevice:
    (device,) = stack.layers[name].map.leaves
    assert isinstance(device, OpaqueDevice)
    return device


def test_a_device_that_nobody_has_is_made_up_once() -> None:
    disks = Disks()
    device = disks.lookup("/dev/sda").device
    assert isinstance(device, UnknownDevice)
    assert disks.lookup("//dev/./sda").device is device
    assert disks.lookup("8:0").device is disks.lookup("800").device is not device
    assert disks.lookup("7:0").device is not device, "a made-up device has no number that a table can name"


def test_a_device_on_paper_takes_no_io() -> None:
    device = Disks().lookup("/dev/sda").device
    calls: list[Callable[[], object]] = [
        lambda: device.pread(512, 0),
        lambda: device.pwrite(bytes(512), 0),
        device.flush,
        lambda: device.discard(0, 512),
        lambda: device.write_zeroes(0, 512),
    ]
    for call in calls:
        with pytest.raises(OSError, match="No such device or address"):
            call()


@pytest.mark.parametrize("word", ["sda", "/dev/", "8:0:", "99999:0"])
def test_a_word_that_names_no_device_is_refused_as_by_the_kernel(word: str) -> None:
    with pytest.raises((DeviceLookupError, IoctlError)):
        stack(top=f"0 8 linear {word} 0")


def test_files_below_the_root_are_devices_of_their_size(tmp_path: Path) -> None:
    (tmp_path / "sda").write_bytes(bytes(4096))
    disks = Disks(tmp_path)
    assert isinstance(disks.lookup("/sda").device, FileDevice)
    assert isinstance(disks.lookup("/sdb").device, UnknownDevice)
    with pytest.raises(IoctlError, match="too small for target: start=0, len=9, dev_size=8"):
        stack(disks, top="0 9 linear /sda 0")
    disks.close()


@pytest.mark.parametrize("word", ["low", "/dev/mapper/low", "/dev/dm-3", "253:3"])
def test_a_layer_is_found_by_name_path_and_number(word: str) -> None:
    paper = PaperStack(Disks())
    low = paper.add("low", parse("0 8 zero").pieces, (253, 3))
    assert paper.lookup(word).device is low


def test_a_layer_without_a_number_is_not_found_by_one() -> None:
    paper = stack(low="0 8 zero")
    assert isinstance(paper.lookup("253:0").device, UnknownDevice)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("1 8 zero", "zero: Gap in table (-EINVAL)"),
        ("0 8 nosuch", "nosuch: unknown target type"),
        ("0 8 linear /dev/mapper/low 1", "low too small for target: start=1, len=8, dev_size=8"),
        ("0 8 delay /dev/sda 0", "delay: Requires exactly 3, 6 or 9 arguments (-EINVAL)"),
        ("", "populate_table: no targets specified"),
    ],
)
def test_what_the_kernel_refuses_is_refused_in_its_words(text: str, refusal: str) -> None:
    paper = stack(low="0 8 zero")
    with pytest.raises(IoctlError) as raised:
        paper.add("top", parse(text).pieces)
    assert raised.value.errno == errno.EINVAL
    assert str(raised.value) == refusal
    assert list(paper.layers) == ["low"]


def test_an_opaque_line_names_its_devices() -> None:
    paper = stack(low="0 8 zero", top="0 8 crypt aes-xts :64:logon:key 0 /dev/mapper/low 0")
    device = opaque(paper, "top")
    assert (device.name, device.sectors) == ("crypt", 8)
    assert {word: dm_dev.device for word, dm_dev in device.used.items()} == {3: paper.layers["low"]}
    assert [used.length for used in device.ranges] == [0], "where on it is not known"


def test_a_target_that_is_never_static_is_not_constructed() -> None:
    class Dynamic(Target):
        name = "dynamic"
        version = (1, 0, 0)
        params = Linear.params

        @classmethod
        def construct(cls, *_: object) -> Dynamic:
            raise AssertionError("its constructor might read, or start threads")

        map = Linear.map
        status = Linear.status

    registry = Registry()
    registry.add(Dynamic)
    paper = PaperStack(Disks(), registry)
    paper.add("top", parse("0 8 dynamic /dev/sda 16").pieces)
    (used,) = opaque(paper, "top").ranges
    assert (paper.disks.name(used.dm_dev.device), used.start, used.length) == ("/dev/sda", 16, 8)
