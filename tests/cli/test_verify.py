"""`dmtable verify`: what it prints and refuses, over image files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmtable import DeviceMapper
from dmtable.cli.main import main
from tests.replication.places import load, make, settle, written

TABLE = (
    "0 16384 replicator ringbuffer {log} blockdev 2 0 asynchronous 2 0 /local/vol - 0 "
    "blockdev 2 1 asynchronous 2 0 /remote/vol disk 3 /local/dirty 2048 nosync\n"
)
OPEN = TABLE.format(log="3 /local/log 0 open")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A group whose remote site lacks an entry in region 3; its table is vol.table."""
    root = make(tmp_path / "root", "local/vol", "remote/vol", "local/log", "local/dirty")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vol.table").write_text(OPEN)
    with DeviceMapper(root) as dm:
        (md,) = load(dm, {"vol": TABLE.format(log="4 /local/log 0 create 8192")})
        written(md, 0, "first")
        settle(dm)
        dm.message(md, 0, ["slink", "pause", "1"])
        written(md, 3 * 2048, "second")
        md.flush()
    return root


def test_it_waits_for_what_is_owed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--root", str(root), "--settle", "30", "vol.table"]) == 0
    assert capsys.readouterr().out == "8 equal\n"
    assert (root / "local/vol").read_bytes() == (root / "remote/vol").read_bytes()


def test_it_shows_what_differs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (root / "remote/vol").open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"rot")
    assert main(["verify", "--root", str(root), "--settle", "30", "vol.table"]) == 1
    assert capsys.readouterr().out == (
        "site 1, device 0, region 5 (sectors 10240 to 12287): "
        "differs though nothing is owed: sectors 8 at 10240\n7 equal, 1 differs\n"
    )
    assert main(["verify", "--root", str(root), "--json", "vol.table"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["equal"], told["differs"]) == (7, 1)
    assert (told["regions"][0]["sector"], told["regions"][0]["runs"]) == (10240, [[10240, 8]])


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (TABLE.format(log="4 /local/log 0 create 8192"), [], "vol would make a new log, and lose what is there"),
        ("0 8 zero\n", [], "no table has a replicator line"),
        (OPEN, ["--settle", "-1"], "--settle -1.0: give 0 or more seconds"),
        (OPEN, ["--settle", "nan"], "--settle nan: give 0 or more seconds"),
    ],
)
def test_what_cannot_be_is_refused(
    text: str, words: list[str], says: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (root / "local/log").read_bytes()
    Path("vol.table").write_text(text)
    assert main(["verify", "--root", str(root), "vol.table", *words]) == 2
    assert says in capsys.readouterr().err
    assert (root / "local/log").read_bytes() == before
