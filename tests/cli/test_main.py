"""The way in: what becomes of output that nobody takes, and of streams that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TABLE = "0 8 zero\n16 8 zero\n"


def dmtable(redirection: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run with its streams as a shell redirects them."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "dmtable", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "t.dm"
    path.write_text(TABLE)
    return str(path)


@pytest.mark.parametrize("verb", ["check", "fmt --diff", "convert --to json", "explain", "--help"])
def test_output_that_cannot_be_written_is_told(verb: str, table: str) -> None:
    arguments = verb.split() + [table] * (verb in ("check", "fmt --diff", "convert --to json"))
    Path(table).write_text(TABLE if verb == "check" else "0  8  zero\n")
    done = dmtable(">/dev/full", *arguments)
    assert (done.returncode, done.stderr) == (2, "dmtable: cannot write the output: No space left on device\n")


@pytest.mark.parametrize("verb", ["check", "--help", "explain"])
def test_a_reader_that_has_gone_is_no_news(verb: str, table: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    arguments = verb.split() + [table] * (verb == "check")
    command = [sys.executable, "-m", "dmtable", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("verb", ["check", "fmt", "convert --to json", "shell"])
def test_a_closed_standard_input_is_told(verb: str) -> None:
    done = dmtable("<&-", *verb.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"dmtable {verb.split()[0]}: cannot read <stdin>: it is closed\n"


def test_what_goes_to_a_closed_stream_goes_nowhere(table: str) -> None:
    assert dmtable(">&-", "check", table).returncode == 1
    done = dmtable("2>&-", "convert", "--to", "kernel", "/does/not/exist")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("verb", ["--help", "explain", "explain DM001"])
def test_the_locale_does_not_matter(verb: str) -> None:
    done = dmtable("", *verb.split(), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "…" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--dir"], "--dir wants the folder of a machine"),
        (["--dir=", "info"], "--dir wants the folder of a machine"),
        (["--dir", "m", "check", "t.dm"], "check works on no machine: it takes no --dir"),
    ],
)
def test_a_machine_is_for_those_who_work_on_one(arguments: list[str], problem: str) -> None:
    done = dmtable("", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"dmtable: {problem}\n")


@pytest.mark.parametrize(("word", "meant"), [("creat", "create"), ("demon", "daemon"), ("chek", "check")])
def test_a_word_that_is_no_command_may_be_nearly_one(word: str, meant: str) -> None:
    done = dmtable("", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"dmtable: no command '{word}'; did you mean '{meant}'?\nusage: dmtable ")
