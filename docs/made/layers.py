"""The picture of the architecture: a box for each layer, above all that it imports, drawn from the imports themselves.

An arrow leads from a layer to each that it imports and that no other of its imports leads to. Colours follow the
reader's light or dark setting, as those of the pages do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path

import dmtable

_PACKAGE = Path(dmtable.__file__).parent
_WIDTH = 860
_BOX_WIDTH, _BOX_HEIGHT = 204, 92
_GAP = 14
_ROW_HEIGHT = 126
_LINE_LETTERS = 34
_LINES = 4
_DETOUR = 16
_NOT_LAYERS = {"dmtable", "__main__", "on_demand"}

Edges = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float

    @property
    def top(self) -> tuple[float, float]:
        return self.x + _BOX_WIDTH / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + _BOX_WIDTH / 2, self.y + _BOX_HEIGHT


def picture() -> str:
    """The SVG, in one line of HTML."""
    edges = imports()
    rows = _rows(edges)
    boxes = {layer: _box_at(depth, at, len(row)) for depth, row in enumerate(rows) for at, layer in enumerate(row)}
    height = len(rows) * _ROW_HEIGHT - _ROW_HEIGHT + _BOX_HEIGHT + 16
    parts = [
        f'<svg class="layers" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'aria-label="The layers of dmtable and what they import">',
        *(_arrow(boxes, layer, below) for layer in edges for below in sorted(_direct(edges, layer))),
        *(_box(layer, box) for layer, box in boxes.items()),
        "</svg>",
    ]
    return "".join(parts)


@cache
def imports() -> Edges:
    """Which layers each layer imports, for types and lazily too."""
    edges: Edges = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        layer = _layer(path)
        if layer not in _NOT_LAYERS:
            edges.setdefault(layer, set()).update(_imported(path) - {layer} - _NOT_LAYERS)
    return edges


def _layer(path: Path) -> str:
    name = path.relative_to(_PACKAGE).with_suffix("").parts[0]
    return "dmtable" if name == "__init__" else name


def _imported(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    modules = (node.module or "" for node in nodes if isinstance(node, ast.ImportFrom))
    return {module.split(".")[1] for module in modules if module.startswith("dmtable.")}


def _rows(edges: Edges) -> list[list[str]]:
    """The layers by how far they are from the ground, the highest first."""

    @cache
    def height(layer: str) -> int:
        return max((height(below) + 1 for below in edges[layer]), default=0)

    rows: list[list[str]] = [[] for _ in range(max(map(height, edges)) + 1)]
    for layer in sorted(edges):
        rows[height(layer)].append(layer)
    return rows[::-1]


def _direct(edges: Edges, layer: str) -> set[str]:
    """What a layer imports and does not reach through another of its imports."""

    @cache
    def reached(below: str) -> frozenset[str]:
        return frozenset().union(edges[below], *map(reached, edges[below]))

    return edges[layer] - frozenset().union(*map(reached, edges[layer]))


def _arrow(boxes: dict[str, _Box], layer: str, below: str) -> str:
    """Straight down to the next row; a longer way leads round the boxes between."""
    upper, lower = boxes[layer], boxes[below]
    if lower.y - upper.y <= _ROW_HEIGHT:
        (x, y), (to_x, to_y) = upper.bottom, lower.top
        middle = (y + to_y) / 2
        return f'<path class="arrow" d="M{x} {y}C{x} {middle} {to_x} {middle} {to_x} {to_y}"/>'
    passed = [box for box in boxes.values() if upper.y < box.y < lower.y]
    to_the_right = lower.x >= upper.x
    y, to_y = upper.y + _BOX_HEIGHT / 2, lower.y + _BOX_HEIGHT / 2
    if to_the_right:
        x, to_x = upper.x + _BOX_WIDTH, lower.x + _BOX_WIDTH
        side = max(x, to_x, *(box.x + _BOX_WIDTH for box in passed)) + _DETOUR
    else:
        x, to_x = upper.x, lower.x
        side = min(x, to_x, *(box.x for box in passed)) - _DETOUR
    turn, back = y + _ROW_HEIGHT / 2, to_y - _ROW_HEIGHT / 2
    return (
        f'<path class="arrow" d="M{x} {y}C{side} {y} {side} {y} {side} {turn}V{back}'
        f'C{side} {to_y} {side} {to_y} {to_x} {to_y}"/>'
    )


def _box_at(depth: int, at: int, of: int) -> _Box:
    """The place of one of so many boxes of a row."""
    step = _BOX_WIDTH + _GAP
    return _Box((_WIDTH - of * step + _GAP) / 2 + at * step, 8 + depth * _ROW_HEIGHT)


def _box(layer: str, box: _Box) -> str:
    words = "".join(
        f'<text class="note" x="{box.x + 12}" y="{box.y + 37 + 15 * at}">{escape(line)}</text>'
        for at, line in enumerate(_folded(_purpose(layer)))
    )
    return (
        f'<rect class="layer" x="{box.x}" y="{box.y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="7"/>'
        f'<text class="name" x="{box.x + 12}" y="{box.y + 20}">{escape(layer)}</text>{words}'
    )


def _purpose(layer: str) -> str:
    """The first sentence of what a layer says of itself."""
    path = _PACKAGE / layer / "__init__.py"
    path = path if path.exists() else _PACKAGE / f"{layer}.py"
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(told.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _folded(text: str) -> Iterator[str]:
    """The text in a few lines; what finds no room is left out."""
    words = text.split()
    starts = [0]
    for at in range(len(words)):
        if len(" ".join(words[starts[-1] : at + 1])) > _LINE_LETTERS:
            starts.append(at)
    lines = [" ".join(words[begin:end]) for begin, end in pairwise([*starts, len(words)])]
    yield from lines[:_LINES]
