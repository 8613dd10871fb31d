"""The mds of a device-mapper as files in a folder."""

from __future__ import annotations

from pathlib import Path

from dmtable.core.device_mapper import DeviceMapper
from dmtable.nodes.mount import mount, unmount
from dmtable.nodes.session import Session


class Nodes:
    """While this is open, each md with a live table is a file in the folder, with its name and size.

    A file is as the block device would be: what is read and written goes to the md at once, its open files count as
    users of the md, and one that is read-only refuses writes with EPERM. Who reads or writes a suspended md waits.

        with Nodes(dm, Path("mapper")):
            subprocess.run(["mkfs.ext4", "mapper/vol"], check=True)

    Raises UsageError where the folder cannot be mounted on, or the platform has no FUSE. Close it before the
    device-mapper.
    """

    def __init__(self, mapper: DeviceMapper, mount_point: Path) -> None:
        self.mount_point = mount_point
        self._session = Session(mapper, mount(mount_point))

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def mounted(self) -> bool:
        """False once somebody else has unmounted the folder, or it is closed."""
        return not self._session.over.is_set()

    def close(self) -> None:
        """Unmounts, also where files are open: they answer with errors from now on, and nobody waits any more."""
        if self.mounted:
            self._session.close()
            unmount(self.mount_point)
        else:
            self._session.close()
