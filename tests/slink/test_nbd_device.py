"""NBD exports as block devices: what servers offer, and what becomes of calls when they fail, hang or go."""

from __future__ import annotations

import errno
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.core.bio import Op
from dmtable.errors import CtrError, UsageError
from dmtable.io import libnbd
from dmtable.io.device import BlockDevice
from dmtable.io.memory import MemoryDevice
from dmtable.io.nbd import NbdDevice
from dmtable.runtime.threads import ThreadRuntime
from dmtable.slink.link import Policy, SiteDevice
from dmtable.slink.nbd import NbdLink
from dmtable.testing.contracts import BlockDeviceContract
from tests.slink.nbd_site import NbdSite
from tests.slink.needs import needs_libnbd
from tests.slink.server import NbdServer

SIZE = 64 << 10


@pytest.fixture
def socket_path() -> Iterator[str]:
    # pytest's own folders have names too long for a socket.
    folder = tempfile.mkdtemp()
    yield str(Path(folder, "nbd"))
    shutil.rmtree(folder)


def _connect(path: str, silence_seconds: float = 10.0) -> NbdDevice:
    return NbdDevice(f"nbd+unix:///?socket={path}", ThreadRuntime(), silence_seconds=silence_seconds)


@needs_libnbd
class TestNbdDevice(BlockDeviceContract):
    discard_zeroes = True
    plain = False
    most_bytes = 0

    @pytest.fixture(autouse=True)
    def _servers(self, socket_path: str) -> Iterator[None]:
        self.path = socket_path
        self.servers: dict[str, NbdServer] = {}
        yield
        for server in self.servers.values():
            server.stop()

    def make(self) -> BlockDevice:
        return self._serve(MemoryDevice(self.size_bytes))

    def make_read_only(self) -> BlockDevice:
        return self._serve(MemoryDevice(self.size_bytes, read_only=True))

    def reopen(self, device: BlockDevice) -> BlockDevice:
        assert isinstance(device, NbdDevice)
        device.close()
        return NbdDevice(device.uri, ThreadRuntime())

    def _serve(self, device: BlockDevice) -> NbdDevice:
        path = f"{self.path}{len(self.servers)}"
        self.servers[path] = NbdServer(device, path, plain=self.plain, most_bytes=self.most_bytes)
        return _connect(path)


class TestNbdDeviceInPieces(TestNbdDevice):
    """A plain server that takes 4 KiB at a time: discards do nothing there, and zeroes are written."""

    discard_zeroes = False
    plain = True
    most_bytes = 4096


@pytest.fixture
def server(socket_path: str) -> Iterator[NbdServer]:
    server = NbdServer(MemoryDevice(SIZE), socket_path)
    yield server
    server.stop()


@needs_libnbd
def test_what_the_server_is_asked_for(server: NbdServer) -> None:
    device = _connect(server.path)
    assert device.can_fua
    device.pwrite(bytes(512), 1024)
    device.pwrite(bytes(512), 0, fua=True)
    device.write_zeroes(512, 1024, fua=True)
    device.discard(4096, 8192)
    device.flush()
    device.close()
    assert server.seen == [
        (Op.WRITE, 1024, 512, False),
        (Op.WRITE, 0, 512, True),
        (Op.WRITE_ZEROES, 512, 1024, True),
        (Op.DISCARD, 4096, 8192, False),
        (Op.FLUSH, 0, 0, False),
    ]


@needs_libnbd
def test_a_link_sends_fua_with_the_write_where_the_server_knows_it() -> None:
    for plain, seen in ((False, [(Op.WRITE, True)]), (True, [(Op.WRITE, False), (Op.FLUSH, False)])):
        site = NbdSite(plain=plain)
        link = site.opened(NbdLink(1, Policy(), None))
        site.run(link.writing(3, Op.WRITE, 0, 1, bytes(512), fua=True))
        assert [(op, fua) for op, _, _, fua in site.server.seen] == seen
        link.remove(3)
        site.close()


@needs_libnbd
def test_a_flush_behind_a_lost_connection_makes_nothing_durable() -> None:
    """The server lost what was written, so nobody may believe that it was flushed."""
    site = NbdSite()
    link = site.opened(NbdLink(1, Policy(), None))
    site.run(link.writing(3, Op.WRITE, 0, 1, b"x" * 512))
    site.take_away()
    site.disk.lose_cache(site.disk.durable)
    site.give_back()
    with pytest.raises(OSError, match=r"not connected|lost"):
        site.run(link.flushing(3))
    link.remove(3)
    site.close()


