"""The fast path: text to columns and lines, with everything in doubt left to the parser.

Nearly every line of a large table is `linear`, begins where the line before it ended, and is plain ASCII.
Such lines never become objects. A chunk of text is split into words at once, and whatever must hold for
them is asked in one call into C for the whole chunk; chunks stay in the processor's cache, a whole text
does not. A chunk that is anything else is read line by line.

What leaves here as Columns or Line has nothing about it that a reader of text would have to say. The rest
are LogicalLines, for the parser to judge.
"""

from __future__ import annotations

import re
from array import array
from itertools import accumulate

from dmtable.language.dmsetup_text import MAX_TARGET_NAME
from dmtable.language.grammar import read_line
from dmtable.language.lines import LogicalLine, logical_line
from dmtable.language.tree import Columns, Line, Source, column_lines

Piece = Columns | Line | LogicalLine

CHUNK = 32 * 1024
SHORTEST_RUN = 8
"""Fewer rows than this become lines."""

_S63 = 1 << 63
_FITS_H = 1 << 16  # so many devices have an index of 16 bits
_MOST_DIGITS = 60  # of three numbers below 2^63, so that int() is not given more than it takes

_NOT_PLAIN = re.compile(r"[^\t\n\v\f\r -\"$-\[\]-~]")
_PLAIN_WORD = re.compile(r"[!-~]+")


def scan(source: Source) -> list[Piece]:
    """The pieces of a text in its order, without blank lines and plain comments."""
    scanner = _Scanner(source)
    at = 0
    while at < len(source.text):
        at = scanner.read_chunk(at)
    scanner.end_run()
    return scanner.pieces


class _Scanner:
    """What has been read so far, and the run of rows that may still go on."""

    def __init__(self, source: Source) -> None:
        self.pieces: list[Piece] = []
        self._source = source
        self._run = _Run()

    def read_chunk(self, at: int) -> int:
        """Reads about CHUNK characters from the beginning of a line on; returns where the next line begins."""
        text = self._source.text
        end = len(text)
        if at + CHUNK < end:
            end = text.rfind("\n", at, at + CHUNK) + 1 or text.find("\n", at + CHUNK) + 1 or end
        if self._read_rows(at, end):
            return end
        begin = at
        while odd := _NOT_PLAIN.search(text, at, end):
            stop = text.rfind("\n", at, odd.start()) + 1 or at
            if not self._read_rows(at, stop):
                self._read_plain(at, stop)
            at = self._read_odd(stop, odd.start())
        if at == begin or not self._read_rows(at, end):
            self._read_plain(at, end)
        return max(at, end)

    def _read_rows(self, at: int, end: int) -> bool:
        """Reads a stretch if all of it is adjoining `linear` lines; otherwise leaves everything as it was."""
        text = self._source.text[at:end]
        if not text.isascii() or "#" in text or "\\" in text:
            return False
        # Bytes split at our blanks and no others. Where every sixth word is a line end and there are no others,
        # each line has five.
        words = text.encode().replace(b"\n", b" # ").split()
        rows, rest = divmod(len(words), 6)
        if not rows or rest or words[2::6].count(b"linear") != rows or words[5::6].count(b"#") != rows:
            return False
        if text.count("\n") != rows:
            return False
        digits = b",".join(words[::6] + words[1::6] + words[4::6])
        if digits.translate(None, b",0123456789"):
            return False
        from json import loads  # int() for each of them would take twice as long

        try:
            numbers: list[int] = loads(b"[%b]" % digits)
            offsets = array("q", numbers[2 * rows :])
        except (ValueError, OverflowError):  # leading zeros, thousands of digits; more than 63 bits
            return False
        lengths = numbers[rows : 2 * rows]
        starts = list(accumulate(lengths, initial=numbers[0]))
        behind = starts.pop()
        if len(numbers) != 3 * rows or starts != numbers[:rows] or behind >= _S63 or 0 in lengths:
            return False
        if starts[0] != self._run.behind:
            self.end_run()
        return self._run.add_rows(starts, behind, words[3::6], offsets, at, end)

    def _read_plain(self, at: int, end: int) -> None:
        """Reads a stretch of ASCII without comments, backslashes and control characters, line by line."""
        self._run.next_at = None
        for line in self._source.text[at:end].split("\n"):
            words = line.split()
            stop = at + len(line) + 1
            if words and not (len(words) == 5 and words[2] == "linear" and self._read_row(words, at, stop)):
                self._read_line(at, stop)
            at = stop

    def _read_row(self, words: list[str], at: int, stop: int) -> bool:
        start_word, length_word, _, device, offset_word = words
        digits = start_word + length_word + offset_word
        if not digits.isdigit() or len(digits) > _MOST_DIGITS:
            return False
        start, length, offset = int(start_word), int(length_word), int(offset_word)
        behind = start + length
        if not length or behind >= _S63 or offset >= _S63:
            return False
        if start != self._run.behind:
            self.end_run()
        self._run.add(start, behind, device, offset, at, stop)
        return True

    def _read_line(self, at: int, stop: int) -> None:
        words = [match.span() for match in _PLAIN_WORD.finditer(self._source.text, at, stop)]
        line = read_line(self._source, words)
        if line is None or len(line.target) > MAX_TARGET_NAME or max(line.start, line.length) >= _S63:
            self._append(logical_line(self._source.text, at))
        else:
            self._append(line)

    def _read_odd(self, at: int, odd: int) -> int:
        """Leaves to the parser the line at `at`, whose first odd character is at `odd`, save for a plain comment."""
        text = self._source.text
        line = logical_line(text, at)
        if line.words or text[odd] != "#" or _NOT_PLAIN.search(text, odd + 1, line.end):
            self._append(line)
        return line.end

    def _append(self, piece: Line | LogicalLine) -> None:
        self.end_run()
        self.pieces.append(piece)

    def end_run(self) -> None:
        """Turns the rows of the run, if any, into a piece, or into lines where they are few."""
        if self._run.behind is None:
            return
        columns = self._run.columns(self._run.behind)
        if len(columns) >= SHORTEST_RUN:
            self.pieces.append(columns)
        else:
            self.pieces.extend(column_lines(self._source, columns))
        self._run = _Run()


