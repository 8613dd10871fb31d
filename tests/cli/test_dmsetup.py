"""dmsetup's verbs, where recordings do not reach: removals that wait, keys, programs, files, what is out of scope."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dmtable.cli.dmsetup import main
from dmtable.cli.dmsetup.keys import without_keys
from dmtable.control.dispatch import LocalControl
from dmtable.control.interface import DmIoctl, TargetLine
from tests.cli.dmsetups import Answer, Dmsetup, answer


@pytest.fixture
def dmsetup() -> Dmsetup:
    return Dmsetup()


def test_what_is_out_of_scope_is_refused_in_one_line(dmsetup: Dmsetup) -> None:
    refusal = "dmtable keeps no statistics of mapped devices: dmsetup's verb stats is not there.\n"
    for words in (["stats", "list"], ["stats", "create", "a"]):
        assert dmsetup(*words) == Answer(1, "", f"{refusal}Command failed.\n")


# Removals.


def test_a_removal_is_tried_again_until_nobody_uses_the_device(dmsetup: Dmsetup) -> None:
    dmsetup("create", "a", "--table", "0 8 zero")
    users = [dmsetup.mapper["a"].open() for _ in range(3)]
    busy = dmsetup("remove", "--retry", "a", "-vv")
    assert busy.err == "device-mapper: remove ioctl on a  failed: Device or resource busy\nCommand failed.\n"
    attempts = [line for line in busy.out.splitlines() if line.startswith("dm remove a ")]
    assert [line.rpartition(" ")[2] for line in attempts] == [f"(*{attempt})" for attempt in range(1, 26)]
    assert dmsetup.slept == [0.2] * 24
    machine = replace(dmsetup.machine, sleep=lambda _: users.pop().close())
    assert answer(machine, "remove", "--retry", "a") == Answer(0, "", "")
    assert users == []


def test_who_is_in_use_is_left_by_remove_all(dmsetup: Dmsetup) -> None:
    for name in "abc":
        dmsetup("create", name, "--table", "0 8 zero")
    with dmsetup.mapper["b"].open():
        assert dmsetup("remove_all", "-f") == Answer(0, "", "Unable to remove 1 device(s).\n")
        assert dmsetup("table").out == "b: 0 8 error \n"
        assert list(dmsetup.machine.dev.nodes) == ["b"]
    assert dmsetup("remove_all") == Answer(0, "", "")
    assert len(dmsetup.mapper) == 0


def test_a_table_that_cannot_be_put_in_place_is_cleared(dmsetup: Dmsetup) -> None:
    dmsetup("create", "a", "--table", "0 8 zero")

    class NoResume(LocalControl):
        def dev_suspend(self, request: DmIoctl) -> DmIoctl:
            return super().dev_suspend(replace(request, name="nope"))

    machine = replace(dmsetup.machine, control=NoResume(dmsetup.mapper))
    failed = answer(machine, "wipe_table", "a")
    assert failed.code == 1
    assert failed.err == "device-mapper: resume ioctl on a  failed: No such device or address\nCommand failed.\n"
    assert dmsetup("info", "-c", "--noheadings", "-o", "attr,segments").out == "L--w:1\n"


# Nodes.


def test_mknodes_makes_what_is_missing_and_removes_what_is_stale(dmsetup: Dmsetup) -> None:
    nodes = dmsetup.machine.dev.nodes
    for name in "ab":
        dmsetup("create", name, "--table", "0 8 zero")
    del nodes["a"]
    nodes["stale"] = (253, 9)
    nodes["b"] = (253, 77)
    assert dmsetup("mknodes") == Answer(0, "", "")
    assert dict(nodes) == {"a": (253, 0), "b": (253, 1)}


@pytest.mark.parametrize(("sectors", "shown"), [("0", 0), ("7", 8), ("20", 16), ("1000", 1000), ("auto", 256)])
def test_read_ahead_is_set_in_pages_until_the_next_table(dmsetup: Dmsetup, sectors: str, shown: int) -> None:
    dmsetup("create", "a", "--readahead", sectors, "--table", "0 8 zero")
    assert f"Read Ahead:        {shown}\n" in dmsetup("info", "a").out
    dmsetup("load", "a", "--table", "0 8 error")
    assert f"Read Ahead:        {shown}\n" in dmsetup("info", "a").out
    dmsetup("resume", "a")
    assert "Read Ahead:        256\n" in dmsetup("info", "a").out


# Keys.


@pytest.mark.parametrize(
    ("target", "params", "shown"),
    [
        ("crypt", "aes-xts-plain64 0123abcd 0 7:0 0", "aes-xts-plain64 00000000 0 7:0 0"),
        ("crypt", "aes-xts-plain64 :32:logon:k 0 7:0 0", "aes-xts-plain64 :32:logon:k 0 7:0 0"),
        ("crypt", "aes-xts-plain64 - 0 7:0 0", "aes-xts-plain64 0 0 7:0 0"),
        ("crypt", "aes-xts-plain64", "aes-xts-plain64"),
        ("integrity", "7:0 0 16 J 2 internal_hash:hmac(sha256):ab journal_mac:x", None),
        ("linear", "7:0 0123abcd", "7:0 0123abcd"),
    ],
)
def test_keys_are_not_shown(dmsetup: Dmsetup, target: str, params: str, shown: str | None) -> None:
    shown = shown or params.replace(":ab", ":00")
    assert without_keys(target, params) == shown

    class WithKeys(LocalControl):
        def table_status(self, request: DmIoctl) -> tuple[DmIoctl, list[TargetLine]]:
            return super().table_status(request)[0], [TargetLine(0, 8, target, params)]

    dmsetup("create", "a", "--table", "0 8 zero")
    machine = replace(dmsetup.machine, control=WithKeys(dmsetup.mapper))
    assert answer(machine, "table", "a").out == f"0 8 {target} {shown}\n"
    assert answer(machine, "table", "--showkeys", "a").out == f"0 8 {target} {params}\n"
    assert answer(machine, "status", "a").out == f"0 8 {target} {params}\n"


# Programs.


def test_a_program_is_run_for_each_device(dmsetup: Dmsetup, tmp_path: Path) -> None:
    for name in ("a", "b c"):
        dmsetup("create", name, "--table", "0 8 zero")
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint(*sys.argv[1:], sep='|')\nprint('odd', file=sys.stderr)\nsys.exit(3)\n")
    done = dmsetup("ls", "--exec", f"{sys.executable} {program} x  y")
    assert done == Answer(0, "x|y|/dev/mapper/a\nx|y|/dev/mapper/b c\n", "odd\nodd\n")


def test_a_program_writes_where_dmsetup_writes(dmsetup: Dmsetup, tmp_path: Path) -> None:
    dmsetup("create", "a", "--table", "0 8 zero")
    with open(tmp_path / "out", "w+") as out, open("/dev/null") as stdin:
        assert main(["table", "-v", "--exec", "echo", "a"], dmsetup.machine, stdin, out, out, environ={}) == 0
        out.seek(0)
        lines = out.read().splitlines()
    assert lines[-2:] == ["0 8 zero ", "/dev/mapper/a"]


@pytest.mark.parametrize(("words", "said"), [("", ""), ("x " * 256, "Too many args to --exec.\n")])
def test_programs_that_cannot_be_run(dmsetup: Dmsetup, words: str, said: str) -> None:
    dmsetup("create", "a", "--table", "0 8 zero")
    assert dmsetup("ls", "--exec", words) == Answer(1, "", f"{said}Command failed.\n")
    assert dmsetup("ls", "--exec", "/nonexistent") == Answer(0, "", "")


# Tables.


def test_a_table_is_read_from_a_file_or_standard_input(dmsetup: Dmsetup, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"0 8 zero\n8 8 linear 7:0 0 # \xff\n")
    assert dmsetup("create", "a", str(path)) == Answer(0, "", "")
    assert dmsetup("create", "b", stdin=path.read_text(errors="surrogateescape")) == Answer(0, "", "")
    assert dmsetup("table", "a").out == dmsetup("table", "b").out == "0 8 zero \n8 8 linear 7:0 0\n"
    assert dmsetup("create", "c", str(tmp_path)) == Answer(0, "", "")
    assert dmsetup("table", "c").out == "\n"


@pytest.mark.parametrize("words", [["a"], ["a", "b"], []])
def test_what_concise_prints_makes_the_same_devices(dmsetup: Dmsetup, words: Sequence[str]) -> None:
    dmsetup("create", "a", "-u", "U;,\\", "--table", "0 8 zero\n8 8 linear 7:0 0", "-r")
    dmsetup("create", "b", "-j", "253", "-m", "7", "--table", "0 8 error")
    line = dmsetup("table", "--concise", *words).out
    other = Dmsetup()
    assert other("create", "--concise", stdin=line.rstrip("\n")) == Answer(0, "", "")
    assert other("table", "--concise", *words).out == line


# Messages.


def test_answers_to_messages_end_their_line(dmsetup: Dmsetup) -> None:
    dmsetup("create", "a", "--table", "0 8 zero")
    for text, shown in (("x", "x\n"), ("x\ny\n", "x\ny\n"), ("", ""), (None, "")):

        class Answering(LocalControl):
            def target_message(
                self, request: DmIoctl, sector: int, message: str, text: str | None = text
            ) -> tuple[DmIoctl, str | None]:
                assert (sector, message) == (7, "a  b c")
                return request, text

        machine = replace(dmsetup.machine, control=Answering(dmsetup.mapper))
        assert answer(machine, "message", "a", "7", "a ", "b", "c") == Answer(0, shown, "")
    assert "dm message a  [ opencount flush ] 7 key set [" in dmsetup("-vv", "message", "a", "7", "key set 12").out
