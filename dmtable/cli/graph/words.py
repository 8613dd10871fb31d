"""The words on nodes and edges, where a drawing program of its own places them."""

from __future__ import annotations

from dmtable.cli.graph.picture import Node, Segment

_MOST = 4


def edge_words(node: Node, below: str) -> list[str]:
    """What leads from a table to a node below it: a line for each segment, or their number."""
    uses = [(segment, use) for segment in node.segments for use in segment.uses if use.node == below]
    if len(uses) > _MOST:
        lines = sum({segment.start: segment.lines for segment, _ in uses}.values())
        return [f"{lines:,} lines", f"{uses[0][0].start}-{_end(uses[-1][0])}"]
    return [f"{segment.sectors} {segment.label} → {use.sectors}".removesuffix(" → ") for segment, use in uses]


def lone_words(node: Node) -> list[str]:
    """The segments that stand on nothing, such as zero and error."""
    lone = [segment for segment in node.segments if not segment.uses]
    if len(lone) > _MOST:
        return [f"{sum(segment.lines for segment in lone):,} lines on no device"]
    return [f"{segment.sectors} {segment.label}" for segment in lone]


def _end(segment: Segment) -> int:
    return segment.start + segment.length - 1
