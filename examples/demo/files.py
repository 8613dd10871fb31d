"""An ext4 file system on a node: mounted where that is possible, else written by debugfs."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from examples.demo.failure import DemoError
from examples.demo.programs import find, run


class Files(ABC):
    """A file system. `has_journal`: it is sound at every instant, and not only between two calls."""

    has_journal: bool

    @abstractmethod
    def make(self) -> None:
        """A new one, ready to be written."""

    @abstractmethod
    def begin(self) -> None:
        """One that is there, ready to be written."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """A new file, durable when this returns."""

    @abstractmethod
    def end(self) -> None:
        """It is used no more; its device may be dead. Can be called again."""


class Mounted(Files):
    """Through a loop device, as root: a node is a file to the kernel, which mounts block devices."""

    has_journal = True

    def __init__(self, node: Path, place: Path) -> None:
        self._node = node
        self._place = place
        self._loop = ""

    def make(self) -> None:
        run("mkfs.ext4", "-q", self._node)
        self.begin()

    def begin(self) -> None:
        self._place.mkdir(exist_ok=True)
        self._loop = run("losetup", "--find", "--show", self._node)
        run("mount", "-t", "ext4", self._loop, self._place)

    def put(self, name: str, content: bytes) -> None:
        with open(self._place / name, "wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())

    def end(self) -> None:
        loop, self._loop = self._loop, ""
        if os.path.ismount(self._place):
            run("umount", self._place)
        if loop:
            run("losetup", "--detach", loop)


class Unmounted(Files):
    """Made with `mke2fs -d`, written by debugfs, which needs no rights, and keeps no journal."""

    has_journal = False

    def __init__(self, node: Path, place: Path) -> None:
        self._node = node
        self._place = place

    def make(self) -> None:
        self._place.mkdir(exist_ok=True)
        (self._place / "README").write_text("Berlin's receipts\n")
        run("mke2fs", "-q", "-t", "ext4", "-d", self._place, self._node)

    def begin(self) -> None:
        return

    def put(self, name: str, content: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            run("debugfs", "-w", "-R", f"write {file.name} {name}", self._node)

    def end(self) -> None:
        return


def make_files(node: Path, place: Path) -> tuple[Files | None, str]:
    """A file system made on a node, the best that can be had here; else None, and what stood in the way."""
    missing = [name for name in ("mke2fs", "mkfs.ext4", "debugfs", "e2fsck") if find(name) is None]
    if missing:
        return None, f"there is no {', no '.join(missing)} (Debian: e2fsprogs)"
    why = "only root mounts"
    if os.geteuid() == 0:
        mounted = Mounted(node, place)
        try:
            mounted.make()
        except DemoError as error:
            with suppress(DemoError):
                mounted.end()
            why = str(error)
        else:
            return mounted, ""
    files = Unmounted(node, place)
    files.make()
    return files, why
