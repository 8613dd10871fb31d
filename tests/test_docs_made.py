"""What pages are made of tells all that there is; the pages build without a warning where Sphinx is installed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dmtable.cli.commands import parsers
from dmtable.cli.main import main
from dmtable.language.rules import all_rules
from dmtable.replog.recovery import Look
from docs.made import filled_in, made
from docs.made.layers import imports
from tests.documents import ROOT

needs_the_extra = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("sphinx", "myst_parser", "furo", "railroad"))),
    reason="the extra dmtable[docs] is not installed: make docs",
)
PAGES = sorted((ROOT / "docs").rglob("*.md"))
HOOKS = re.findall(r"^- id: (\S+)\n.*?^  entry: (.*?)$", (ROOT / ".pre-commit-hooks.yaml").read_text(), re.M | re.S)


def test_every_rule_is_told_and_linked() -> None:
    text = made("rules")
    for rule in all_rules():
        assert f"({rule.code})=\n### {rule.code}: " in text
        assert text.count(f"| [{rule.code}](#{rule.code}) |") == 1
        assert rule.why in text


def test_the_groups_of_rules_have_titles() -> None:
    groups = re.findall(r"^## (DM\d): (.+)$", made("rules"), re.MULTILINE)
    assert [group for group, _ in groups] == sorted({rule.code[:3] for rule in all_rules()})


def test_every_command_and_argument_is_told() -> None:
    text = made("commands")
    for parser in parsers():
        assert f"# `{parser.prog}`\n" in text
        for option in re.findall(r"--[a-z-]+", parser.format_usage()):
            assert option in text


def test_recovery_has_a_row_for_everything_that_can_stand_there() -> None:
    rows = made("recovery").splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [look.value for look in Look]


def test_the_picture_has_every_layer_above_what_it_imports() -> None:
    text = made("layers")
    places = {name: float(y) for y, name in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)">(\w+)<', text)}
    edges = imports()
    assert {*places} == {*edges}
    assert all(places[layer] < places[below] for layer, reached in edges.items() for below in reached)


@needs_the_extra
def test_a_diagram_of_each_rule_says_its_words() -> None:
    text = made("railroad")
    for word in ("linear", "striped", "replicator-dev", "nosync", "DEVICE", "LENGTH"):
        assert f">{word}</text>" in text
    assert "WS" not in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_part_that_nobody_makes(page: Path) -> None:
    if "<!-- made: railroad -->" not in page.read_text():
        assert "<!-- made" not in filled_in(page.read_text())


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    below = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in PAGES}
    assert {page for page in below if "/" in page} <= {*index.split()}


@pytest.mark.parametrize(("name", "entry"), HOOKS, ids=[name for name, _ in HOOKS])
def test_a_hook_of_pre_commit_takes_files_and_tells_by_its_status(
    name: str, entry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, wrong = tmp_path / "good.dm", tmp_path / "wrong.dm"
    good.write_text("0 8 zero\n")
    wrong.write_text("0 8 eror\n" if name == "dmtable-check" else "0 8\n")
    command, *words = shlex.split(entry)
    assert command == "dmtable"
    assert main([*words, str(good)]) == 0
    assert main([*words, str(good), str(wrong)]) == 1


@needs_the_extra
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    words = ["--fail-on-warning", "--nitpicky", "--keep-going", "--quiet", "--builder", "html"]
    words += ["--doctree-dir", str(tmp_path / "trees"), "docs", str(tmp_path / "html")]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "html" / "index.html").exists()
