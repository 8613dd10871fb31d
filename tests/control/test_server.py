"""The socket of a machine: who waits, vanishes or talks nonsense concerns nobody else, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtable.control import wire
from dmtable.control.calls import Call, CallError, Calls
from dmtable.control.client import IoctlControl
from dmtable.control.interface import DmIoctl, Flag, TargetLine
from dmtable.control.server import Server
from dmtable.control.wire import SocketTransport
from dmtable.core.bio import Bio, Op
from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.errors import IoctlError, UsageError
from dmtable.io.memory import MemoryDevice
from dmtable.runtime.threads import spawn
from dmtable.units import SECTOR_BYTES
from tests.control.requests import ioctl_number, request, spec

PATIENCE_SECONDS = 60.0


def until(holds: Callable[[], bool]) -> None:
    """Waits for a state; what never comes fails the test."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.002)


class SlowDisk(MemoryDevice):
    """A disk whose writes wait for `go`."""

    def __init__(self) -> None:
        super().__init__(64 * SECTOR_BYTES)
        self.entered, self.go = threading.Event(), threading.Event()

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self.entered.set()
        self.go.wait()
        return super().pwrite(data, offset)


class Served:
    """A machine with an md `a`, one with a table that nobody opened, and its socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.mapper = DeviceMapper()
        self.slow = SlowDisk()
        self.mapper.add(self.slow, "/dev/loop0")
        self.mapper.create("a", "0 8 zero")
        self.server = Server(self.mapper, path)
        self.server.start()
        self._transports: list[SocketTransport] = []

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        client.settimeout(PATIENCE_SECONDS)
        return client

    def control(self) -> IoctlControl:
        """A client with a connection of its own."""
        self._transports.append(SocketTransport(self.path))
        return IoctlControl(self._transports[-1])

    def take_all(self) -> None:
        """Returns when everybody who connected before is served."""
        with SocketTransport(self.path) as transport:
            assert IoctlControl(transport).version() == (4, 47, 0)

    def hang_up(self) -> None:
        """All of them end."""
        while self._transports:
            self._transports.pop().close()

    def close(self) -> None:
        self.hang_up()
        self.slow.go.set()
        self.server.close()
        self.mapper.close()


def clients() -> int:
    """How many connections there are threads for."""
    return sum(thread.name == "dmtable client" for thread in threading.enumerate())


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(str(tmp_path / "socket"))
    yield served
    served.close()
    until(lambda: clients() == 0)


def waits_for_event(md: MappedDevice) -> Callable[[], bool]:
    """Whether somebody holds the md, which only waiting does."""
    return lambda: md.holders > 0


def test_the_socket_is_its_owners_alone(served: Served) -> None:
    assert stat.S_IMODE(os.stat(served.path).st_mode) == 0o600
    assert stat.S_ISSOCK(os.stat(served.path).st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_else_is_not_served(served: Served, tmp_path: Path) -> None:
    # Even where the path lets them through.
    os.chmod(served.path, 0o666)
    tmp_path.chmod(0o755)
    child = os.fork()
    if not child:
        try:
            os.chdir(tmp_path)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(os.path.basename(served.path))
                client.settimeout(PATIENCE_SECONDS)
                wire.send(client, ioctl_number(0), request())
                os._exit(0 if client.recv(1) == b"" else 1)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert served.control().version() == (4, 47, 0)


def test_one_connection_serves_many_requests_and_many_connections_one_each(served: Served) -> None:
    kept = served.control()
    for number in range(20):
        kept.dev_create(DmIoctl(f"kept{number}"))
        served.control().dev_create(DmIoctl(f"new{number}"))
    assert len(kept.list_devices(DmIoctl())) == 41
    assert clients() == 21
    served.hang_up()
    until(lambda: clients() == 0)


def test_a_path_is_served_once_and_one_that_was_left_is_cleared(served: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Server(served.mapper, served.path)
    left = str(tmp_path / "left")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(left)
    deep = tmp_path / ("n" * 200)
    deep.mkdir()
    # The second is longer than the address of a socket can be.
    for path in (left, str(deep / "socket")):
        with Server(served.mapper, path), SocketTransport(path) as transport:
            assert IoctlControl(transport).version() == (4, 47, 0)
        assert not os.path.exists(path)
    file = tmp_path / "file"
    file.write_text("mine")
    for path in (str(file), str(tmp_path / "no" / "folder"), str(tmp_path / ("n" * 300))):
        with pytest.raises(UsageError):
            Server(served.mapper, path)
    assert file.read_text() == "mine"


def test_who_waits_blocks_nobody_and_is_woken_by_an_event(served: Served) -> None:
    md = served.mapper["a"]
    answers: list[tuple[DmIoctl, list[TargetLine]]] = []
    thread = spawn("waiter", lambda: answers.append(served.control().dev_wait(DmIoctl("a"))))
    until(waits_for_event(md))
    other = served.control()
    other.dev_create(DmIoctl("b"))
    assert other.dev_status(DmIoctl("a")).event_nr == 0
    assert not answers
    md.event()
    thread.join(PATIENCE_SECONDS)
    [(reply, lines)] = answers
    assert (reply.event_nr, lines) == (1, [TargetLine(0, 8, "zero", "")])


def test_who_waits_sees_a_device_once_more_when_it_is_removed(served: Served) -> None:
    answers: list[tuple[DmIoctl, list[TargetLine]]] = []
    thread = spawn("waiter", lambda: answers.append(served.control().dev_wait(DmIoctl("a"))))
    until(waits_for_event(served.mapper["a"]))
    served.control().dev_remove(DmIoctl("a"))
    thread.join(PATIENCE_SECONDS)
    [(reply, lines)] = answers
    assert (reply.name, reply.event_nr, reply.target_count) == ("a", 1, 1)
    assert (Flag.ACTIVE_PRESENT in reply.flags, lines) == (True, [TargetLine(0, 8, "zero", "")])


def test_the_wait_of_a_client_that_vanishes_ends(served: Served) -> None:
    md = served.mapper["a"]
    waiting = [served.connect() for _ in range(10)]
    for client in waiting:
        wire.send(client, ioctl_number(8), request(b"a"))
    until(lambda: md.holders == 10)
    for client in waiting[1:]:
        client.close()
    until(lambda: md.holders == 1 and clients() == 1)
    md.event()
    number, reply = wire.receive(waiting[0]) or (-1, b"")
    assert (number, reply[32]) == (0, 1)
    waiting[0].close()


def test_a_wait_for_any_event_ends_with_its_client_too(served: Served) -> None:
    before = files()
    client = served.connect()
    wire.send(client, 0x6D07, b'{"number": %d}' % served.mapper.events.number)
    until(lambda: clients() == 1)
    client.close()
    until(lambda: clients() == 0 and files() == before)


def test_a_suspend_that_nobody_waits_for_any_more_is_undone(served: Served) -> None:
    md = served.mapper.create("busy", "0 8 linear 7:0 0")
    writer = spawn("writer", md.pwrite, b"x" * 512, 0)
    served.slow.entered.wait(PATIENCE_SECONDS)
    client = served.connect()
    wire.send(client, ioctl_number(6), request(b"busy", flags=6))
    until(lambda: not md.running)
    assert served.control().dev_status(DmIoctl("a")).name == "a"
    client.close()
    until(lambda: md.running)
    assert Flag.SUSPEND not in served.control().dev_status(DmIoctl("busy")).flags
    served.slow.go.set()
    writer.join(PATIENCE_SECONDS)
    assert md.pread(512, 0) == b"x" * 512


def test_the_end_of_the_server_interrupts_who_waits_and_sends_what_is_due(tmp_path: Path) -> None:
    served = Served(str(tmp_path / "socket"))
    client, idle = served.connect(), served.connect()
    wire.send(idle, ioctl_number(0), request())
    assert wire.receive(idle) is not None
    wire.send(client, ioctl_number(8), request(b"a"))
    until(waits_for_event(served.mapper["a"]))
    served.server.close()
    assert wire.receive(client) == (errno.EINTR, struct.pack("<3I", 4, 47, 0))
    assert wire.receive(client) is None
    assert wire.receive(idle) is None
    assert not os.path.exists(served.path)
    until(lambda: clients() == 0)
    for each in (client, idle):
        each.close()
    with pytest.raises(FileNotFoundError):
        served.control().version()
    served.close()


@pytest.mark.parametrize("command", [3, 8, 9, 12])
@pytest.mark.parametrize("end", [0, 3, 8, 9, 100, 400])
def test_who_vanishes_within_a_request_changes_nothing(served: Served, command: int, end: int) -> None:
    before = files()
    data = request(b"new" if command == 3 else b"a", spec(0, 8, b"error", b""), count=1, event_nr=7)
    frame = struct.pack("<II", ioctl_number(command), len(data)) + data
    client = served.connect()
    client.sendall(frame[:end])
    client.close()
    served.take_all()
    until(lambda: clients() == 0 and files() == before)
    assert [md.name for md in served.mapper] == ["a"]
    assert served.mapper["a"].inactive is None


def test_who_vanishes_before_the_reply_has_its_request_done(served: Served) -> None:
    before = files()
    for number in range(30):
        client = served.connect()
        wire.send(client, ioctl_number(3), request(b"n%d" % number))
        client.close()
    until(lambda: len(served.mapper) == 31 and clients() == 0 and files() == before)


def test_a_frame_that_is_too_long_ends_its_connection_alone(served: Served) -> None:
    other = served.control()
    assert other.version() == (4, 47, 0)
    client = served.connect()
    client.sendall(struct.pack("<II", ioctl_number(0), wire.MOST_BYTES + 1))
    assert client.recv(1) == b""
    client.close()
    assert other.version() == (4, 47, 0)


def test_who_does_not_read_holds_up_nobody(served: Served) -> None:
    control = served.control()
    for number in range(200):
        control.dev_create(DmIoctl(f"{number:0100}"))
    client = served.connect()
    client.settimeout(0.2)
    frame = request(room=1 << 16)

    def talk_for_ever() -> None:
        while True:
            wire.send(client, ioctl_number(2), frame)

    with pytest.raises(TimeoutError):
        talk_for_ever()
    assert control.dev_status(DmIoctl("a")).name == "a"
    client.close()


def test_a_request_that_stumbles_is_told_and_others_go_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    control = served.control()

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(served.mapper, "clear", stumble)
    with pytest.raises(IoctlError) as caught:
        control.table_clear(DmIoctl("a"))
    assert caught.value.errno == errno.EIO
    assert len(told) == 1
    assert control.dev_status(DmIoctl("a")).name == "a"


def test_too_many_connections_wait_for_their_turn(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmtable.control.server._MOST_CONNECTIONS", 3)
    first = [served.connect() for _ in range(3)]
    for client in first:
        wire.send(client, ioctl_number(0), request())
        assert wire.receive(client) is not None
    late = served.connect()
    wire.send(late, ioctl_number(0), request())
    late.settimeout(0.2)
    with pytest.raises(TimeoutError):
        late.recv(1)
    first[0].close()
    late.settimeout(PATIENCE_SECONDS)
    assert wire.receive(late) == (0, struct.pack("<3I", 4, 47, 0))
    for client in (*first[1:], late):
        client.close()


def test_calls_fail_with_their_text(served: Served) -> None:
    with SocketTransport(served.path) as transport, pytest.raises(CallError, match="no device has the number 7:9"):
        Calls(transport).detach((7, 9))


def test_a_transport_connects_anew_after_an_end(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    transport = SocketTransport(path)
    with DeviceMapper() as mapper:
        for _ in range(2):
            with Server(mapper, path):
                assert IoctlControl(transport).version() == (4, 47, 0)
            with pytest.raises((ConnectionError, FileNotFoundError)):
                transport(ioctl_number(0), request())
    transport.close()


BYTES = st.binary(max_size=600)
FRAMES = st.one_of(
    BYTES,
    st.builds(
        lambda command, data, lie: struct.pack("<II", command, max(len(data) + lie, 0)) + data,
        st.sampled_from([ioctl_number(nr) for nr in range(20)] + [0x6D00, 0x6D03, 0x6D07, 0x1234]),
        st.one_of(BYTES, st.builds(request, st.sampled_from([b"a", b"zz", b"n" * 128]), BYTES, room=st.just(400))),
        st.sampled_from([0, 0, 0, -1, 1, 5000]),
    ),
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(str(tmp_path_factory.mktemp("fuzz") / "socket"))
    yield served
    served.close()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(FRAMES, max_size=4), min_size=1, max_size=3))
def test_whatever_clients_send_others_are_served_and_nothing_is_left(fuzzed: Served, talks: list[list[bytes]]) -> None:
    until(lambda: clients() == 0)
    with SocketTransport(fuzzed.path) as transport:
        control = IoctlControl(transport)
        control.remove_all(DmIoctl())
        control.dev_create(DmIoctl("a"))
        before = files()
        talking = [fuzzed.connect() for _ in talks]
        for client, frames in zip(talking, talks, strict=True):
            for frame in frames:
                try:
                    client.sendall(frame)
                except (BrokenPipeError, ConnectionResetError):
                    break
        # What they sent may be a request to remove everything; but nobody is kept from asking, and all are taken.
        fuzzed.take_all()
        assert control.version() == (4, 47, 0)
        for client in talking:
            client.close()
        until(lambda: clients() == 1 and files() == before)
        control.dev_create(DmIoctl("mine"))
        assert control.dev_status(DmIoctl("mine")).open_count == 0
        assert all(md.holders == 0 for md in fuzzed.mapper)


def test_bios_are_not_interrupted(served: Served) -> None:
    """A removal of an md waits for its I/O, and is taken back when nobody waits for the removal."""
    md = served.mapper.create("busy", "0 8 linear 7:0 0")
    bio = Bio(Op.WRITE, 0, 1, memoryview(bytearray(b"y" * 512)))
    writer = spawn("writer", md.submit, bio)
    served.slow.entered.wait(PATIENCE_SECONDS)
    client = served.connect()
    wire.send(client, ioctl_number(4), request(b"busy"))
    until(lambda: not md.running)
    client.close()
    until(lambda: md.running)
    served.slow.go.set()
    writer.join(PATIENCE_SECONDS)
    assert bio.error == 0
    assert served.control().dev_remove(DmIoctl("busy")).name == "busy"


def test_a_server_without_a_file_or_a_thread_to_spare_serves_later(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def none(*_: object) -> threading.Thread:
        asked.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("dmtable.control.server.spawn", none)
        with served.connect() as refused:
            assert asked.wait(PATIENCE_SECONDS)
            assert refused.recv(1) == b""
    with served.connect() as client:
        wire.send(client, ioctl_number(0), request())
        assert wire.receive(client) is not None


def test_a_server_that_nobody_is_connected_to_tries_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    class Full:
        def __init__(self, listener: socket.socket) -> None:
            self._listener = listener

        def accept(self) -> object:
            if tried.is_set():
                return self._listener.accept()
            tried.set()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        def __getattr__(self, name: str) -> object:
            return getattr(self._listener, name)

    monkeypatch.setattr(served.server, "_listener", Full(served.server._listener))
    with served.connect() as client:
        wire.send(client, ioctl_number(0), request())
        assert wire.receive(client) is not None


def test_a_path_that_no_file_can_have_is_refused(served: Served) -> None:
    with SocketTransport(served.path) as transport:
        assert transport(Call.ATTACH.request, b'{"path": "/\\ud800"}')[0] == errno.EINVAL


def test_the_end_waits_for_all_that_hang_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Served(str(tmp_path / "socket"))
    entered, go = threading.Semaphore(0), threading.Event()

    def hang(command: int, buffer: bytes) -> tuple[int, bytes]:
        entered.release()
        go.wait()
        return 0, b""

    monkeypatch.setattr(machine.server, "_transport", hang)
    hung = [machine.connect() for _ in range(60)]
    for client in hung:
        wire.send(client, 0, b"")
        entered.acquire()
    closing = spawn("close", machine.server.close)
    closing.join(PATIENCE_SECONDS)
    assert not closing.is_alive(), "two seconds for each are too many"
    go.set()
    for client in hung:
        client.close()
    machine.close()
    until(lambda: clients() == 0)


def test_a_transports_patience_ends(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        with SocketTransport(str(tmp_path / "socket"), 0.01) as transport, pytest.raises(TimeoutError):
            transport(0, b"")
