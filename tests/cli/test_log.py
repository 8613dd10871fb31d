"""`dmtable log`: what it shows of a log's file, what it makes of it, and that it leaves the file as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.cli.main import main
from dmtable.core.bio import Op
from dmtable.io.file import FileDevice
from dmtable.replog.log import UNLISTED, Membership
from dmtable.runtime.threads import ThreadRuntime
from tests.replog.logs import Host, content

SECTORS = 4096
START = 32


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A log in a file, `log.img`, from sector 32 on: entries 1 to 4, the first held by site 1 alone."""
    path = tmp_path / "log.img"
    path.write_bytes(bytes((SECTORS + START) * 512))
    device = FileDevice(path)
    there = Host(device)
    made = there.create(SECTORS, START)
    for number in range(1, 5):
        op = Op.DISCARD if number == 3 else Op.WRITE
        there.append(made, 4 * number, device=number % 2, op=op)
    made.remember((2, 1), Membership.RESYNC_OWED)
    there.commit(made)
    made.mark_done(1, made.entries[1])
    made.mark_done(1, made.entries[4])
    there.commit(made, marks=True)
    device.close()
    before = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    yield path
    assert path.read_bytes() == before, "dmtable log never writes to a log"


@pytest.fixture
def rotten(log: Path) -> str:
    """The same with a bit turned in the data of entry 2."""
    data = bytearray(log.read_bytes())
    data[data.index(b"entry 2 ")] ^= 1
    Path("rotten.img").write_bytes(data)
    return "rotten.img"


def test_dump_shows_the_entries(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "dump", "log.img"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "entry  device  sector  length  what     time                     owed             generation  checksum  at",
        "1      1       100     4       write    1970-01-01 00:20:34.500  0                1           good      48",
        "2      0       200     8       write    1970-01-01 00:20:34.500  0,1              1           good      64",
        "3      1       300     12      discard  1970-01-01 00:20:34.500  0,1              1           good      80",
        "4      0       400     16      write    1970-01-01 00:20:34.500  0,1 (header: 0)  1           good      88",
    ]


def test_dump_for_programs(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "dump", "--json", "--start", "32", "log.img"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["number"] for entry in told["entries"]] == [1, 2, 3, 4]
    assert told["entries"][3] == {
        "number": 4,
        "device": 0,
        "sector": 400,
        "sectors": 16,
        "op": "write",
        "time": 1234.5,
        "owed": [0, 1],
        "owed_in_header": [0],
        "generation": 1,
        "checksum": "good",
        "given_up": False,
        "at": 88,
        "data_at": 96,
    }
    assert told["entries"][2]["data_at"] is None
    assert (told["start"], told["damage"]) == (32, [])


def test_dump_shows_what_is_lost(rotten: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "dump", rotten]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 5
    assert out[2] == "lost: entry 2 at sector 64, 8 sectors at 200 of device 0: the data is torn or rotten"
    assert main(["log", "dump", "--json", rotten]) == 1
    damage = json.loads(capsys.readouterr().out)["damage"]
    assert (damage[0]["number"], damage[0]["device"], damage[0]["sector"], damage[0]["sectors"]) == (2, 0, 200, 8)