class _Run:
    """Adjoining rows as they are found. `behind` is the first sector behind them, None where there are none."""

    def __init__(self) -> None:
        self.behind: int | None = None
        self.next_at: int | None = None
        self._starts = array("q")
        self._offsets = array("q")
        self._device_index = array("H")
        self._devices = _Devices()
        self._marks: list[tuple[int, int]] = []

    def add(self, start: int, behind: int, device: str, offset: int, at: int, next_at: int) -> None:
        """One row, whose line begins at `at` and ends before `next_at`."""
        if self.next_at != at:
            self._marks.append((len(self._starts), at))
        index = self._devices[device.encode()]
        if index == _FITS_H:
            self._widen()
        self._device_index.append(index)
        self._starts.append(start)
        self._offsets.append(offset)
        self.behind, self.next_at = behind, next_at

    def add_rows(
        self, starts: list[int], behind: int, devices: list[bytes], offsets: array[int], at: int, next_at: int
    ) -> bool:
        """Many rows, a line each; False, and none is added, where a device has characters that are not plain."""
        known = len(self._devices)
        try:
            index = list(map(self._devices.__getitem__, devices))
        except ValueError:
            return False
        if known <= _FITS_H < len(self._devices):
            self._widen()
        self._marks.append((len(self._starts), at))
        self._starts.fromlist(starts)
        self._offsets.extend(offsets)
        self._device_index.fromlist(index)
        self.behind, self.next_at = behind, next_at
        return True

    def _widen(self) -> None:
        if self._device_index.typecode == "H":
            self._device_index = array("I", self._device_index)

    def columns(self, behind: int) -> Columns:
        """The rows, of which there is at least one; the run is not to be used afterwards."""
        self._starts.append(behind)
        devices, marks = tuple(map(bytes.decode, self._devices)), tuple(self._marks)
        return Columns("linear", self._starts, self._offsets, self._device_index, devices, marks)


class _Devices(dict[bytes, int]):
    """Devices, in ASCII, by the order in which they first appear; raises ValueError for one that is not printable."""

    def __missing__(self, device: bytes) -> int:
        if not device.decode().isprintable():
            raise ValueError(device)
        number = self[device] = len(self)
        return number
