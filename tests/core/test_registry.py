"""Targets by name: built in, of other packages, of the running program, and of the kernel alone."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import pytest

from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.devices import Lookup
from dmtable.core.registry import ENTRY_POINT_GROUP, Registry
from dmtable.core.target import Context, MapResult, Params, StatusKind, Target
from dmtable.errors import DmtableError, IoctlError
from dmtable.language.diagnostics import Finding


@dataclass(frozen=True, slots=True)
class NoParams(Params):
    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        return cls(), []

    def words(self) -> list[str]:
        return []


class Fill(Target):
    """Reads as the letter F: a target that must see each bio."""

    name = "fill"
    version = (1, 0, 0)
    params = NoParams
    keep = False
    requeue = False

    def __init__(self, context: Context, begin: int, length: int, params: NoParams) -> None:
        super().__init__(context, begin, length)
        self.seen: list[Bio] = []

    def map(self, bio: Bio) -> MapResult:
        self.seen.append(bio)
        if self.requeue:
            return MapResult.REQUEUE
        if self.keep:
            return MapResult.SUBMITTED
        if bio.data is not None:
            bio.data[:] = b"F" * len(bio.data)
        bio.complete()
        return MapResult.SUBMITTED

    def presuspend(self) -> None:
        if self.keep:
            self.keep = False
            self.seen.pop().give_back()

    def status(self, kind: StatusKind) -> str:
        return "full" if kind is StatusKind.INFO else ""


class Entry:
    name, value = "fill", "elsewhere:Fill"

    def __init__(self, found: object) -> None:
        self._found = found

    def load(self) -> object:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


def with_entry_points(monkeypatch: pytest.MonkeyPatch, entries: Iterable[Entry]) -> None:
    def entry_points(*, group: str) -> list[Entry]:
        return list(entries) if group == ENTRY_POINT_GROUP else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_a_target_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with_entry_points(monkeypatch, [Entry(Fill)])
    with DeviceMapper() as dm:
        md = dm.create("md", "0 8 zero\n8 8 fill")
        assert md.pread(1024, 7 * 512) == bytes(512) + b"F" * 512
        md.flush()
        assert "fill" in dm.registry.names()


def test_a_package_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with_entry_points(monkeypatch, [Entry(ImportError("no module named elsewhere"))])
    with DeviceMapper() as dm, pytest.raises(DmtableError, match=r"'fill'.*elsewhere:Fill.*no module"):
        dm.create("md", "0 8 fill")


def test_what_can_be_run_is_listed_and_the_last_one_registered_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(Fill):
        name = "zz"

    with_entry_points(monkeypatch, [Entry(ImportError("no module named elsewhere"))])
    registry = Registry()
    registry.add(Later)
    names = [target.name for target in registry.listed()]
    assert (names[0], names[-3:]) == ("zz", ["striped", "linear", "error"])
    assert "fill" not in names
    with_entry_points(monkeypatch, [Entry(Fill)])
    assert Registry().listed()[0].name == "fill"
    assert registry.runnable("crypt") is None
    assert registry.runnable("zz") is Later


@pytest.mark.parametrize("noflush", [True, False])
def test_a_bio_that_a_target_gives_back_comes_again_after_a_noflush_suspend(noflush: bool) -> None:
    registry = Registry()
    registry.add(Fill)
    with DeviceMapper(registry=registry) as dm:
        md = dm.create("md", "0 8 zero\n8 8 fill")
        assert md.live is not None
        target = md.live.target_at(8)
        assert isinstance(target, Fill)
        target.keep = True
        bio = Bio(Op.READ, 7, 2, memoryview(bytearray(b"x" * 1024)))
        md.submit(bio)
        assert not bio.done
        dm.suspend(md, noflush=noflush)
        assert bio.done is not noflush
        dm.resume(md)
        assert bio.done
        assert bio.error == (0 if noflush else 5)
        if noflush:
            assert bio.data == bytes(512) + b"F" * 512
        target.requeue = True
        refused = Bio(Op.READ, 8, 1, memoryview(bytearray(512)))
        md.submit(refused)
        assert (refused.done, refused.error) == (True, 5), "outside of a noflush suspend a requeue is an error"


def test_unknown_targets_and_those_of_the_kernel_alone() -> None:
    with DeviceMapper() as dm:
        for text, said in (
            ("0 8 nosuch", "nosuch: unknown target type"),
            ("0 8 LINEAR 7:0 0", "LINEAR: unknown target type"),
            ("0 8 crypt", "crypt: Not enough arguments (-EINVAL)"),
            ("0 8 crypt a b c d e", "crypt: dmtable does not run this target (-EOPNOTSUPP)"),
            ("0 8 thin a", "thin: Invalid argument count (-EINVAL)"),
        ):
            with pytest.raises(IoctlError) as refused:
                dm.create("md", text)
            assert refused.value.log[0] == f"device-mapper: table: 253:0: {said}"
            assert len(dm) == 0
