"""dmsetup's command line, where recordings do not reach: any options anywhere, odd values, the environment."""

from __future__ import annotations

import getopt
import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.cli.dmsetup.getopt import CommandLineError
from dmtable.cli.dmsetup.getopt import getopt as our_getopt
from dmtable.cli.dmsetup.options import read_options
from dmtable.cli.dmsetup.values import OutOfRange, are_units, whole_number
from tests.cli.dmsetups import Answer, Dmsetup

STOCK = shutil.which("dmsetup", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
KNOWN_VERSION = "Library version:   1.02.185 (2022-05-18)\n"

LONG = ["inactive", "interval=", "noflush", "nolockfs", "notable", "table=", "target=", "tree", "uid=", "uuid="]
SHORT = "cCfnro:u:y"
WHOLE_NAMES = {
    "-c": "columns", "-C": "columns", "-f": "force", "-n": "notable", "-o": "options", "-r": "readonly", "-u": "uuid",
    "-y": "yes",
}  # fmt: skip
WORDS = """
    info a - -- 8 -8 -c -fry -cu -uX -ou -u -o -f-c --noflush --nolock --notab --notab= --inact --inactive=x --inter
    --inter=7 --targ=x --table --table=-c --tree --tree=1 --uuid --uu=U --uid= --in --no --ta=x --bogus --bogus=1 --=x
"""


@pytest.fixture
def dmsetup() -> Dmsetup:
    return Dmsetup()


@given(st.lists(st.sampled_from(["", *WORDS.split()]), max_size=6))
def test_options_are_cut_as_getopt_cuts_them(words: list[str]) -> None:
    try:
        options, operands = getopt.gnu_getopt(words, SHORT, LONG)
    except getopt.GetoptError:
        with pytest.raises(CommandLineError, match=r"^dmsetup: "):
            list(our_getopt(words))
        return
    read = list(our_getopt(words))
    assert [operand for option, operand in read if option is None] == operands
    ours = [(option, value) for option, value in read if option is not None]
    assert ours == [(WHOLE_NAMES.get(name, name.removeprefix("--")), value) for name, value in options]


def test_options_may_stand_anywhere(dmsetup: Dmsetup) -> None:
    table = ["--table", "0 8 zero"]
    for at in range(3):
        words = ["create", f"a{at}"]
        words[at:at] = table
        assert dmsetup(*words) == Answer(0, "", "")
    assert dmsetup("--noheadings", "a1", "-c").err.startswith("Unknown command.\n")
    assert dmsetup("table", "a0", "a1").out == "a0: 0 8 zero \na1: 0 8 zero \n"


def test_the_first_odd_option_is_the_one_that_counts() -> None:
    said: list[str] = []
    with pytest.raises(CommandLineError, match=r"^Count must be zero or greater\.$") as caught:
        read_options(["--udevcookie", "x", "--count", "-1", "--bogus", "-h"], {}, said.append)
    assert said == ["Incorrect cookie value."]
    assert not caught.value.is_forgiven


@pytest.mark.parametrize("words", [["-h", "--bogus"], ["--version", "-j", "7"], ["--help", "-M", "9"]])
def test_whoever_asks_for_help_is_forgiven_what_follows(dmsetup: Dmsetup, words: list[str]) -> None:
    answer = dmsetup(*words)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.endswith("Couldn't process command line.\n")


# Numbers.


@given(st.integers(-(1 << 65), 1 << 65), st.sampled_from((8, 10, 16)), st.sampled_from(("", " ", "\t\n")))
def test_numbers_are_read_as_c_reads_them(value: int, base: int, blanks: str) -> None:
    digits = format(abs(value), {8: "o", 10: "d", 16: "x"}[base])
    prefix = {8: "0", 10: "", 16: "0x"}[base]
    word = f"{blanks}{'-' if value < 0 else ''}{prefix}{digits}"
    if abs(value) >= 1 << 64:
        with pytest.raises(OutOfRange):
            whole_number(word, 0)
    else:
        assert whole_number(word, 0) == value % (1 << 64)
    if base == 8 and abs(value) < 1 << 63:
        assert whole_number(word, 8, signed=True) == value


@pytest.mark.parametrize("word", ["", " ", "x", "0x", "1x", "1 ", "--1", "+ 1", "1_0", "08", "१"])
def test_what_is_no_number_is_none(word: str) -> None:
    assert whole_number(word, 0) is None


def test_a_number_may_be_longer_than_python_reads() -> None:
    assert whole_number("0" * 5000 + "7", 10) == 7
    with pytest.raises(OutOfRange):
        whole_number("1" * 5000, 10)


@pytest.mark.parametrize("word", ["h", "H", "b", "S", "kk", "1k", "1.5k", "2h", "1e3k", "R", "e"])
def test_units(word: str) -> None:
    assert are_units(word)


@pytest.mark.parametrize("word", ["", "z", "x", "1", "0k", "1 k", " k", "-1k", "0.0001b", "é"])
def test_no_units(dmsetup: Dmsetup, word: str) -> None:
    assert not are_units(word)
    assert dmsetup("splitname", "a", "--units", word) == Answer(1, "", "Invalid --units argument.\n")


# The environment.


def test_the_environment_says_how_names_are_mangled(dmsetup: Dmsetup) -> None:
    variable = "DM_DEFAULT_NAME_MANGLING_MODE"
    assert dmsetup("create", "a b", "-n", environ={variable: "NONE"}) == Answer(0, "", "")
    assert dmsetup("ls").code == 1
    for mode in ("none", "None"):
        assert dmsetup("ls", environ={variable: mode}).out == "a b\t(253:0)\n"
    assert dmsetup("ls", environ={variable: "bogus"}).code == 1
    assert dmsetup("ls", "--manglename", "auto", environ={variable: "none"}).code == 1


def test_the_environment_may_name_a_cookie(dmsetup: Dmsetup) -> None:
    environ = {"DM_UDEV_COOKIE": "0xd4d1234"}
    assert dmsetup("udevreleasecookie").err == "No udev transaction cookie given.\nCommand failed.\n"
    assert dmsetup("udevreleasecookie", environ=environ) == Answer(0, "", "")
    said = "Using udev transaction 0x0D4D1234 defined by DM_UDEV_COOKIE environment variable.\n"
    assert dmsetup("ls", "-vv", environ=environ).out.startswith(said)
    odd = {"DM_UDEV_COOKIE": "x"}
    assert dmsetup("ls", environ=odd) == Answer(0, "No devices found\n", "Incorrect cookie value.\n")
    assert dmsetup("-h", environ=odd).err.startswith("Usage:\n")


def test_a_folder_of_devices_must_be_a_whole_path(dmsetup: Dmsetup) -> None:
    complaint = "Invalid DM_DEV_DIR environment variable value.\n"
    assert dmsetup("ls", environ={"DM_DEV_DIR": "dev"}) == Answer(1, "", complaint)
    assert dmsetup("ls", environ={"DM_DEV_DIR": ""}).code == 0
    assert dmsetup("ls", environ={"DM_DEV_DIR": "/dev"}).code == 0


# Beside the stock dmsetup, where that needs no kernel.

WITHOUT_KERNEL: tuple[list[str], ...] = (
    ["help"],
    ["help", "-c"],
    ["-h", "-c", "-o", "foo"],
    ["help", "-o", "foo"],
    ["ls", "x", "-o", "foo"],
    ["splitname", "vg-lv--x-y", "-c", "--units", "q"],
    ["splitname", "vg-lv", "--count", "2"],
    ["splitname", "vg-lv", "--separator", "é", "-o", "+subsystem"],
    ["splitname", "vg-lv", "-o", "foo"],
    ["splitname", "vg-lv", "-S", "vg_name=~v"],
    ["udevflags", "0xffff1234"],
    ["--tree", "-o", "rw,foo,bar", "ls"],
    ["--inter=0", "ls"],
    ["--readahead", " -2", "ls"],
    ["-M", "777777777777777777777777", "ls"],
    ["info", "-hZ"],
    [],
)


@pytest.mark.parametrize("words", WITHOUT_KERNEL)
def test_the_stock_dmsetup_says_the_same(dmsetup: Dmsetup, words: list[str]) -> None:
    if STOCK is None:
        pytest.skip("dmsetup is not installed")
    version = subprocess.run([STOCK, "version"], capture_output=True, text=True, check=False).stdout
    if not version.startswith(KNOWN_VERSION):
        pytest.skip(f"dmsetup is not that of {KNOWN_VERSION.split(':')[1].strip()}")
    environ = {"LC_ALL": "C.UTF-8"}
    command = ["dmsetup", *words]
    stock = subprocess.run(command, executable=STOCK, capture_output=True, text=True, env=environ, check=False)
    assert dmsetup(*words, environ=environ) == Answer(stock.returncode, stock.stdout, stock.stderr)
