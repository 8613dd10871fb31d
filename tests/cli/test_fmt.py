"""`dmtable fmt`: files in place and whole, standard input through, nothing touched that does not read."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from dmtable.cli.main import main

UGLY = "0   8 zero  # c\r\n8 1000   error\n"
LAID_OUT = "0    8 zero  # c\n8 1000 error\n"
BROKEN = "0 8 zero\nx y\n"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    data = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))
    return data


def table(tmp_path: Path, text: str | bytes = UGLY, name: str = "t.dm") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_is_rewritten_in_place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path)
    assert main(["fmt", str(path)]) == 0
    assert path.read_bytes() == LAID_OUT.encode()
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == ["t.dm"]


def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    path = table(tmp_path)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to("t.dm")
    assert main(["fmt", str(link)]) == 0
    assert link.is_symlink()
    assert path.read_text() == LAID_OUT
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_is_laid_out_is_not_written(tmp_path: Path) -> None:
    path = table(tmp_path, LAID_OUT)
    before = path.stat()
    assert main(["fmt", str(path)]) == 0
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_standard_input_goes_through(stdin: io.BytesIO, capfd: pytest.CaptureFixture[str]) -> None:
    stdin.write(UGLY.encode())
    stdin.seek(0)
    assert main(["fmt"]) == 0
    assert capfd.readouterr() == (LAID_OUT, "")


@pytest.mark.parametrize(("text", "status"), [(UGLY, 1), (LAID_OUT, 0)])
def test_check_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, status: int) -> None:
    path = table(tmp_path, text)
    assert main(["fmt", "--check", str(path)]) == status
    assert path.read_bytes() == text.encode()
    out, err = capfd.readouterr()
    assert out == ""
    assert err == (f"{path}: would be laid out anew\n" if status else "")


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_diff_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str], check: list[str]) -> None:
    path = table(tmp_path, "0 8 zero\n8  8 error")
    assert main(["fmt", "--diff", *check, str(path)]) == len(check)
    assert path.read_text() == "0 8 zero\n8  8 error"
    out = capfd.readouterr().out
    assert out == (
        f"--- {path}\n+++ {path}, laid out\n@@ -1,2 +1,2 @@\n 0 8 zero\n"
        "-8  8 error\n\\ No newline at end of file\n+8 8 error\n"
    )


def test_a_table_that_does_not_read_is_shown_and_left(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken, ugly = table(tmp_path, BROKEN, "broken.dm"), table(tmp_path)
    assert main(["fmt", str(broken), str(ugly)]) == 1
    assert broken.read_text() == BROKEN
    assert ugly.read_text() == LAID_OUT
    out, err = capfd.readouterr()
    assert out == ""
    assert "DM00" in err
    assert "broken.dm" in err


@pytest.mark.parametrize("name", ["missing.dm", "."])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    path, ugly = tmp_path / name, table(tmp_path)
    assert main(["fmt", str(path), str(ugly)]) == 2
    assert ugly.read_text() == LAID_OUT
    err = capfd.readouterr().err
    assert err.startswith(f"dmtable fmt: cannot read {path}: ")
    assert err.count("\n") == 1


def test_a_failing_write_leaves_the_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = table(tmp_path)
    monkeypatch.setattr("os.fsync", full)
    assert main(["fmt", str(path)]) == 2
    assert path.read_bytes() == UGLY.encode()
    assert os.listdir(tmp_path) == ["t.dm"]
    assert capfd.readouterr().err == f"dmtable fmt: cannot write {path}: No space left on device\n"
