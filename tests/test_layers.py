"""Imports only go down, and nobody touches another module's private names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dmtable"
LAYERS = [
    "cli",
    "daemon",
    "nodes",
    "control",
    "testing",
    "sim",
    "checks",
    "targets",
    "replog",
    "slink",
    "dirtylog",
    "core",
    "language",
    "io",
    "runtime",
    "units",
    "errors",
    "on_demand",
]
"""From the top down."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text())


def layer(module: str) -> int | None:
    parts = module.split(".")
    return LAYERS.index(parts[1]) if len(parts) > 1 and parts[1] in LAYERS else None


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) for everything imported from dmtable anywhere in a module, lazily or for types too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dmtable"):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("dmtable"))


def test_imports_only_go_down() -> None:
    wrong = []
    for name, tree in modules():
        mine = layer(name)
        for imported, _ in imports(tree):
            theirs = layer(imported)
            if mine is not None and theirs is not None and theirs < mine:
                wrong.append((name, imported))
    assert not wrong


def test_nobody_imports_a_private_name() -> None:
    imported = [(name, what) for name, tree in modules() for _, what in imports(tree)]
    assert not [pair for pair in imported if pair[1].startswith("_") and not pair[1].startswith("__")]


@pytest.mark.parametrize("banned", ["time.sleep", "time.time", "time.monotonic", "threading.Thread", "threading.Timer"])
def test_only_the_runtime_knows_time_and_threads(banned: str) -> None:
    module, _, attribute = banned.partition(".")
    users = [
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == attribute
        and isinstance(node.value, ast.Name)
        and node.value.id == module
    ]
    allowed = {"dmtable.runtime.threads"}
    allowed |= {"threading.Thread": {"dmtable.sim.task"}, "time.monotonic": {"dmtable.runtime.crew"}}.get(banned, set())
    assert set(users) <= allowed


def test_every_module_says_what_it_is_for() -> None:
    assert not [name for name, tree in modules() if not ast.get_docstring(tree)]


def test_there_are_no_circles() -> None:
    """Not even by imports that are lazy or for types alone; the package's own list of names is no layer."""
    edges = {name: {imported for imported, _ in imports(tree)} for name, tree in modules() if name != "dmtable"}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for below in edges.get(name, ()):
                visit(below, (*above, name))
            done.add(name)

    for name in edges:
        visit(name, ())
