"""The grammar: the roles of each dialect, generation, concise text, and what third parties add."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Token, Tree

from dmtable.errors import DmtableError
from dmtable.language import grammar
from dmtable.language.concise import read_concise
from dmtable.language.grammar import extensions, line_roles, parser, role_of
from dmtable.language.parser import parse
from dmtable.language.tree import Role
from tests.language.strategies import devices, offsets, replicators
from tests.language.test_scanner import by_grammar, parsed, scanned, words_of


def roles(mapping: str) -> str:
    """The roles of a mapping's words, each by its first two letters."""
    target, *words = mapping.split()
    return " ".join(role.value[:2] for role in line_roles(target, words))


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("linear /dev/sda 0", "de of"),
        ("linear /dev/sda x", "wo wo"),
        ("linear /dev/sda", "wo"),
        ("striped 2 8 /dev/sda 0 8:16 64", "co si de of de of"),
        ("striped +2 +8 /dev/sda 0", "co si de of"),
        ("striped 2 8 /dev/sda 0 8:16", "wo wo wo wo wo"),
        ("striped 2 8", "wo wo"),
        ("striped x 8 a 0", "wo wo wo wo"),
        ("zero", ""),
        ("zero 1", "wo"),
        ("error 1 2", "wo wo"),
        ("mirror core 1 1024 2 /dev/sda 64 /dev/sdb 64", "wo wo wo wo wo wo wo wo"),
        # the slides of 2008
        ("replicator default 4 /dev/log 32 create 2097152 local 2 0 async ios=0 2 0 /dev/l0 - 0 "
         "local 2 1 async ios=100 2 0 /dev/r0 disk 3 32768 /dev/dirty sync",
         "ki co de of fe si ki co nu fe fe co nu de ki co ki co nu fe fe co nu de ki co si de fe"),
        ("replicator replog 3 /dev/log 32 open local 2 0 2 0 /dev/l0 - 0", "ki co de of fe ki co nu co nu de ki co"),
        ("replicator default 2 8:0 0 local 2 0 stall 2 0 a disk 3 a 32768 local 2 1 2 0 b core 2 8192 nosync",
         "ki co de of ki co nu fe co nu de ki co de si ki co nu co nu de ki co si fe"),
        # the two targets of 2009
        ("replicator ringbuffer 4 253:2 0 auto 65536 blockdev 2 0 synchronous blockdev 4 1 async+stall ios 8192",
         "ki co de of fe si ki co nu fe ki co nu fe fe nu"),
        ("replicator ringbuffer 2 253:2 0 blockdev 1 0 blockdev 2 1 s", "ki co de of ki co nu ki co nu fe"),
        ("replicator-dev 253:3 0 0 1 253:4 nolog 0 1 1 253:5 disk 3 253:6 8192 nosync",
         "de nu nu co de ki co nu co de ki co de si fe"),
        ("replicator-dev 253:3 0 0 1 253:4 - 0 1 1 253:5 core 1 8192 2 1 d core 2 8192 sync",
         "de nu nu co de ki co nu co de ki co si nu co de ki co si fe"),
        # not all of it fits
        ("replicator ringbuffer 4 253:2 0 auto 65536", "wo wo wo wo wo wo"),
        ("replicator default 2 a 0 local 2 0 2 0 a - 0 blockdev 1 1", " ".join(["wo"] * 15)),
        ("replicator-dev 253:3 0 0 1 253:4 disk 0", "wo wo wo wo wo wo wo"),
    ],
)  # fmt: skip
def test_the_roles_of_words(mapping: str, expected: str) -> None:
    assert roles(mapping) == expected


@given(
    st.sampled_from(["linear", "striped", "zero", "error", "mirror"]),
    st.lists(st.one_of(devices, offsets, st.just("+8")), max_size=7),
)
def test_the_quick_roles_are_those_of_the_grammar(target: str, words: list[str]) -> None:
    fitting = parsed(" ".join([target, *words]), "mapping")
    expected = [role_of(word.type) for word in fitting[0][1:]] if fitting else [Role.WORD] * len(words)
    assert list(line_roles(target, words)) == expected


@given(replicators().filter(lambda mapping: "\\" not in mapping))
def test_every_replicator_line_of_the_strategies_has_roles(mapping: str) -> None:
    target, *words = mapping.split(" ")
    if not any(re.fullmatch("7{4000,}", word) for word in words):
        assert Role.WORD not in line_roles(target, words)


@given(from_lark(parser(), start="table"))
def test_what_the_grammar_generates_reads_back(text: str) -> None:
    lines = scanned(text)
    assert lines is not None
    assert words_of(lines) == by_grammar(text)
    assert parsed(text, "table") is not None


