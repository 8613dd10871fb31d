"""The pytest plugin: the fixtures `dm` and `sim`, and the seed that makes a simulated run come again.

It is loaded in every pytest run where dmtable is installed, so it imports nothing of dmtable until a test asks.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dmtable.core.device_mapper import DeviceMapper
    from dmtable.core.mapped_device import MappedDevice
    from dmtable.sim.world import World

_OPTION, _MARKER = "--dmtable-seed", "dmtable_seed"
_seed_key = pytest.StashKey[int]()
_passed_key = pytest.StashKey[bool]()


@pytest.fixture
def dm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeviceMapper]:
    """A DeviceMapper whose `/` is tmp_path: a table's /dev/sda is the file tmp_path/dev/sda.

    It is closed after the test, which fails where a file that an md's `open()` returned was not closed.
    """
    from dmtable.core.device_mapper import DeviceMapper

    mapper = DeviceMapper(root=tmp_path)
    yield mapper
    left_open = _left_open(list(mapper))
    try:
        mapper.close()
    except Exception as error:
        error.add_note("raised when the fixture `dm` closed its DeviceMapper, after the test")
        raise
    # Of a test that failed half-way nothing else is to be expected.
    if left_open and request.node.stash.get(_passed_key, False):
        pytest.fail(f"the test leaves files open that open() returned, on {', '.join(left_open)}", pytrace=False)


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> Iterator[World]:
    """A simulated machine whose every decision is drawn from one seed: the same seed makes the same run.

    The seed is that of `--dmtable-seed`, of the marker `dmtable_seed(N)`, or one of the test's own; a failure tells it.
    """
    from dmtable.sim.choices import Seeded
    from dmtable.sim.world import World

    seed = request.node.stash[_seed_key] = _seed(request.node)
    world = World(Seeded(seed))
    yield world
    world.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dmtable", "dmtable: simulated machines")
    text = "seed of the fixture `sim`; a failed test says which one it had"
    group.addoption(_OPTION, type=int, default=None, metavar="N", help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_MARKER}(N): seed of the fixture `sim`, unless {_OPTION} gives another")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_passed_key] = report.passed
    seed = item.stash.get(_seed_key, None)
    if report.failed and seed is not None:
        report.sections.append(("dmtable", f"seed {seed}; replay with {_OPTION}={seed}"))
    return report


def _seed(item: pytest.Item) -> int:
    given: int | None = item.config.getoption(_OPTION)
    if given is not None:
        return given
    marker = item.get_closest_marker(_MARKER)
    if marker is None:
        # Of its own, so that tests differ; and the same in every run, so that none fails now and then.
        return zlib.crc32(item.nodeid.encode())
    match marker.args:
        case (int(seed),) if not marker.kwargs:
            return seed
    raise pytest.UsageError(f"{item.nodeid}: write @pytest.mark.{_MARKER}(N), with one number")


def _left_open(mds: list[MappedDevice]) -> list[str]:
    """The mds that are open more often than tables above them account for."""
    return [md.name for md in mds if md.open_count > sum(md.number in above.opened for above in mds)]
