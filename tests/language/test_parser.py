"""Reading table text: every rule of it, what is recovered, and what dmsetup and the kernel said to the same text."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dmtable.language.diagnostics import Diagnostic, Severity, TableError, apply_fixes
from dmtable.language.dmsetup_text import read_dmsetup_text
from dmtable.language.kernel_words import quote_params, split_args
from dmtable.language.parser import LINE_BYTES, parse, read, read_bytes
from dmtable.language.tree import Columns, Role
from tests.language.recorded import Step, cases
from tests.language.strategies import any_text, texts

HUGE = 2**64 - 1

SLIDES_FIRST = r"""0 209715200 replicator \
default 4 /dev/local_vg/replog_store 32 create 2097152 \
local 2 0 async ios=0 \
2 0 /dev/local_vg/lvol0 \
- 0 \
local 2 1 async ios=100 \
2 0 /dev/remote_vg/lvol0 \
disk 3 32768 /dev/local_vg/slink1_lvol0_dirty_log sync
"""
SLIDES_SECOND = r"""0 209715200 replicator \
default 4 /dev/local_vg/replog_store 32 open \
\local 2 0 async ios=0 \
2 1 /dev/local_vg/lvol1 \
- 0
\
local 2 1 async ios=100 \
2 1 /dev/remote_vg/lvol1 \
disk 3 16384 /dev/local_vg/slink1_lvol1_dirty_log sync
"""


def codes(found: list[Diagnostic]) -> list[tuple[str, int, int]]:
    return [(diagnostic.code, diagnostic.span.line, diagnostic.span.column) for diagnostic in found]


def fixed(text: str) -> str:
    """The text with all fixes made, again and again until there is none left."""
    for _ in range(100):
        text, applied = apply_fixes(text, read(text)[1])
        if not applied:
            return text
    raise AssertionError("the fixes never end")


def read_lines(text: str) -> list[str]:
    """The lines that are made out, as plain text."""
    return [" ".join([str(line.start), str(line.length), line.target, *line.texts()]) for line in read(text)[0]]


@pytest.mark.parametrize(
    ("text", "expected", "lines", "mended"),
    [
        ("0 8 zero\n", [], ["0 8 zero"], None),
        ("", [], [], None),
        (" \n# 0 x\\\n\t# \n", [], [], None),
        ("0 8 zero # a\\\n8 8 zero", [], ["0 8 zero", "8 8 zero"], None),
        # the head of a line
        ("x\n", [("DM001", 1, 1)], [], None),
        ("0 8 zero\n8  8 # zero\n", [("DM001", 2, 1)], ["0 8 zero"], None),
        ("foo bar baz", [("DM002", 1, 1)], [], None),
        ("0x 8 zero", [("DM002", 1, 1)], [], None),
        ("0 8k zero", [("DM002", 1, 3)], [], None),
        ("\u0660 8 zero", [("DM002", 1, 1)], [], None),
        ("0 1_0 zero", [("DM002", 1, 3)], [], None),
        ("0x8 y zero", [("DM302", 1, 1), ("DM002", 1, 5)], [], "8 y zero"),
        ("vg-lv: 0 8 zero\n", [("DM009", 1, 1)], ["0 8 zero"], "0 8 zero\n"),
        ("vg-lv: 0 0x8 zero\n", [("DM009", 1, 1), ("DM302", 1, 10)], ["0 8 zero"], "0 8 zero\n"),
        ("0x0 0x40 zero", [("DM302", 1, 1), ("DM302", 1, 5)], ["0 64 zero"], "0 64 zero"),
        ("0 0x1ffffffffffffffff zero", [("DM302", 1, 3)], [f"0 {HUGE} zero"], None),
        ("0 -8 zero", [("DM303", 1, 3)], [f"0 {HUGE - 7} zero"], None),
        ("+0 +8 zero", [("DM304", 1, 1), ("DM304", 1, 4)], ["0 8 zero"], "0 8 zero"),
        ("0 8.5 zero", [("DM310", 1, 3)], ["0 8 zero"], None),
        ("0 18446744073709551615 zero", [], [f"0 {HUGE} zero"], None),
        ("0 18446744073709551616 zero", [("DM305", 1, 3)], [f"0 {HUGE} zero"], None),
        (f"{'7' * 5000} 8 zero", [("DM305", 1, 1), ("DM307", 1, 1)], [f"{HUGE} 8 zero"], None),
        (f"0 0x{'f' * 5000} zero", [("DM307", 1, 1), ("DM302", 1, 3)], [f"0 {HUGE} zero"], None),
        ("0 8 abcdefghijklmno", [], ["0 8 abcdefghijklmno"], None),
        ("0 8 abcdefghijklmnop", [("DM306", 1, 5)], ["0 8 abcdefghijklmnop"], None),
        ("0 8 éééééééé x", [("DM306", 1, 5)], ["0 8 éééééééé x"], None),
        # characters
        ("0 8 zero\0\x01 # \x02", [("DM003", 1, 9)], ["0 8 zero\0\x01"], None),
        ("# \x7f\n0 8 zero", [("DM003", 1, 3)], ["0 8 zero"], None),
        ("0 8 error a\u00e0b à é", [("DM309", 1, 11), ("DM309", 1, 15)], ["0 8 error aàb à é"], None),
        ("0 8 à\u00a0 é", [], ["0 8 à\u00a0 é"], None),
        ("0 8 linear /dev/lo#op0 0", [("DM301", 1, 12)], ["0 8 linear /dev/lo#op0 0"], None),
        ("0 8 linear /dev/a 0#c d\n8 8 zero", [("DM301", 1, 19)], ["0 8 linear /dev/a 0", "8 8 zero"],
         "0 8 linear /dev/a 0 #c d\n8 8 zero"),
        ("0 8 zero#", [], ["0 8 zero#"], None),
        # continued lines
        ("0 8 linear \\\n/dev/a\\\r\n0", [("DM308", 1, 12)], ["0 8 linear /dev/a 0"], None),
        ("0 8 error a \\ \n8 8 zero", [("DM005", 1, 13)], ["0 8 error a", "8 8 zero"], "0 8 error a  \n8 8 zero"),
        ("0 8 linear \\\t \r\n/dev/a 0\n", [("DM005", 1, 12)], ["0 8 linear /dev/a 0"], "0 8 linear \\\r\n/dev/a 0\n"),
        ("0 8 \\ \nzero\n", [("DM005", 1, 5)], ["0 8 zero"], "0 8 \\\nzero\n"),
        ("0 8 zero\\", [("DM005", 1, 9)], ["0 8 zero"], "0 8 zero"),
        ("\\\n\n0 8 zero", [("DM308", 1, 1)], ["0 8 zero"], None),
        ("0 8 zero \\\n", [("DM005", 1, 10)], ["0 8 zero"], "0 8 zero \n"),
        ("0 8 error a\\ b", [("DM006", 1, 11)], ["0 8 error a b"], "0 8 error a b"),
        ("0 8 error \\ b", [("DM006", 1, 11)], ["0 8 error b"], "0 8 error  b"),
        ("0 8 error a\\b \\#c", [("DM006", 1, 15), ("DM301", 1, 15)], ["0 8 error a\\b \\#c"], None),
        ("\\0 8 zero", [("DM006", 1, 1)], ["0 8 zero"], "0 8 zero"),
        ("0 8 replicator\ndefault 2 a 0 \nlocal 2 0\n", [("DM007", 2, 1), ("DM007", 3, 1)],
         ["0 8 replicator default 2 a 0 local 2 0"], "0 8 replicator \\\ndefault 2 a 0  \\\nlocal 2 0\n"),
        ("0 8 replicator-dev a\r\n\r\nb c\r\n8 8 zero\n", [("DM007", 3, 1)], ["0 8 replicator-dev a b c", "8 8 zero"],
         "0 8 replicator-dev a \\\r\n \\\r\nb c\r\n8 8 zero\n"),
        ("0 8 \\replicator a\nb c d", [("DM006", 1, 5), ("DM007", 2, 1)], ["0 8 replicator a b c d"],
         "0 8 replicator a \\\nb c d"),
        ("0 8 replicator a # b\nc d e", [("DM007", 2, 1)], ["0 8 replicator a c d e"], None),
        ("r: 0 8 replicator a\ns: 0 8 zero\n", [("DM009", 1, 1), ("DM009", 2, 1)], ["0 8 replicator a", "0 8 zero"],
         "0 8 replicator a\n0 8 zero\n"),
        ("0 8 replicator a\ns: 0 8 zero\n", [("DM009", 2, 1)], ["0 8 replicator a", "0 8 zero"],
         "0 8 replicator a\n0 8 zero\n"),
        ("0 8 error a\nb c d\n", [("DM002", 2, 1)], ["0 8 error a"], None),
        ("0 8 error a \\ \n\nb c d", [("DM005", 1, 13), ("DM002", 3, 1)], ["0 8 error a"], "0 8 error a  \n\nb c d"),
        ("0 8 error a\\ # x\nb c d", [("DM006", 1, 11), ("DM002", 2, 1)], ["0 8 error a"], "0 8 error a # x\nb c d"),
        ("0 8 error a#b \\\nc\n", [("DM301", 1, 11), ("DM308", 1, 15)], ["0 8 error a c"], None),
    ],
)  # fmt: skip
def test_what_is_found_what_is_read_and_what_is_mended(
    text: str, expected: list[tuple[str, int, int]], lines: list[str], mended: str | None
) -> None:
    _, found = read(text)
    assert codes(found) == expected
    assert read_lines(text) == lines
    assert fixed(text) == (text if mended is None else mended)


@pytest.mark.parametrize(
    ("text", "says", "kernel"),
    [
        ("0 0x40 zero", "dmsetup reads start 0, length 0, target `x40`", "zero-length target"),
        ("0x0 8 zero", "dmsetup refuses the line", None),
        ("0 -8 zero", "length 18446744073709551608", "too large device"),
        ("0 8.5 zero", "target `.5`", ".5: unknown target type"),
        ("0 8k zero", "target `k`", "k: unknown target type"),
        ("0 -18446744073709551608 7", "length 8, target `7`", None),
        ("0 5zero a", "length 5, target `zero`", None),
        ("\0 8 zero", "dmsetup sees no line here", None),
    ],
)
def test_what_dmsetup_makes_of_a_line_is_said(text: str, says: str, kernel: str | None) -> None:
    _, found = read(text)
    assert any(says in diagnostic.what for diagnostic in found)
    assert [diagnostic.kernel_text for diagnostic in found if diagnostic.refusal] == ([kernel] if kernel else [])


def test_the_first_example_of_the_slides() -> None:
    table, found = read(SLIDES_FIRST)
    assert codes(found) == [("DM308", 1, 24)]
    (line,) = table
    assert not isinstance(table.pieces[0], Columns)
    assert (line.start, line.length, line.target) == (0, 209715200, "replicator")
    assert [word.text for word in line.words if word.role is Role.DEVICE] == [
        "/dev/local_vg/replog_store",
        "/dev/local_vg/lvol0",
        "/dev/remote_vg/lvol0",
        "/dev/local_vg/slink1_lvol0_dirty_log",
    ]
    assert Role.WORD not in {word.role for word in line.words}
    assert line.words[-1].span.line == 8


def test_the_second_example_of_the_slides_and_its_two_mistakes() -> None:
    table, found = read(SLIDES_SECOND)
    assert codes([diagnostic for diagnostic in found if diagnostic.severity is not Severity.NOTE]) == [
        ("DM006", 3, 1),
        ("DM007", 7, 1),
    ]
    (line,) = table
    assert Role.WORD not in {word.role for word in line.words}
    mended = fixed(SLIDES_SECOND)
    assert mended == SLIDES_SECOND.replace("\\local", "local").replace("- 0\n", "- 0 \\\n")
    assert [diagnostic.code for diagnostic in read(mended)[1]] == ["DM308"]
    assert read_lines(mended) == read_lines(SLIDES_SECOND)


@pytest.mark.parametrize(("character", "size"), [("x", 1), ("é", 2), ("€", 3), ("\U0001f4be", 4)])
def test_a_line_is_long_by_its_bytes(character: str, size: int) -> None:
    words = (LINE_BYTES - len("0 8 error ")) // size
    text = f"0 8 error {character * words}{'x' * ((LINE_BYTES - 10) % size)}"
    for ending in ("", "\n", "\n8 8 zero\n"):
        assert read(f"0 8 zero\n{text}{ending}")[1] == []
        assert codes(read(f"0 8 zero\n{text}x{ending}")[1]) == [("DM307", 2, 1)]


def test_bytes_that_are_no_text_are_found_where_they_stand() -> None:
    table, found = read_bytes(b"0 8 zero\n8 8 error \xc3\xa9 a\xff\xfe\n", "t")
    assert codes(found) == [("DM004", 2, 14)]
    assert "0xff, and 1 more" in found[0].what
    assert [line.texts() for line in table] == [[], ["é", "a\udcff\udcfe"]]
    assert table.source.name == "t"


def test_parse_raises_all_errors_and_only_those() -> None:
    with pytest.raises(TableError, match=r"^t:2:3: DM302 .* \(and 1 more\)$") as raised:
        parse("+0 8 zero\n8 0x8 zero\n16 y zero\n", "t")
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == ["DM302", "DM002"]
    assert len(parse("+0 8 zero\n8 8 linear \\\na 0\n")) == 2


@given(any_text)
def test_no_text_raises_and_every_place_is_within_it(text: str) -> None:
    table, found = read(text)
    for diagnostic in found:
        span = diagnostic.span
        assert 0 <= span.start <= span.end <= len(text)
        assert text[: span.start].count("\n") == span.line - 1
        assert span.start - (text.rfind("\n", 0, span.start) + 1) == span.column - 1
        assert diagnostic.what.isprintable()
    assert [diagnostic.span.start for diagnostic in found] == sorted(diagnostic.span.start for diagnostic in found)
    for line in table:
        assert max(line.start, line.length) <= HUGE
        for word in line.tokens:
            assert text[word.span.start : word.span.end] == word.text
            assert not re.search(r"[ \t\n\v\f\r]", word.text)


fragments = st.lists(st.sampled_from([b"0 ", b"8 ", b"zero", b"\n", b"\\", b"#", b"\xff", b"\0"])).map(b"".join)


@given(st.one_of(st.binary(), fragments))
def test_no_bytes_raise(data: bytes) -> None:
    table, found = read_bytes(data)
    try:
        data.decode()
    except UnicodeDecodeError:
        assert "DM004" in {diagnostic.code for diagnostic in found}
    assert table.source.text.encode("utf-8", "surrogateescape") == data


@given(any_text)
def test_fixes_come_to_an_end_and_leave_nothing_to_fix(text: str) -> None:
    assert all(diagnostic.fix is None for diagnostic in read(fixed(text))[1])


@given(st.one_of(texts(), any_text))
def test_a_text_without_findings_is_read_as_dmsetup_and_the_kernel_read_it(text: str) -> None:
    table, found = read(text)
    assume(not found)
    assert [(line.start, line.length, line.target, line.texts()) for line in table] == [
        (line.start, line.length, line.target, split_args(quote_params(line.params)))
        for line in read_dmsetup_text(text)
    ]


CREATES = {
    name: steps[0]
    for file in ("words.json", "text.json", "heads.json")
    for name, steps in cases(file).items()
    if steps[0].words[0] == "create" and steps[0].stdin is not None
}


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_table_is_found_at_fault_where_dmsetup_was(name: str) -> None:
    create: Step = CREATES[name]
    assert create.stdin is not None
    _, found = read(create.stdin)
    refusals = [diagnostic.kernel_text for diagnostic in found if diagnostic.refusal]
    invalid = re.match(r"Invalid format on line (\d+)", create.err)
    if invalid:
        places = {line for diagnostic in found for line in lines_of(diagnostic)}
        assert int(invalid[1]) in places
    elif "is too long" in create.err:
        assert "DM306" in {diagnostic.code for diagnostic in found}
    if refusals:
        assert create.kernel_log[0].replace("\\x5c", "\\").endswith(f": {refusals[0]}")


def lines_of(diagnostic: Diagnostic) -> list[int]:
    """The lines that a finding is about; of a continued line dmsetup trips over the second."""
    return [diagnostic.span.line, diagnostic.span.line + (diagnostic.code == "DM308")]
