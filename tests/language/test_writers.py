"""The writers: laying out, plain lines, JSON. What they write reads back as what it was."""

from __future__ import annotations

import json
import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmtable.errors import DmtableError
from dmtable.language.diagnostics import TableError
from dmtable.language.dmsetup_text import read_dmsetup_text
from dmtable.language.json_form import JsonTableError, read_json, write_json
from dmtable.language.kernel_text import write_kernel_text
from dmtable.language.kernel_words import quote_params, split_args
from dmtable.language.lines import LogicalLine, logical_line
from dmtable.language.parser import parse
from dmtable.language.pretty import pretty
from dmtable.language.tree import Columns, Source, Table

Values = list[tuple[int, int, str, list[str]]]

SLIDE = """\
0 209715200 replicator \\
    default 4 /dev/local_vg/replog_store 32 create 2097152 \\
    local 2 0 async ios=0 \\
        2 0 /dev/local_vg/lvol0 \\
        - 0 \\
    local 2 1 async ios=100 \\
        2 0 /dev/remote_vg/lvol0 \\
        disk 3 32768 /dev/local_vg/slink1_lvol0_dirty_log sync
"""
CONTROL = """\
0 65536 replicator \\
    ringbuffer 4 253:2 0 auto 65536 \\
    blockdev 2 0 synchronous \\
    blockdev 4 1 asynchronous ios 8192
"""
REMOTE = """\
0 2097152 replicator-dev 253:3 0 \\
    0 1 253:4 nolog 0 \\
    1 1 253:5 disk 3 253:6 8192 nosync
"""


def values(table: Table) -> Values:
    return [(line.start, line.length, line.target, line.texts()) for line in table]


def logical_lines(text: str) -> Iterator[LogicalLine]:
    """Every logical line of the text, blank ones and bare comments too."""
    at = 0
    while at < len(text):
        line = logical_line(text, at)
        yield line
        at = line.end


def comments(text: str) -> list[str]:
    return [text[slice(*line.comment)].rstrip() for line in logical_lines(text) if line.comment]


# Texts: lines of every known target with any blanks between their words, broken anywhere, among comments.

sectors = st.integers(0, 2**64 - 1).map(str) | st.sampled_from(["0", "8", "007", "2097152"])
devices = st.sampled_from(["/dev/sda", "7:0", "/dev/disk/by-id/é", "a-b"])
blanks = st.sampled_from([" ", "  ", "\t", " \\\n", "\\\n  ", "\v", " \f"])
comment = st.text(st.sampled_from("a1# \\é/"), max_size=8).map("#".__add__)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(" ".join)


pairs = joined(devices, sectors)
targets = st.one_of(
    pairs.map("linear {}".format),
    st.lists(pairs, min_size=1, max_size=3).map(lambda legs: f"striped {len(legs)} 8 {' '.join(legs)}"),
    st.sampled_from(["zero", "error", "error a b", "mirror core 1 1024 2 7:0 64 7:1 64", "snapshot 7:0 7:1 P 8"]),
    st.sampled_from([" ".join(text.replace("\\\n", " ").split()[2:]) for text in (SLIDE, CONTROL, REMOTE)]),
)


@st.composite
def spread(draw: st.DrawFn, words: list[str]) -> str:
    """The words of a mapping as somebody may have typed them."""
    gaps = draw(st.lists(blanks, min_size=len(words) - 1, max_size=len(words) - 1))
    return draw(st.sampled_from(["", " ", "\t"])) + "".join(map("".join, zip(words, [*gaps, ""], strict=True)))


rows = joined(sectors, sectors, targets).map(lambda line: line.split(" "))
mappings = st.builds("{}{}".format, rows.flatmap(spread), st.just("") | comment.map(" {}".format))
texts = st.builds(
    "{}{}".format,
    st.lists(mappings | comment | comment.map(" {}".format) | st.sampled_from(["", " ", "\t\r"])).map("\n".join),
    st.sampled_from(["", "\n", "\n\n"]),
)


@given(texts)
def test_laid_out_it_means_the_same(text: str) -> None:
    laid_out = pretty(text)
    assert values(parse(laid_out)) == values(parse(text))
    assert comments(laid_out) == comments(text)


@given(texts)
def test_laid_out_twice_is_laid_out_once(text: str) -> None:
    assert pretty(pretty(text)) == pretty(text)


@given(st.lists(rows, min_size=1), st.data())
def test_line_breaks_and_blanks_do_not_matter(lines: list[list[str]], data: st.DataObject) -> None:
    typed = [data.draw(spread(words)) for words in lines]
    assert pretty("\n".join(typed)) == pretty("\n".join(map(" ".join, lines)))


@given(texts)
def test_the_layout_keeps_its_rules(text: str) -> None:
    laid_out = pretty(text)
    assert "\n\n\n" not in laid_out
    assert laid_out == laid_out.strip("\n") + "\n" * bool(laid_out)
    assert not any(line != line.rstrip() for line in laid_out.split("\n"))
    for line in logical_lines(laid_out):
        ends = [end for _start, end in line.words]
        if line.words and not line.joints:
            assert all(start - end == 1 for end, (start, _end) in zip(ends[1:], line.words[2:], strict=False))
        if line.words and line.comment:
            assert line.comment[0] - ends[-1] == 2


@pytest.mark.parametrize("text", [SLIDE, CONTROL, REMOTE, SLIDE + "\n" + REMOTE], ids=["2008", "2009", "dev", "both"])
def test_replicator_lines_are_broken_into_their_groups(text: str) -> None:
    assert pretty(text) == text
    assert pretty(text.replace("\\\n", " ")) == text


@pytest.mark.parametrize("target", ["replicator", "replicator-dev"])
def test_a_replicator_line_without_words_is_laid_out(target: str) -> None:
    assert pretty(f"0  8 {target}\n") == f"0 8 {target}\n"


