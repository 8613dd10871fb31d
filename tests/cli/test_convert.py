"""`dmtable convert`: every form into every other, and what it says where that makes no sense."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dmtable.cli.main import main

TABLE = "# a volume\n0    8 zero\n8 1000 linear \\\n  /dev/a,b 0  # tail\n"
PLAIN = "0 8 zero\n8 1000 linear /dev/a,b 0\n"
CONCISE = "vol,,,rw,0 8 zero,8 1000 linear /dev/a\\,b 0\n"
TWO = "a,U,3,ro,0 8 zero;b,,,,0 8 error\n"


@pytest.fixture
def volume(tmp_path: Path) -> str:
    path = tmp_path / "vol.dm"
    path.write_text(TABLE)
    return str(path)


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogateescape"))))


def test_plain_lines(volume: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--to", "kernel", volume]) == 0
    assert capfd.readouterr() == (PLAIN, "")


def test_concise_has_the_file_s_name(volume: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "--to", "concise", volume]) == 0
    assert capfd.readouterr() == (CONCISE, "")


def test_concise_as_described(volume: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--name", "a;b", "--uuid", "u", "--minor", "7", "--readonly"]
    assert main(["convert", "--to", "concise", *options, volume]) == 0
    assert capfd.readouterr().out == CONCISE.replace("vol,,,rw", "a\\;b,u,7,ro")


@pytest.mark.parametrize("form", [[], ["--from", "json"]])
def test_json_and_back(
    volume: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], form: list[str]
) -> None:
    assert main(["convert", "--to", "json", volume]) == 0
    document = capfd.readouterr().out
    assert json.loads(document)["lines"][1] == {
        "start": 8,
        "length": 1000,
        "target": "linear",
        "words": ["/dev/a,b", "0"],
    }
    feed(monkeypatch, document)
    assert main(["convert", "--to", "kernel", *form]) == 0
    assert capfd.readouterr().out == PLAIN


@pytest.mark.parametrize(("name", "plain"), [("a", "0 8 zero\n"), ("b", "0 8 error\n")])
def test_one_device_of_a_concise_text(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, plain: str
) -> None:
    feed(monkeypatch, TWO)
    assert main(["convert", "--to", "kernel", "--name", name, "-"]) == 0
    assert capfd.readouterr().out == plain


def test_devices_of_several_files_in_one_concise_text(
    volume: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    two = tmp_path / "two"
    two.write_text(TWO)
    assert main(["convert", "--to", "concise", volume, str(two)]) == 0
    assert capfd.readouterr().out == CONCISE.rstrip("\n") + ";a,U,3,ro,0 8 zero;b,,,rw,0 8 error\n"


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (["--to", "kernel"], TWO, "this form holds one table, and the input has 2: a, b; choose one with --name"),
        (["--to", "json", "--name", "c"], TWO, "this form holds one table, and the input has 0: none"),
        (["--to", "concise"], PLAIN, "a device from standard input needs a --name"),
        (["--to", "concise", "--name", "x"], "# nothing\n", "x has no lines"),
        (["--to", "concise", "--uuid", "x"], TWO, "--uuid, --minor and --readonly describe one device"),
        (["--to", "concise", "--name", "x", "--minor", "1048576"], PLAIN, "--minor 1048576: "),
        (["--to", "concise"], "a,,,,0 8 zero;a,,,,0 8 zero", "two devices are called a"),
        (["--to", "kernel", "/missing"], "", "cannot read /missing: No such file or directory"),
    ],
)
def test_usage_is_explained(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str], text: str, message: str
) -> None:
    feed(monkeypatch, text)
    assert main(["convert", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"dmtable convert: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        ([], "0 8 zero\nx y\n", "<stdin>"),
        ([], "a,,,,0 8 zero,x y\n", "<stdin>, device a"),
        (["--from", "table"], "{}", "<stdin>"),
        (["--from", "concise"], PLAIN, "<stdin>: Five comma-separated"),
        (["--from", "concise"], "a\\", "<stdin>: Backslash must be followed by another character"),
        (["--from", "json"], PLAIN, "<stdin>:1:3: not JSON"),
        ([], "{", "<stdin>:1:2: not JSON"),
    ],
)
def test_what_does_not_read_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str], text: str, message: str
) -> None:
    feed(monkeypatch, text)
    assert main(["convert", "--to", "kernel", *arguments]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err


def test_odd_bytes_come_out_as_they_went_in(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    feed(monkeypatch, "é,U\udcff,,,0 8 error\n")
    assert main(["convert", "--to", "concise"]) == 0
    assert capfdbinary.readouterr().out == "é,U".encode() + b"\xff,,rw,0 8 error\n"
