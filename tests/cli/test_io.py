"""`dmtable read` and `dmtable write`: any range, in pieces, and how far it got where it ends early."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.cli.main import main
from dmtable.cli.read import hex_dump
from dmtable.cli.transfer import PIECE_BYTES, Stopped, flush, read_range, write_stream
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.io.device import Buffer
from dmtable.io.memory import MemoryDevice
from tests.cli.stacks import disks, written

Capture = pytest.CaptureFixture[bytes]
STRIPED = "0 96 striped 3 8 /dev/d 0 /dev/d 32 /dev/d 64"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for `vol`: 4096 sectors striped over two files, with an error in sectors 4096 to 4099 of `bad`."""
    disks(tmp_path / "disks", sda=4096, sdb=4096)
    tables = {
        "bad": "0 4096 linear /dev/mapper/vol 0\n4096 4 error\n4100 8 zero\n",
        "vol": "0 4096 striped 2 16 /dev/sda 8 /dev/sdb 0\n",
    }
    written(tmp_path, tables)
    monkeypatch.chdir(tmp_path)
    return ["--root", "disks", "--table", "bad=bad.table", "--table", "vol.table"]


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def pattern(length: int, seed: int = 0) -> bytes:
    return bytes((seed + number // 7 + number) % 251 for number in range(length))


def memory_md(text: str, sectors: int = 96) -> tuple[DeviceMapper, MappedDevice]:
    mapper = DeviceMapper()
    mapper.add(MemoryDevice(sectors * 512), "/dev/d")
    return mapper, mapper.create("vol", text)


def test_what_was_written_is_read_again(
    stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture
) -> None:
    data = pattern(4096 * 512)
    give(monkeypatch, data)
    assert main(["write", *stack, "vol", "0"]) == 0
    assert capsysbinary.readouterr().err == b"wrote 2097152 bytes to vol at byte 0 (sector 0)\n"
    # Chunk 2 of 16 sectors is the second of the first leg.
    assert Path("disks/dev/sda").read_bytes()[24 * 512 : 40 * 512] == data[32 * 512 : 48 * 512]
    assert main(["read", *stack, "vol"]) == 0
    assert capsysbinary.readouterr() == (data, b"")
    assert main(["read", *stack, "vol", "1k", "12"]) == 0
    assert capsysbinary.readouterr().out == data[1024 : 1024 + 12 * 512]


def test_files_in_place_of_standard_streams(stack: list[str], capsysbinary: Capture) -> None:
    Path("in").write_bytes(pattern(3000))
    assert main(["write", *stack, "--input", "in", "vol", "100b"]) == 0
    assert main(["read", *stack, "--output", "out", "vol", "100b", "3000b"]) == 0
    assert Path("out").read_bytes() == pattern(3000)
    assert capsysbinary.readouterr().out == b""


@given(st.integers(0, 96 * 512), st.integers(0, 20_000), st.sampled_from([0, 512, 4096]))
def test_any_range_leaves_the_rest_as_it_was(first: int, length: int, step: int) -> None:
    if step:
        first, length = first // step * step, length // step * step
    end = min(first + length, 96 * 512)
    old, new = pattern(96 * 512), pattern(length, seed=90)
    mapper, md = memory_md(STRIPED)
    with mapper:
        md.pwrite(old, 0)
        assert write_stream(md, first, end, io.BytesIO(new)) == end - first
        expected = old[:first] + new[: end - first] + old[end:]
        assert md.pread(md.size_bytes, 0) == expected
        assert b"".join(read_range(md, first, end)) == expected[first:end]


def test_a_sector_is_read_only_where_it_is_written_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    mapper, md = memory_md(STRIPED)
    with mapper:
        reads: list[int] = []
        pread = md.pread

        def noted(length: int, offset: int) -> bytes:
            reads.append(offset)
            return pread(length, offset)

        monkeypatch.setattr(md, "pread", noted)
        write_stream(md, 512, 4096, io.BytesIO(bytes(2 * 512)))
        assert reads == []
        write_stream(md, 700, 4096, io.BytesIO(bytes(2 * 512)))
        assert sorted(reads) == [512, 1536]
        write_stream(md, 1024, 4096, io.BytesIO(bytes(700)))
        assert sorted(reads) == [512, 1536, 1536]


class Dribble(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1000))


def test_memory_holds_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sectors = 3 * PIECE_BYTES // 512
    mapper, md = memory_md(f"0 {sectors} linear /dev/d 0", sectors)
    data = pattern(3 * PIECE_BYTES - 100)
    sizes: list[int] = []
    pwrite = md.pwrite

    def noted(data: Buffer, offset: int) -> int:
        sizes.append(len(data))
        return pwrite(data, offset)

    monkeypatch.setattr(md, "pwrite", noted)
    with mapper:
        assert write_stream(md, 100, md.size_bytes, Dribble(data)) == len(data)  # type: ignore[arg-type]
        assert max(sizes) <= PIECE_BYTES
        pieces = list(read_range(md, 100, md.size_bytes))
        assert max(map(len, pieces)) <= PIECE_BYTES
        assert b"".join(pieces) == data


@pytest.mark.parametrize("offset", ["0", "10b"])
def test_a_read_gets_everything_before_a_bad_sector(stack: list[str], capsysbinary: Capture, offset: str) -> None:
    assert main(["read", *stack, "bad", offset]) == 1
    out, err = capsysbinary.readouterr()
    got = 4096 * 512 - int(offset.rstrip("b"))
    assert len(out) == got
    told = f"bad: Input/output error at byte 2097152 (sector 4096); {got} bytes before it were read\n"
    assert err.decode() == f"dmtable read: {told}"


def test_a_write_gets_to_the_bad_sector(
    stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture
) -> None:
    data = pattern(4108 * 512)
    give(monkeypatch, data)
    assert main(["write", *stack, "bad", "0"]) == 1
    told = b"bad: Input/output error at byte 2097152 (sector 4096); 2097152 bytes before it were written\n"
    assert capsysbinary.readouterr().err == b"dmtable write: " + told
    assert main(["read", *stack, "vol"]) == 0
    assert capsysbinary.readouterr().out == data[: 4096 * 512]


def test_an_edge_that_cannot_be_read_is_an_error(
    stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture
) -> None:
    give(monkeypatch, b"x" * 10)
    assert main(["write", *stack, "bad", "2097160b"]) == 1
    told = b"bad: Input/output error at byte 2097152 (sector 4096); 0 bytes before it were read\n"
    assert capsysbinary.readouterr().err == b"dmtable write: " + told


@pytest.mark.parametrize(
    ("arguments", "length", "said"),
    [
        (
            ["4095"],
            513,
            "the input is too long: wrote 512 bytes to vol at byte 2096640 (sector 4095), and that is where vol ends",
        ),
        (
            ["4096"],
            1,
            "the input is too long: wrote 0 bytes to vol at byte 2097152 (sector 4096), and that is where vol ends",
        ),
        (
            ["8", "1k"],
            1000,
            "the input ended early: wrote 1000 bytes to vol at byte 4096 (sector 8), and 1024 were to come",
        ),
    ],
)
def test_an_input_of_the_wrong_length(
    stack: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: Capture,
    arguments: list[str],
    length: int,
    said: str,
) -> None:
    give(monkeypatch, bytes(length))
    assert main(["write", *stack, "vol", *arguments]) == 1
    assert capsysbinary.readouterr().err.decode() == f"dmtable write: {said}\n"


def test_a_length_takes_no_more_than_that(
    stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture
) -> None:
    give(monkeypatch, pattern(5000))
    assert main(["write", *stack, "vol", "0", "1k"]) == 0
    capsysbinary.readouterr()
    assert main(["read", *stack, "vol", "0", "2k"]) == 0
    assert capsysbinary.readouterr().out == pattern(1024) + bytes(1024)


def test_it_flushes_before_it_says_that_it_is_done(
    stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture
) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    give(monkeypatch, bytes(1024))
    assert main(["write", *stack, "vol", "0"]) == 1
    told = b"dmtable write: vol: Input/output error at the flush behind 1024 bytes: they may be lost\n"
    assert capsysbinary.readouterr().err == told


def test_a_read_only_md_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture) -> None:
    root = disks(tmp_path / "disks", sda=8)
    (tmp_path / "all").write_text("vol,,,ro,0 8 linear /dev/sda 0")
    give(monkeypatch, bytes(512))
    assert main(["write", "--root", str(root), "--concise", str(tmp_path / "all"), "vol", "0"]) == 1
    assert b"vol: Operation not permitted at byte 0 (sector 0); 0 bytes" in capsysbinary.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read", "vol", "4097"], "vol ends at byte 2097152, sector 4096; that is short of byte 2097664"),
        (["read", "vol", "4095", "2"], "vol ends at byte 2097152, sector 4096; that is short of byte 2097664"),
        (["write", "vol", "0", "4097"], "vol ends at byte 2097152, sector 4096; that is short of byte 2097664"),
        (["read", "other"], "no table is called other; there are bad, vol"),
        (["read", "vol", "-1"], ""),
        (["read", "--output", "nosuch/out", "vol"], "cannot write nosuch/out: No such file or directory"),
        (["write", "--input", "nosuch", "vol", "0"], "cannot read nosuch: No such file or directory"),
        (
            ["write", "--table", "x=-", "vol", "0"],
            "standard input cannot be both a table and the bytes to write; use --input FILE",
        ),
    ],
)
def test_usage(
    stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture, arguments: list[str], said: str
) -> None:
    give(monkeypatch, b"")
    try:
        status: object = main([arguments[0], *stack, *arguments[1:]])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert said in capsysbinary.readouterr().err.decode()


