"""`dmtable shell`: how a script is cut into commands and tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmtable.cli.main import main


def test_only_newlines_end_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "s"
    script.write_bytes(b"create v <<END\n0 8\x0czero\r\n8\x0b8 error\nEND\r\ntable v\n")
    assert main(["shell", str(script)]) == 0
    assert capfd.readouterr() == ("0 8 zero \n8 8 error \n", "")


def test_a_root_that_is_no_folder_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s").write_text("ls\n")
    assert main(["shell", "--root", f"{tmp_path}/none", f"{tmp_path}/s"]) == 2
    assert capfd.readouterr() == ("", f"dmtable shell: --root {tmp_path}/none: not a folder\n")
