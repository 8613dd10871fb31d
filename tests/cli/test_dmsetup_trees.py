"""`ls --tree`, where recordings do not reach: any stack, deep ones, any locale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.control.interface import DmIoctl, TargetLine
from tests.cli.dmsetups import Answer, Dmsetup


@pytest.fixture
def dmsetup() -> Dmsetup:
    return Dmsetup()


def naive_tree(below: Mapping[str, Sequence[str]], name: str, indent: str = "") -> list[str]:
    """The lines below a device, drawn the obvious way."""
    lines = []
    for child in below[name]:
        is_last = child == below[name][-1]
        lines.append(f"{indent} {'`-' if is_last else '|-'}{child}")
        lines += naive_tree(below, child, indent + ("   " if is_last else " | "))
    return lines


@given(st.lists(st.sets(st.integers(0, 6), max_size=3), max_size=7))
def test_any_stack_is_drawn_as_it_stands(uses: list[set[int]]) -> None:
    dmsetup = Dmsetup()
    below: dict[str, list[str]] = {" (7:0)": []}
    names = [f"d{minor} (253:{minor})" for minor in range(len(uses))]
    for minor, used in enumerate(uses):
        numbers = [f"253:{other}" for other in sorted(used) if other < minor] or ["7:0"]
        lines = [f"{8 * at} 8 linear {number} 0" for at, number in enumerate(numbers)]
        assert dmsetup("create", f"d{minor}", "--table", "\n".join(lines)).code == 0
        children = [names[other] for other in sorted(used, reverse=True) if other < minor]
        below[names[minor]] = children or [" (7:0)"]
    used_names = {name for children in below.values() for name in children}
    roots = [name for name in names if name not in used_names]
    expected = [line for root in roots for line in (root, *naive_tree(below, root))]
    answer = dmsetup("ls", "--tree", "-o", "ascii,notrunc")
    assert answer == Answer(0, "".join(f"{line}\n" for line in expected or ["No devices found"]), "")


def test_a_tree_may_be_deeper_than_python_recurses(dmsetup: Dmsetup) -> None:
    depth = 1100
    for minor in range(depth):
        below = f"253:{minor - 1}" if minor else "7:0"
        dmsetup.control.dev_create(DmIoctl(f"d{minor}"))
        dmsetup.control.table_load(DmIoctl(f"d{minor}"), [TargetLine(0, 8, "linear", f"{below} 0")])
        dmsetup.control.dev_suspend(DmIoctl(f"d{minor}"))
    lines = dmsetup("ls", "--tree", "-o", "compact,notrunc").out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"d{depth - 1} (253:{depth - 1})---d{depth - 2} ")
    assert lines[0].endswith("---d0 (253:0)--- (7:0)")
    dmsetup.mapper.close()


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, " `- (7:0)"),
        ({"LANG": "C"}, " `- (7:0)"),
        ({"LANG": "en_GB.UTF-8"}, " └─ (7:0)"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, " `- (7:0)"),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, " └─ (7:0)"),
    ],
)
def test_a_tree_is_drawn_in_the_characters_of_the_locale(dmsetup: Dmsetup, environ: dict[str, str], line: str) -> None:
    dmsetup("create", "a", "--table", "0 8 linear 7:0 0")
    assert dmsetup("ls", "--tree", environ=environ).out == f"a (253:0)\n{line}\n"
