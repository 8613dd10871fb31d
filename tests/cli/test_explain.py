"""`dmtable explain`: a page for each rule, and the way from a message to it."""

from __future__ import annotations

import pytest

from dmtable.cli.main import main
from dmtable.language.rules import all_rules

Capture = pytest.CaptureFixture[str]


def test_a_code_leads_to_its_page(capfd: Capture) -> None:
    assert main(["explain", "dm101"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("# DM101: gap between two lines\n")
    assert "Gap in table (-EINVAL)" in out
    assert "\nSeverity: error.\nWhy: a table must map every sector from 0 to its end.\nHow: move the line" in out


def test_several_codes_are_explained_in_turn(capfd: Capture) -> None:
    assert main(["explain", "DM102", "DM101"]) == 0
    out = capfd.readouterr().out
    assert out.index("# DM102") < out.index("# DM101")


def test_without_a_code_all_rules_are_listed(capfd: Capture) -> None:
    assert main(["explain"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [rule.code for rule in all_rules()]
    assert lines[0] == "DM001  error    line is not `start length target …`"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Gap in table", "DM101"),
        ("zero-length target", "DM104"),
        ("invalid format on line", "DM001"),
        ("Not enough destinations", "DM416"),
        ("too small for target", "DM205"),
        ("is too long", "DM306"),
        ("[   12.345678] device-mapper: table: 254:3: striped: Gap in table (-EINVAL)", "DM101"),
        ("device-mapper: table: 253:7: bogus: unknown target type", "DM106"),
        ("device-mapper: table: 253:0: loop3 too small for target: start=0, len=8, dev_size=4", "DM205"),
        ("device-mapper: table: 253:0: start=1 not aligned to h/w logical block size 4096 of nvme0n1", "DM206"),
        ("device-mapper: table: 253:0: striped: Couldn't parse stripe destination (-ENODEV)", "DM417"),
    ],
)
def test_a_message_leads_to_its_rules(message: str, code: str, capfd: Capture) -> None:
    assert main(["explain", message]) == 0
    assert code in [line.split()[0] for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "word", ["DM999", "no such text anywhere", "no such text: error", "device-mapper: ioctl: whatever"]
)
def test_what_is_nowhere_is_a_usage_error(word: str, capfd: Capture) -> None:
    assert main(["explain", word]) == 2
    assert capfd.readouterr().err == (
        f"dmtable explain: no rule and no page has {word!r}; `dmtable explain` lists all rules\n"
    )
