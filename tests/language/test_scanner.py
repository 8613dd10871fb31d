"""The scanner is held equal to the grammar, whatever the text; its columns to the plainest reading there is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lark import Token, Tree, UnexpectedInput

from dmtable.language import scanner
from dmtable.language.grammar import parser, read_line, role_of
from dmtable.language.lines import LogicalLine
from dmtable.language.scanner import SHORTEST_RUN, scan
from dmtable.language.tree import Columns, Line, Role, Source, Table, column_line
from tests.language.strategies import any_text, texts

Reading = list[list[tuple[str, int, int, Role]]]

LONGEST = 2**64 - 1


def scanned(text: str) -> list[Line] | None:
    """The lines of a text as the scanner reads it, None where one of them is not well formed."""
    source = Source(text)
    lines: list[Line] = []
    for piece in scan(source):
        if isinstance(piece, Columns):
            lines += Table(source, (piece,))
        elif isinstance(piece, Line):
            lines.append(piece)
        elif piece.words:
            line = read_line(source, piece.words)
            if line is None:
                return None
            lines.append(line)
    return lines


def words_of(lines: Sequence[Line]) -> Reading:
    return [[(word.text, word.span.start, word.span.end, word.role) for word in line.tokens] for line in lines]


def by_grammar(text: str) -> Reading | None:
    """The same by Lark alone: `shape` says what is well formed, `mapping` gives the roles where the words fit."""
    lines = parsed(text, "shape")
    if lines is None:
        return None
    return [
        [
            (str(token), token.start_pos or 0, token.end_pos or 0, role)
            for token, role in zip(line, [Role.START, Role.LENGTH, *mapping_roles(line[2:])], strict=True)
        ]
        for line in lines
    ]


def mapping_roles(words: Sequence[Token]) -> list[Role]:
    fitting = parsed(" ".join(words), "mapping")
    if fitting is None:
        return [Role.TARGET] + [Role.WORD] * (len(words) - 1)
    return [role_of(word.type) for word in fitting[0]]


def parsed(text: str, start: str) -> list[list[Token]] | None:
    try:
        tree = parser().parse(text, start=start)
    except UnexpectedInput:
        return None
    lines = [tree] if start == "mapping" else [child for child in tree.children if isinstance(child, Tree)]
    return [
        [token for token in line.scan_values(lambda value: isinstance(value, Token)) if token.type != "_WS"]
        for line in lines
    ]


def value(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return LONGEST if len(digits) > 20 else min(int(digits), LONGEST)


@given(any_text)
@example("0 8 linear a 0 8\n8 linear b 0")  # ten words, `linear` where it should be, and yet no two lines
@example("0 8 linear\n0\n")  # a line end where the device should be
@example("0 8 linear a 0 # 8 8 linear\n0\n")
@example("0 8 linear a 0 | 8 8 linear\n0\n")
@example("0 8 linear a 1_0\n")
@example("0 8 linear a -1\n")
@example("0 8 linear a true\n")
@example("0 8 linear a \u0661\n")
@example("0 8 linear a\x1c0\n")
@example("0 8 linear \\\na 0")
@example("0 8 zero \\")
@example("0 8 zero # \\\n8 8 zero")
@example("0 8 replicator default 2 d 0 local 2 0 2 0 d - 0")
def test_the_scanner_and_the_grammar_read_alike(text: str) -> None:
    lines = scanned(text)
    assert (None if lines is None else words_of(lines)) == by_grammar(text)
    for line in lines or ():
        assert (line.start, line.length) == (value(line.tokens[0].text), value(line.tokens[1].text))
        assert line.target == line.tokens[2].text


@given(any_text)
def test_a_text_is_a_table_where_all_words_fit(text: str) -> None:
    shape = parsed(text, "shape")
    fits = shape is not None and all(parsed(" ".join(line[2:]), "mapping") for line in shape)
    table = parsed(text, "table")
    assert (table is not None) == fits
    if table is not None:
        assert [[(word, role_of(word.type)) for word in line] for line in table] == [
            [(text, role) for text, _, _, role in line] for line in by_grammar(text) or ()
        ]


@given(any_text)
def test_a_span_is_where_its_word_stands(text: str) -> None:
    physical = text.split("\n")
    for line in scanned(text) or ():
        assert (line.span.start, line.span.end) == (line.tokens[0].span.start, line.tokens[-1].span.end)
        for word in line.tokens:
            assert text[word.span.start : word.span.end] == word.text
            assert physical[word.span.line - 1][word.span.column - 1 :].startswith(word.text)


@given(texts(), st.sampled_from([1, 30, 100, 1000]))
def test_the_size_of_chunks_does_not_show(text: str, size: int) -> None:
    whole = scanned(text)
    with patch.object(scanner, "CHUNK", size):
        assert scanned(text) == whole


def rows(count: int, *, first: int = 0, devices: int = 40) -> list[tuple[int, int, str, int]]:
    found, start = [], first
    for row in range(count):
        length = 8 + row % 5 * 8
        found.append((start, length, f"/dev/vg/pv{row * 7 % devices:02}", row * 1_000_003))
        start += length
    return found


def text_of(lines: Sequence[tuple[int, int, str, int]]) -> str:
    return "".join(f"{start} {length} linear {device} {offset}\n" for start, length, device, offset in lines)


def test_a_large_table_is_one_run_of_columns() -> None:
    lines = rows(20_000)
    source = Source(text_of(lines))
    (columns,) = scan(source)
    assert isinstance(columns, Columns)
    assert [columns.values(row) for row in range(len(columns))] == lines
    assert columns.devices == tuple(dict.fromkeys(device for _, _, device, _ in lines))
    assert (columns.starts.typecode, columns.offsets.typecode, columns.device_index.typecode) == ("q", "q", "H")
    assert len(columns.marks) == -(-len(source.text) // scanner.CHUNK)
    for row, at in columns.marks:
        assert source.text[at:].startswith(f"{lines[row][0]} ")
    for row in (0, 1, 999, 12_345, 19_999):
        assert [word.text for word in column_line(source, columns, row).tokens] == text_of(lines[row : row + 1]).split()


def test_more_devices_than_16_bits_can_count() -> None:
    lines = [(row, 1, f"d{row}", 0) for row in range((1 << 16) + 20)]
    text = text_of(lines)
    for each in (text, text.replace("linear d65530 0\n", "linear d65530 0\n\n")):
        columns = [piece for piece in scan(Source(each)) if isinstance(piece, Columns)]
        assert columns[0].device_index.typecode == "I"
        assert columns[0].values(len(lines) - 1) == lines[-1]
    short = scan(Source(text_of(lines[: 1 << 16])))[0]
    assert isinstance(short, Columns)
    assert short.device_index.typecode == "H"


def test_lines_read_one_by_one_have_marks_too() -> None:
    text = text_of(rows(5000)).replace(" 8 linear", " 08 linear")  # which no chunk as a whole may have
    (columns,) = scan(Source(text))
    assert isinstance(columns, Columns)
    assert len(columns.marks) == -(-len(text) // scanner.CHUNK)
    (columns,) = scan(Source(text.replace("\n", "\n\n")))
    assert isinstance(columns, Columns)
    assert len(columns.marks) == 5000


def test_a_row_behind_blank_lines_and_comments_is_found_where_it_stands() -> None:
    text = text_of(rows(30)).replace("\n", "\n\n \t\n# a comment\n", 12)
    source = Source(text)
    (columns,) = scan(source)
    assert isinstance(columns, Columns)
    assert [[word.text for word in line.tokens] for line in Table(source, (columns,))] == [
        line.split() for line in text.splitlines() if line.strip() and line[0] != "#"
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (text_of(rows(SHORTEST_RUN - 1)), ["line"] * (SHORTEST_RUN - 1)),
        (text_of(rows(SHORTEST_RUN)), ["columns"]),
        (text_of(rows(20)) + text_of(rows(20)), ["columns", "columns"]),
        (text_of(rows(20)) + "8 8 zero\n" + text_of(rows(20)), ["columns", "line", "columns"]),
        (text_of(rows(20)) + "x\n" + text_of(rows(20)), ["columns", "doubt", "columns"]),
        (text_of(rows(20)).replace("pv14", "pvé4", 1), ["line"] * 2 + ["doubt", "columns"]),
        (text_of(rows(20)).replace("pv14", "p\x014", 1), ["line"] * 2 + ["doubt", "columns"]),
        (text_of(rows(20, first=2**63 - 100)), ["line"] * 5 + ["doubt"] * 15),
        (text_of(rows(20)).replace("pv14", "p\\14", 1), ["line"] * 2 + ["doubt", "columns"]),
        (text_of(rows(20)) + "480 0 linear a 0\n", ["columns", "line"]),
        (text_of(rows(20)).replace(" 8 ", " 08 ") + "480 0 linear a 0\n", ["columns", "line"]),
        ("0 8 abcdefghijklmnop\n", ["doubt"]),
        ("# x\n\n \t\n", []),
        ("# é\n", ["doubt"]),
    ],
)
def test_what_becomes_columns_and_what_is_left_to_the_parser(text: str, kinds: list[str]) -> None:
    names = {Columns: "columns", Line: "line", LogicalLine: "doubt"}
    assert [names[type(piece)] for piece in scan(Source(text))] == kinds


@pytest.mark.parametrize("offset", ["007", "9223372036854775808", "7" * 5000, "true", "1e5", "-1", "+1", "1,2", "1.0"])
def test_one_odd_offset_does_not_reach_the_columns(offset: str) -> None:
    text = text_of(rows(20)) + f"{rows(21)[20][0]} 8 linear /dev/a {offset}\n"
    source = Source(text)
    pieces = scan(source)
    assert isinstance(pieces[0], Columns)
    if offset == "007":
        assert pieces[0].values(20)[3] == 7
    else:
        assert len(pieces[0]) == 20
        assert isinstance(pieces[1], Line)
        assert pieces[1].tokens[-1].text == offset


def test_a_line_costs_little_memory_and_scanning_hardly_more() -> None:
    source = Source(text_of(rows(60_000)))
    scan(Source(text_of(rows(2000))))
    tracemalloc.start()
    try:
        pieces = scan(source)
        live, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(pieces) == 1
    assert live / 60_000 < 24
    assert peak - live < 1 << 20
