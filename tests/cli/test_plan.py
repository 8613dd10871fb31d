"""`dmtable plan`: what it prints and draws, how it reads amounts and traces, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmtable.cli.main import main
from dmtable.cli.plan.amounts import read_rate, read_sectors, read_size, read_time, show_bytes, show_time
from dmtable.cli.plan.trace import read_trace
from dmtable.errors import UsageError
from dmtable.sim.planning.load import Write

LINK = ["--bandwidth", "8Mbit/s", "--rtt", "1ms"]
SHORT = ["plan", "--rate", "2MB/s", "--duration", "20s", "--log-size", "16M", *LINK]
CONTROL = "0 1 replicator ringbuffer 4 /dev/log 0 create 32768 blockdev 1 0 blockdev 4 1 async+stall ios 40"
MEMBER = "0 65536 replicator-dev /dev/mapper/group {} 0 1 /dev/l{} - 0 1 1 /dev/r{} core 2 4096 nosync"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "group").write_text(CONTROL + "\n")
    for number in (0, 1):
        (tmp_path / f"dev{number}").write_text(MEMBER.format(*[number] * 3) + "\n")


def test_a_plan_is_told_for_each_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--limit", "size=1m"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "load: 610 writes of 65.5 kB to 1 device in 20 s, 30.5 a second, 2 MB/s"
    assert lines[1] == "link: one write in 66.5 ms, of which 1 ms round trip: 15.0 a second, 985 kB/s"
    assert lines[3] == "async size=1m:"
    furthest = re.fullmatch(r"  furthest behind   .* (\d+) writes, at .*", lines[4])
    assert furthest is not None
    assert 12 < int(furthest[1]) <= 16
    policies = [line.split("  ")[0] for line in lines[-4:]]
    assert policies == ["async size=1m", "async", "async+stall", "sync"]
    assert "never" not in lines[-2]  # the log of async+stall
    assert lines[-1].split()[1:5] == ["0", "B", "0", "s"]


def test_a_plan_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--json", "--outage", "5s+2s"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["writes"] == 610
    assert plan["outages"] == [{"begin": 5, "seconds": 2}]
    assert [each["policy"] for each in plan["plans"]] == ["asynchronous", "asynchronous+stall", "synchronous"]
    for each in plan["plans"]:
        worst = max(at["behind_bytes"] for at in each["instants"])
        assert worst <= each["worst_behind"]["behind_bytes"]
        assert len(each["instants"]) > 240
    assert plan["plans"][2]["worst_behind"]["behind_bytes"] == 0


def test_a_plan_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--outage", "5s+2s", "--svg", "plan.svg"]) == 0
    root = ElementTree.fromstring(Path("plan.svg").read_text())
    drawn = [element for element in root.iter() if element.get("class") == "line" and len(element)]
    # Three policies in four panels; each line has points.
    assert len(drawn) == 12
    assert all(element.get("d", "").startswith("M") for element in drawn)
    assert sum(element.get("class") == "outage" for element in root.iter()) == 4
    width, height = (float(root.get(name, "0")) for name in ("width", "height"))
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(text.get("x", "-1")) <= width
        assert 0 <= float(text.get("y", "-1")) <= height


def test_a_group_is_taken_from_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    tables = [word for name in ("group", "dev0", "dev1") for word in ("--table", name)]
    assert main(["plan", *tables, "--rate", "2MB/s", "--duration", "10s", *LINK]) == 0
    out = capsys.readouterr().out
    assert "to 2 devices in 10 s" in out
    summary = re.search(r"\nasync\+stall ios=40:\n  furthest behind .* (\d+) writes", out)
    assert summary is not None
    assert 30 < int(summary[1]) <= 40
    assert main(["plan", *tables, "--rate", "2MB/s", "--duration", "10s", *LINK, "--limit", "ios=0"]) == 0
    assert "\nasync+stall:\n" in capsys.readouterr().out


def test_a_trace_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    Path("trace.csv").write_text("seconds,device,sector,sectors,flush\n0,a,0,128,0\n1.5,b,128,128,1\n")
    assert main(["plan", "--trace", "trace.csv", "--log-size", "16M", *LINK, "--policy", "sync"]) == 0
    out = capsys.readouterr().out
    assert "load: 2 writes of 65.5 kB to 2 devices in 1.5 s" in out
    assert "100% waited, 66.5 ms each, 66.5 ms at most; 50.0% were on time" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([*SHORT, "--rtt", "40"], "'40' is no time: write a number and a unit"),
        ([*SHORT, "--bandwidth", "100M"], "'100M' is no rate"),
        ([*SHORT, "--bandwidth", "0MB/s"], "'0MB/s' moves nothing"),
        ([*SHORT, "--size", "1000B"], "--size 1000B: give a multiple of 512 bytes"),
        ([*SHORT, "--size", "2M"], "writes may have 1024 KiB"),
        ([*SHORT, "--log-size", "1024"], "'1024' is no size"),
        ([*SHORT, "--log-size", "64K"], "a log of 64 KiB is too small: it has"),
        ([*SHORT, "--outage", "10m"], "write BEGIN+TIME"),
        ([*SHORT, "--outage", "1s+5s", "--outage", "3s+1s"], "outages overlap"),
        ([*SHORT, "--burst", "1MB/s:5s"], "write RATE:TIME/PERIOD"),
        ([*SHORT, "--policy", "fast"], "'fast' is no policy"),
        ([*SHORT, "--policy", "sync", "--limit", "ios=5"], "never falls behind"),
        ([*SHORT, "--limit", "ios=5k"], "'k' is no unit of ios"),
        ([*SHORT, "--devices", "100"], "there may be 1 to 64"),
        ([*SHORT, "--trace", "x"], "give either a trace"),
        ([*SHORT, "--duration", "4h", "--log-size", "1G", "--limit", "ios=5"], "ios=5 cannot be seen; give a shorter"),
        (["plan", "--rate", "1MB/s", *LINK], "give the size of the log"),
        (
            ["plan", "--rate", "1MB/s", *LINK, "--table", "group", "--site", "3"],
            "the tables have 1: choose with --site",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_amounts_have_units() -> None:
    assert (read_size("64K"), read_size("1GiB"), read_size("1GB"), read_size("512B")) == (65536, 1 << 30, 10**9, 512)
    assert (read_rate("100Mbit/s"), read_rate("20MB/s"), read_rate("1MiB/s")) == (12.5e6, 20e6, 1 << 20)
    assert (read_time("40ms"), read_time("1.5h"), read_time("2m")) == (0.04, 5400, 120)
    assert read_sectors("1.5K", "x") == 3
    shown = [show_time(seconds) for seconds in (0, 0.0465, 53.4, 60, 125, 3600, 5430, 90061)]
    assert shown == ["0 s", "46.5 ms", "53.4 s", "1 min", "2 min 5 s", "1 h", "1 h 30 min", "25 h 1 min"]
    assert [show_bytes(size) for size in (0, 999, 65536, 1.5e9)] == ["0 B", "999 B", "65.5 kB", "1.5 GB"]


def test_a_trace_of_blkparse() -> None:
    text = """\
  8,0    3        1     0.000000000   697  Q  WS 1000 + 8 [kjournald]
  8,0    3        2     0.000009507   697  D  WS 1000 + 8 [kjournald]
  8,16   1        3     0.250000000   698  Q  WFS 64 + 128 [db]
  8,0    1        4     0.300000000   698  Q   R 64 + 128 [db]
CPU0 (sda):
 Reads Queued:           0,        0KiB
"""
    assert read_trace(text, "t") == [Write(0, 0, 1000, 8), Write(0.25, 1, 64, 128, True)]


@pytest.mark.parametrize("line", ["1,a,2", "x,a,0,8", "0,a,-1,8", "0,a,0,0", "nan,a,0,8", "0,a,0,8,yes", "0,a,0,8,1,1"])
def test_a_line_that_is_no_write_is_named(line: str) -> None:
    with pytest.raises(UsageError, match="t:2: "):
        read_trace(f"0,a,0,8\n{line}\n", "t")
    with pytest.raises(UsageError, match="t holds no writes"):
        read_trace("# nothing\n", "t")
