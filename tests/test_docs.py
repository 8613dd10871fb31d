"""What the pages of docs/ show is what happens: their files, commands, programs and tests are run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import Command, Document

DOCUMENTS = [Document(path) for path in sorted((Path(__file__).parent.parent / "docs").rglob("*.md"))]
COMMANDS = [(document, command) for document in DOCUMENTS for command in document.commands]
PROGRAMS = [(document, program) for document in DOCUMENTS for program in document.programs]
TESTS = [(document, name) for document in DOCUMENTS for name in document.tests]


@pytest.fixture
def files(document: Document, tmp_path: Path) -> Iterator[None]:
    """The files that the page shows, in an empty folder."""
    with document.unpacked(tmp_path):
        yield


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("document", "command"), COMMANDS, ids=[command.line for _, command in COMMANDS])
def test_commands_print_what_is_shown(document: Document, command: Command) -> None:
    command.run()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("document", "program"), PROGRAMS, ids=[document.path.stem for document, _ in PROGRAMS])
def test_programs_run(document: Document, program: str) -> None:
    document.run_program(program)


@pytest.mark.parametrize(("document", "name"), TESTS, ids=[name for _, name in TESTS])
def test_tests_pass(document: Document, name: str, pytester: pytest.Pytester) -> None:
    with document.unpacked(pytester.path):
        result = pytester.runpytest_inprocess("-p", "dmtable.testing.plugin", "-p", "no:cacheprovider", name)
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed", 0)
    assert not {*outcomes} - {"skipped"}