def test_numbers_are_aligned_within_a_block() -> None:
    text = "# a\n0 1000 zero #x\n 1000 8   error\n\n\n#b  \n0 8 zero\n# c\n8 100 error\n\n"
    assert pretty(text) == "# a\n   0 1000 zero  #x\n1000    8 error\n\n#b\n0 8 zero\n# c\n8 100 error\n"


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n"])
def test_nothing_is_laid_out_as_nothing(text: str) -> None:
    assert pretty(text) == ""


@pytest.mark.parametrize("text", ["0 8\n", "zero\n", "0 8 zero\nx", "0 8 linear \\ /dev/sda 0\n"])
def test_what_does_not_parse_is_not_laid_out(text: str) -> None:
    with pytest.raises(TableError):
        pretty(text, "t.dm")


@given(texts)
def test_plain_lines_mean_the_same_to_us_and_to_dmsetup(text: str) -> None:
    table = parse(text)
    plain = "".join(write_kernel_text(table))
    assert values(parse(plain)) == values(table)
    read = [(e.start, e.length, e.target, split_args(quote_params(e.params))) for e in read_dmsetup_text(plain)]
    assert read == values(table)
    assert all(line == " ".join(line.split()) for line in plain.splitlines())


def columns(rows: int, target: str = "linear") -> Table:
    """Many lines of 8 sectors as they stand in memory; the text they came from is not needed."""
    starts = array("Q", range(0, 8 * rows + 1, 8))
    offsets = array("Q", range(0, 16 * rows, 16))
    run = Columns(target, starts, offsets, array("I", [row % 2 for row in range(rows)]), ("7:0", "/dev/sdb"), ())
    return Table(Source(""), (run,))


def test_columns_are_written_as_their_lines() -> None:
    text = "".join(write_kernel_text(columns(3)))
    assert text == "0 8 linear 7:0 0\n8 8 linear /dev/sdb 16\n16 8 linear 7:0 32\n"
    assert next(write_kernel_text(columns(1, "{x}"))) == "0 8 {x} 7:0 0\n"
    assert [line["words"] for line in json.loads("".join(write_json(columns(3))))["lines"]] == [
        ["7:0", "0"],
        ["/dev/sdb", "16"],
        ["7:0", "32"],
    ]


@pytest.mark.parametrize("write", [write_kernel_text, write_json])
def test_a_large_table_is_written_in_little_memory(write: Callable[[Table], Iterator[str]]) -> None:
    table = columns(20_000)
    tracemalloc.start()
    try:
        length = sum(map(len, write(table)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length > 400_000
    assert peak < 50_000


# JSON


@given(texts)
def test_json_reads_back(text: str) -> None:
    table = parse(text)
    document = "".join(write_json(table))
    assert values(read_json(document)) == values(table)
    assert json.loads(document).keys() == {"lines"}


def document(**changes: object) -> str:
    return json.dumps({"lines": [{"start": 0, "length": 8, "target": "linear", "words": ["7:0", "0"], **changes}]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "t:1:2: not JSON: "),
        ("[]", "t: expected an object with nothing but lines, found []"),
        ('{"lines": {}}', "t: lines: expected a list, found {}"),
        ('{"lines": [], "name": "x"}', "t: expected an object with nothing but lines"),
        ('{"lines": [1]}', "t: lines[0]: expected an object with nothing but start, length, target, words, found 1"),
        ('{"lines": [{"start": 0}]}', "t: lines[0]: expected an object"),
        (document(start="0"), 't: lines[0].start: expected a whole number from 0 to 2^64 - 1, found "0"'),
        (document(start=True), "t: lines[0].start: expected a whole number"),
        (document(start=0.0), "t: lines[0].start: expected a whole number"),
        (document(length=-1), "t: lines[0].length: expected a whole number"),
        (document(length=2**64), "t: lines[0].length: expected a whole number"),
        (document(target=""), "t: lines[0].target: expected a word"),
        (document(words="7:0 0"), 't: lines[0].words: expected a list, found "7:0 0"'),
        (document(words=["7:0", 0]), "t: lines[0].words[1]: expected a word"),
        (document(words=["a b"]), "t: lines[0].words[0]: expected a word"),
        (document(words=["#a"]), "t: lines[0].words[0]: expected a word"),
        (document(words=["a\\"]), "t: lines[0].words[0]: expected a word"),
        (document(words=["7:0\0", "0"]), "t: lines[0]: DM003 "),
        ('{"lines": ' + "9" * 5000 + "}", "t: not a table: "),
        ("[" * 100_000, "t: not a table: "),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(JsonTableError) as refused:
        read_json(text, "t")
    assert str(refused.value).startswith(message)
    assert len(str(refused.value)) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["lines", "start", "words"]), inner),
    max_leaves=5,
)


@given(
    st.builds(document, start=json_values, words=json_values)
    | json_values.map(json.dumps)
    | st.text(st.sampled_from('{}[]":,lines0'))
)
@example(document())
def test_any_json_is_read_or_refused(text: str) -> None:
    try:
        table = read_json(text)
    except DmtableError:
        return
    assert values(read_json("".join(write_json(table)))) == values(table)


@given(st.lists(st.integers(1, 100), max_size=40))
def test_runs_of_linear_lines_survive_every_writer(lengths: list[int]) -> None:
    starts = [0, *accumulate(lengths)]
    text = "".join(f"{start} {length} linear 7:0 {start}\n" for start, length in zip(starts, lengths, strict=False))
    assert "".join(write_kernel_text(parse(text))) == text
    assert values(parse(pretty(text))) == values(parse(text))
    assert values(read_json("".join(write_json(parse(text))))) == values(parse(text))
