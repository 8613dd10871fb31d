"""dmsetup's own reading of table text, against what dmsetup and the kernel answered, and the kernel's words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.errors import DmsetupError
from dmtable.language.dmsetup_text import ON_STDIN, DmsetupLine, DmsetupTextError, read_dmsetup_text
from dmtable.language.kernel_words import quote_params, split_args
from dmtable.language.numbers import U64
from tests.language.recorded import Step, cases

CREATES = {
    name: steps
    for file in ("words.json", "text.json")
    for name, steps in cases(file).items()
    if steps[0].words[0] == "create" and (steps[0].stdin is not None or "--table" in steps[0].words)
}
del CREATES["kernel-words"]

blanks = st.sampled_from(" \t\v\f\r")
texts = st.text(st.sampled_from("0189-+ \t\n\r\f\v\0#\\azx:/\u00a0é\udcff"))


def given_text(step: Step) -> tuple[str, str]:
    """The table of a `dmsetup create`, and the name that dmsetup has for it."""
    if step.stdin is not None:
        return step.stdin, ON_STDIN
    return step.words[step.words.index("--table") + 1], ""


def words_of(line: DmsetupLine) -> list[str]:
    """The words that the kernel's constructor gets."""
    return split_args(quote_params(line.params))


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_table_is_read_as_dmsetup_read_it(name: str) -> None:
    create, table = CREATES[name][:2]
    text, source = given_text(create)
    if create.status == -11:  # dmsetup 1.02.185 crashes where it should say this
        with pytest.raises(DmsetupTextError, match=r"^Target type name t+ is too long\.$"):
            read_dmsetup_text(text, source)
    elif create.refusal.startswith(("Invalid format", "Target type name")):
        with pytest.raises(DmsetupTextError) as refused:
            read_dmsetup_text(text, source)
        assert str(refused.value) == create.refusal
    else:
        lines = read_dmsetup_text(text, source)
        if create.status == 0:
            assert [shown(line) for line in lines] == table.out.splitlines() or table.out == "\n"
            assert bool(lines) == (table.out != "\n")
        else:
            assert any(explains(line, create.kernel_log[0], lines) for line in lines), create.kernel_log


def shown(line: DmsetupLine) -> str:
    """A line that the kernel took as `dmsetup table` shows it."""
    words = words_of(line)
    if line.target in ("zero", "error"):
        words = [""]
    elif line.target == "linear":
        words = [as_number(words[0]), str(int(words[1]) % U64)]
    elif line.target == "striped":
        pairs = [word for pair in zip(words[2::2], words[3::2], strict=True) for word in pair]
        words = [str(int(words[0])), str(int(words[1]))] + [
            str(int(word)) if at % 2 else as_number(word) for at, word in enumerate(pairs)
        ]
    return " ".join([str(line.start), str(line.length), line.target, *words])


def as_number(device: str) -> str:
    """A device of the recordings as `major:minor`, which is what the kernel prints."""
    if match := re.fullmatch(r"/.*loop(\d+)/?", device):
        return f"7:{match[1]}"
    if match := re.fullmatch(r"(\d+):(\d+)(:.*)?", device):
        return f"{int(match[1]) % 2**32}:{int(match[2])}"
    number = int(device, 16)
    return f"{number >> 8}:{number & 0xFF}"


