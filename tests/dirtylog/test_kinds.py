"""Kinds of dirty logs by name: built in, of other packages, and of nobody."""

from __future__ import annotations

import importlib.metadata

import pytest

from dmtable.core.plugins import Plugins
from dmtable.dirtylog import kinds
from dmtable.dirtylog.core import CoreLog
from dmtable.dirtylog.disk import DiskLog
from dmtable.dirtylog.log import DirtyLog, Place
from dmtable.errors import DmtableError
from tests.dirtylog.logs import MIRROR_REFUSES


class Entry:
    name, value = "mine", "elsewhere:Mine"

    def __init__(self, found: object) -> None:
        self._found = found

    def load(self) -> object:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


@pytest.fixture
def plugins() -> Plugins[type[DirtyLog]]:
    return Plugins("dirty log", kinds.ENTRY_POINT_GROUP, {"core": "dmtable.dirtylog.core:CoreLog"})


def with_entry(monkeypatch: pytest.MonkeyPatch, entry: Entry) -> None:
    def entry_points(*, group: str) -> list[Entry]:
        return [entry] if group == "dmtable.dirtylogs" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_the_built_in_kinds() -> None:
    assert kinds.KINDS.find("core") is CoreLog
    assert kinds.KINDS.find("disk") is DiskLog
    assert {"core", "disk"} <= {*kinds.KINDS.names()}


def test_a_kind_of_another_package(monkeypatch: pytest.MonkeyPatch, plugins: Plugins[type[DirtyLog]]) -> None:
    with_entry(monkeypatch, Entry(DiskLog))
    assert plugins.find("mine") is DiskLog
    assert plugins.names() == ["core", "mine"]


def test_a_kind_of_the_running_program(plugins: Plugins[type[DirtyLog]]) -> None:
    plugins.add("ours", CoreLog)
    assert plugins.find("ours") is CoreLog
    assert plugins.find("nobodys") is None
    assert "nobodys" not in plugins.names()


def test_a_package_that_does_not_load_is_named(
    monkeypatch: pytest.MonkeyPatch, plugins: Plugins[type[DirtyLog]]
) -> None:
    with_entry(monkeypatch, Entry(ImportError("no module named elsewhere")))
    with pytest.raises(DmtableError, match=r"dirty log 'mine'.*elsewhere:Mine.*no module"):
        plugins.find("mine")


@pytest.mark.parametrize("kind", ["-", "nolog", "clustered-disk", "userspace", "Core"])
def test_an_unknown_kind_is_found_at_its_name(kind: str) -> None:
    params, findings = kinds.inspect(kind, ["16"], Place(640, 2, MIRROR_REFUSES))
    assert params is None
    assert [(finding.rule.code, finding.word) for finding in findings] == [("DM461", 0)]
    assert findings[0].refusal is not None
    assert findings[0].refusal.log == (f'dirty region log: Module for logging type "{kind}" not found.',)
