"""A stack in Graphviz's language."""

from __future__ import annotations

from collections.abc import Iterator

from dmtable.cli.graph.picture import Picture
from dmtable.cli.graph.words import edge_words, lone_words


def draw(picture: Picture) -> Iterator[str]:
    """The digraph in lines; disks stand side by side at the bottom."""
    yield "digraph stack {\n"
    yield '    node [shape=box, style=rounded, fontname="Helvetica"]\n'
    yield '    edge [fontname="Helvetica", fontsize=10]\n'
    for node in picture.nodes.values():
        shape = "" if node.segments else ", shape=cylinder, style=solid"
        words = [node.name, node.size, node.file, *lone_words(node)]
        yield f"    {node.id} [label={_quoted([word for word in words if word])}{shape}]\n"
    disks = [node.id for node in picture.nodes.values() if not node.segments]
    yield f"    {{ rank=same; {' '.join(disks)} }}\n"
    for node in picture.nodes.values():
        for below in node.below:
            yield f"    {node.id} -> {below} [label={_quoted(edge_words(node, below))}]\n"
    yield "}\n"


def _quoted(lines: list[str]) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
