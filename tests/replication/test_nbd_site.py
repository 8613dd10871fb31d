"""A remote site behind a real NBD server that is killed and comes back while the group writes."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from dmtable import DeviceMapper
from dmtable.sim.order import History, Prefix
from tests.replication.lives import (
    DEVICE_SECTORS,
    LOCAL,
    REMOTE,
    WINDOW_BEGINS,
    WINDOW_SECTORS,
    Hasty,
    drained,
    make_images,
    shown_by_images,
    writes,
)
from tests.slink.needs import needs_nbdkit

_ROUNDS = 5


class _Server:
    """Exports the remote images by their names, while it runs."""

    def __init__(self, root: Path, socket: Path) -> None:
        self._folder = (root / REMOTE[0]).parent
        self._socket = socket
        self._pid_file = socket.with_name("pid")
        self.start()

    def uri(self, device: int) -> str:
        return f"nbd+unix:///{Path(REMOTE[device]).name}?socket={self._socket}"

    def start(self) -> None:
        """Returns when it can be reached."""
        self._pid_file.unlink(missing_ok=True)
        self._socket.unlink(missing_ok=True)
        words = ["-f", "-U", str(self._socket), "-P", str(self._pid_file), "file", f"dir={self._folder}"]
        self._process = subprocess.Popen(["nbdkit", *words], stderr=subprocess.DEVNULL)
        while not self._pid_file.exists():
            assert self._process.poll() is None, "nbdkit does not start"
            time.sleep(0.005)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[_Server]:
    make_images(tmp_path)
    # pytest's own folders have names too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        server = _Server(tmp_path, Path(folder, "socket"))
        yield server
        server.kill()


@needs_nbdkit
def test_the_server_is_killed_under_load(server: _Server, tmp_path: Path) -> None:
    chosen = random.Random(5)
    history = History([WINDOW_SECTORS] * 2)
    number = 1
    with DeviceMapper(tmp_path, runtime=Hasty()) as dm:
        log = "ringbuffer 4 /dev/local_vg/replog_store 0 create 8192"
        dm.create("group", f"0 8 replicator {log} blockdev 2 0 async nbd 4 1 async size 3000")
        mds = [
            dm.create(
                f"lvol{device}",
                f"0 {DEVICE_SECTORS} replicator-dev /dev/mapper/group {device} 0 1 /{LOCAL[device]} nolog 0 "
                f"1 1 {server.uri(device)} disk 3 /dev/local_vg/slink1_lvol{device}_dirty_log 2048 nosync",
            )
            for device in range(2)
        ]
        held = 0
        for life in range(_ROUNDS):
            while life % 2 and not drained(dm):
                time.sleep(0.005)
            for write in islice(writes(life, number), 30):
                for part in write.parts:
                    number = 1 + history.enter(part.device, part.sector, part.sectors, part.number)
                mds[write.parts[0].device].pwrite(write.data, WINDOW_BEGINS + write.parts[0].sector << 9)
            time.sleep(chosen.random() * 0.02)
            server.kill()
            prefix = history.judge(shown_by_images(tmp_path, REMOTE))
            assert isinstance(prefix, Prefix), prefix
            assert prefix.whole >= held
            held = prefix.whole
            server.start()
        assert held
        while not drained(dm):
            time.sleep(0.005)
        whole = len(history.entries)
        for names in (LOCAL, REMOTE):
            assert history.judge(shown_by_images(tmp_path, names)) == Prefix(whole, whole)
