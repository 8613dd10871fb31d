"""Swapping the roles of two places: orderly, with nothing copied, and forced, with only what may differ copied."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bitarray import bitarray

from dmtable import DeviceMapper, FileDevice, IoctlError
from dmtable.cli.main import main
from dmtable.dirtylog.format import read_clean
from tests.replication.places import (
    EXAMPLES,
    REGION_BYTES,
    CountingFile,
    content,
    example,
    load,
    make,
    running,
    settle,
    written,
)
from tests.replog.test_layout import theirs

NAMES = ("group", "vol0", "vol1")
IMAGES = ("vol0", "vol1", "log", "dirty0", "dirty1")
LINE = {
    "vol0": "0 16384 replicator ringbuffer 4 {log} blockdev 2 0 asynchronous 2 0 /berlin/vol0 - 0 "
    "blockdev 2 1 asynchronous 2 0 /tokyo/vol0 disk 3 /berlin/dirty0 2048 nosync\n",
    "vol1": "0 16384 replicator ringbuffer 3 /berlin/log 0 open blockdev 2 0 asynchronous 2 1 /berlin/vol1 - 0 "
    "blockdev 2 1 asynchronous 2 1 /tokyo/vol1 disk 3 /berlin/dirty1 2048 nosync\n",
}


@pytest.fixture(params=["2009", "slides"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The group in Berlin, in either dialect; the files are in tables/."""
    if request.param == "2009":
        found = example("follow-the-sun", *NAMES)
    else:
        found = {name: text.replace("{log}", "/berlin/log 0 create 8192") for name, text in LINE.items()}
    (tmp_path / "tables").mkdir()
    for name, text in found.items():
        (tmp_path / "tables" / f"{name}.table").write_text(text)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path, *(f"{place}/{image}" for place in ("berlin", "tokyo") for image in IMAGES))


def failover(root: Path, tables: dict[str, str], *more: str) -> tuple[int, dict[str, str]]:
    """Runs `dmtable failover` to Tokyo: its exit status, and the new tables."""
    new = root / "new"
    new.mkdir(exist_ok=True)
    words = ["failover", "--root", str(root), "--to", "1", "--log", "/tokyo/log", "0", "8192", "--output", str(new)]
    words += ["--dirty-log", "0=/tokyo/dirty0", "--dirty-log", "1=/tokyo/dirty1", *more]
    status = main([*words, *(str(root / "tables" / f"{name}.table") for name in tables)])
    return status, {name: (new / f"{name}.table").read_text() for name in tables}


def day_in_berlin(root: Path, tables: dict[str, str], *, cut: bool) -> None:
    """Writes to both volumes; with `cut` the last two stay in Berlin: one in region 2 of vol0, one in 5 of vol1."""
    with DeviceMapper(root) as dm:
        vol0, vol1 = load(dm, tables)[-2:]
        for number in range(16):
            written((vol0, vol1)[number % 2], 1000 * number, f"berlin {number}")
        settle(dm)
        if cut:
            dm.message(dm["group"] if "group" in tables else vol0, 0, ["slink", "pause", "1"])
            written(vol0, 2 * 2048 + 16, "only in berlin")
            written(vol1, 5 * 2048 + 16, "only in berlin")
            vol0.flush()


def equal(root: Path) -> bool:
    return all(content(root, f"berlin/{volume}") == content(root, f"tokyo/{volume}") for volume in ("vol0", "vol1"))


def dirty(root: Path, image: str) -> list[int]:
    """The regions that a dirty log names."""
    device = FileDevice(root / image, read_only=True)
    clean = read_clean(device, image)
    device.close()
    return list(clean.search(bitarray("0")))


def refuses(root: Path, tables: dict[str, str]) -> list[str]:
    """What the kernel's log says when the old tables are loaded once more."""
    first = next(iter(tables))
    text = tables[first].replace("4 /berlin/log 0 create 8192", "3 /berlin/log 0 open")
    with DeviceMapper(root) as dm:
        with contextlib.suppress(IoctlError):
            dm.create(first, text)
        return [line for line in dm.klog if "retired" in line]


