"""The pytest plugin: what its fixtures give, what they complain of, and how a seed brings a run back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import dmtable

PLUGIN = "dmtable.testing.plugin"


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", *options)


def python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


def seeds(result: pytest.RunResult) -> list[str]:
    """The seeds that the failed tests were told to have."""
    return re.findall(r"^seed (\d+); replay with --dmtable-seed=\1$", result.stdout.str(), re.MULTILINE)


# dm


def test_a_device_mapper_over_the_tests_own_folder(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        kept = []

        def test_it(dm, tmp_path):
            (tmp_path / "disk").write_bytes(bytes(4096))
            md = dm.create("vol", "0 8 linear /disk 0")
            md.pwrite(b"x" * 512, 512)
            assert (tmp_path / "disk").read_bytes()[512:1024] == b"x" * 512
            kept.append(md)

        def test_it_is_closed():
            assert kept[0].removed
        """,
    )
    result.assert_outcomes(passed=2)


LEAK = """
    kept = []

    def test_it(dm):
        kept.append(dm.create("vol", "0 8 zero").open())
        dm.create("above", "0 8 linear /dev/mapper/vol 0")
        dm.create("other", "0 8 zero").open().close()
        assert {holds}
"""


def test_a_file_left_open_is_an_error(pytester: pytest.Pytester) -> None:
    result = run(pytester, LEAK.format(holds=True))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the test leaves files open that open() returned, on vol"])


def test_a_failed_test_is_not_blamed_for_files_left_open(pytester: pytest.Pytester) -> None:
    run(pytester, LEAK.format(holds=False)).assert_outcomes(failed=1)


def test_a_close_that_fails_says_who_closed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_it(dm, monkeypatch):
            def fail():
                raise OSError("the runtime is stuck")
            dm.runtime.close = fail
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the runtime is stuck*", "*raised when the fixture `dm` closed its DeviceMapper*"])


# sim

DRAWS = """
    import pytest

    def test_one(sim):
        print("drawn:", [sim.choices.pick(1000, "a number") for _ in range(4)])
        assert False

    {marker}
    def test_two(sim):
        print("drawn:", [sim.choices.pick(1000, "a number") for _ in range(4)])
        assert False

    def test_without():
        assert False
"""


def drawn(result: pytest.RunResult) -> list[str]:
    return re.findall(r"^drawn: .*$", result.stdout.str(), re.MULTILINE)


def test_a_failure_tells_its_seed_and_the_seed_brings_it_back(pytester: pytest.Pytester) -> None:
    source = DRAWS.format(marker="")
    first, again = run(pytester, source), run(pytester, source)
    first.assert_outcomes(failed=3)
    first.stdout.fnmatch_lines(["*- dmtable -*"])
    assert len(seeds(first)) == 2, "a test without `sim` has no seed"
    assert len({*seeds(first)}) == 2, "each test has its own seed"
    assert len({*drawn(first)}) == 2
    assert (seeds(again), drawn(again)) == (seeds(first), drawn(first)), "and the same one in every run"
    replayed = run(pytester, source, f"--dmtable-seed={seeds(first)[1]}")
    assert seeds(replayed) == [seeds(first)[1]] * 2
    assert drawn(replayed) == [drawn(first)[1]] * 2


def test_a_marker_gives_the_seed_and_the_option_overrides_it(pytester: pytest.Pytester) -> None:
    source = DRAWS.format(marker="@pytest.mark.dmtable_seed(7)")
    result = run(pytester, source, "--strict-markers")
    assert seeds(result)[1:] == ["7"]
    assert seeds(run(pytester, source, "--dmtable-seed=8")) == ["8", "8"]


@pytest.mark.parametrize("arguments", ["", "'7'", "1, 2", "seed=1"])
def test_a_marker_without_a_number_is_refused(pytester: pytest.Pytester, arguments: str) -> None:
    result = run(pytester, DRAWS.format(marker=f"@pytest.mark.dmtable_seed({arguments})"), "-k", "two")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*write @pytest.mark.dmtable_seed(N), with one number*"])


def test_a_test_that_passes_tells_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(sim):\n    assert sim.disk('a', 8).size_bytes == 4096", "-rA")
    result.assert_outcomes(passed=1)
    assert not seeds(result)


def test_the_world_ends_with_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        kept = []

        def test_it(sim):
            kept.append(sim)
            assert sim.power.on

        def test_it_is_closed():
            assert not kept[0].power.on
        """,
    )
    result.assert_outcomes(passed=2)


# The plugin itself


def test_it_costs_nothing_until_a_test_asks() -> None:
    done = python(f"import sys, pytest; before = {{*sys.modules}}; import {PLUGIN}; print({{*sys.modules}} - before)")
    assert not done.stderr
    loaded = {"dmtable", "dmtable.on_demand", "dmtable.testing", PLUGIN}
    assert {name for name in re.findall(r"'([\w.]+)'", done.stdout) if not name.startswith("_")} <= loaded


def test_the_entry_point_and_the_option_may_both_name_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = pytester.mkdir("installed") / "dmtable_elsewhere-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dmtable-elsewhere\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\ndmtable = dmtable.testing.pytest11\n")
    package = Path(dmtable.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{info.parent}:{package}")
    pytester.makepyfile("def test_it(dm):\n    assert not list(dm)")
    for options in ((), ("-p", PLUGIN), ("-p", "dmtable")):
        pytester.runpytest_subprocess("-p", "no:cacheprovider", *options).assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:dmtable").assert_outcomes(errors=1)


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_the_contracts_name_the_extra_that_they_need(missing: str) -> None:
    done = python(f"import sys; sys.modules[{missing!r}] = None; import dmtable.testing.contracts")
    assert f"need {missing}: pip install 'dmtable[testing]'" in done.stderr
