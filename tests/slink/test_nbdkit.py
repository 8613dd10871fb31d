"""NBD links to a real server: nbdkit, killed and brought back, stopped and let go on, at a socket and over TCP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmtable.core.bio import Op
from dmtable.core.steps import Steps, carry_out
from dmtable.io.nbd import NbdDevice
from dmtable.runtime.runtime import Runtime
from dmtable.runtime.threads import ThreadRuntime
from dmtable.slink.link import DeviceError, Policy, SiteDevice
from dmtable.slink.nbd import NbdLink
from dmtable.testing.contracts import SiteBench
from tests.slink.needs import needs_nbdkit

SECTORS = 2048


class Nbdkit:
    """A file, and the server that exports it as `group` while it runs."""

    def __init__(self, folder: Path, where: list[str], uri: str) -> None:
        self.image = folder / "image"
        self.image.write_bytes(bytes(SECTORS * 512))
        self.uri = uri
        self._pid_file = folder / "pid"
        self._socket = folder / "socket"
        self._where = where
        self.start()

    def start(self) -> None:
        """Returns when it can be reached."""
        self._pid_file.unlink(missing_ok=True)
        self._socket.unlink(missing_ok=True)
        words = ["nbdkit", "-f", "-e", "group", "-P", str(self._pid_file), *self._where, "file", str(self.image)]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        # It writes its number when it listens.
        while not self._pid_file.exists():
            assert self.process.poll() is None, "nbdkit does not start"
            time.sleep(0.005)

    def stop(self) -> None:
        """Returns when it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(params=["socket", "tcp"])
def nbdkit(request: pytest.FixtureRequest) -> Iterator[Nbdkit]:
    # pytest's own folders have names too long for a socket.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if request.param == "socket":
            server = Nbdkit(folder, ["-U", str(folder / "socket")], f"nbd+unix:///group?socket={folder / 'socket'}")
        else:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            server = Nbdkit(folder, ["-i", "127.0.0.1", "-p", str(port)], f"nbd://127.0.0.1:{port}/group")
        yield server
        server.kill()


class _Remote:
    """A link with the server's export as its device 0."""

    def __init__(self, server: Nbdkit) -> None:
        self.context = _Context()
        self.link = NbdLink(1, Policy(), None)
        self.link.devices[0] = SiteDevice(0, server.uri, SECTORS, None)
        self.run(self.link.opening(self.context, 0))

    def run(self, steps: Steps) -> None:
        carry_out(steps, self.context.runtime)

    def write(self, sector: int, data: bytes) -> None:
        self.run(self.link.writing(0, Op.WRITE, sector, len(data) >> 9, data))
        self.run(self.link.flushing(0))

    def fails(self) -> None:
        with pytest.raises(OSError, match="nbd"):
            self.write(0, bytes(512))
        self.link.failed(0, DeviceError.WRITE)
        assert self.link.error_letters == "W"
        with pytest.raises(OSError, match="nbd"):
            self.test()
        assert not self.link.accessible

    def test(self) -> None:
        self.run(self.link.testing(self.context))


class _Context(SiteBench):
    """In real time."""

    real_time = ThreadRuntime()

    @property
    def runtime(self) -> Runtime:
        return self.real_time


@needs_nbdkit
def test_what_is_written_is_in_the_servers_file(nbdkit: Nbdkit) -> None:
    remote = _Remote(nbdkit)
    remote.write(1, b"first" + bytes(507))
    remote.write(1024, bytes([7]) * (1 << 19))
    remote.run(remote.link.writing(0, Op.DISCARD, 1025, 1000, None))
    remote.run(remote.link.writing(0, Op.WRITE, 3, 1, b"f" * 512, fua=True))
    image = bytearray(SECTORS * 512)
    image[512:517] = b"first"
    image[1536:2048] = b"f" * 512
    image[1 << 19 :] = bytes([7]) * (1 << 19)
    image[1025 << 9 : 2025 << 9] = bytes(1000 << 9)
    assert nbdkit.image.read_bytes() == image
    remote.link.remove(0)


@needs_nbdkit
def test_a_server_that_is_killed_comes_back_with_the_next_test(nbdkit: Nbdkit) -> None:
    remote = _Remote(nbdkit)
    remote.write(1, b"1" * 512)
    for number in range(2):
        nbdkit.kill()
        remote.fails()
        nbdkit.start()
        remote.test()
        assert remote.link.accessible
        remote.write(2 + number, b"2" * 512)
    assert nbdkit.image.read_bytes()[512:2048] == b"1" * 512 + b"2" * 1024
    remote.link.remove(0)


@needs_nbdkit
def test_a_server_that_stands_still_blocks_nobody_for_ever(nbdkit: Nbdkit) -> None:
    remote = _Remote(nbdkit)
    device = remote.link.opened(0)
    assert isinstance(device, NbdDevice)
    nbdkit.stop()
    device.silence_seconds = 0.1
    remote.fails()
    nbdkit.go_on()
    device.silence_seconds = 10.0
    remote.test()
    remote.write(5, b"5" * 512)
    assert nbdkit.image.read_bytes()[2560:3072] == b"5" * 512
    remote.link.remove(0)