def test_an_orderly_swap_copies_nothing(root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    day_in_berlin(root, tables, cut=False)
    assert equal(root)
    status, swapped = failover(root, tables, "--execute")
    out = capsys.readouterr().out
    assert status == 0
    assert out.startswith("nothing is lost: site 1 holds everything up to entry 16\ndone: the old log, /berlin/log, is")
    assert any("the log is retired: another one took its place" in line for line in refuses(root, tables))
    before = content(root, "berlin/vol0")
    with DeviceMapper(root) as dm:
        counting = [CountingFile(root / "berlin" / volume) for volume in ("vol0", "vol1")]
        for device in counting:
            dm.add(device, f"/berlin/{Path(device.path).name}")
        vol0, _ = load(dm, swapped)[-2:]
        settle(dm)
        assert [device.written_bytes for device in counting] == [0, 0]
        written(vol0, 3000, "tokyo by day", 3)
        settle(dm)
        assert [device.written_bytes for device in counting] == [3 * 512, 0]
    assert equal(root)
    assert content(root, "berlin/vol0") != before


def test_the_sun_comes_round(root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    day_in_berlin(root, tables, cut=False)
    _, evening = failover(root, tables, "--execute")
    with DeviceMapper(root) as dm:
        vol0, _ = load(dm, evening)[-2:]
        written(vol0, 3000, "tokyo by day")
        settle(dm)
    words = ["failover", "--root", str(root), "--to", "1", "--log", "/berlin/log", "0", "8192", "--execute"]
    words += ["--dirty-log", "0=/berlin/dirty0", "--dirty-log", "1=/berlin/dirty1", "--output", str(root / "tables")]
    assert main([*words, *(str(root / "new" / f"{name}.table") for name in tables)]) == 0
    morning = {name: (root / "tables" / f"{name}.table").read_text() for name in tables}
    with DeviceMapper(root) as dm:
        vol0, _ = load(dm, morning)[-2:]
        assert vol0.pread(512, 3000 * 512).startswith(b"tokyo by day")
        written(vol0, 5000, "berlin again")
        settle(dm)
    assert equal(root)
    assert b"berlin again" in content(root, "tokyo/vol0")
    assert "to be copied" not in capsys.readouterr().out


def test_a_group_at_work_is_not_swapped_into_once_more(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its dirty logs would be written over."""
    day_in_berlin(root, tables, cut=True)
    _, swapped = failover(root, tables, "--execute")
    with DeviceMapper(root) as dm:
        load(dm, swapped)
        settle(dm)
    capsys.readouterr()
    before = content(root, "tokyo/dirty0")
    words = ["failover", "--root", str(root), "--to", "1", "--log", "/tokyo/log", "0", "8192", "--execute"]
    words += ["--dirty-log", "0=/tokyo/dirty0", "--dirty-log", "1=/tokyo/dirty1"]
    files = [str(root / "tables" / f"{name}.table") for name in tables]
    assert main([*words, *files]) == 1
    assert "there is a log in use at sector 0 of /tokyo/log: the new group may" in capsys.readouterr().err
    assert content(root, "tokyo/dirty0") == before
    make(root, "tokyo/log")
    assert main([*words, "--return", *files]) == 1
    assert "there is no log in use at sector 0 of /tokyo/log: the swap was not before" in capsys.readouterr().err


def test_a_log_of_the_original_module_is_retired_too(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    original = theirs((16, 24, 0, 2, b"a" * 512), tail=32).disk
    (root / "berlin/log").write_bytes(original.pread(original.size_bytes, 0).ljust(4 << 20, b"\0"))
    status, _ = failover(root, tables, "--execute")
    assert status == 1
    assert "\n  entry 1: 1 sector at 0 of device 0, unknown\n" in capsys.readouterr().out
    assert any("the log is retired" in line for line in refuses(root, tables))
    # It knows nothing of the dirty logs.
    assert dirty(root, "tokyo/dirty0") == dirty(root, "tokyo/dirty1") == list(range(8))


def test_entries_of_a_device_without_a_table_stop_the_swap(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    day_in_berlin(root, tables, cut=True)
    less = {name: text for name, text in tables.items() if name != "vol1"}
    with pytest.raises(FileNotFoundError):
        failover(root, less, "--execute")
    assert "the old log holds entries of device 1, which no table names" in capsys.readouterr().err
    assert not refuses(root, tables)


def test_a_forced_swap_with_the_old_log_at_hand_copies_what_may_differ(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    day_in_berlin(root, tables, cut=True)
    status, _ = failover(root, tables)
    out = capsys.readouterr().out
    assert status == 1
    assert out.startswith("lost, or not known to have arrived: 2 writes, since 2")
    assert "  entry 17: 8 sectors at 4112 of device 0, " in out
    assert "to be copied to site 1: 1 of 8 regions of device 1\n" in out
    assert "2. give this command again with --execute, before any table is loaded\n" in out
    assert content(root, "tokyo/dirty0") == bytes(64 << 10), "nothing is written without --execute"
    status, swapped = failover(root, tables, "--execute")
    assert (dirty(root, "tokyo/dirty0"), dirty(root, "tokyo/dirty1")) == ([2], [5])
    assert failover(root, tables, "--execute") == (status, swapped), "it may be done again"
    with DeviceMapper(root) as dm:
        counting = [CountingFile(root / "berlin" / volume) for volume in ("vol0", "vol1")]
        for device in counting:
            dm.add(device, f"/berlin/{Path(device.path).name}")
        load(dm, swapped)
        settle(dm)
        assert [device.written_bytes for device in counting] == [REGION_BYTES, REGION_BYTES]
        assert {offset // REGION_BYTES for offset, _ in counting[0].writes} == {2}
        assert {offset // REGION_BYTES for offset, _ in counting[1].writes} == {5}
    assert equal(root)
    assert b"only in berlin" not in content(root, "berlin/vol0")


def test_a_lost_primary_comes_back_and_gets_only_what_may_differ(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    day_in_berlin(root, tables, cut=True)
    (root / "berlin").rename(root / "burning")
    status, swapped = failover(root, tables, "--execute")
    assert status == 1
    assert capsys.readouterr().out.startswith("what is lost cannot be known: /berlin/log")
    assert "/lost/site1/device0 disk 3 /tokyo/dirty0 2048 nosync" in swapped["vol0"]
    with DeviceMapper(root) as dm:
        vol0, vol1 = load(dm, swapped)[-2:]
        written(vol0, 6 * 2048, "tokyo")
        written(vol1, 7 * 2048, "tokyo")
        assert not vol0.pread(512, 4112 * 512).startswith(b"only"), "lost is lost"
    (root / "burning").rename(root / "berlin")
    status, back = failover(root, tables, "--return", "--execute")
    out = capsys.readouterr().out
    assert (status, out[:9]) == (1, "lost, or ")
    assert "done: /tokyo/dirty0 marks 1 region of device 0 for site 1\n" in out
    assert any("the log is retired" in line for line in refuses(root, tables))
    assert (dirty(root, "tokyo/dirty0"), dirty(root, "tokyo/dirty1")) == ([2], [5])
    with DeviceMapper(root) as dm:
        counting = [CountingFile(root / "berlin" / volume) for volume in ("vol0", "vol1")]
        for device in counting:
            dm.add(device, f"/berlin/{Path(device.path).name}")
        load(dm, back)
        settle(dm)
        # A region each, and the entry of Tokyo, which the new log still held.
        assert [device.written_bytes for device in counting] == [REGION_BYTES + 8 * 512] * 2
    assert equal(root)
    assert b"only in berlin" not in content(root, "berlin/vol0")


def test_what_only_the_old_primary_lacks_is_copied_to_it(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its log had it, and so did Tokyo; its own device did not."""
    with DeviceMapper(root) as dm:
        vol0, _ = load(dm, tables)[-2:]
        dm.message(dm["group"] if "group" in tables else vol0, 0, ["slink", "pause", "0"])
        written(vol0, 3 * 2048, "ahead")
        vol0.flush()
        while running(dm).group.sites[1].link.outstanding_ios:
            dm.runtime.sleep(0.005)
    assert b"ahead" in content(root, "tokyo/vol0")
    assert b"ahead" not in content(root, "berlin/vol0")
    status, swapped = failover(root, tables, "--execute")
    assert status == 0
    assert "to be copied to site 1: 1 of 8 regions of device 0\n" in capsys.readouterr().out
    with DeviceMapper(root) as dm:
        load(dm, swapped)
        settle(dm)
    assert equal(root)
    assert b"ahead" in content(root, "berlin/vol0")


DYING = """
import os, random, signal, sys
from pathlib import Path
from dmtable import DeviceMapper
from tests.replication.places import load, written

root, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
names = sys.argv[4:]
rng = random.Random(seed)
with DeviceMapper(root) as dm:
    volumes = load(dm, {name: (root / "tables" / f"{name}.table").read_text() for name in names})[-2:]
    for number in range(count):
        written(rng.choice(volumes), rng.randrange(16384 - 64), f"seed {seed} write {number}", rng.choice([1, 8, 64]))
        if number % 7 == 0:
            volumes[0].flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_primary_that_is_killed_at_work_gives_back_what_it_was_ahead(
    seed: int, root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Marks lag behind, and the local device may: what is marked must cover all of it."""
    words = [sys.executable, "-c", DYING, str(root), str(20 + 60 * seed), str(seed), *tables]
    done = subprocess.run(words, cwd=EXAMPLES.parent.parent, env={**os.environ, "PYTHONPATH": "."}, check=False)
    assert done.returncode == -signal.SIGKILL
    before = [content(root, f"tokyo/{volume}") for volume in ("vol0", "vol1")]
    _, swapped = failover(root, tables, "--execute")
    marked = sum(int(count) for count in re.findall(r"to be copied to site 1: (\d) of 8", capsys.readouterr().out))
    with DeviceMapper(root) as dm:
        counting = [CountingFile(root / "berlin" / volume) for volume in ("vol0", "vol1")]
        for device in counting:
            dm.add(device, f"/berlin/{Path(device.path).name}")
        load(dm, swapped)
        settle(dm)
        assert sum(device.written_bytes for device in counting) <= marked * REGION_BYTES
    assert equal(root)
    assert [content(root, f"tokyo/{volume}") for volume in ("vol0", "vol1")] == before


def test_what_the_new_primary_wrote_while_its_log_was_full_is_copied_too(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    day_in_berlin(root, tables, cut=True)
    (root / "berlin").rename(root / "burning")
    _, swapped = failover(root, tables, "--execute")
    with DeviceMapper(root) as dm:
        vol0, _ = load(dm, swapped)[-2:]
        for number in range(5):
            written(vol0, 4 * 2048, f"full {number}", 2048)
        vol0.flush()
    (root / "burning").rename(root / "berlin")
    _, back = failover(root, tables, "--return", "--execute")
    assert "done: /tokyo/dirty0 marks 2 regions of device 0 for site 1\n" in capsys.readouterr().out
    with DeviceMapper(root) as dm:
        load(dm, back)
        settle(dm)
    assert equal(root)


def test_a_primary_that_comes_back_without_its_log_is_copied_whole(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    day_in_berlin(root, tables, cut=True)
    (root / "berlin/log").unlink()
    (root / "berlin").rename(root / "burning")
    _, swapped = failover(root, tables)
    with DeviceMapper(root) as dm:
        load(dm, swapped)
    (root / "burning").rename(root / "berlin")
    status, back = failover(root, tables, "--return", "--execute")
    assert status == 1
    assert "to be copied to site 1: 8 of 8 regions of device 1" in capsys.readouterr().out
    with DeviceMapper(root) as dm:
        load(dm, back)
        settle(dm)
    assert equal(root)


def test_a_third_site_gives_back_what_the_new_primary_never_had(root: Path) -> None:
    make(root, "oslo/vol0", "berlin/dirty9", "tokyo/dirty9")
    line = LINE["vol0"].format(log="/berlin/log 0 create 8192").rstrip()
    tables = {"vol0": f"{line} blockdev 2 2 asynchronous 2 0 /oslo/vol0 disk 3 /berlin/dirty9 2048 nosync\n"}
    (root / "tables").mkdir()
    (root / "tables/vol0.table").write_text(tables["vol0"])
    with DeviceMapper(root) as dm:
        (vol0,) = load(dm, tables)
        dm.message(vol0, 0, ["slink", "pause", "1"])
        written(vol0, 5 * 2048, "not in tokyo")
        vol0.flush()
        while running(dm).group.sites[2].link.outstanding_ios:
            dm.runtime.sleep(0.005)
    assert b"not in tokyo" in content(root, "oslo/vol0")
    status, swapped = failover(root, tables, "--execute", "--map", "/berlin/dirty9=/tokyo/dirty9")
    assert status == 1
    assert (dirty(root, "tokyo/dirty0"), dirty(root, "tokyo/dirty9")) == ([5], [5])
    with DeviceMapper(root) as dm:
        load(dm, swapped)
        settle(dm)
    assert content(root, "oslo/vol0") == content(root, "berlin/vol0") == content(root, "tokyo/vol0")
    assert b"not in tokyo" not in content(root, "oslo/vol0")


def test_a_site_reached_by_nbd_swaps_its_kind(root: Path) -> None:
    (root / "tables").mkdir()
    text = LINE["vol0"].format(log="/berlin/log 0 create 8192").replace("blockdev 2 1", "nbd 2 1")
    tables = {"vol0": text.replace("/tokyo/vol0", "nbd://tokyo/vol0")}
    (root / "tables/vol0.table").write_text(tables["vol0"])
    make(root, "berlin/log")
    status, swapped = failover(
        root, tables, "--map", "nbd://tokyo/vol0=/tokyo/vol0", "--map", "/berlin/vol0=nbd://berlin/vol0"
    )
    assert status == 1
    words = swapped["vol0"].split()
    assert " ".join(words[9:18]) == "blockdev 2 0 asynchronous 2 0 /tokyo/vol0 - 0"
    assert " ".join(words[18:25]) == "blockdev 2 1 asynchronous 2 0 /lost/site1/device0"


def test_what_the_site_lost_when_the_log_was_full_is_told_and_copied_back(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with DeviceMapper(root) as dm:
        vol0, vol1 = load(dm, tables)[-2:]
        dm.message(dm["group"] if "group" in tables else vol0, 0, ["slink", "pause", "1"])
        for number in range(5):
            written(vol0, 2048, f"full {number}", 2048)
        written(vol1, 0, "the last")
        vol1.flush()
        assert running(dm).group.sites[1].ordered is False
    status, swapped = failover(root, tables, "--execute")
    out = capsys.readouterr().out
    assert status == 1
    assert "lost: what was written to sectors 2048 to 4095 of device 0; when, nobody can know\n" in out
    assert "site 1 was resynchronising: it holds no state that the group was ever in\n" in out
    assert (dirty(root, "tokyo/dirty0"), dirty(root, "tokyo/dirty1")) == ([1], [0])
    with DeviceMapper(root) as dm:
        load(dm, swapped)
        settle(dm)
    assert equal(root)


def test_a_rotten_log_has_everything_copied(
    root: Path, tables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    day_in_berlin(root, tables, cut=True)
    with (root / "berlin/log").open("r+b") as file:
        log = file.read()
        at = log.index(b"only in berlin") - 4096
        file.seek(at)
        file.write(bytes(4096))
    status, _ = failover(root, tables, "--execute")
    out = capsys.readouterr().out
    assert status == 1
    assert "lost in the log itself: entry 17 at sector " in out
    assert dirty(root, "tokyo/dirty0") == dirty(root, "tokyo/dirty1") == list(range(8))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--to", "3"], "site 3 cannot take over: remote sites are 1"),
        (["--to", "0"], "site 0 cannot take over"),
        (["--log", "/berlin/log", "0", "8192"], "the new log at sector 0 of /berlin/log would destroy the old one"),
        (["--log", "/tokyo/log", "0", "100"], "a size of at least 4096"),
        (["--map", "nothing"], "write --map OLD=NEW"),
        (["--dirty-log", "x=/tokyo/dirty0"], "x is no number of a device"),
        (["--return"], "device 0 needs a new dirty log at the new primary: the old one is still needed"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], text: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["failover", "--root", str(root), "--to", "1", "--log", "/tokyo/log", "0", "8192", *words]
    files = [str(EXAMPLES / "follow-the-sun" / f"{name}.table") for name in NAMES]
    assert main([*given, *files]) in (1, 2)
    assert text in capsys.readouterr().err
