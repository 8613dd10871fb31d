"""The pass as a whole: what it takes, its order, its speed's reasons, and that nothing upsets it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.checks import check, first_refusal
from dmtable.checks.devices import Sizes
from dmtable.language.diagnostics import Diagnostic, apply_fixes
from dmtable.language.parser import parse
from dmtable.language.tree import Columns, Line, Source, column_lines
from tests.checks.told import told

SIZES: Sizes = {"/dev/a": 1 << 40, "/dev/b": 64}


def test_everything_is_found_in_one_pass_line_by_line() -> None:
    table = "0 8 linear /dev/none x\n8 0x8 striped 2 8 /dev/a 0\n20 8 nosuch\n28 8 zero 1\n36 8 error 2\n"
    assert [each.code for each in check(table, SIZES)] == [
        *("DM402", "DM201"),
        *("DM302", "DM415", "DM416"),
        *("DM106", "DM101"),
        "DM421",
        "DM431",
    ]


def test_within_a_line_the_order_is_the_kernels() -> None:
    found = check("0 8 linear /dev/none x\n", SIZES)
    assert [each.code for each in found] == ["DM402", "DM201"]
    refusal = first_refusal(found)
    assert refusal is not None
    assert refusal.text == "linear: Invalid device sector (-EINVAL)"


def test_constructors_refuse_before_sizes_are_looked_at() -> None:
    found = check("0 8 linear /dev/b 64\n8 8 linear /dev/b x\n", SIZES)
    assert [each.code for each in found] == ["DM205", "DM402"]
    refusal = first_refusal(found)
    assert refusal is not None
    assert refusal.text == "linear: Invalid device sector (-EINVAL)"


def test_no_finding_means_no_refusal() -> None:
    assert check("0 8 zero\n") == []
    assert first_refusal([]) is None
    assert first_refusal(check("0 8 error x\n")) is None


def test_text_bytes_and_tables_are_the_same() -> None:
    text = "0 8 zero 1\n8 8 linear /dev/é x\n"
    assert check(text) == check(text.encode()) == check(parse(text))
    assert told(check(b"0 8 linear /dev/\xe9 0\n")) == [("DM004", "1:17")]


def test_the_name_is_the_one_in_messages() -> None:
    assert check("0 8 zero\n", name="x.dm") == []


def test_an_empty_table_is_a_note() -> None:
    for text in ("", "\n\n", "# nothing\n"):
        assert told(check(text)) == [("DM008", "1:1")]
    assert told(check("0 8\n")) == [("DM001", "1:1")]


def _large(rows: int) -> list[str]:
    return [f"{8 * row} 8 linear /dev/a {8 * row}\n" for row in range(rows)]


def test_rows_of_a_clean_run_never_become_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(source: Source, columns: Columns, rows: list[int]) -> Iterator[Line]:
        made.extend(rows)
        return column_lines(source, columns, rows)

    monkeypatch.setattr("dmtable.checks.one_pass.column_lines", counted)
    rows = _large(5000)
    assert check("".join(rows), SIZES) == []
    random.Random(1).shuffle(offsets := list(range(5000)))
    assert check("".join(f"{8 * row} 8 linear /dev/a {8 * at}\n" for row, at in enumerate(offsets)), SIZES) == []
    assert made == []
    rows[4000] = "32000 8 linear /dev/none 32000\n"
    assert told(check("".join(rows), SIZES)) == [("DM201", "4001:16")]
    assert made == [4000]


def _as_lines(found: list[Diagnostic]) -> list[tuple[object, ...]]:
    return [(each.code, each.what, each.how, each.span.line, each.refusal) for each in found]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/dev/a", "/dev/a", "/dev/b", "/dev/none", "/dev/k"]),
            st.sampled_from([0, 8, 8, 16, 56, 60, 64, 1 << 41]),
            st.sampled_from([8, 8, 8, 0, 4, 64]),
        ),
        min_size=8,
        max_size=30,
    )
)
def test_columns_are_judged_as_their_lines_would_be(rows: list[tuple[str, int, int]]) -> None:
    sizes: Sizes = {**SIZES, "/dev/k": (1 << 20, 4096)}
    at = 0
    columns, lines = [], []
    for device, offset, length in rows:
        # A plus sign keeps the scanner from making columns, and is told of with a warning.
        columns.append(f"{at} {length} linear {device} {offset}\n")
        lines.append(f"+{at} {length} linear {device} {offset}\n")
        at += length
    found = check("".join(lines), sizes)
    assert _as_lines(check("".join(columns), sizes)) == _as_lines([each for each in found if each.code != "DM304"])


_ODD_TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("0123456789 \n\t\\#-+.x:/"), st.characters()), max_size=60
) | st.lists(
    st.sampled_from(
        ["0", "8", "16", "linear", "striped", "zero", "error", "replicator", "/dev/a", "7:0", "1/2", "\n", "\\\n", "#"]
    ),
    max_size=40,
).map(" ".join)


@given(_ODD_TEXT, st.sampled_from([None, SIZES]))
def test_no_text_upsets_it_and_fixes_come_to_an_end(text: str, devices: Sizes | None) -> None:
    for _ in range(50):
        found = check(text, devices, md="vol")
        assert all(0 <= each.span.start <= each.span.end <= len(text) for each in found)
        text, applied = apply_fixes(text, found)
        if not applied:
            return
    pytest.fail("fixes do not end")


@given(st.binary(max_size=80))
def test_no_bytes_upset_it(data: bytes) -> None:
    check(data)


def test_a_clean_table_needs_little_of_the_package() -> None:
    code = (
        "import sys; from dmtable.checks import check\n"
        "table = '0 8 linear /dev/a 0\\n8 32 striped 2 8 /dev/a 8 /dev/b 0\\n'\n"
        "assert check(table, {'/dev/a': 64, '/dev/b': 64}) == []\n"
        "heavy = {'lark', 'difflib', 'importlib.metadata', 'dmtable.core.device_mapper', 'dmtable.checks.names'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
