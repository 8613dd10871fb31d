"""The disks of recorded cases, as bytes: what each sector holds, and how to know it again. Knows nothing of dmtable."""

from __future__ import annotations

import hashlib
import re

SECTOR_BYTES = 512
_MARK = re.compile(rb"(d\d):(\d+)\n")


def substitute(text: str) -> str:
    """`{d0}` is the disk's number, `{path:d0}` its path."""
    return re.sub(r"\{path:d(\d)\}", r"/dev/loop\1", re.sub(r"\{d(\d)\}", r"7:\1", text))


def payload(seed: str, length: int) -> bytes:
    """What a recorded write wrote."""
    blocks = range(-(-length // hashlib.sha256().digest_size))
    return b"".join(hashlib.sha256(f"{seed}/{block}".encode()).digest() for block in blocks)[:length]


def content(name: str, sectors: int) -> bytes:
    """A disk that nobody has written to."""
    return b"".join(_pattern(name, sector) for sector in range(sectors))


def origin(sector: bytes) -> tuple[str, int]:
    """The disk that a sector came from and its number there, or what else it is."""
    mark = _MARK.match(sector)
    if mark and sector == _pattern(mark[1].decode(), int(mark[2])):
        return mark[1].decode(), int(mark[2])
    if not any(sector):
        return "zero", 0
    return f"data:{hashlib.sha256(sector).hexdigest()[:12]}", 0


class Runs:
    """Where the sectors of a device come from, run by run: `[count, origin, first sector]`."""

    def __init__(self) -> None:
        self.runs: list[list[int | str]] = []
        self._next: tuple[str, int] = ("", 0)

    def add(self, kind: str, at: int, count: int = 1) -> None:
        follows = (kind, at) == self._next or (kind in ("zero", "error") and kind == self._next[0])
        if self.runs and follows:
            before = self.runs[-1][0]
            assert isinstance(before, int)
            self.runs[-1][0] = before + count
        else:
            self.runs.append([count, kind, at])
        self._next = kind, at + count


def _pattern(name: str, sector: int) -> bytes:
    return f"{name}:{sector}\n".encode().ljust(16, b".") * (SECTOR_BYTES // 16)
