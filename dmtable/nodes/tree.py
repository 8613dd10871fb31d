"""The folder as it is seen: a regular file for each md with a live table."""

from __future__ import annotations

import os
import stat
from weakref import ref

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.core.numbers import DM_MAJOR
from dmtable.nodes.protocol import ROOT, Attributes, directory_entry

FIRST_INODE = 2
"""The inode of minor 0; the others follow in their order."""
_FILE, _FOLDER = stat.S_IFREG | 0o600, stat.S_IFDIR | 0o555


class Tree:
    """Names, inodes and attributes. Nothing is remembered but which md an inode last was."""

    def __init__(self, mapper: DeviceMapper) -> None:
        self._mapper = mapper
        self._date = int(mapper.runtime.date())
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._seen: dict[int, tuple[ref[MappedDevice], int]] = {}

    def find(self, name: bytes) -> MappedDevice | None:
        """The md that a name stands for."""
        try:
            md = self._mapper[os.fsdecode(name)]
        except KeyError:
            return None
        return md if _shows(md) else None

    def md(self, inode: int) -> MappedDevice | None:
        """The md of an inode, whether it shows or not."""
        return self._mapper.by_number((DM_MAJOR, inode - FIRST_INODE))

    def generation(self, md: MappedDevice) -> int:
        """Another number for each md that has the same inode in turn: the kernel takes them for different files."""
        inode = inode_of(md)
        last, number = self._seen.get(inode, (None, -1))
        if last is None or last() is not md:
            number += 1
            self._seen[inode] = ref(md), number
        return number

    def attributes(self, md: MappedDevice | None) -> Attributes:
        """Of an md, or of the folder."""
        if md is None:
            return Attributes(ROOT, _FOLDER, 0, self._uid, self._gid, self._date)
        return Attributes(inode_of(md), _FILE, md.size_bytes, self._uid, self._gid, self._date)

    def entries(self, behind: int, size_bytes: int) -> bytes:
        """The folder's entries behind an offset, as many as there is room for.

        An entry's offset is made of its inode alone: mds may come and go while somebody reads.
        """
        files = sorted((inode_of(md), os.fsencode(md.name)) for md in self._mapper if _shows(md))
        found = [(ROOT, 1, b".", _FOLDER), (ROOT, 2, b"..", _FOLDER)]
        found += [(inode, inode + 1, name, _FILE) for inode, name in files]
        answer = b""
        for inode, offset, name, mode in found:
            if offset > behind:
                entry = directory_entry(inode, offset, name, mode)
                if len(answer) + len(entry) > size_bytes:
                    break
                answer += entry
        return answer


def _shows(md: MappedDevice) -> bool:
    # An md may have these names, a file cannot.
    return md.live is not None and md.name not in (".", "..")


def inode_of(md: MappedDevice) -> int:
    """The inode of an md's file."""
    return md.number[1] + FIRST_INODE