def test_an_output_that_is_full_is_an_error(stack: list[str], capsysbinary: Capture) -> None:
    assert main(["read", *stack, "--output", "/dev/full", "vol"]) == 1
    told = b"dmtable read: the output cannot be written: No space left on device, behind 0 bytes\n"
    assert capsysbinary.readouterr().err == told


def test_hexadecimal_on_request(stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture) -> None:
    give(monkeypatch, b"The quick brown fox.\n")
    assert main(["write", *stack, "vol", "2"]) == 0
    assert main(["read", *stack, "vol", "2", "70b", "--hex"]) == 0
    assert capsysbinary.readouterr().out.decode() == (
        "00000400  54 68 65 20 71 75 69 63  6b 20 62 72 6f 77 6e 20  |The quick brown |\n"
        "00000410  66 6f 78 2e 0a 00 00 00  00 00 00 00 00 00 00 00  |fox.............|\n"
        "00000420  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
        "*\n"
        "00000440  00 00 00 00 00 00                                 |......|\n"
        "00000446\n"
    )


def test_hexadecimal_on_a_terminal(stack: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: Capture) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["read", *stack, "vol", "0", "16b"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"00000000  00 00")


@given(st.lists(st.binary(max_size=40)), st.integers(0, 100))
def test_a_dump_does_not_depend_on_the_pieces(pieces: list[bytes], at: int) -> None:
    assert list(hex_dump(pieces, at)) == list(hex_dump([b"".join(pieces)], at))


def test_a_source_that_fails_says_how_far_it_got() -> None:
    class Failing(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    mapper, md = memory_md(STRIPED)
    with mapper:
        with pytest.raises(Stopped, match="the input cannot be read: Input/output error; vol has 0 bytes of it"):
            write_stream(md, 0, 512, Failing())  # type: ignore[arg-type]
        flush(md, 0)
