"""Each defect planted in the production replicator is found, by the explorer, by a storm, or by a named test."""

from __future__ import annotations

import pytest

from dmtable.sim.explorer import Flawed
from dmtable.sim.ink import Blot
from dmtable.sim.playback import replay
from tests.proving import test_replicator
from tests.proving.replicator_defects import BY_NAMED_TESTS, DEFECTS, Defect, planted


@pytest.mark.parametrize("defect", DEFECTS, ids=str)
def test_a_defect_is_found_and_its_script_shows_it(defect: Defect) -> None:
    found = defect.hunt()
    assert found is not None, f"nobody notices: {defect}"
    if found.script is not None:
        with planted(defect.patches):
            again = replay(defect.subject(), found.script)
        assert again is not None
        assert again.flaw is found.breach.flaw
        assert replay(defect.subject(), found.script) is None


@pytest.mark.parametrize("name", BY_NAMED_TESTS)
def test_a_defect_fails_its_test(name: str) -> None:
    patches, check = BY_NAMED_TESTS[name]
    with planted(patches), pytest.raises((AssertionError, Blot, Flawed)):
        getattr(test_replicator, check)()
