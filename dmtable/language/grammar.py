"""What the grammar knows of a line: whether it is well formed, and the role of each of its words.

`grammar.lark` is the grammar of record. Building its parser takes longer than reading most tables, so the
targets of nearly every table have their roles from the small functions here, which tests hold equal to it.
Lark is asked about the replicator and about targets that third parties add.

An entry point of the group `dmtable.grammars` has the name of a target and leads to a string of Lark rules,
which add the target with `%extend mapping: …`. Terminals are named after roles: DEVICE, SIZE, KIND_CORE.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from dmtable.errors import DmtableError
from dmtable.language.numbers import is_decimal, strtoull
from dmtable.language.tree import Line, Role, Source, Span, Word

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from lark import Lark

START_SYMBOLS = ("table", "shape", "mapping", "concise")
EXTENSIONS = "dmtable.grammars"
REPLICATORS = frozenset({"replicator", "replicator-dev"})

_HEAD = (Role.START, Role.LENGTH, Role.TARGET)


def read_line(source: Source, words: Sequence[tuple[int, int]]) -> Line | None:
    """The line of these words as it stands, None where it is not well formed.

    Well formed is: two numbers in plain digits, a target, any words, none of which ends in a backslash. A
    number of more than 64 bits has dmsetup's value for it, 2^64 - 1.
    """
    if len(words) < 3:
        return None
    text = source.text
    start, length = (text[slice(*span)] for span in words[:2])
    if not (is_decimal(start) and is_decimal(length)) or any(text[end - 1] == "\\" for _, end in words):
        return None
    return make_line(source, words, sectors(start), sectors(length))


def sectors(digits: str) -> int:
    """The value of plain digits as dmsetup takes it: at most 2^64 - 1."""
    if len(digits) < 20:
        return int(digits)
    number = strtoull(digits, 0)
    assert number is not None, "callers pass digits"
    return number[0]


def make_line(source: Source, words: Sequence[tuple[int, int]], start: int, length: int) -> Line:
    """A line of these stretches of text, at least three: start, length, target and its words with their roles."""
    texts = [source.text[slice(*span)] for span in words]
    roles = _HEAD + line_roles(texts[2], texts[3:])
    tokens = tuple(map(Word, texts, _spans(source, words), roles))
    first, last = tokens[0].span, tokens[-1].span
    return Line(start, length, texts[2], tokens, Span(first.start, last.end, first.line, first.column))


def _spans(source: Source, words: Sequence[tuple[int, int]]) -> list[Span]:
    starts = source.line_starts
    number = bisect_right(starts, words[0][0])
    at = starts[number - 1]
    if number < len(starts) and words[-1][0] >= starts[number]:
        return [source.span(start, end) for start, end in words]
    return [Span(start, end, number, start - at + 1) for start, end in words]


def line_roles(target: str, words: Sequence[str]) -> tuple[Role, ...]:
    """The roles of a target's words; all are plain words where they do not fit its rule or it has none.

    Raises DmtableError where the target's grammar is an extension that does not load.
    """
    quick = _QUICK.get(target)
    if quick is not None:
        roles = quick(words)
    elif target in REPLICATORS:
        roles = _ask_lark(parser(), target, words)
    elif target in extensions():
        roles = _ask_lark(parser(target), target, words)
    else:
        roles = None
    return (Role.WORD,) * len(words) if roles is None else roles


def _linear(words: Sequence[str]) -> tuple[Role, ...] | None:
    return (Role.DEVICE, Role.OFFSET) if len(words) == 2 and is_decimal(words[1]) else None


def _striped(words: Sequence[str]) -> tuple[Role, ...] | None:
    if len(words) < 4 or len(words) % 2 or not is_decimal("".join(words[3::2])):
        return None
    if not all(is_decimal(word.removeprefix("+")) for word in words[:2]):
        return None
    return (Role.COUNT, Role.SIZE) + (Role.DEVICE, Role.OFFSET) * (len(words) // 2 - 1)


def _zero(words: Sequence[str]) -> tuple[Role, ...] | None:
    return None if words else ()


def _plain(words: Sequence[str]) -> None:
    return None


_QUICK: Mapping[str, Callable[[Sequence[str]], tuple[Role, ...] | None]] = {
    "linear": _linear,
    "striped": _striped,
    "zero": _zero,
    "error": _plain,
}
_OWN = REPLICATORS | _QUICK.keys()


def _ask_lark(lark: Lark, target: str, words: Sequence[str]) -> tuple[Role, ...] | None:
    from lark import Token, UnexpectedInput

    try:
        tree = lark.parse(" ".join([target, *words]), start="mapping")
    except UnexpectedInput:
        return None
    tokens = [token for token in tree.scan_values(lambda value: isinstance(value, Token)) if token.type != "_WS"]
    if tokens != [target, *words]:
        return None  # an extension whose terminals are not words has no say about them
    return tuple(role_of(token.type) for token in tokens[1:])


def role_of(terminal: str) -> Role:
    """The role that a terminal's name begins with: SIZE_CHUNK is a size; WORD where it begins with none."""
    return Role.__members__.get(terminal.partition("_")[0], Role.WORD)


@cache
def parser(extension: str | None = None) -> Lark:
    """The grammar's LALR parser, for every symbol in START_SYMBOLS; with one extension added where it is named.

    Raises DmtableError where the extension does not load.
    """
    from importlib.resources import files

    from lark import Lark

    grammar = files("dmtable").joinpath("grammar.lark").read_text(encoding="utf-8")
    options = {"parser": "lalr", "start": list(START_SYMBOLS), "keep_all_tokens": True}
    if extension is None:
        return Lark(grammar, **options)
    entry = extensions()[extension]
    try:
        return Lark(f"{grammar}\n{_rules(entry.load())}\n", **options)
    except Exception as error:  # whatever foreign code raises
        raise DmtableError(f"grammar extension {extension!r} ({entry.value}) does not load: {error}") from error


def _rules(loaded: object) -> str:
    if not isinstance(loaded, str):
        raise TypeError(f"it leads to {type(loaded).__name__}, not to a string of rules")
    return loaded


@cache
def extensions() -> Mapping[str, EntryPoint]:
    """The targets whose grammar somebody else provides; a target of our own is never among them."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=EXTENSIONS) if entry.name not in _OWN}
