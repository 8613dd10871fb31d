"""A stack as a tree of text: under each table its segments, then what it stands on."""

from __future__ import annotations

from collections.abc import Iterator

from dmtable.cli.graph.picture import Node, Picture, Segment


def draw(picture: Picture) -> Iterator[str]:
    """The tree in lines. A table that several stand on is drawn once and named elsewhere."""
    drawn: set[str] = set()
    todo = [(node, "", "") for node in reversed(picture.tops)]
    # A list of what is still to come and no recursion: stacks may be deeper than Python's calls.
    while todo:
        node, first, rest = todo.pop()
        if node.id in drawn:
            yield f"{first}{node.name} (above)\n"
            continue
        yield f"{first}{_title(node)}\n"
        if node.segments:
            drawn.add(node.id)
        below = [picture.nodes[node_id] for node_id in node.below]
        for at, segment in enumerate(node.segments, 1):
            last = at == len(node.segments) and not below
            yield f"{rest}{'└─' if last else '├─'} {_line(picture, segment)}\n"
        for at, child in reversed(list(enumerate(below, 1))):
            last = at == len(below)
            todo.append((child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")))


def _title(node: Node) -> str:
    return f"{node.name}  {node.size}" + (f"  {node.file}" if node.file else "")


def _line(picture: Picture, segment: Segment) -> str:
    places = ", ".join(f"{picture.nodes[use.node].name} {use.sectors}".rstrip() for use in segment.uses)
    return f"{segment.sectors} {segment.label}" + (f" on {places}" if places else "")
