"""The public names: each in one place, each with a meaning."""

from __future__ import annotations

import inspect
import subprocess
import sys

import dmtable


def test_every_public_name_exists_and_is_documented() -> None:
    for name in dmtable.__all__:
        value = getattr(dmtable, name)
        assert inspect.getdoc(value), f"dmtable.{name} has no docstring"
        assert value.__name__ == name


def test_names_that_static_tools_see_are_those_that_exist() -> None:
    import ast
    from pathlib import Path

    tree = ast.parse(Path(dmtable.__file__).read_text())
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    assert {alias.asname for node in imports for alias in node.names if alias.asname} == set(dmtable.__all__)


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, dmtable; print([m for m in sys.modules if m.startswith('dmtable.') or m == 'lark'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(dmtable, "nope")
