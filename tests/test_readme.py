"""What the README shows is what happens: its tables, commands and programs are run."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from dmtable.cli.main import main

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """(file name, text) of the README's blocks in a language."""
    return [(match[2] or "", match[3]) for match in BLOCK.finditer(README.read_text()) if match[1] == language]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the README shows, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for match in BLOCK.finditer(README.read_text()):
        if match[2]:
            (tmp_path / match[2]).write_text(match[3])


def commands() -> list[tuple[str, str]]:
    """(command line, output) pairs of the console blocks."""
    found = []
    for _, text in blocks("console"):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.mark.parametrize(("command", "output"), commands())
def test_commands_print_what_is_shown(command: str, output: str) -> None:
    words = shlex.split(command)
    assert words[0] == "dmtable"
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        main(words[1:])
    printed.seek(0)
    assert printed.read().strip() == output.strip()


@pytest.mark.parametrize("program", [text for _, text in blocks("python")])
def test_programs_run(program: str) -> None:
    exec(compile(program, str(README), "exec"), {"__name__": "__main__"})


def test_the_first_thing_said_is_how_to_begin() -> None:
    assert README.read_text().splitlines()[2:4] == [
        line for line in README.read_text().splitlines() if "    make " in line
    ]
