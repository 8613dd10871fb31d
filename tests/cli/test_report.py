"""Reports where recordings do not reach: any fields in any order, any layout, any name."""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.cli.dmsetup import main
from dmtable.cli.dmsetup.report.fields import FIELDS, REGIONS, SECTIONS, STATS
from dmtable.cli.dmsetup.report.subject import SplitName, split_name
from dmtable.control.machine import local_machine
from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice

NAMES = ("a", "b", "top", "vg-lv")


class Dmsetup:
    """dmsetup over a machine with a disk and, on it, four mds; two of them stand on others."""

    def __init__(self) -> None:
        self.mapper = DeviceMapper()
        self.mapper.add(MemoryDevice(1 << 20), "/dev/loop0")
        self.machine = local_machine(self.mapper)
        self.slept: list[float] = []
        self.err = ""
        for words in (
            ["a", "-u", "U-1", "--table", "0 16 linear 7:0 0"],
            ["b", "--table", "0 8 linear 7:0 16\n8 8 zero"],
            ["top", "-r", "--table", "0 8 linear 253:1 0\n8 8 linear 253:0 0"],
            ["vg-lv", "-u", "LVM-2", "-j", "253", "-m", "77", "--table", "0 8 linear 253:0 8"],
        ):
            assert self("create", *words) == ""

    def __call__(self, *words: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        machine = replace(self.machine, sleep=self.slept.append)
        assert main(words, machine, io.StringIO(), out, err, environ={}) == code, err.getvalue()
        self.err = err.getvalue()
        return out.getvalue()

    def values(self, field: str, *words: str) -> list[str]:
        """One field of every device."""
        return self("info", "-c", "--noheadings", "-o", field, *words).splitlines()


@cache
def shared() -> Dmsetup:
    """Nobody changes it."""
    return Dmsetup()


@pytest.fixture
def dmsetup() -> Dmsetup:
    return shared()


# Fields.

REPORTED = [field.name for field in FIELDS if field.section not in (STATS, REGIONS)]


def test_every_field_has_its_value(dmsetup: Dmsetup) -> None:
    expected = {
        "name": ["a", "b", "top", "vg-lv"],
        "uuid": ["U-1", "", "", "LVM-2"],
        "read_ahead": ["256"] * 4,
        "blkdevname": ["dm-0", "dm-1", "dm-2", "dm-77"],
        "attr": ["L--w", "L--w", "L--r", "L--w"],
        "devno": ["253:0", "253:1", "253:2", "253:77"],
        "open": ["2", "1", "0", "0"],
        "segments": ["1", "2", "2", "1"],
        "device_count": ["1", "1", "2", "1"],
        "devs_used": ["", "", "a,b", "a"],
        "devnos_used": ["7:0", "7:0", "253:0,253:1", "253:0"],
        "blkdevs_used": ["loop0", "loop0", "dm-0,dm-1", "dm-0"],
        "device_ref_count": ["2", "1", "0", "0"],
        "names_using_dev": ["top,vg-lv", "top", "", ""],
        "devnos_using_dev": ["253:2,253:77", "253:2", "", ""],
        "subsystem": ["U", "", "", "LVM"],
        "lv_name": ["", "", "", "lv"],
    }
    assert {field: dmsetup.values(field) for field in expected} == expected


@given(st.lists(st.sampled_from(REPORTED), min_size=1, max_size=5))
def test_fields_come_in_the_order_and_under_the_names_that_were_asked_for(fields: list[str]) -> None:
    dmsetup = shared()
    words = [_written(field, index) for index, field in enumerate(fields)]
    rows = [line.split("\t") for line in dmsetup.values(",".join(words), "--separator", "\t")]
    assert [list(column) for column in zip(*rows, strict=True)] == [dmsetup.values(field) for field in fields]


def _written(field: str, index: int) -> str:
    """A field's name in other letters."""
    return (field.upper(), field.replace("_", ""), "_".join(field), field)[index % 4]


def test_a_group_is_the_fields_of_its_section(dmsetup: Dmsetup) -> None:
    for section in SECTIONS:
        fields = [field.name for field in FIELDS if field.section is section]
        listed = dmsetup("info", "-c", "-o", ",".join(fields))
        assert dmsetup("info", "-c", "-o", f"{section.prefix}_all") == listed
        assert (listed == "") == (section in (STATS, REGIONS))


def test_help_lists_every_field(dmsetup: Dmsetup) -> None:
    dmsetup("help", "-c")
    listed = dmsetup.err
    dmsetup("info", "-c", "-o", "help")
    assert listed.endswith(dmsetup.err)
    assert [name for name in (field.name for field in FIELDS) if f"\n  {name} " not in listed] == []
    dmsetup("info", "-c", "-o", "name,nope", code=1)
    assert dmsetup.err == listed[listed.index("Mapped Device Name") :] + "Unrecognised field: nope\n"


# Order.


@given(
    st.lists(st.sampled_from(["name", "open", "segments", "attr", "minor", "uuid"]), max_size=3, unique=True), st.data()
)
def test_rows_are_sorted_by_one_key_after_the_other(keys: list[str], data: st.DataObject) -> None:
    dmsetup = shared()
    signs = [data.draw(st.sampled_from(["", "+", "-"])) for _ in keys]
    rows = list(zip(NAMES, *map(dmsetup.values, keys), strict=True))
    for index, (key, sign) in reversed(list(enumerate(zip(keys, signs, strict=True), 1))):
        is_number = key in ("open", "segments", "minor")
        rows.sort(key=lambda row: int(row[index]) if is_number else row[index], reverse=sign == "-")
    order = ",".join(map("".join, zip(signs, keys, strict=True)))
    assert dmsetup.values("name", "-O", order) == [row[0] for row in rows]


# Layout.

FIELD_LISTS = st.lists(st.sampled_from(REPORTED), min_size=1, max_size=4).map(",".join)


@given(FIELD_LISTS)
def test_a_line_for_each_field_is_the_same_turned(fields: str) -> None:
    dmsetup = shared()
    columns = [line.split("\t") for line in dmsetup("info", "-c", "--separator", "\t", "-o", fields).splitlines()]
    lines = [
        line.split("\t") for line in dmsetup("info", "-c", "--rows", "--separator", "\t", "-o", fields).splitlines()
    ]
    assert lines == [list(line) for line in zip(*columns, strict=True)]


@given(FIELD_LISTS)
def test_a_shell_reads_what_has_names(fields: str) -> None:
    dmsetup = shared()
    plain = dmsetup.values(fields, "--separator", "\t")
    for line, values in zip(dmsetup.values(fields, "--nameprefixes", "--separator", " "), plain, strict=True):
        names = [f"DM_{field.upper()}" for field in fields.split(",")]
        assert shlex.split(line) == list(map("=".join, zip(names, values.split("\t"), strict=True)))


@given(FIELD_LISTS)
def test_columns_line_up(fields: str) -> None:
    lines = shared()("info", "-c", "-o", fields).splitlines()
    assert len(lines) == len(NAMES) + 1
    assert len({len(line) for line in lines}) == 1


# Selection.


@pytest.mark.parametrize("verb", ["table", "status", "deps"])
def test_a_verb_shows_the_selected_devices_as_some_of_several(dmsetup: Dmsetup, verb: str) -> None:
    assert dmsetup(verb, "-S", "minor>0 && minor<77") == dmsetup(verb, "b", "top")
    assert dmsetup(verb, "-S", "names_using_dev='top,vg-lv'") == "".join(
        f"a: {line}\n" for line in dmsetup(verb, "a").splitlines()
    )
    assert dmsetup(verb, "-S", "name=nobody") == ""
    assert dmsetup(verb, "-S", "name=top", "a", "b") == ""


def test_verbs_change_the_selected_devices_and_no_other() -> None:
    dmsetup = Dmsetup()
    dmsetup("suspend", "-S", "device_ref_count=0")
    assert dmsetup.values("suspended") == ["Active", "Active", "Suspended", "Suspended"]
    dmsetup("resume", "-S", "suspended=Suspended,readonly=Read-only")
    assert dmsetup.values("suspended") == ["Active", "Active", "Active", "Suspended"]
    dmsetup("remove", "-S", "open=0")
    assert dmsetup.values("name") == ["a", "b"]
    dmsetup("remove", "-S", "nope=1", code=1)
    assert dmsetup.values("name") == ["a", "b"]
    dmsetup("remove", "-S", "name=~.")
    assert dmsetup.values("name") == ["No devices found"]


def test_selected_devices_are_shown_with_what_verbose_adds(dmsetup: Dmsetup) -> None:
    assert dmsetup("table", "-v", "-S", "name=b") == dmsetup("table", "-v", "b") + "\n"


# Repetition.


@pytest.mark.parametrize(
    ("words", "rounds", "slept"),
    [
        (["--count", "1", "--interval", "9"], 1, []),
        (["--count", "3"], 3, [1, 1]),
        (["--count", "2", "--interval", "7"], 2, [7]),
    ],
)
def test_a_report_is_repeated_after_each_interval(words: Sequence[str], rounds: int, slept: list[float]) -> None:
    dmsetup = Dmsetup()
    once = dmsetup("info", "-c")
    assert dmsetup("info", "-c", *words) == "\n".join([once] * rounds)
    assert dmsetup.slept == slept


def test_a_report_without_end_ends_with_the_device() -> None:
    dmsetup = Dmsetup()

    def remove_top(_seconds: float) -> None:
        dmsetup.slept.append(_seconds)
        if len(dmsetup.slept) == 3:
            assert (
                main(["remove", "top"], dmsetup.machine, io.StringIO(), io.StringIO(), io.StringIO(), environ={}) == 0
            )

    out, err = io.StringIO(), io.StringIO()
    machine = replace(dmsetup.machine, sleep=remove_top)
    words = ["info", "-c", "--noheadings", "-o", "name", "--interval", "5", "top"]
    assert main(words, machine, io.StringIO(), out, err, environ={}) == 1
    assert (out.getvalue(), err.getvalue()) == ("top\n\n" * 3, "Device does not exist.\nCommand failed.\n")
    assert dmsetup.slept == [5, 5, 5]


# Names in parts.

PARTS = st.text("ab-", min_size=1, max_size=5).filter(lambda part: not part.startswith("-"))


@given(st.lists(PARTS, min_size=1, max_size=3))
def test_the_parts_of_a_name_come_back(parts: list[str]) -> None:
    name = "-".join(part.replace("-", "--") for part in parts)
    assert split_name(name, "LVM") == SplitName("LVM", *parts)
    assert split_name(name, "CRYPT") == SplitName("CRYPT")
    assert shared()("splitname", "--noheadings", "--separator", "\t", "--", name).rstrip("\n").split("\t") == [
        *parts,
        *[""] * (3 - len(parts)),
    ]


def test_what_a_name_alone_does_not_tell_fails(dmsetup: Dmsetup) -> None:
    for field in REPORTED:
        if field not in ("subsystem", "vg_name", "lv_name", "lv_layer"):
            dmsetup("splitname", "vg-lv", "-o", field, code=1)
            assert dmsetup.err == f"_do_report_object: no data assigned to field {field}\nCommand failed.\n"
