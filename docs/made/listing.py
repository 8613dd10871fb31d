"""The reference of the API: signatures and docstrings, read from the source as they stand there."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

import dmtable
import dmtable.sim
import dmtable.testing

_PACKAGES = (dmtable, dmtable.sim, dmtable.testing)
_INTERFACES = (
    "dmtable.core.target:MapResult StatusKind Area DeviceRange Params Context Target",
    "dmtable.core.bio:Op Bio",
    "dmtable.core.registry:Registry",
    "dmtable.io.device:BlockDevice",
    "dmtable.runtime.runtime:Worker RunningWorker Runtime Completion",
    "dmtable.dirtylog.log:DirtyLog",
    "dmtable.replog.log:Entry LogFullError Membership Damage RecoveryReport ReplogParams LogPlace ReplicationLog",
    "dmtable.slink.link:Measure FallBehind Policy DeviceError SiteDevice SiteLink",
)
"""What plug-ins are written against, beside the packages' names."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def names() -> str:
    """All public names, by package."""
    parts = []
    for package in _PACKAGES:
        parts.append(f"## {package.__name__}")
        parts += (_told(name, home) for name, home in _homes(package))
    return "\n\n".join(parts)


def interfaces() -> str:
    """The classes that a plug-in derives from, and what they are handed."""
    parts = []
    for interface in _INTERFACES:
        module, _, found = interface.partition(":")
        parts.append(f"## {module}")
        parts += (_told(name, module) for name in found.split())
    return "\n\n".join(parts)


def _homes(package: ModuleType) -> list[tuple[str, str]]:
    """Each name, and the module that it comes from."""
    tree = ast.parse(Path(str(package.__file__)).read_text())
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return sorted((alias.asname, str(node.module)) for node in imports for alias in node.names if alias.asname)


def _told(name: str, home: str) -> str:
    """A name's signature, docstring and members."""
    body = ast.parse(Path(str(importlib.import_module(home).__file__)).read_text()).body
    for node, below in zip_longest(body, body[1:]):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _class(node, home)
        if isinstance(node, _Function) and node.name == name:
            return "\n\n".join([f"### {name}", _code(_signature(node)), _doc(node)])
        if isinstance(node, ast.Assign) and [each.id for each in node.targets if isinstance(each, ast.Name)] == [name]:
            return "\n\n".join([f"### {name}", _code(ast.unparse(node)), _below(below)])
    package = importlib.import_module(home)
    if hasattr(package, "__path__"):
        # A package shows the names of its modules.
        return _told(name, dict(_homes(package))[name])
    raise LookupError(f"{home} has no {name}")


def _class(node: ast.ClassDef, home: str) -> str:
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    decorators = [f"@{ast.unparse(each)}" for each in node.decorator_list]
    parts = [f"### {node.name}", _code("\n".join([*decorators, f"class {node.name}{bases}"])), _doc(node)]
    return "\n\n".join([*parts, *_members(node)])


def _members(node: ast.ClassDef) -> Iterator[str]:
    """What of a class is for others, in the order of the source."""
    for member, below in zip_longest(node.body, node.body[1:]):
        if isinstance(member, _Function):
            if not member.name.startswith("_"):
                prefix = "".join(f"@{ast.unparse(each)}\n" for each in member.decorator_list)
                yield _entry(prefix + _signature(member), ast.get_docstring(member))
        elif isinstance(member, ast.AnnAssign | ast.Assign):
            target = member.target if isinstance(member, ast.AnnAssign) else member.targets[0]
            if isinstance(target, ast.Name) and not target.id.startswith("_"):
                yield _entry(ast.unparse(member), _below(below))


def _entry(signature: str, doc: str | None) -> str:
    """The signature, and below it what it means."""
    told = (doc or "").replace("\n", "\n  ")
    return f"- `{' '.join(signature.replace('def ', '').split())}`" + (f"\n\n  {told}" if told else "")


def _signature(node: _Function) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"def {node.name}({ast.unparse(node.args)}){returns}"


def _doc(node: ast.ClassDef | _Function) -> str:
    return ast.get_docstring(node) or ""


def _below(node: ast.stmt | None) -> str:
    """The docstring below an attribute."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
