"""The folder of an emulated machine: what stands in it, and how its device nodes are written.

    socket        takes requests (wire.py)
    pid           the daemon's number, locked while it lives
    log           what the daemon says
    mapper/NAME   each md with a live table, as a file of its size (FUSE)
    dev/          the /dev that programs see: nodes, links, folders
    lvm/          LVM's settings, backups and locks
    exec/PID/     what a supervisor of `dmtable exec` shows in place of parts of /proc and /sys

A node in dev/ is a small regular file that says which block device it is: `DMNODE 253:3`. So links,
removals, renames and listings are the file system's own work.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from dmtable.errors import UsageError

MAX_NODE_BYTES = 32
MIN_NODE_BYTES = len(b"DMNODE 7:0\n")
_NODE = re.compile(rb"DMNODE ([0-9]{1,4}):([0-9]{1,7})\n")


@dataclass(frozen=True, slots=True)
class MachineFolder:
    """The paths of a machine's folder, which need not exist."""

    path: str

    @property
    def socket(self) -> str:
        return f"{self.path}/socket"

    @property
    def pid(self) -> str:
        return f"{self.path}/pid"

    @property
    def log(self) -> str:
        return f"{self.path}/log"

    @property
    def mapper(self) -> str:
        return f"{self.path}/mapper"

    @property
    def dev(self) -> str:
        return f"{self.path}/dev"

    @property
    def dev_mapper(self) -> str:
        return f"{self.path}/dev/mapper"

    @property
    def lvm(self) -> str:
        return f"{self.path}/lvm"

    @property
    def exec(self) -> str:
        return f"{self.path}/exec"

    def exists(self) -> bool:
        """Whether it is there. Raises UsageError where it is, or may be changed by, somebody else's."""
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UsageError(f"{self.path} cannot be used: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise UsageError(f"{self.path} must be a folder that you alone can change")
        return True

    def make(self) -> None:
        """Makes the folder and those in it that nobody else makes, for its owner alone. Raises UsageError."""
        try:
            if not self.exists():
                os.makedirs(self.path, 0o700, exist_ok=True)
                self.exists()  # Somebody may have been quicker.
            for path in (self.mapper, self.dev, self.dev_mapper, self.lvm, self.exec):
                # Not makedirs: to it, a mount whose server is dead is no folder.
                with suppress(FileExistsError):
                    os.mkdir(path, 0o755)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be made: {error.strerror}") from error


def machine_folder(path: str | None = None, environ: Mapping[str, str] = os.environ) -> MachineFolder:
    """The folder with a path, else the one of $DMTABLE_DIR, else the user's own."""
    chosen = path or environ.get("DMTABLE_DIR")
    if not chosen and (runtime := environ.get("XDG_RUNTIME_DIR")):
        chosen = f"{runtime}/dmtable"
    if not chosen:
        chosen = "/run/dmtable" if os.geteuid() == 0 else f"/tmp/dmtable-{os.geteuid()}"
    above, name = os.path.split(os.path.abspath(chosen))
    # A link in the last place is not followed: in /tmp it may be anybody's.
    return MachineFolder(os.path.join(os.path.realpath(above), name))


def node_number(content: bytes) -> tuple[int, int] | None:
    """The device number that a node file says, None where the file is something else."""
    match = _NODE.fullmatch(content)
    return (int(match[1]), int(match[2])) if match else None


def read_node(path: str) -> tuple[int, int] | None:
    """The device number of a node, its links followed; None where there is none."""
    try:
        # Only a small regular file is opened: whoever opens a FIFO may wait for ever.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or not MIN_NODE_BYTES <= status.st_size <= MAX_NODE_BYTES:
            return None
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return node_number(os.read(fd, MAX_NODE_BYTES + 1))
    except OSError:
        return None
    finally:
        os.close(fd)


def write_node(path: str, number: tuple[int, int], mode: int = 0o660) -> None:
    """Makes a node of this very mode. Raises OSError as mknod(2) does, EEXIST among others."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)
        os.write(fd, b"DMNODE %d:%d\n" % number)
    finally:
        os.close(fd)
