"""Names and UUIDs on dmsetup's way: mangled, shown, given anew."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from dmtable.language.mangling import MangleError, MangleMode, corrected, is_mangled_twice, mangle, reverted
from tests.cli.dmsetups import Answer, Dmsetup

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0") | st.sampled_from("\udc80\udcff"), max_size=12)
ODD_TEXTS = st.lists(st.sampled_from(["\\x", "5c", "20", "\\", "x", " ", "a", "é", "4", "G"]), max_size=8).map("".join)


@given(TEXTS)
def test_a_name_comes_back_as_it_was_given(name: str) -> None:
    dmsetup = Dmsetup()
    answer = dmsetup("create", "--", name)
    assume(answer.code == 0 and "\\x" not in name and name not in (".", ".."))
    assert dmsetup("ls").out == f"{name}\t(253:0)\n"
    assert dmsetup("info", "-c", "--noheadings", "-o", "name").out == f"{name}\n"
    assert dmsetup("remove", "--", name) == Answer(0, "", "")
    assert len(dmsetup.mapper) == 0


@given(TEXTS)
def test_a_device_takes_any_name_that_one_can_be_created_with(name: str) -> None:
    dmsetup = Dmsetup()
    assume(Dmsetup()("create", "-n", "--", name).code == 0 and name not in (".", "..", "control", "a"))
    assert dmsetup("create", "a", "--table", "0 8 zero").code == 0
    renamed = dmsetup("rename", "--", "a", name)
    assert renamed == Answer(0, "", "")
    assert list(dmsetup.machine.dev.nodes) == [mangle(name, MangleMode.AUTO)]
    assert dmsetup("rename", "--", name, "a") == Answer(0, "", "")
    assert (list(dmsetup.machine.dev.nodes), dmsetup("table").out) == (["a"], "a: 0 8 zero \n")


@given(ODD_TEXTS)
def test_mangling_is_undone_and_done_again(text: str) -> None:
    hexed = mangle(text, MangleMode.HEX)
    assert reverted(hexed) == text
    try:
        right = corrected(text)
    except MangleError:
        assert "\\x" in text
        return
    assert corrected(right) == right
    if "\\x" not in text:
        assert right == hexed


def test_mangle_makes_every_name_one_that_can_be_shown() -> None:
    dmsetup = Dmsetup()
    for name in ("a", "b c", "d\\e", "é"):
        assert dmsetup("--manglename", "none", "create", name, "--table", "0 8 zero").code == 0
    assert dmsetup("ls").code == 1
    renamed = dmsetup("mangle")
    assert (renamed.code, renamed.err, renamed.out.count("renaming to")) == (0, "", 3)
    # The order is that of the mangled names.
    assert dmsetup("ls").out == "é\t(253:3)\na\t(253:0)\nb c\t(253:1)\nd\\e\t(253:2)\n"
    assert sorted(dmsetup.machine.dev.nodes) == ["\\xc3\\xa9", "a", "b\\x20c", "d\\x5ce"]
    assert dmsetup("mangle", "--manglename", "none").out.count("renaming to") == 3
    assert not any(is_mangled_twice(md.name) for md in dmsetup.mapper)


def test_mangle_finds_a_device_by_its_uuid_too() -> None:
    # dmsetup crashes here.
    dmsetup = Dmsetup()
    dmsetup("--manglename", "none", "create", "a b", "-u", "U", "-n")
    assert dmsetup("mangle", "-u", "U") == Answer(0, "a b: renaming to a\\x20b\n", "")
    assert dmsetup("mangle", "-j", "253", "-m", "0").out == "a\\x20b: U: name and UUID already in correct form\n"
