"""A verb on a machine that runs loads what it needs, and nothing of the machine itself: it is to begin at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.daemon.machines import ROOT, TestedMachine

HEAVY = {"argparse", "ctypes", "lark", "bitarray", "pathlib", "subprocess", "shutil", "threading", "difflib"}
OF_THE_PACKAGE = {"cli", "control", "core", "errors", "language", "on_demand", "units"}
OF_THE_CORE = {"dmtable.core", "dmtable.core.numbers"}
OF_THE_LANGUAGE = {"concise", "dmsetup_text", "kernel_words", "mangling", "numbers"}
PROGRAM = """
import sys
from dmtable.cli.main import main
status = main(sys.argv[1:])
sys.stderr.write(" ".join(sys.modules))
sys.exit(status)
"""


@pytest.mark.parametrize(
    "words",
    [["info"], ["info", "-c"], ["ls", "--tree"], ["table"], ["create", "w", "--table", "0 8 zero"]],
    ids=" ".join,
)
def test_a_verb_loads_little(machine: TestedMachine, words: list[str]) -> None:
    machine.start()
    machine.run("create", "v", "--table", "0 8 zero")
    command = [sys.executable, "-c", PROGRAM, "--dir", machine.folder.path, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert not HEAVY & {*loaded}
    ours = [name for name in loaded if name.startswith("dmtable.")]
    assert {name.split(".")[1] for name in ours} <= OF_THE_PACKAGE
    assert {name for name in ours if name.startswith("dmtable.core")} <= OF_THE_CORE
    assert {name.split(".")[2] for name in ours if name.startswith("dmtable.language.")} <= OF_THE_LANGUAGE
