"""The protocol over a socket in the place of /dev/fuse: what no kernel would send must end nothing."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtable.core.device_mapper import DeviceMapper
from dmtable.io.memory import MemoryDevice
from dmtable.nodes.protocol import ANSWER, HEAD, MAX_BYTES, READING, SETATTR, Change, Opcode
from dmtable.nodes.session import Session
from tests.nodes.conftest import until

INIT = struct.pack("=IIII", 7, 38, 131072, 0xFFFFFFFF)
ME = threading.get_native_id()


class Kernel:
    """The other end of the connection."""

    def __init__(self, dm: DeviceMapper) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        self.socket.settimeout(60)
        self.session = Session(dm, theirs.detach())
        self._unique = 0

    def send(self, opcode: int, body: bytes = b"", inode: int = 2, thread: int = ME) -> int:
        self._unique += 2
        self.socket.send(HEAD.pack(HEAD.size + len(body), opcode, self._unique, inode, 0, 0, thread, 0) + body)
        return self._unique

    def answer(self) -> tuple[int, int, bytes]:
        """(unique, errno, body)."""
        answer = self.socket.recv(2 * MAX_BYTES)
        length, status, unique = ANSWER.unpack_from(answer)
        assert length == len(answer)
        return unique, -status, answer[ANSWER.size :]

    def ask(self, opcode: int, body: bytes = b"", inode: int = 2) -> tuple[int, bytes]:
        unique = self.send(opcode, body, inode)
        answered, number, answer = self.answer()
        assert answered == unique
        return number, answer

    def open(self) -> int:
        number, body = self.ask(Opcode.OPEN, bytes(8))
        assert number == 0
        return int(struct.unpack_from("=Q", body)[0])


@pytest.fixture
def dm() -> Iterator[DeviceMapper]:
    with DeviceMapper() as made:
        made.add(MemoryDevice(1 << 20), "/dev/loop0")
        made.create("vol", "0 2048 linear 7:0 0")
        yield made


@pytest.fixture
def kernel(dm: DeviceMapper) -> Iterator[Kernel]:
    made = Kernel(dm)
    yield made
    made.session.close()
    made.socket.close()


def transfer(fh: int, offset: int, size: int, flags: int = 0) -> bytes:
    return READING.pack(fh, offset, size, 0, 0, flags, 0)


def test_the_greeting(kernel: Kernel) -> None:
    number, body = kernel.ask(Opcode.INIT, INIT)
    major, minor, _, flags, background, _, max_write, _, pages = struct.unpack_from("=IIIIHHIIH", body)
    assert (number, major, minor, len(body)) == (0, 7, 31, 64)
    assert flags & 1 << 22
    assert (max_write, pages, background) == (1 << 20, 256, 0xFFFF)
    assert kernel.ask(Opcode.INIT, struct.pack("=IIII", 7, 30, 0, 0)) == (errno.EPROTO, b"")
    assert kernel.ask(Opcode.INIT, struct.pack("=IIII", 6, 99, 0, 0)) == (errno.EPROTO, b"")


def test_reads_and_writes(kernel: Kernel) -> None:
    fh = kernel.open()
    assert kernel.ask(Opcode.WRITE, transfer(fh, 512, 5) + b"hello") == (0, struct.pack("=II", 5, 0))
    assert kernel.ask(Opcode.READ, transfer(fh, 510, 10)) == (0, b"\0\0hello\0\0\0")
    assert kernel.ask(Opcode.RELEASE, struct.pack("=QIIQ", fh, 0, 0, 0)) == (0, b"")
    assert kernel.ask(Opcode.READ, transfer(fh, 0, 512)) == (errno.EBADF, b"")


@pytest.mark.parametrize(
    ("opcode", "body", "number"),
    [
        (Opcode.READ, lambda fh: transfer(fh, 0, 512)[:-1], errno.EINVAL),
        (Opcode.READ, lambda fh: transfer(fh, 0, 512) + b"x", errno.EINVAL),
        (Opcode.READ, lambda fh: transfer(fh, 0, MAX_BYTES + 1), errno.EINVAL),
        (Opcode.READ, lambda fh: b"", errno.EINVAL),
        (Opcode.READ, lambda fh: transfer(fh + 1, 0, 512), errno.EBADF),
        (Opcode.WRITE, lambda fh: transfer(fh, 0, 512) + bytes(511), errno.EINVAL),
        (Opcode.WRITE, lambda fh: transfer(fh, 0, 0) + bytes(1), errno.EINVAL),
        (Opcode.WRITE, lambda fh: transfer(fh, (1 << 64) - 1, 1) + bytes(1), errno.ENOSPC),
        (Opcode.FSYNC, lambda fh: b"", errno.EINVAL),
        (Opcode.FSYNC, lambda fh: bytes(16), errno.EBADF),
        (Opcode.FALLOCATE, lambda fh: bytes(32), errno.EBADF),
        (Opcode.FALLOCATE, lambda fh: struct.pack("=QQQII", fh, 1 << 63, 1 << 63, 0x10, 0), errno.EINVAL),
        (Opcode.LOOKUP, lambda fh: b"\xff\0\xff", errno.ENOENT),
        (Opcode.SETATTR, lambda fh: SETATTR.pack(Change.UID, 0, 0, 0, 0, 0, 12345, 0, 0), errno.EPERM),
        (Opcode.SETATTR, lambda fh: bytes(87), errno.EINVAL),
        (Opcode.READDIR, lambda fh: bytes(3), errno.EINVAL),
        (Opcode.INIT, lambda fh: b"", errno.EINVAL),
        (9999, lambda fh: b"", errno.ENOSYS),
        (25, lambda fh: bytes(24), errno.ENOSYS),
    ],
)
def test_requests_that_make_no_sense(kernel: Kernel, opcode: int, body: object, number: int) -> None:
    assert callable(body)
    assert kernel.ask(opcode, body(kernel.open())) == (number, b"")


@pytest.mark.parametrize("inode", [0, 1, 3, 1 << 63, (1 << 64) - 1])
def test_inodes_that_are_no_mds(kernel: Kernel, inode: int) -> None:
    assert kernel.ask(Opcode.OPEN, bytes(8), inode) == (errno.ENXIO, b"")
    assert kernel.ask(Opcode.LOOKUP, b"vol\0", inode)[0] == (0 if inode == 1 else errno.ENOENT)
    assert kernel.ask(Opcode.GETATTR, bytes(16), inode)[0] == (0 if inode == 1 else errno.ENOENT)


def test_names_from_anywhere_in_the_folder(kernel: Kernel, dm: DeviceMapper) -> None:
    for name in ("a", "b"):
        dm.create(name, "0 1 zero")
    found, offset = [], 0
    while True:
        number, body = kernel.ask(Opcode.READDIR, transfer(0, offset, 40), 1)
        assert number == 0
        if not body:
            break
        _, offset, length, _ = struct.unpack_from("=QQII", body)
        found.append(body[24 : 24 + length])
        dm.remove(dm["a"]) if found[-1] == b"vol" else None
    assert found == [b".", b"..", b"vol", b"b"]


class TestInterrupts:
    """An INTERRUPT names another request by its unique. This thread is not dying; thread 0 cannot be seen."""

    def interrupt(self, kernel: Kernel, unique: int) -> None:
        kernel.socket.send(HEAD.pack(48, Opcode.INTERRUPT, unique | 1, 2, 0, 0, 0, 0) + struct.pack("=Q", unique))

    def test_it_ends_the_wait_of_a_dying_thread_once(self, kernel: Kernel, dm: DeviceMapper) -> None:
        fh = kernel.open()
        dm.suspend(dm["vol"])
        unique = kernel.send(Opcode.WRITE, transfer(fh, 0, 512) + b"x" * 512, thread=0)
        for _ in range(3):
            self.interrupt(kernel, unique)
        assert kernel.answer() == (unique, errno.EINTR, b"")
        dm.resume(dm["vol"])
        assert dm["vol"].pread(512, 0) == b"x" * 512
        assert kernel.ask(Opcode.STATFS)[0] == 0

    def test_it_does_nothing_to_a_living_thread(self, kernel: Kernel, dm: DeviceMapper) -> None:
        fh = kernel.open()
        dm.suspend(dm["vol"])
        unique = kernel.send(Opcode.READ, transfer(fh, 0, 512))
        self.interrupt(kernel, unique)
        assert kernel.ask(Opcode.STATFS)[0] == 0
        dm.resume(dm["vol"])
        assert kernel.answer() == (unique, 0, bytes(512))

    def test_of_nothing_it_is_ignored(self, kernel: Kernel) -> None:
        for unique in (0, 2, 12345, (1 << 64) - 2):
            self.interrupt(kernel, unique)
        kernel.socket.send(HEAD.pack(41, Opcode.INTERRUPT, 7, 2, 0, 0, 0, 0) + b"x")
        assert kernel.ask(Opcode.STATFS)[0] == 0


def test_requests_without_an_answer_get_none(kernel: Kernel) -> None:
    for opcode in (Opcode.FORGET, Opcode.BATCH_FORGET):
        kernel.send(opcode, bytes(16))
    assert kernel.ask(Opcode.STATFS)[0] == 0


def test_the_end_of_the_connection_closes_all_files(kernel: Kernel, dm: DeviceMapper) -> None:
    kernel.open()
    kernel.open()
    assert dm["vol"].open_count == 2
    kernel.socket.close()
    assert kernel.session.over.wait(60)
    until(lambda: dm["vol"].open_count == 0)


REQUESTS = st.binary(min_size=1, max_size=200) | st.builds(
    lambda opcode, inode, fh, offset, size, rest, cut: (
        HEAD.pack(40 + len(body := (transfer(fh, offset, size) + rest)[:cut]), opcode, 99, inode, 0, 0, 0, 0) + body
    ),
    st.sampled_from(sorted(Opcode)) | st.integers(0, 60),
    st.integers(0, 4),
    st.integers(0, 3),
    st.integers(0, 4096) | st.integers(0, (1 << 64) - 1),
    st.integers(0, 4096) | st.integers(0, (1 << 32) - 1),
    st.binary(max_size=80),
    st.integers(0, 200),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.lists(REQUESTS, max_size=20))
def test_no_request_ends_the_service(kernel: Kernel, requests: list[bytes]) -> None:
    for request in requests:
        kernel.socket.send(request)
    unique = kernel.send(Opcode.STATFS)
    while kernel.answer()[0] != unique:
        pass


def test_random_bytes(kernel: Kernel) -> None:
    for size in [*range(1, 100), 4096, 8192]:
        kernel.socket.send(os.urandom(size))
    assert kernel.ask(Opcode.STATFS)[0] == 0
