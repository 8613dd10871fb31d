"""Each rule has a page, and the tables on it break the rule and keep it, as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmtable.checks import check, pages
from dmtable.checks.pages import page
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.devices import read_number
from dmtable.io.memory import MemoryDevice
from dmtable.language.diagnostics import Diagnostic, Rule, Severity
from dmtable.language.rules import all_rules
from dmtable.units import SECTOR_BYTES

_BLOCK = re.compile(r"^```dm (bad|good)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(r"# (devices|folder|md|empty|escaped|widen)\b:?(.*)\n")
_RULES = pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)


def _blocks(rule: Rule) -> dict[str, str]:
    blocks = _BLOCK.findall(page(rule.code))
    assert [kind for kind, _ in blocks] == ["bad", "good"]
    return dict(blocks)


def _found(block: str, root: Path) -> list[Diagnostic]:
    """What check says to a block in the world that its first lines describe."""
    world: dict[str, str] = {}
    while match := _DIRECTIVE.match(block):
        world[match[1]] = match[2].strip()
        block = block[match.end() :]
    if "widen" in world:
        block = "".join(line.ljust(int(world["widen"])) + "\n" for line in block.splitlines())
    text = block.encode("latin-1").decode("unicode_escape").encode("latin-1") if "escaped" in world else block
    if not world.keys() & {"devices", "folder", "empty"}:
        return check(text, md=world.get("md"))
    with DeviceMapper(root=root) as dm:
        for word in world.get("devices", "").split():
            path, sectors, block_bytes = re.fullmatch(r"([^=]+)=(\d+)(?:/(\d+))?", word).groups()  # type: ignore[union-attr]
            device = MemoryDevice(int(sectors) * SECTOR_BYTES, logical_block_size=int(block_bytes or SECTOR_BYTES))
            dm.add(device, path, read_number(path))
        if "folder" in world:
            (root / world["folder"].lstrip("/")).mkdir(parents=True)
        if "empty" in world:
            dm.create(world["empty"])
        return check(text, dm, md=world.get("md"))


@_RULES
def test_the_bad_table_breaks_the_rule(rule: Rule, tmp_path: Path) -> None:
    assert rule in [each.rule for each in _found(_blocks(rule)["bad"], tmp_path)]


@_RULES
def test_the_good_table_keeps_it_and_has_no_error(rule: Rule, tmp_path: Path) -> None:
    found = _found(_blocks(rule)["good"], tmp_path)
    assert rule not in [each.rule for each in found]
    assert [each.what for each in found if each.severity is Severity.ERROR] == []


_COMPANIONS = {
    "DM306": {"DM106"},
    "DM501": {"DM205"},
    "DM502": {"DM205"},
}
"""What is found as well: a number in bytes makes the device too small, a name that is too long is no target's."""


@_RULES
def test_one_mistake_is_told_once(rule: Rule, tmp_path: Path) -> None:
    others = {each.code for each in _found(_blocks(rule)["bad"], tmp_path) if each.rule is not rule}
    assert others - {"DM107"} == _COMPANIONS.get(rule.code, set())


@_RULES
def test_the_page_is_short_and_has_the_rules_title(rule: Rule) -> None:
    text = page(rule.code)
    assert text.startswith(f"# {rule.code}: {rule.title}\n\n")
    prose = [line for line in _BLOCK.sub("", text).splitlines()[1:] if line]
    assert 2 <= len(prose) <= 15
    assert max(map(len, prose)) <= 120


def test_no_page_is_without_a_rule() -> None:
    folder = Path(pages.__file__).parent / "explain"
    assert {path.name for path in folder.iterdir()} == {f"{rule.code}.md" for rule in all_rules()}
