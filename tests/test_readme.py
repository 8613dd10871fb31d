"""What the README shows is what happens: its tables, commands and programs are run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import Command, Document

README = Document(Path(__file__).parent.parent / "README.md")


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> Iterator[None]:
    """The files that the README shows, in an empty folder."""
    with README.unpacked(tmp_path):
        yield


@pytest.mark.parametrize("command", README.commands, ids=lambda command: command.line)
def test_commands_print_what_is_shown(command: Command) -> None:
    command.run()


@pytest.mark.parametrize("program", README.programs)
def test_programs_run(program: str) -> None:
    README.run_program(program)


def test_the_first_thing_said_is_how_to_begin() -> None:
    lines = README.path.read_text().splitlines()
    assert lines[2:4] == [line for line in lines if "    make " in line]