def explains(line: DmsetupLine, log: str, lines: list[DmsetupLine]) -> bool:
    """Whether this line is one that the kernel would refuse with the line of its log."""
    log = re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), log.partition("253:0: ")[2])
    if "too small for target" in log:
        start, length = (int(number) for number in re.findall(r"=(\d+)", log)[:2])
        return str(start) in words_of(line) and length in (line.length, line.length // 2)
    if log == "zero-length target":
        return line.length == 0
    if log == "too large device":
        return line.start + line.length >= (1 << 55) - 8
    if log.endswith("unknown target type"):
        return log == f"{line.target}: unknown target type"
    if log.endswith("Gap in table (-EINVAL)"):
        at = lines.index(line)
        return line.start != (lines[at - 1].start + lines[at - 1].length if at else 0)
    if log == "linear: Invalid argument count (-EINVAL)":
        return line.target == "linear" and len(words_of(line)) != 2
    if log.startswith("linear: "):
        return line.target == "linear" and len(words_of(line)) == 2
    if log == "zero: No arguments required (-EINVAL)":
        return line.target == "zero" and bool(words_of(line))
    return log.startswith(f"{line.target}: ")


def test_the_recordings_hold_every_way_to_be_read() -> None:
    """So that the test above cannot pass by playing nothing."""
    answers = [steps[0] for steps in CREATES.values()]
    assert len(answers) > 180
    assert sum(answer.status == 0 for answer in answers) > 60
    assert sum(answer.refusal.startswith("Invalid format") for answer in answers) > 15
    assert sum(answer.refusal.startswith("Target type") for answer in answers) >= 3


def test_a_reload_from_a_file_names_the_file() -> None:
    reload, bad = "/cases.json", '[{"id"'
    answer = next(step for step in cases("text.json")["file-name"] if step.words == ("reload", "t", reload))
    with pytest.raises(DmsetupTextError) as refused:
        read_dmsetup_text(bad, reload)
    assert str(refused.value) == answer.refusal


def test_params_are_verbatim_up_to_the_hash() -> None:
    [line] = read_dmsetup_text(" 0 8 x  a  b \\c # d # e")
    assert line == DmsetupLine(0, 8, "x", "a  b \\c ")


def test_bytes_that_are_no_utf8_pass_through() -> None:
    [line] = read_dmsetup_text(b"0 8 linear /dev/\xff 0")
    assert line.params.encode("utf-8", "surrogateescape") == b"/dev/\xff 0"


def test_a_target_name_is_measured_in_bytes() -> None:
    assert read_dmsetup_text("0 8 " + "é" * 7)
    with pytest.raises(DmsetupTextError, match="is too long"):
        read_dmsetup_text("0 8 " + "é" * 8)


@given(texts)
def test_any_text_is_read_or_refused(text: str) -> None:
    lines, refused = [], None
    try:
        lines = read_dmsetup_text(text, "x")
    except DmsetupError as error:
        refused = str(error)
    message = r"Invalid format on line \d+ of table x\.|Target type name .* is too long\."
    assert refused is None or re.fullmatch(message, refused, re.DOTALL)
    assert len(lines) <= text.count("\n") + 1
    assert all(0 <= line.start < U64 and 0 <= line.length < U64 for line in lines)


@given(
    st.lists(
        st.builds(
            DmsetupLine,
            st.integers(0, U64 - 1),
            st.integers(0, U64 - 1),
            st.text(st.sampled_from("ab-0#\\"), min_size=1, max_size=15),
            st.lists(st.text(st.sampled_from("a1:/\\é"), min_size=1)).map(" ".join),
        )
    ),
    st.lists(st.sampled_from(["", "# c", " \t", "\t # 0 8 zero"])),
    blanks,
)
def test_lines_between_comments_are_read_back(lines: list[DmsetupLine], noise: list[str], blank: str) -> None:
    written = [blank.join(["", str(e.start), str(e.length), e.target, e.params, ""]) for e in lines]
    assert read_dmsetup_text("\n".join([*noise, *written, *noise])) == lines


# The kernel's own splitting


def split_byte_by_byte(data: bytes) -> list[bytes]:
    """dm_split_args as its description goes, one byte at a time."""
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(data) and data[at] in b" \t\n\v\f\r\xa0":
            at += 1
        if at == len(data):
            return words
        word = b""
        while at < len(data) and data[at] not in b" \t\n\v\f\r\xa0":
            at += data[at] == 0x5C and at + 1 < len(data)
            word += data[at : at + 1]
            at += 1
        words.append(word)


@given(texts)
def test_words_are_what_the_kernel_makes_of_the_bytes(text: str) -> None:
    words = split_byte_by_byte(text.encode("utf-8", "surrogateescape"))
    assert split_args(text) == [word.decode("utf-8", "surrogateescape") for word in words]


@given(st.lists(st.text(st.sampled_from("a1:/\\#é"), min_size=1)))
def test_a_backslash_survives_dmsetup_and_kernel(words: list[str]) -> None:
    assert split_args(quote_params(" ".join(words))) == words


def test_the_byte_a0_splits_a_character() -> None:
    assert split_args("/dev/à 0") == ["/dev/\udcc3", "0"]
    assert split_args("/dev/é 0") == ["/dev/é", "0"]


@pytest.mark.parametrize("step", cases("text.json")["kernel-words"][2:-1], ids=lambda step: step.words[-1])
def test_a_recorded_path_is_found_only_by_the_words_we_split(step: Step) -> None:
    """Nodes with odd names were made first; the kernel finds one only where libdm and it agree on its name."""
    nodes = {"c\\x20d", "a\\x5cb", "x\\y", "à", "é"}
    if "none" in step.words:  # the making of another node
        assert step.words[3] in nodes
        return
    [line] = read_dmsetup_text(step.words[-1])
    words = words_of(line)
    found = len(words) == 2 and words[0].removeprefix("/dev/mapper/") in nodes
    assert found == (step.status == 0)


@pytest.mark.parametrize(
    ("digits", "value"), [("9" * 5000, U64 - 1), ("0" * 5000 + "8", 8), ("-" + "9" * 5000, U64 - 1)]
)
def test_numbers_of_any_length_are_read(digits: str, value: int) -> None:
    """Python's own int() gives up at 4,300 digits."""
    assert read_dmsetup_text(f"0 {digits} zero") == [DmsetupLine(0, value, "zero", "")]
