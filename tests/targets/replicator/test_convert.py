"""`dmtable convert` between the dialects of the replicator, and what groups of tables are told by `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtable.checks import check
from dmtable.checks.groups import across
from dmtable.cli.main import main
from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice
from dmtable.language.concise import read_concise
from dmtable.language.diagnostics import Severity, apply_fixes

SEED = Path(__file__).parents[3] / "fixtures" / "seed"
SLIDES = [str(SEED / f"replicator-{which}.fixed.dm") for which in ("first", "second")]
LVM = (
    "repl,,,rw,0 65536 replicator ringbuffer 4 253:2 0 auto 65536 blockdev 2 0 synchronous "
    "blockdev 4 1 asynchronous ios 8192 blockdev 2 2 asynchronous;"
    "lv,,,rw,0 2097152 replicator-dev 253:3 0 0 1 253:4 nolog 0 1 1 253:5 disk 3 253:6 8192 nosync\n"
)
Capture = pytest.CaptureFixture[str]


def _tables(text: str) -> dict[str, str]:
    return {device.name: device.table for device in read_concise(text)}


def test_the_slides_group_in_the_dialect_of_2009_and_back(tmp_path: Path, capfd: Capture) -> None:
    assert main(["convert", "--to", "2009", "--name", "ctl", *SLIDES]) == 0
    out, err = capfd.readouterr()
    assert err.splitlines() == [
        "dmtable convert: lost: device 1 at site 1: its regions of 16384 sectors; all of a group are of one size, "
        "32768, and what its dirty log stores is of the other"
    ]
    tables = _tables(out)
    assert list(tables) == ["ctl", "replicator-first.fixed", "replicator-second.fixed"]
    assert " ".join(tables["ctl"].split()) == (
        "0 2097152 replicator ringbuffer 4 /dev/local_vg/replog_store 32 create 2097152 blockdev 4 0 "
        "asynchronous ios 0 blockdev 4 1 asynchronous ios 100"
    )
    assert " ".join(tables["replicator-second.fixed"].split()) == (
        "0 209715200 replicator-dev /dev/mapper/ctl 1 0 1 /dev/local_vg/lvol1 nolog 0 1 1 "
        "/dev/remote_vg/lvol1 disk 3 /dev/local_vg/slink1_lvol1_dirty_log 32768 sync"
    )
    for table in tables.values():
        assert [each.code for each in check(table) if each.severity is not Severity.NOTE] == []

    path = tmp_path / "group"
    path.write_text(out)
    assert main(["convert", "--to", "2008", str(path)]) == 0
    out, err = capfd.readouterr()
    assert err == "dmtable convert: lost: the control device: its messages and status are those of each device\n"
    tables = _tables(out)
    assert list(tables) == ["replicator-first.fixed", "replicator-second.fixed"]
    assert " 4 /dev/local_vg/replog_store 32 create 2097152 local 3 0 " in tables["replicator-first.fixed"]
    assert " 3 /dev/local_vg/replog_store 32 open local 3 0 " in tables["replicator-second.fixed"]
    texts = list(tables.items())
    assert across(texts) == [[], []]


def test_lvms_tables_in_the_slides_dialect(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "lvm"
    path.write_text(LVM)
    assert main(["convert", "--to", "2008", str(path)]) == 0
    out, err = capfd.readouterr()
    assert "lost: site 2: no device is there" in err
    assert " ".join(_tables(out)["lv"].split()) == (
        "0 2097152 replicator default 4 253:2 0 auto 65536 local 2 0 synchronous 2 0 253:4 - 0 local 3 "
        "1 asynchronous ios=8192 2 0 253:5 disk 3 253:6 8192 nosync"
    )


@pytest.mark.parametrize(
    ("dialect", "text", "says"),
    [
        ("2009", "a,,,rw,0 8 zero\n", "there is no replicator line"),
        ("2009", LVM, "this is a control device already"),
        ("2008", "a,,,rw,0 8 zero\n", "give one control device"),
        ("2008", LVM.partition(";")[0] + "\n", "the control device has no device"),
        ("2008", LVM.replace(" 1 1 253:5", " 7 1 253:5"), "at site 7, which the control device has not"),
        ("2008", LVM.replace("253:3", "/dev/mapper/other"), "belongs to /dev/mapper/other"),
        ("2008", LVM.replace("auto 65536", "auto 65"), "repl:1: DM454"),
    ],
)
def test_what_cannot_be_converted(tmp_path: Path, capfd: Capture, dialect: str, text: str, says: str) -> None:
    path = tmp_path / "group"
    path.write_text(text)
    assert main(["convert", "--to", dialect, str(path)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err


# ---- groups


def _line(device: int, log: str = "3 /dev/log 0 open", site: str = "3 1 async ios=100") -> str:
    return (
        f"0 65536 replicator default {log} local 3 0 async ios=0 2 {device} /dev/a{device} - 0 "
        f"local {site} 2 {device} /dev/b{device} core 1 2048\n"
    )


CREATE = "4 /dev/log 0 create 65536"


@pytest.mark.parametrize(
    ("second", "codes"),
    [
        (_line(1), []),
        (_line(0), ["DM473"]),
        (_line(1, CREATE), ["DM472"]),
        (_line(1, site="3 1 async ios=99"), ["DM471"]),
        (_line(1, site="2 1 sync"), ["DM471"]),
        (_line(1, site="3 1 asyn IOS=100"), []),
        (_line(1, "3 /dev/log 64 open"), []),
        (_line(1, "3 /dev/a0 64 open"), ["DM516"]),
        (_line(1).replace("/dev/b1", "/dev/log"), ["DM516"]),
        ("0 8 zero\n", []),
    ],
)
def test_tables_of_one_group(second: str, codes: list[str]) -> None:
    mine, theirs = across([("first", _line(0, CREATE)), ("second", second)])
    assert mine == []
    assert [each.code for each in theirs] == codes
    assert all("first" in each.what for each in theirs)


def test_tables_of_one_group_over_known_devices() -> None:
    """Where two names are of one device, they are one; what is no device is nobody's."""
    with DeviceMapper() as dm:
        for name in ("log", "a0", "b0", "a1", "b1"):
            dm.add(MemoryDevice(65536 * 512), f"/dev/{name}")
        number = "{}:{}".format(*dm.lookup_for(None)("/dev/log").number)
        mine, theirs = across([("first", _line(0, CREATE)), ("second", _line(1, f"3 {number} 0 open"))], dm)
        assert (mine, theirs) == ([], [])
        mine, theirs = across([("first", _line(0, CREATE)), ("second", _line(1, f"4 {number} 0 create 65536"))], dm)
        assert (mine, [each.code for each in theirs]) == ([], ["DM472"])


def test_check_looks_at_all_tables_that_it_is_given(tmp_path: Path, capfd: Capture) -> None:
    paths = [tmp_path / name for name in ("one.dm", "two.dm")]
    for number, path in enumerate(paths):
        path.write_text(_line(number, CREATE))
    assert main(["check", str(paths[0])]) == 0
    assert main(["check", *map(str, paths)]) == 1
    out = capfd.readouterr().out
    assert "DM472" in out
    assert "one.dm:1 has the same log" in out


def test_a_second_create_is_mended() -> None:
    text = _line(0, CREATE) + _line(1, CREATE).replace("0 65536", "65536 65536", 1)
    found = check(text)
    assert [each.code for each in found] == ["DM472"]
    mended, _ = apply_fixes(text, found)
    assert mended.splitlines()[1] == _line(1).replace("0 65536", "65536 65536", 1).strip()
    assert check(mended) == []


@pytest.mark.parametrize("which", ["first", "second"])
def test_every_example_of_the_slides_is_taken_when_it_is_mended(which: str, tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text((SEED / f"replicator-{which}.dm").read_text())
    assert main(["check", "--fix", str(path)]) == 0
    assert [each for each in check(path.read_text()) if each.refusal] == []
