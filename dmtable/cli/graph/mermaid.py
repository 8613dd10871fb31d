"""A stack as a Mermaid flowchart, which GitHub and GitLab draw in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dmtable.cli.graph.picture import Node, Picture
from dmtable.cli.graph.words import edge_words, lone_words

_ODD = re.compile(r"[^\w ./:+,()×→-]")


def draw(picture: Picture) -> Iterator[str]:
    """The flowchart in lines."""
    yield "flowchart TD\n"
    for node in picture.nodes.values():
        yield f"    {node.id}{_box(node)}\n"
    for node in picture.nodes.values():
        for below in node.below:
            label = "<br/>".join(map(_quoted, edge_words(node, below)))
            yield f'    {node.id} -->|"{label}"| {below}\n'


def _box(node: Node) -> str:
    words = [f"<b>{_quoted(node.name)}</b>", *map(_quoted, [node.size, node.file, *lone_words(node)])]
    label = "<br/>".join(word for word in words if word)
    return f'["{label}"]' if node.segments else f'[("{label}")]'


def _quoted(text: str) -> str:
    """Text that Mermaid takes for nothing else: what might mean something, as the number of the character."""
    return _ODD.sub(lambda odd: f"#{ord(odd[0])};", text)
