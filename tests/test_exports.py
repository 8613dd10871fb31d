"""The public names: each in one place, each with a meaning."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import dmtable
import dmtable.sim
import dmtable.testing
from docs.made import made

PACKAGES = [dmtable, dmtable.sim, dmtable.testing]
each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)


def shown(package: ModuleType) -> dict[str, str]:
    """The name of each import that static tools see, and the module that it comes from."""
    tree = ast.parse(Path(str(package.__file__)).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname: str(node.module) for node in imports for alias in node.names if alias.asname}


def documented_aliases(module: str) -> set[str]:
    """The names of types in a module that have a docstring below them."""
    body = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text()).body
    return {
        node.targets[0].id
        for node, below in pairwise(body)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
    }


@each_package
def test_every_public_name_exists_and_is_documented(package: ModuleType) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{package.__name__}.{name} has no docstring"
            assert value.__name__ == name
            assert value.__module__.startswith(shown(package)[name])
        else:
            assert name in documented_aliases(shown(package)[name])


@each_package
def test_names_that_static_tools_see_are_those_that_exist(package: ModuleType) -> None:
    assert {*shown(package)} == {*package.__all__} == {*dir(package)} - {"__version__"}


def test_every_public_name_is_exported_once() -> None:
    names = [name for package in PACKAGES for name in package.__all__]
    assert len(names) == len({*names})


@each_package
def test_every_public_name_is_in_the_reference(package: ModuleType) -> None:
    assert {*package.__all__} <= {*re.findall(r"^### (\w+)$", made("names"), re.MULTILINE)}


@each_package
def test_no_name_is_a_module_too(package: ModuleType) -> None:
    """Whoever asks for it would get the one or the other, by what was imported before."""
    assert not {*package.__all__} & {module.name for module in pkgutil.iter_modules(package.__path__)}


@each_package
def test_importing_the_package_loads_nothing_else(package: ModuleType) -> None:
    code = f"import sys, {package.__name__}; print(*(m for m in sys.modules if m.startswith('dmtable') or m == 'lark'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} == {"dmtable", "dmtable.on_demand", package.__name__}


@each_package
def test_an_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    assert not hasattr(package, "nope")


def test_the_order_checker_stands_alone() -> None:
    code = "import sys; from dmtable.sim import History, tags; print(*(m for m in sys.modules if m.startswith('dmt')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    alone = {"dmtable", "dmtable.sim", "dmtable.sim.order", "dmtable.sim.ink"}
    assert {*done.stdout.split()} == alone | {"dmtable.on_demand", "dmtable.units", "dmtable.errors"}
