"""What the pages of docs/ show is what happens: their files, commands, programs and tests are run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import Command, Document

DOCUMENTS = [Document(path) for path in sorted((Path(__file__).parent.parent / "docs").rglob("*.md"))]
COMMANDS = [(document, command) for document in DOCUMENTS for command in document.commands]
PROGRAMS = [(document, program) for document in DOCUMENTS for program in document.programs]
FEW_EXAMPLES = """
from hypothesis import settings
settings.register_profile("few", deadline=None, max_examples=15)
settings.load_profile("few")
"""
"""The properties are shown to run; what they find is the affair of other tests."""


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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path.stem)
def test_tests_pass(document: Document, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(document.path.parent.parent))
    document.write(pytester.path)
    pytester.makeconftest(FEW_EXAMPLES)
    # In a process of its own: one that shares ours would leave half of dmtable's modules loaded twice.
    result = pytester.runpytest_subprocess("-p", "dmtable.testing.plugin", "-p", "no:cacheprovider", *document.tests)
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed", 0) >= len(document.tests)
    assert not {*outcomes} - {"skipped"}
