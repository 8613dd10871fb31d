"""`dmtable check`: what it prints in each form, what it mends, how it ends."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dmtable.checks import check
from dmtable.cli.main import main
from dmtable.cli.render import render_github, render_json, render_sarif, render_text
from dmtable.language.diagnostics import apply_fixes
from dmtable.language.tree import Source
from dmtable.units import SECTOR_BYTES

Capture = pytest.CaptureFixture[str]

CLEAN = "0 8 zero\n8 8 error\n"
GAP = "0 8 zero\n24 8 zero\n"
GAP_REPORT = """\
t.dm:2:1: error[DM101] sectors 8 to 23 are in no line: 16 (8 KiB)
  1 | 0 8 zero
    | -------- ends before sector 8
  2 | 24 8 zero
    | ^^
  why: a table must map every sector from 0 to its end
  how: begin this line at 8, let the one before have 24 sectors, or fill the gap with an `error` line
  fix: insert `8 16 error`
  kernel: zero: Gap in table (-EINVAL)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    data = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))
    return data


def _write(text: str | bytes, name: str = "t.dm") -> Path:
    path = Path(name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _report(text: str, name: str = "t.dm") -> str:
    return render_text(check(text, name=name), Source(text, name))


# How it ends.


def test_a_clean_table_says_nothing(folder: Path, capfd: Capture) -> None:
    _write(CLEAN)
    assert main(["check", "t.dm"]) == 0
    assert capfd.readouterr() == ("", "")


def test_findings_are_shown_and_counted(folder: Path, capfd: Capture) -> None:
    _write(GAP)
    assert main(["check", "t.dm"]) == 1
    assert capfd.readouterr() == (f"{GAP_REPORT}\n1 error\n", "")


def test_notes_are_shown_and_do_not_count(folder: Path, capfd: Capture) -> None:
    _write("0 8 linear \\\n/dev/a 0\n")
    assert main(["check", "t.dm"]) == 0
    assert capfd.readouterr().out.endswith("\n1 note\n")


def test_warnings_count(folder: Path, capfd: Capture) -> None:
    _write("0 8 error 1\n")
    assert main(["check", "t.dm"]) == 1
    assert main(["check", "--severity", "error", "t.dm"]) == 0
    assert main(["check", "--severity", "warning", "t.dm"]) == 1


def test_one_file_that_cannot_be_read_keeps_no_other_from_being_checked(folder: Path, capfd: Capture) -> None:
    _write(GAP)
    _write("0 8 zero 1\n8 8 error 1\n", "u.dm")
    assert main(["check", "none.dm", "t.dm", ".", "u.dm"]) == 2
    out, err = capfd.readouterr()
    assert "t.dm:2:1: error[DM101]" in out
    assert "u.dm:2:11: warning[DM431]" in out
    assert out.endswith("\n2 errors, 1 warning\n")
    assert err.splitlines() == [
        "dmtable check: cannot read none.dm: No such file or directory",
        "dmtable check: cannot read .: Is a directory",
    ]


def test_standard_input_is_checked(stdin: io.BytesIO, capfd: Capture) -> None:
    stdin.write(GAP.encode())
    stdin.seek(0)
    assert main(["check"]) == 1
    assert capfd.readouterr().out.startswith("<stdin>:2:1: error[DM101]")


# Devices.


def test_sizes_come_from_a_file(folder: Path, capfd: Capture) -> None:
    _write("0 16 linear /dev/a 0\n16 4 linear 8:16 0\n")
    _write('{"/dev/a": 8, "8:16": [4096, 4096]}', "sizes.json")
    assert main(["check", "--devices", "sizes.json", "t.dm"]) == 1
    out = capfd.readouterr().out
    assert "DM205" in out
    assert "DM206" in out


@pytest.mark.parametrize(
    "sizes",
    ["{", "[]", '{"/dev/a": "8"}', '{"/dev/a": true}', '{"/dev/a": [1]}', '{"/dev/a": [8, 100]}', '{"9999:0": 8}'],
)
def test_sizes_that_are_none_are_a_usage_error(sizes: str, folder: Path, capfd: Capture) -> None:
    _write(CLEAN)
    _write(sizes, "sizes.json")
    assert main(["check", "--devices", "sizes.json", "t.dm"]) == 2
    assert capfd.readouterr().err.startswith("dmtable check: ")


def test_sizes_nested_too_deeply_are_a_usage_error(folder: Path, capfd: Capture) -> None:
    _write("0 8 zero\n")
    _write("[" * 100_000, "sizes.json")
    assert main(["check", "--devices", "sizes.json", "t.dm"]) == 2
    assert capfd.readouterr().err.startswith("dmtable check: --devices sizes.json: not JSON: ")


def test_what_could_not_be_written_is_not_called_mended(folder: Path, capfd: Capture) -> None:
    os.mkfifo("pipe")
    writer = subprocess.Popen(["sh", "-c", f"printf '{GAP}' > pipe"])
    assert main(["check", "--fix", "pipe"]) == 2
    assert writer.wait() == 0
    assert capfd.readouterr().err == "dmtable check: cannot write pipe: not a regular file\n"


def test_images_below_a_root_are_devices(folder: Path, capfd: Capture) -> None:
    Path("disks/dev").mkdir(parents=True)
    Path("disks/dev/a").write_bytes(bytes(8 * SECTOR_BYTES))
    _write("0 16 linear /dev/a 0\n")
    assert main(["check", "--root", "disks", "t.dm"]) == 1
    assert "8 sectors (4 KiB)" in capfd.readouterr().out
    assert main(["check", "--root", "nowhere", "t.dm"]) == 2


def test_the_name_is_the_device_that_must_not_use_itself(folder: Path) -> None:
    _write("0 8 linear /dev/mapper/vol 0\n")
    assert main(["check", "t.dm"]) == 0
    assert main(["check", "--name", "vol", "t.dm"]) == 1


# Mending.


def test_a_file_is_mended_in_place_with_all_of_its_attributes(folder: Path, capfd: Capture) -> None:
    path = _write("0 8 liner /dev/a 0 # é\n0 8 liner /dev/a 0 # é\n16 8 linear /dev/a x\n")
    path.chmod(0o640)
    assert main(["check", "--fix", "t.dm"]) == 1
    assert path.read_text(encoding="utf-8") == "0 8 linear /dev/a 0 # é\n8 8 error\n16 8 linear /dev/a x\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir() == ["t.dm"]
    out, err = capfd.readouterr()
    assert [line.split(":")[1:3] for line in err.splitlines()] == [
        ["1", " DM106 mended"],
        ["2", " DM106 mended"],
        ["2", " DM102 mended"],
        ["2", " DM101 mended"],
    ]
    assert "t.dm:3:20: error[DM402]" in out
    assert out.endswith("\n1 error\n")


def test_a_file_with_nothing_to_mend_is_not_written(folder: Path) -> None:
    path = _write("0 8 linear /dev/a x\n")
    path.chmod(0o444)
    before = path.stat()
    assert main(["check", "--fix", "t.dm"]) == 1
    assert path.stat() == before


def test_bytes_that_are_no_text_come_through(folder: Path) -> None:
    path = _write(b"0 8 zero 1 # \xff\r\n16 8 zero\r\n")
    assert main(["check", "--fix", "t.dm"]) == 1
    assert path.read_bytes() == b"0 8 zero # \xff\r\n8 8 error\r\n16 8 zero\r\n"


def test_standard_input_is_mended_to_standard_output(stdin: io.BytesIO, capfd: Capture) -> None:
    stdin.write(b"0 8 zero 1\n8 8 linear /dev/a x\n")
    stdin.seek(0)
    assert main(["check", "--fix", "-"]) == 1
    out, err = capfd.readouterr()
    assert out == "0 8 zero\n8 8 linear /dev/a x\n"
    assert err.splitlines()[0] == "<stdin>:1: DM421 mended: remove the words"
    assert "<stdin>:2:19: error[DM402]" in err


def test_only_findings_to_care_for_are_mended(folder: Path) -> None:
    path = _write("0 8 error 1\n16 8 zero\n")
    assert main(["check", "--fix", "--severity", "error", "t.dm"]) == 0
    assert path.read_text() == "0 8 error 1\n8 8 error\n16 8 zero\n"


# Text.


def test_labels_stand_below_their_line() -> None:
    report = _report("0 8 linear /dev/a 0\n8 8 linear /dev/a 0\n")
    assert report.splitlines()[:5] == [
        "t.dm:2:12: warning[DM207] sectors 0 to 7 of /dev/a are used in line 1 too",
        "  1 | 0 8 linear /dev/a 0",
        "    |            ------ first used here",
        "  2 | 8 8 linear /dev/a 0",
        "    |            ^^^^^^",
    ]


def test_two_places_in_one_line_show_it_once() -> None:
    report = _report("0 16 striped 2 8 /dev/a 0 /dev/a 4\n")
    assert report.splitlines()[1:4] == [
        "  1 | 0 16 striped 2 8 /dev/a 0 /dev/a 4",
        "    |                  ------ first used here",
        "    |                           ^^^^^^",
    ]


def test_tabs_wide_letters_and_what_cannot_be_seen_keep_carets_in_place() -> None:
    lines = _report("0\t8\tlinear\t/dev/磁\x1b[31m x\n").splitlines()
    at = next(number for number, line in enumerate(lines) if "DM402" in line)
    assert lines[at + 1] == "  1 | 0    8    linear    /dev/磁\\x1b[31m x"
    assert lines[at + 2] == "    | " + " " * 36 + "^"
    assert not any(line for line in lines if not line.isprintable())


def test_a_long_line_is_cut_around_the_place() -> None:
    table = f"0 8 error {'x' * 3000} y\n0 64 striped {'x' * 200} {'y' * 200} /dev/a 0\n"
    for line in _report(table).splitlines():
        if line.startswith(("  1 |", "  2 |", "    |")):
            assert len(line) < 150
    assert "…" in _report(table)


def test_color_marks_severity_only() -> None:
    source = Source(GAP, "t.dm")
    colored = render_text(check(GAP), source, color=True)
    assert "\033[1;31merror[DM101]\033[0m" in colored
    plain = colored.replace("\033[1;31m", "").replace("\033[0m", "")
    assert plain == render_text(check(GAP), source) == GAP_REPORT.replace("t.dm", "t.dm")


def test_the_kernels_errno_is_named_once() -> None:
    assert "  kernel: zero-length target (-EINVAL)\n" in _report("0 0 zero\n")
    assert "  kernel: zero: No arguments required (-EINVAL)\n" in _report("0 8 zero 1\n")


# Forms for programs.

ODD = 'a%,:"\n é.dm'
TABLE = "0 8 linear \\\n/dev/a x\n16 8 zero 1\n16 8 zero 1\n"


def _reports(name: str = ODD) -> list[tuple[Source, Any]]:
    return [(Source(text, name), check(text, name=name)) for text in (TABLE, CLEAN, GAP)]


def test_json_has_every_place_and_every_edit() -> None:
    findings = json.loads(render_json(_reports()))["findings"]
    assert [each["code"] for each in findings] == ["DM308", "DM402", "DM101", "DM421", "DM102", "DM421", "DM101"]
    gap = findings[-1]
    assert gap == {
        "file": ODD,
        "code": "DM101",
        "severity": "error",
        "title": "gap between two lines",
        "line": 2,
        "column": 1,
        "end_line": 2,
        "end_column": 3,
        "start": 9,
        "end": 11,
        "what": "sectors 8 to 23 are in no line: 16 (8 KiB)",
        "why": "a table must map every sector from 0 to its end",
        "how": "begin this line at 8, let the one before have 24 sectors, or fill the gap with an `error` line",
        "errno": "EINVAL",
        "kernel": "zero: Gap in table (-EINVAL)",
        "fix": {
            "title": "insert `8 16 error`",
            "edits": [
                {
                    "line": 2,
                    "column": 1,
                    "end_line": 2,
                    "end_column": 1,
                    "start": 9,
                    "end": 9,
                    "text": "8 16 error\n",
                }
            ],
        },
        "labels": [
            {
                "line": 1,
                "column": 1,
                "end_line": 1,
                "end_column": 9,
                "start": 0,
                "end": 8,
                "text": "ends before sector 8",
            }
        ],
    }
    assert json.loads(render_json([])) == {"version": 1, "findings": []}


def test_sarif_is_whole() -> None:
    log = json.loads(render_sarif(_reports()))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["DM101", "DM102", "DM308", "DM402", "DM421"]
    for rule in rules:
        assert rule["help"]["text"]
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == rules[result["ruleIndex"]]["defaultConfiguration"]["level"]
        assert result["message"]["text"]
        for location in [*result["locations"], *result.get("relatedLocations", [])]:
            place = location["physicalLocation"]
            assert place["artifactLocation"]["uri"] == "a%25%2C%3A%22%0A%20%C3%A9.dm"
            region = place["region"]
            assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])
    gap = run["results"][-1]
    (change,) = gap["fixes"][0]["artifactChanges"]
    assert change["replacements"] == [
        {
            "deletedRegion": {
                "startLine": 2,
                "startColumn": 1,
                "endLine": 2,
                "endColumn": 1,
                "charOffset": 9,
                "charLength": 0,
            },
            "insertedContent": {"text": "8 16 error\n"},
        }
    ]
    assert gap["properties"] == {"errno": "EINVAL", "kernel": "zero: Gap in table (-EINVAL)"}