def test_fsck_tells_what_a_recovery_would_do(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "fsck", "log.img"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("log.img, sector 32: log ")
    assert first.endswith(", version 0.1.1, 2 MiB")
    assert lines == [
        "recovery: would take entries 1 to 4, and begin generation 2",
        "recovery: would end at entry 5 at sector 112, behind the stored tail: there is no header of an entry",
        "site 0: is owed 4 entries from 1 on, of 1970-01-01 00:20:34.500 and later",
        "site 1: is owed 3 entries from 2 on, of 1970-01-01 00:20:34.500 and later",
        "entry 4: would be sent to site 1 once more, as an entry before it",
        "site 2, device 1: is to be copied whole",
        "clean",
    ]


def test_fsck_for_programs(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "fsck", "--json", "log.img"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["owed"] == {"0": [1, 2, 3, 4], "1": [2, 3, 4]}
    assert told["members"] == [{"site": 2, "device": 1, "state": "resync_owed"}]
    assert (told["first"], told["last"], told["generation"], told["retired"]) == (1, 4, 2, False)
    assert (told["version"], told["sectors"], told["everything_suspect"]) == ("0.1.1", SECTORS, False)


def test_fsck_finds_what_is_lost(rotten: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "fsck", rotten]) == 1
    out = capsys.readouterr().out
    assert "\nlost: entry 3 at sector 80, 12 sectors at 300 of device 1: behind entry 2: the data is torn" in out
    assert out.endswith("\nthe regions of these are to be copied to all sites\n")
    data = bytearray(Path(rotten).read_bytes())
    data[64 * 512 : 88 * 512] = bytes(24 * 512)
    Path(rotten).write_bytes(data)
    assert main(["log", "fsck", rotten]) == 1
    assert capsys.readouterr().out.endswith("cannot be known: all devices are to be copied whole\n")


def test_fsck_tells_that_copies_may_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.img"
    path.write_bytes(bytes(SECTORS * 512))
    device = FileDevice(path)
    there = Host(device)
    made = there.create(SECTORS)
    made.remember(UNLISTED, Membership.RESYNC_OWED)
    there.commit(made)
    device.close()
    assert main(["log", "fsck", str(path)]) == 0
    assert "copies that the log does not know are to be copied whole" in capsys.readouterr().out


def test_fsck_of_a_retired_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.img").write_bytes(log.read_bytes())
    device = FileDevice("old.img")
    there = Host(device)
    there.go(there.open(START).retiring())
    device.close()
    assert main(["log", "fsck", "old.img"]) == 0
    assert "\nretired: another log took its place, and it refuses to be opened\n" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["dump", "fsck", "tail"])
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nothing.img"], "cannot open nothing.img: No such file or directory"),
        (["blank.img"], "blank.img, byte 0: there is no replication log at sector 0 or 32; give its start"),
        (["short.img"], "short.img, byte 0: the device has 1 sectors: too few for a log"),
        (["log.img", "--start", "8"], "log.img, byte 0: there is no replication log at sector 8"),
        (["log.img", "--start", "-1"], "--start -1: give a sector from 0 on"),
    ],
)
def test_what_is_no_log_is_said_to_be_none(
    verb: str, words: list[str], text: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("blank.img").write_bytes(bytes(1 << 20))
    Path("short.img").write_bytes(bytes(512))
    assert main(["log", verb, *words]) == 2
    assert text in capsys.readouterr().err


def test_tail_shows_the_last(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "tail", "--lines", "2", "log.img"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["entry", "3", "4"]
    assert main(["log", "tail", "--lines", "0", "log.img"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["log", "tail", "--lines", "-1", "log.img"]) == 2


def test_tail_goes_on_with_what_comes(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("live.img").write_bytes(log.read_bytes())
    device = FileDevice("live.img")
    there = Host(device)
    live = there.open(START)
    naps = []

    def nap(_: ThreadRuntime, seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            there.append(live, 8, device=9)
            there.commit(live)
        elif len(naps) == 2:
            there.append(live, 8)
            there.commit(live)
            for entry in list(live.entries.values()):
                live.mark_done(0, entry)
                live.mark_done(1, entry)
            there.append(live, 8)
            there.commit(live, marks=True)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(ThreadRuntime, "sleep", nap)
    assert main(["log", "tail", "live.img"]) == 130
    device.close()
    out = capsys.readouterr().out.splitlines()
    assert naps == [1.0] * 3
    assert [line.split()[0] for line in out] == ["entry", "1", "2", "3", "4", "5", "entries", "7"]
    assert out[5].startswith("5  9  500  8  write  ")
    assert out[6] == "entries that came and went unseen: 1"


def test_export_makes_the_image_as_of_an_entry(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("before.img").write_bytes(b"x" * 512 * 512)
    assert main(["log", "export", "log.img", "--as-of", "3", "0", "--from", "before.img", "then.img"]) == 0
    assert capsys.readouterr().out == "then.img: device 0 as of entry 3: 1 of its writes behind 0\n"
    then = bytearray(b"x" * 512 * 512)
    then[200 * 512 : 208 * 512] = content(2, 8)
    assert Path("then.img").read_bytes() == then
    words = ["log", "export", "log.img", "1", "--from", "before.img", "--at", "2", "--as-of", "4", "zeroes.img"]
    assert main(words) == 0
    then = bytearray(b"x" * 512 * 512)
    then[300 * 512 : 312 * 512] = bytes(12 * 512)
    assert Path("zeroes.img").read_bytes() == then


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["0", "--as-of", "5", "--from", "before.img", "then.img"], 1, "entry 5 is not in the log, which ends with"),
        (["0", "--as-of", "1", "--at", "2", "--from", "before.img", "then.img"], 1, "nothing is undone"),
        (["0", "--as-of", "4", "--from", "small.img", "then.img"], 1, "ends at sector 416, behind the image's end"),
        (["0", "--as-of", "4", "--from", "none.img", "then.img"], 1, "cannot make then.img: No such file or directory"),
        (["0", "--as-of", "4", "--from", "before.img", "before.img"], 2, "before.img exists; give a name that is free"),
        (["0", "--as-of", "4", "--from", "before.img", "no/then.img"], 2, "cannot make no/then.img"),
    ],
)
def test_export_makes_nothing_where_it_cannot(
    words: list[str], status: int, text: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("before.img").write_bytes(bytes(512 * 512))
    Path("small.img").write_bytes(bytes(410 * 512))
    assert main(["log", "export", "log.img", *words]) == status
    assert text in capsys.readouterr().err
    assert not Path("then.img").exists()


def test_only_verbs_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "mend"]) == 2
    assert "'mend' is none of dump, fsck, tail, export" in capsys.readouterr().err
