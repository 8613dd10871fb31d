"""A machine in this process, and programs that run against it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from dmtable.control.exec.filtered import Filter
from dmtable.control.exec.supervisor import Supervisor
from dmtable.control.folder import MachineFolder, read_node
from dmtable.control.server import Server
from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import UsageError
from dmtable.nodes.nodes import Nodes

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
ENVIRON = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "LVM_SUPPRESS_FD_WARNINGS": "1"}
PATIENCE_SECONDS = 120


class Lab:
    """Disks of so many MiB each, /dev/loop0 onwards, and a supervisor."""

    def __init__(self, path: Path, disk_mib: Sequence[int]) -> None:
        self.folder = MachineFolder(str(path / "m"))
        self.folder.make()
        self.images = [path / f"disk{index}" for index in range(len(disk_mib))]
        self.mapper = DeviceMapper("/")
        self.mapper.has_nodes_in(self.folder.dev, read_node)
        for image, mib in zip(self.images, disk_mib, strict=True):
            image.touch()
            os.truncate(image, mib << 20)
            self.mapper.attach(str(image))
        self._nodes = Nodes(self.mapper, Path(self.folder.mapper))
        self.mapper.show_nodes_in(self.folder.mapper)
        self._server = Server(self.mapper, self.folder.socket)
        self._server.start()
        self.supervisor = Supervisor(self.folder)

    def close(self) -> None:
        self.supervisor.close()
        self._server.close()
        self._nodes.close()
        self.mapper.close()

    def try_run(
        self, *command: str, stdin: str = "", environ: Mapping[str, str] = ENVIRON, as_root: bool = False
    ) -> subprocess.CompletedProcess[str]:
        return self.supervisor.run(command, stdin=stdin, environ=environ, as_root=as_root)

    def run(self, *command: str, stdin: str = "") -> str:
        """The output of a program that succeeds."""
        done = self.try_run(*command, stdin=stdin)
        assert done.returncode == 0, (command, done)
        return done.stdout

    def sh(self, script: str) -> str:
        return self.run("sh", "-euc", script)

    def sha256(self, node: str, length: int) -> str:
        """Of a node's first bytes, as a program reads them."""
        return self.sh(f"head -c {length} {node} | sha256sum").split()[0]

    def fill(self, node: str, length: int, seed: str) -> str:
        """Writes bytes to a node's begin and returns their SHA-256."""
        data = b"".join(hashlib.sha256(f"{seed}/{n}".encode()).digest() for n in range(length // 32))
        source = Path(self.folder.path, f"source-{seed}")
        source.write_bytes(data)
        self.run("dd", f"if={source}", f"of={node}", "bs=64k", "conv=notrunc,fsync", "oflag=direct", "status=none")
        return hashlib.sha256(data).hexdigest()


@cache
def lacking() -> str | None:
    """Why no program runs under exec on this computer; None where they do."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    try:
        prepared = Filter()
    except UsageError as error:
        return str(error)
    child = os.fork()
    if child == 0:
        prepared.install()
        os._exit(0)
    try:
        prepared.listener().close()
    except UsageError as error:
        return str(error)
    finally:
        os.waitpid(child, 0)
        prepared.close()
    return None


def needs(*programs: str) -> None:
    """Skips the test where a program is not installed."""
    for program in programs:
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"{program} is not installed")