def test_sarif_edits_are_those_of_fix() -> None:
    text = "0 8 liner /dev/a 0 8 8 zero\n24 8 error\n"
    found = check(text)
    (run,) = json.loads(render_sarif([(Source(text, "t"), found)]))["runs"]
    replacements = [
        replacement
        for result in run["results"]
        for fix in result.get("fixes", [])
        for change in fix["artifactChanges"]
        for replacement in change["replacements"]
    ]
    mended = text
    for replacement in sorted(replacements, key=lambda each: -each["deletedRegion"]["charOffset"]):
        region = replacement["deletedRegion"]
        begin = region["charOffset"]
        mended = mended[:begin] + replacement["insertedContent"]["text"] + mended[begin + region["charLength"] :]
    assert mended == apply_fixes(text, found)[0]


def test_github_gets_one_command_a_line() -> None:
    lines = render_github(_reports()).splitlines()
    assert len(lines) == 7
    assert lines[0].startswith(
        '::notice file=a%25%2C%3A"%0A é.dm,line=1,endLine=1,col=12,endColumn=13,'
        "title=DM308 line continued with a backslash::"
    )
    assert lines[-1] == (
        '::error file=a%25%2C%3A"%0A é.dm,line=2,endLine=2,col=1,endColumn=3,title=DM101 gap between two lines::'
        "sectors 8 to 23 are in no line: 16 (8 KiB): begin this line at 8, let the one before have 24 sectors, "
        "or fill the gap with an `error` line"
    )
    assert render_github([]) == ""


def test_github_places_over_several_lines_have_no_columns() -> None:
    text = "0 8 linear /dev/a 0\n0 8 \\\nlinear /dev/a 0\n"
    (line,) = [line for line in render_github([(Source(text, "t"), check(text))]).splitlines() if "DM102" in line]
    assert line.startswith("::error file=t,line=2,endLine=3,title=DM102")


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_forms_go_to_standard_output(form: str, folder: Path, capfd: Capture) -> None:
    _write(GAP)
    assert main(["check", "--format", form, "t.dm"]) == 1
    out, err = capfd.readouterr()
    assert "DM101" in out
    assert out.endswith("\n")
    assert err == ""
    _write(CLEAN)
    assert main(["check", "--format", form, "t.dm"]) == 0


def test_a_clean_file_needs_few_modules(folder: Path) -> None:
    _write(CLEAN)
    code = (
        "import sys; from dmtable.cli.main import main\n"
        "assert main(['check', 't.dm']) == 0\n"
        "heavy = {'lark', 'difflib', 'dmtable.cli.render', 'dmtable.core.device_mapper', 'importlib.metadata'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
