"""Railroad diagrams of the grammar of record, and a list of its words. The grammar is read with Lark's own of grammars.

Blanks between words are left out. A rule that ends in itself is drawn as a loop; a rule's name loses its underscore.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

import railroad
from lark import Lark, Token, Tree

_DRAWN = (
    "table", "_row", "line", "mapping", "linear", "striped", "zero", "other", "replicator", "replicator_dev", "_sites",
    "_links", "_copies", "_copy", "_fall_behind", "_dirty_log", "_first_state", "concise", "device",
)  # fmt: skip
_UNSEEN = re.compile(r"_WS|_NEXT|_REST|_LINE_END")
_STRING = re.compile(r'"(.*)"i?')

_Node = Any
"""One of the package, which only the extra docs brings."""
_Branch = Tree[Token]


def diagrams() -> str:
    """A heading and a diagram for each rule that people write by."""
    rules = {str(rule.children[0]): rule for rule in _grammar().find_data("rule")}
    return "\n\n".join(f"### {_shown(name)}\n\n{_diagram(name, rules[name])}" for name in _DRAWN)


def words() -> str:
    """What each kind of word may be, as the grammar has it."""
    lines = (line.split(":", 1) for line in _text().splitlines() if re.match(r"[A-Z][A-Z_]*(\.\d)?:", line))
    rows = (f"| {name.split('.')[0]} | `{pattern.strip().replace('|', chr(92) + '|')}` |" for name, pattern in lines)
    return "\n".join(["| word | is |", "|---|---|", *rows])


def _text() -> str:
    return files("dmtable").joinpath("grammar.lark").read_text(encoding="utf-8")


def _grammar() -> _Branch:
    of_grammars = Lark.open_from_package("lark", "lark.lark", ["grammars"], parser="lalr", maybe_placeholders=False)
    return of_grammars.parse(_text() + "\n")


def _diagram(name: str, rule: _Branch) -> str:
    body = rule.children[-1]
    parts = [part for part in _sequence(body) if not _is_unseen(part)]
    if parts and _is_itself_again(parts[-1], name):
        drawn: _Node = railroad.OneOrMore(_in_row(parts[:-1]))
    else:
        drawn = _item(body)
    out = io.StringIO()
    railroad.Diagram(drawn).writeSvg(out.write)
    svg = re.sub(r"\s*\n\s*", " ", out.getvalue())
    label = f'<svg role="img" aria-label="The rule {escape(_shown(name))}" '
    return f'<div class="railroad">{svg.replace("<svg ", label, 1)}</div>'


def _item(part: _Branch | Token) -> _Node:
    """A part of a rule as it is drawn."""
    if isinstance(part, Token):
        return _word(str(part))
    match part.data:
        case "expansions":
            choices = [_item(each) for each in part.children]
            return choices[0] if len(choices) == 1 else railroad.Choice(0, *choices)
        case "expansion" | "alias":
            return _in_row(part.children)
        case "expr":
            inner, operator = _item(part.children[0]), str(part.children[1])
            return {"?": railroad.Optional, "*": railroad.ZeroOrMore, "+": railroad.OneOrMore}[operator](inner)
        case "name" | "literal":
            return _word(str(part.children[0]))
    raise ValueError(f"nobody knows how to draw {part.data}")


def _in_row(parts: list[_Branch | Token]) -> _Node:
    seen = [_item(part) for part in parts if not _is_unseen(part)]
    return seen[0] if len(seen) == 1 else railroad.Sequence(*seen)


def _word(name: str) -> _Node:
    if string := _STRING.fullmatch(name):
        return railroad.Terminal(string[1])
    if name in _LITERALS:
        return railroad.Terminal(_LITERALS[name])
    if name.isupper():
        return railroad.Terminal(name.lstrip("_"))
    return railroad.NonTerminal(_shown(name), f"#{_shown(name)}")


def _sequence(body: _Branch | Token) -> list[_Branch | Token]:
    while isinstance(body, Tree) and body.data == "expansions" and len(body.children) == 1:
        body = body.children[0]
    return list(body.children) if isinstance(body, Tree) and body.data == "expansion" else [body]


def _is_itself_again(part: _Branch | Token, name: str) -> bool:
    return isinstance(part, Tree) and part.data == "expr" and [*_names(part)] == [name]


def _is_unseen(part: _Branch | Token) -> bool:
    names = [*_names(part)]
    return bool(names) and all(_UNSEEN.fullmatch(name) for name in names)


def _names(part: _Branch | Token) -> Iterator[str]:
    """The names of all rules and words in a part, and its strings."""
    if isinstance(part, Token):
        if part.type != "OP":
            yield str(part)
    else:
        for child in part.children:
            yield from _names(child)


def _shown(name: str) -> str:
    return name.lstrip("_").replace("_", "-")


_LITERALS = {match[1]: match[2] for match in re.finditer(r'^([A-Z_]+): "([^"]+)"$', _text(), re.MULTILINE)}
"""Words that are one string, by name."""
