"""`dmtable torture`: what it prints, what it refuses, and that what it prints can be replayed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dmtable.cli.main import main

SPOILT = """\
from dmtable.sim import Subject
from tests.proving.reference import Defect, Reference

torn = Reference(Defect.TORN_HEADER)
number = 5


class Picky(Reference):
    def __init__(self, size):
        super().__init__()
"""


@pytest.fixture(autouse=True)
def _spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spoilt.py").write_text(SPOILT)
    (tmp_path / "raising.py").write_text("1 / 0\n")
    (tmp_path / "lacking.py").write_text("import os\n\nos.nothing\n")
    monkeypatch.chdir(tmp_path)


def test_a_failure_is_told_with_the_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torture", "spoilt:torn", "--seed", "1", "--small", "2", "--jobs", "2", "--minutes", "1"]) == 1
    told = capsys.readouterr()
    assert "failure in small workload" in told.out  # of the two jobs either may be the first
    assert "the power fails before call" in told.out
    assert not told.err
    command = shlex.split(told.out.rpartition("replay: ")[2])
    assert command[:2] == ["dmtable", "torture"]
    assert main(command[1:]) == 1
    replayed = capsys.readouterr().out
    assert "log: write" in replayed
    assert "failure: write order:" in replayed
    Path("script.json").write_text(command[-1])
    assert main([*command[1:-1], "script.json"]) == 1


def test_a_run_that_did_not_get_everywhere_fails(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seed", "1", "--minutes", "0.0001", "--small", "0"]
    assert main(["torture", "tests.proving.reference:sound", *arguments]) == 1
    out = capsys.readouterr().out
    assert "never reached, so nothing is known about it:" in out
    assert "crash states covered" in out


def test_without_a_subject_the_replicator_is_tortured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torture", "--replay", '{"acts": [{"workload": [[{"op": "flush", "device": 0}]]}]}']) == 0
    assert "no failure" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["spoilt"], "write MODULE:NAME"),
        (["nowhere:here"], "run this in a folder and a Python that can import it"),
        (["spoilt:missing"], "has no 'missing'"),
        (["spoilt:number"], "is no dmtable.sim.Subject, nor a class of one, but 5"),
        (["spoilt:torn", "--jobs", "0"], "give a number from 1"),
        (["spoilt:torn", "--minutes", "-1"], "give more than 0"),
        (["spoilt:torn", "--minutes", "nan"], "give more than 0"),
        (["spoilt:torn", "--small", "-1"], "give 0 or more writes"),
        (["spoilt:torn", "--replay", "{}"], "no script of a run"),
        (["spoilt:torn", "--replay", '{"acts": [{"workload": [[{"op": "fly"}]]}]}'], "no script of a run"),
        (["spoilt:torn", "--replay", "not-there.json"], "give a script, or a file that holds one"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torture", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raising:subject", "ZeroDivisionError: division by zero"),
        ("lacking:subject", "AttributeError: module 'os' has no attribute 'nothing'"),
        ("spoilt:Picky", "TypeError: Picky.__init__() missing 1 required positional argument: 'size'"),
        ("spoilt:Subject", "TypeError: Can't instantiate abstract class Subject"),
    ],
)
def test_a_subject_that_cannot_be_had_says_why(name: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torture", name]) == 1
    assert says in capsys.readouterr().err
