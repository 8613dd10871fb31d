"""A table as JSON, for programs that had rather not parse tables.

    {"lines": [
    {"start": 0, "length": 2048, "target": "linear", "words": ["/dev/sda", "0"]}
    ]}

`start` and `length` are whole numbers of 512-byte sectors below 2^64. `target` and `words` are the words
of the line as text: none is empty, has a blank in it, begins with `#` or ends with a backslash. Words have
no roles here: these follow from the target, and whoever needs them has `dmtable.parse`. There are no other
keys, and none may be missing. Bytes that are no UTF-8 are lone surrogates, as in Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dmtable.errors import DmtableError
from dmtable.language.diagnostics import TableError
from dmtable.language.numbers import U64
from dmtable.language.parser import parse
from dmtable.language.tree import Columns, Table

_KEYS = ("start", "length", "target", "words")
_WORD = re.compile(r"[^ \t\n\v\f\r#][^ \t\n\v\f\r]*(?<!\\)")

_Values = tuple[int, int, str, list[str]]


class JsonTableError(DmtableError):
    """JSON that is no table; the message begins with the place in it: `t.json: lines[3].start: …`."""


def write_json(table: Table) -> Iterator[str]:
    """The document in pieces, one for each line, made as they are asked for."""
    yield '{"lines": ['
    separator = "\n"
    for values in _values(table):
        yield separator + json.dumps(dict(zip(_KEYS, values, strict=True)))
        separator = ",\n"
    yield "\n]}\n"


def read_json(text: str, name: str = "<json>") -> Table:
    """The table of a document. Its source is the table's plain text, and there each line has a line of its own.

    Raises JsonTableError, with the place in the document, where anything is not as described above.
    """
    plain = "".join(
        " ".join([str(start), str(length), target, *words]) + "\n" for start, length, target, words in _read(text, name)
    )
    try:
        return parse(plain, name)
    except TableError as error:
        first = error.diagnostics[0]
        raise JsonTableError(f"{name}: lines[{first.span.line - 1}]: {first.code} {first.what}") from error


def _values(table: Table) -> Iterator[_Values]:
    for piece in table.pieces:
        if isinstance(piece, Columns):
            for row in range(len(piece)):
                start, length, device, offset = piece.values(row)
                yield start, length, piece.target, [device, str(offset)]
        else:
            yield piece.start, piece.length, piece.target, piece.texts()


def _read(text: str, name: str) -> Iterator[_Values]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise JsonTableError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # numbers and nesting beyond Python's own limits
        raise JsonTableError(f"{name}: not a table: {error}") from error
    _expect_keys(document, ("lines",), name)
    _expect(isinstance(document["lines"], list), f"{name}: lines", "a list", document["lines"])
    for index, line in enumerate(document["lines"]):
        yield _read_line(line, f"{name}: lines[{index}]")


def _read_line(line: Any, place: str) -> _Values:
    _expect_keys(line, _KEYS, place)
    for key in ("start", "length"):
        number = line[key]
        is_sector = type(number) is int and 0 <= number < U64
        _expect(is_sector, f"{place}.{key}", "a whole number from 0 to 2^64 - 1", number)
    _expect_word(line["target"], f"{place}.target")
    _expect(isinstance(line["words"], list), f"{place}.words", "a list", line["words"])
    for index, word in enumerate(line["words"]):
        _expect_word(word, f"{place}.words[{index}]")
    return line["start"], line["length"], line["target"], line["words"]


def _expect(holds: bool, place: str, wanted: str, found: object) -> None:
    if not holds:
        raise JsonTableError(f"{place}: expected {wanted}, found {_shown(found)}")


def _expect_keys(found: Any, keys: tuple[str, ...], place: str) -> None:
    is_it = isinstance(found, dict) and set(found) == set(keys)
    _expect(is_it, place, f"an object with nothing but {', '.join(keys)}", found)


def _expect_word(found: object, place: str) -> None:
    is_word = isinstance(found, str) and _WORD.fullmatch(found) is not None
    _expect(is_word, place, "a word (no blanks, no `#` at its start, no backslash at its end)", found)


def _shown(found: object) -> str:
    text = json.dumps(found)
    return text if len(text) <= 60 else text[:57] + "…"
