"""`dmtable graph`: the forms, what is summed up, and that nothing of the SVG overlaps."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.cli.graph import dot, mermaid, svg, text
from dmtable.cli.graph.layout import TABLE_HEIGHT, Card, lay_out
from dmtable.cli.graph.picture import Picture, picture
from dmtable.cli.graph.rows import Item, Link, arrange
from dmtable.cli.graph.type import shortened, text_width
from dmtable.cli.main import main
from dmtable.core.paper import Disks, PaperStack
from dmtable.core.table import TargetSpec
from dmtable.language.parser import parse
from tests.cli.stacks import STACK, disks, written
from tests.core.variations import Tables, on_paper, stacks

Capture = pytest.CaptureFixture[str]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(**tables: str) -> Picture:
    stack = PaperStack(Disks())
    for name, lines in tables.items():
        stack.add(name, parse(lines).pieces)
    return picture(stack, 12)


def test_a_tree_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    disks(tmp_path / "disks", sda=4096)
    files = written(tmp_path, STACK)
    monkeypatch.chdir(tmp_path)
    assert main(["graph", "--root", "disks", *files]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "top  566 KiB",
        "├─ 0-1023 linear on lv 8-1031",
        "├─ 1024-1031 zero",
        "├─ 1032-1131 crypt on /dev/sda",
        "├─ lv  2 MiB",
        "│  ├─ 0-4095 striped on /dev/sda 0-2047, /dev/sdb 128-2175",
        "│  ├─ /dev/sda  2 MiB  disks/dev/sda",
        "│  └─ /dev/sdb  size unknown",
        "└─ /dev/sda  2 MiB  disks/dev/sda",
    ]


def test_what_several_stand_on_is_drawn_once() -> None:
    low = "0 64 linear /dev/sda 0"
    tree = "".join(text.draw(drawn(low=low, a="0 8 linear low 0", b="0 8 zero\n8 8 linear low 0")))
    assert tree == (
        "b  8 KiB\n├─ 0-7 zero\n├─ 8-15 linear on low 0-7\n"
        "└─ low  32 KiB\n   ├─ 0-63 linear on /dev/sda 0-63\n   └─ /dev/sda  size unknown\n"
        "a  4 KiB\n├─ 0-7 linear on low 0-7\n└─ low (above)\n"
    )


def test_mermaid() -> None:
    assert "".join(mermaid.draw(drawn(**STACK))) == (
        "flowchart TD\n"
        '    t0["<b>top</b><br/>566 KiB<br/>1024-1031 zero"]\n'
        '    t1["<b>lv</b><br/>2 MiB"]\n'
        '    d2[("<b>/dev/sda</b><br/>size unknown")]\n'
        '    d3[("<b>/dev/sdb</b><br/>size unknown")]\n'
        '    t0 -->|"0-1023 linear → 8-1031"| t1\n'
        '    t0 -->|"1032-1131 crypt"| d2\n'
        '    t1 -->|"0-4095 striped → 0-2047"| d2\n'
        '    t1 -->|"0-4095 striped → 128-2175"| d3\n'
    )


def test_dot() -> None:
    lines = "".join(dot.draw(drawn(**STACK))).splitlines()
    assert lines[0] == "digraph stack {"
    assert lines[-1] == "}"
    assert '    t0 [label="top\\n566 KiB\\n1024-1031 zero"]' in lines
    assert "    { rank=same; d2 d3 }" in lines
    assert '    t1 -> d3 [label="0-4095 striped → 128-2175"]' in lines


@pytest.fixture
def odd() -> Picture:
    """Names with all that a form of picture could take for its own, control characters and a byte of no character."""
    stack = PaperStack(Disks())
    stack.add('<t>&"\x01\\', [TargetSpec(0, 8, "linear", ('/dev/"]);<a>&|\udce9#\x7f', "0"))])
    return picture(stack, 12)


def test_odd_names_in_text(odd: Picture) -> None:
    assert "".join(text.draw(odd)).splitlines()[0] == '<t>&"\\x01\\  4 KiB'


def test_odd_names_in_mermaid(odd: Picture) -> None:
    flow = "".join(mermaid.draw(odd))
    assert '(["<b>#60;t#62;#38;#34;#92;x01#92;</b><br/>4 KiB"]'[1:] in flow
    assert '[("<b>/dev/#34;#93;)#59;#60;a#62;#38;#124;#92;xe9#35;#92;x7f</b><br/>size unknown")]' in flow


def test_odd_names_in_dot(odd: Picture) -> None:
    assert 't0 [label="<t>&\\"\\\\x01\\\\\\n4 KiB"]' in "".join(dot.draw(odd))


def test_odd_names_in_svg(odd: Picture) -> None:
    document = ElementTree.fromstring("".join(svg.draw(odd)))
    titles = [title.text for title in document.iter(f"{SVG}title")]
    assert titles[0] == 'Device-mapper stack: <t>&"\\x01\\'
    assert '<t>&"\\x01\\ 0-7 linear on /dev/"]);<a>&|\\xe9#\\x7f 0-7' in titles


def test_many_lines_are_summed_up_by_what_they_share() -> None:
    lines = "".join(f"{8 * row} 8 linear /dev/sda {16 * row}\n" for row in range(1000)) + "8000 8 error\n"
    (node,) = (node for node in drawn(vol=lines).nodes.values() if node.segments)
    assert [(s.label, s.sectors, [use.sectors for use in s.uses]) for s in node.segments] == [
        ("linear ×1,000", "0-7999", ["0-15991"]),
        ("error", "8000-8007", []),
    ]


def test_lines_that_share_only_their_target_are_one_segment() -> None:
    lines = "".join(f"{8 * row} 8 linear /dev/sd{'ab'[row % 2]} {8 * row}\n" for row in range(100))
    (segment,) = drawn(vol=lines).nodes["t0"].segments
    assert (segment.label, [use.sectors for use in segment.uses]) == ("linear ×100", ["0-791", "8-799"])


def test_lines_that_share_nothing_are_cut_into_slices() -> None:
    lines = "".join(f"{8 * row} 8 {'zero' if row % 2 else 'error'}\n" for row in range(1000))
    segments = drawn(vol=lines).nodes["t0"].segments
    assert len(segments) == 8
    assert {segment.label for segment in segments} == {"mixed ×125"}
    assert sum(segment.length for segment in segments) == 8000


def test_edges_sum_up_what_is_too_much_for_a_label() -> None:
    lines = "".join(f"{16 * row} 8 linear /dev/sda {8 * row}\n{16 * row + 8} 8 zero\n" for row in range(5))
    flow = "".join(mermaid.draw(drawn(vol=lines)))
    assert '-->|"5 lines<br/>0-71"|' in flow
    assert "<br/>5 lines on no device" in flow


@given(stacks())
def test_cards_and_bands_of_the_svg_lie_where_they_should(tables: Tables) -> None:
    shown = picture(on_paper(tables), 40)
    layout = lay_out(shown)
    for one, other in combinations(layout.cards.values(), 2):
        assert apart(one, other), (one, other)
    for card in layout.cards.values():
        assert 0 < card.x < card.x + card.width < layout.width
        assert 0 < card.y < card.y + card.height < layout.height
    for band in layout.bands:
        below = layout.cards[band.use.node]
        upper = layout.cards[band.table.id]
        (top, left, right), *between, (bottom, landing, end) = band.edges
        assert top < bottom
        assert bottom == below.y
        assert all(
            low - high in (0, TABLE_HEIGHT) or low > high for (high, *_), (low, *_) in combinations(band.edges, 2)
        )
        assert all(begin < end for _, begin, end in band.edges)
        assert below.x - 0.01 <= landing < end <= below.x + below.width + 0.01
        assert top == upper.y + upper.height
        assert upper.x - 0.01 <= left < right <= upper.x + upper.width + 0.01
        passed_rows = {card.y for card in layout.cards.values() if top < card.y < bottom}
        assert passed_rows <= {y for y, _, _ in between}, "a band turns only between rows"
        for y, passing, passed in between:
            beside = [card for card in layout.cards.values() if card.y <= y <= card.y + card.height]
            assert all(passed <= card.x or card.x + card.width <= passing for card in beside)


def apart(one: Card, other: Card) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


@given(stacks())
def test_the_svg_is_well_formed_and_has_every_segment(tables: Tables) -> None:
    document = ElementTree.fromstring("".join(svg.draw(picture(on_paper(tables), 40))))
    titles = [title.text or "" for title in document.iter(f"{SVG}title")]
    for lines in tables.values():
        for line in lines:
            assert f"{line.start}-{line.start + line.length - 1} {line.target}" in titles


def test_segments_are_to_scale_and_none_vanishes() -> None:
    shown = drawn(vol="0 1 zero\n1 1000000 linear /dev/sda 0\n1000001 500000 linear /dev/sda 0\n1500001 1 error")
    scale = lay_out(shown).cards["t0"].scale
    widths = [scale.at(s.start + s.length) - scale.at(s.start) for s in shown.nodes["t0"].segments]
    assert widths[0] == pytest.approx(widths[3])
    assert widths[0] >= 2
    assert widths[1] == pytest.approx(2 * widths[2], rel=0.01)
    assert sum(widths) == pytest.approx(scale.width)


def test_a_stack_deeper_than_pythons_calls() -> None:
    stack = PaperStack(Disks())
    for level in range(1500):
        stack.add(f"l{level}", parse(f"0 8 linear {f'l{level - 1}' if level else '/dev/sda'} 0").pieces)
    shown = picture(stack, 12)
    for emitter in (text, mermaid, dot, svg):
        assert "l1499" in "".join(emitter.draw(shown))


def test_no_tables_is_usage(capsys: Capture) -> None:
    assert main(["graph"]) == 2
    assert capsys.readouterr().err == "dmtable graph: no tables; give NAME=FILE, FILE or --concise FILE\n"


@pytest.mark.parametrize("form", ["text", "mermaid", "dot", "svg"])
def test_each_form_is_printed(tmp_path: Path, capsys: Capture, form: str) -> None:
    assert main(["graph", "--format", form, *written(tmp_path, {"t": "0 8 zero"})]) == 0
    assert "zero" in capsys.readouterr().out


@given(st.lists(st.lists(st.floats(1, 300), min_size=1, max_size=6), min_size=2, max_size=4), st.data())
def test_rows_keep_their_gaps(widths: list[list[float]], data: st.DataObject) -> None:
    rows = [[Item(f"{r}.{i}", width) for i, width in enumerate(row)] for r, row in enumerate(widths)]
    links = []
    for upper, lower in pairwise(rows):
        for _ in range(data.draw(st.integers(0, 6))):
            one, other = data.draw(st.sampled_from(upper)), data.draw(st.sampled_from(lower))
            links.append(Link(one.key, one.width / 2, other.key, other.width / 2))
    place = arrange(rows, links, 10)
    assert min(place.values()) == 0
    for row in rows:
        ordered = sorted(row, key=lambda item: place[item.key])
        for one, other in pairwise(ordered):
            assert place[one.key] + one.width + 10 <= place[other.key] + 0.001


def test_links_that_cross_are_uncrossed_and_straight() -> None:
    rows = [[Item("a", 100), Item("b", 100)], [Item("c", 100), Item("d", 100)]]
    place = arrange(rows, [Link("a", 50, "d", 50), Link("b", 50, "c", 50)], 10)
    assert place["a"] == pytest.approx(place["d"])
    assert place["b"] == pytest.approx(place["c"])


@given(st.text(max_size=60), st.floats(10, 200))
def test_text_is_shortened_to_its_room(words: str, room: float) -> None:
    short = shortened(words, room, 11)
    assert short == words or text_width(short, 11) <= room or short == "…"
    if text_width(words, 11) <= room:
        assert short == words
