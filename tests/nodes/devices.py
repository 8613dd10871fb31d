"""A disk in memory that can hang and fail, and counts what it is asked."""

from __future__ import annotations

import os
import threading

from dmtable.io.device import Buffer
from dmtable.io.memory import MemoryDevice


class Disk(MemoryDevice):
    """`hang` keeps every call inside until `let_go`; `error` is an errno that every call raises."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.error = 0
        self.calls: list[str] = []
        self.inside = 0
        self._count = threading.Lock()
        self._passes = threading.Event()
        self._passes.set()

    def hang(self) -> None:
        self._passes.clear()

    def let_go(self) -> None:
        self._passes.set()

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        self._call("read")
        return super().pread_into(buffer, offset)

    def pwrite(self, data: Buffer, offset: int) -> int:
        self._call("write")
        return super().pwrite(data, offset)

    def flush(self) -> None:
        self._call("flush")
        super().flush()

    def write_zeroes(self, offset: int, length: int) -> None:
        self._call("zeroes")
        super().write_zeroes(offset, length)

    def _call(self, what: str) -> None:
        self.calls.append(what)
        with self._count:
            self.inside += 1
        self._passes.wait()
        with self._count:
            self.inside -= 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