@needs_libnbd
def test_a_server_that_cannot_flush_is_refused(socket_path: str) -> None:
    server = NbdServer(MemoryDevice(SIZE), socket_path, flushes=False)
    with pytest.raises(OSError, match="nothing would be durable") as caught:
        _connect(socket_path)
    assert caught.value.errno == errno.EOPNOTSUPP
    server.stop()


@needs_libnbd
def test_a_server_that_falls_silent_is_gone(server: NbdServer) -> None:
    device = _connect(server.path)
    server.silent = True
    device.silence_seconds = 0.05
    with pytest.raises(OSError, match="no answer") as caught:
        device.pread(512, 0)
    assert caught.value.errno == errno.ETIMEDOUT
    server.silent = False
    for call in (lambda: device.pread(512, 0), device.flush, lambda: device.pwrite(bytes(512), 0)):
        with pytest.raises(OSError, match="lost") as lost:
            call()
        assert lost.value.errno == errno.ENOTCONN
    assert not device.connected
    device.silence_seconds = 10.0
    device.reconnect()
    assert device.connected
    assert device.pread(512, 0) == bytes(512)
    device.close()


@needs_libnbd
def test_a_server_that_never_says_hello_is_nobody(socket_path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(socket_path)
        listening.listen()
        with pytest.raises(OSError, match="no answer") as caught:
            _connect(socket_path, silence_seconds=0.05)
    assert caught.value.errno == errno.ETIMEDOUT


@needs_libnbd
@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"NBDMAGIC" + bytes(200)])
def test_a_server_that_is_none_is_an_error(socket_path: str, greeting: bytes) -> None:
    def greet() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(greeting)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(socket_path)
        listening.listen()
        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(OSError, match="nbd"):
            _connect(socket_path)
        thread.join()


@needs_libnbd
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/dev/sda",
        "http://host/",
        "nbd+unix:///x",
        "nbd+unix:///?socket=/no/such/socket",
        "nbd://[",
        "nbd://\0",
        "nbd://\ud800",
    ],
)
def test_a_uri_that_leads_nowhere_is_an_os_error(uri: str) -> None:
    with pytest.raises(OSError, match=r"nbd|NBD|no URI"):
        NbdDevice(uri, ThreadRuntime())


@needs_libnbd
def test_an_error_of_the_server_leaves_the_connection_as_it_is() -> None:
    site = NbdSite()
    link = site.opened(NbdLink(1, Policy(), None))
    device = link.opened(3)
    assert isinstance(device, NbdDevice)
    site.disk.unreadable.add(0)
    with pytest.raises(OSError, match="nbd") as caught:
        device.pread(512, 0)
    assert caught.value.errno == errno.EIO
    assert device.connected
    assert device.pread(512, 512) == bytes(512)
    link.remove(3)
    site.close()


@needs_libnbd
def test_a_closed_device_is_an_error_and_nothing_worse(server: NbdServer) -> None:
    device = _connect(server.path)
    device.close()
    with pytest.raises(OSError, match="lost"):
        device.flush()


def test_without_the_library_a_link_says_which_package_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", nothing)
    libnbd.load.cache_clear()
    with pytest.raises(UsageError, match="libnbd0"):
        libnbd.load()
    with pytest.raises(CtrError, match="libnbd0"):
        NbdLink(1, Policy(), None)


@needs_libnbd
def test_a_device_that_could_not_be_opened_is_reached_once_its_server_is_there(socket_path: str) -> None:
    site = NbdSite()
    site.take_away()
    link = NbdLink(1, Policy(), None)
    link.devices[3] = SiteDevice(3, site.word, 32, None)
    with pytest.raises(OSError, match="nbd"):
        site.run(link.opening(site, 3))
    with pytest.raises(OSError, match="not open") as caught:
        link.opened(3)
    assert caught.value.errno == errno.ENXIO
    site.give_back()
    site.run(link.opening(site, 3))
    assert link.opened(3).size_bytes == site.disk.size_bytes
    link.remove(3)
    site.close()