@given(from_lark(parser(), start="mapping"))
def test_a_generated_mapping_has_the_roles_it_was_generated_with(mapping: str) -> None:
    fitting = parsed(mapping, "mapping")
    assert fitting is not None
    target, *words = fitting[0]
    assert line_roles(target, words) == tuple(role_of(word.type) for word in words)


@given(from_lark(parser(), start="concise"))
def test_generated_concise_text_is_what_dmsetup_takes(text: str) -> None:
    described = [
        {(token.type, unquoted(token)) for token in device if token.type in ("NAME", "UUID", "FLAGS")}
        | {("ROW", unquoted(token)) for token in device if token.type == "ROW"}
        for device in concise_devices(text)
    ]
    read = [
        {("NAME", device.name), ("UUID", device.uuid), ("FLAGS", "ro" if device.read_only else "rw")}
        | {("ROW", row) for row in device.table.removesuffix("\n").split("\n")}
        for device in read_concise(text)
    ]
    assert len(read) == len(described)
    for tokens, device in zip(described, read, strict=True):
        assert tokens <= device


def concise_devices(text: str) -> list[list[Token]]:
    devices = [child for child in parser().parse(text, start="concise").children if isinstance(child, Tree)]
    return [[token for token in device.children if isinstance(token, Token)] for device in devices]


def unquoted(token: Token) -> str:
    return re.sub(r"\\(.)", r"\1", token)


SNAPSHOT = """
%extend mapping: snapshot
snapshot: TARGET_SNAPSHOT _WS DEVICE _WS DEVICE _WS (KIND_SNAPSHOT | "N") _WS SIZE
TARGET_SNAPSHOT: "snapshot"
KIND_SNAPSHOT: "P" | "PO"
"""
PAIRS = """
%extend mapping: pairs
pairs: TARGET_PAIRS _WS WORD_PAIR
TARGET_PAIRS: "pairs"
WORD_PAIR: /[a-z]+ [a-z]+/
"""
NOT_TEXT = 7
NO_RULES = "%extend mapping: nowhere"


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Entry points as other distributions would have them."""
    found = [
        EntryPoint(name, f"{__name__}:{value}", grammar.EXTENSIONS)
        for name, value in {
            "snapshot": "SNAPSHOT",
            "linear": "SNAPSHOT",
            "pairs": "PAIRS",
            "typed": "NOT_TEXT",
            "broken": "NO_RULES",
            "gone": "ABSENT",
        }.items()
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found if group == grammar.EXTENSIONS else [])
    extensions.cache_clear()
    parser.cache_clear()
    yield
    extensions.cache_clear()
    parser.cache_clear()


@pytest.mark.usefixtures("_installed")
def test_an_extension_gives_its_target_roles() -> None:
    assert roles("snapshot /dev/a /dev/b P 8") == "de de ki si"
    assert roles("snapshot /dev/a /dev/b N 8") == "de de wo si"
    assert roles("snapshot /dev/a /dev/b P") == "wo wo wo"
    assert roles("snapshot-origin /dev/a") == "wo"
    line = parse("0 8 snapshot /dev/a /dev/b PO 8 # c").lines[0]
    assert [word.role for word in line.words] == [Role.DEVICE, Role.DEVICE, Role.KIND, Role.SIZE]


@pytest.mark.usefixtures("_installed")
def test_an_extension_whose_terminals_are_not_words_gives_no_roles() -> None:
    assert roles("pairs a b") == "wo wo"


@pytest.mark.usefixtures("_installed")
def test_a_target_of_our_own_cannot_be_taken_over() -> None:
    assert roles("linear /dev/a 5") == "de of"
    assert "linear" not in extensions()


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("target", "reason"), [("typed", "leads to int"), ("broken", "nowhere"), ("gone", "has no attribute 'ABSENT'")]
)
def test_an_extension_that_does_not_load_is_named_and_hurts_nobody_else(target: str, reason: str) -> None:
    with pytest.raises(DmtableError, match=f"grammar extension '{target}' .*{reason}"):
        parse(f"0 8 {target} x")
    assert roles("snapshot /dev/a /dev/b P 8") == "de de ki si"
    assert roles("replicator-dev 8:0 0 0 1 8:1 - 0") == "de nu nu co de ki co"


def test_ordinary_tables_do_not_load_lark() -> None:
    code = (
        "import sys; from dmtable.language.parser import read; "
        "read('0 8 linear a 0\\n8 8 striped 2 8 a 0 b 0 # c\\n16 8 zero\\n24 8 thin a\\nx 8 error'); "
        "assert 'lark' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
