"""What README and the pages of docs/ show is what happens: their files, commands, programs and tests are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import ROOT, Document, documents

DOCUMENTS = documents()
WITH_STEPS = [document for document in DOCUMENTS if document.steps]
WITH_TESTS = [document for document in DOCUMENTS if document.tests]
FEW_EXAMPLES = """
from hypothesis import settings
settings.register_profile("few", deadline=None, max_examples=15)
settings.load_profile("few")
"""
"""The properties are shown to run; what they find is the affair of other tests."""


@pytest.mark.parametrize("document", WITH_STEPS, ids=lambda document: document.name)
def test_what_a_page_shows_is_what_happens(document: Document, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    with document.unpacked(folder):
        for step in document.steps:
            step.run(document)


@pytest.mark.parametrize("document", WITH_TESTS, ids=lambda document: document.name)
def test_the_tests_of_a_page_pass(
    document: Document, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{pytester.path}")
    document.write(pytester.path)
    pytester.makeconftest(FEW_EXAMPLES)
    # In a process of its own: one that shares ours would leave half of dmtable's modules loaded twice.
    result = pytester.runpytest_subprocess("-p", "dmtable.testing.plugin", "-p", "no:cacheprovider", *document.tests)
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed", 0) >= len(document.tests)
    assert not {*outcomes} - {"skipped"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_no_block_is_only_looked_at_that_could_be_run(document: Document) -> None:
    assert not document.left_out
