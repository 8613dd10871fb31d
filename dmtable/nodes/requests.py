"""What the kernel asks for beside reads and writes: names, attributes, opens and closes."""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
from collections.abc import Callable
from itertools import count

from dmtable.core.device_mapper import DeviceMapper
from dmtable.core.mapped_device import MappedDevice
from dmtable.nodes.channel import Channel
from dmtable.nodes.hands import Hands
from dmtable.nodes.interrupts import Interrupts
from dmtable.nodes.node import Node
from dmtable.nodes.protocol import (
    ALONE,
    FALLOCATE,
    FH,
    GETATTR,
    GETATTR_FH,
    MAX_BYTES,
    OPEN,
    READING,
    ROOT,
    SETATTR,
    Change,
    Opcode,
    Open,
    attributes_answer,
    entry_answer,
    init_answer,
    open_answer,
    statfs_answer,
)
from dmtable.nodes.tree import Tree, inode_of

UNANSWERED = frozenset(map(int, (Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT)))
_FILE = Open.DIRECT_IO | Open.NOFLUSH | Open.PARALLEL_DIRECT_WRITES
_REFUSED = (
    *(Opcode.CREATE, Opcode.MKNOD, Opcode.MKDIR, Opcode.SYMLINK, Opcode.LINK, Opcode.TMPFILE),
    *(Opcode.UNLINK, Opcode.RMDIR, Opcode.RENAME, Opcode.RENAME2),
)
"""Files come and go with the mds, and not otherwise."""

Body = memoryview
Answer = bytes | None
"""None where somebody else answers, or nobody."""


class Requests:
    """Answers each request but READ and WRITE. `files` has the node behind each file handle."""

    def __init__(self, mapper: DeviceMapper, channel: Channel, hands: Hands, interrupts: Interrupts) -> None:
        self.files: dict[int, Node] = {}
        self._mapper = mapper
        self._channel = channel
        self._hands = hands
        self._interrupts = interrupts
        self._tree = Tree(mapper)
        self._nodes: dict[MappedDevice, Node] = {}
        self._alone: set[int] = set()
        self._lock = threading.Lock()
        self._handles = count(1)
        self._calls: dict[int, Callable[[int, int, Body], Answer]] = {
            Opcode.INIT: lambda _unique, _inode, body: init_answer(body),
            Opcode.LOOKUP: self._lookup,
            Opcode.GETATTR: self._getattr,
            Opcode.SETATTR: self._setattr,
            Opcode.OPEN: self._open,
            Opcode.RELEASE: self._release,
            Opcode.FSYNC: self._fsync,
            Opcode.FALLOCATE: self._fallocate,
            Opcode.OPENDIR: lambda *_: open_answer(0, Open(0)),
            Opcode.READDIR: self._readdir,
            Opcode.STATFS: lambda *_: statfs_answer(),
            Opcode.INTERRUPT: self._interrupt,
            **dict.fromkeys((Opcode.RELEASEDIR, Opcode.FSYNCDIR, Opcode.DESTROY), lambda *_: b""),
            **dict.fromkeys((Opcode.FORGET, Opcode.BATCH_FORGET), lambda *_: None),
            **dict.fromkeys(_REFUSED, _refuse),
        }

    def serve(self, opcode: int, unique: int, inode: int, body: Body) -> None:
        """Answers a request, now or later; `body` is what follows its header, and may change when this returns.

        Of what the kernel asks in vain once it does not ask again, or does by itself: ENOSYS.
        """
        call = self._calls.get(opcode, _unknown)
        try:
            answer = call(unique, inode, body)
        except OSError as error:
            self._channel.fail(unique, error.errno or errno.EIO)
        except struct.error:
            # Shorter than it should be.
            self._channel.fail(unique, errno.EINVAL)
        else:
            if answer is not None:
                self._channel.answer(unique, answer)

    def close(self) -> None:
        """Closes all files that are open."""
        for fh in list(self.files):
            self._close(fh)

    def _lookup(self, _unique: int, inode: int, body: Body) -> Answer:
        md = self._tree.find(bytes(body).rstrip(b"\0")) if inode == ROOT else None
        if md is None:
            raise _os_error(errno.ENOENT)
        return entry_answer(self._tree.attributes(md), self._tree.generation(md))

    def _getattr(self, _unique: int, inode: int, body: Body) -> Answer:
        flags, _, fh = GETATTR.unpack_from(body)
        return attributes_answer(self._tree.attributes(self._md(inode, fh if flags & GETATTR_FH else None)))

    def _setattr(self, _unique: int, inode: int, body: Body) -> Answer:
        """Changes nothing: of the times that is not told, of all else it is.

        A size of 0 that belongs to no open file may come from an open with O_TRUNC, which block devices ignore.
        """
        bits, _, fh, size, mode, _, uid, gid, _ = SETATTR.unpack_from(body)
        change = Change(bits & (Change.MODE | Change.UID | Change.GID | Change.SIZE | Change.FH))
        has = self._tree.attributes(self._md(inode, fh if change & Change.FH else None))
        if change & Change.SIZE and size != has.size_bytes and (size or change & Change.FH):
            raise _os_error(errno.EINVAL)
        same = (
            not change & Change.MODE or stat.S_IMODE(mode) == stat.S_IMODE(has.mode),
            not change & Change.UID or uid == has.uid,
            not change & Change.GID or gid == has.gid,
        )
        if not all(same):
            raise _os_error(errno.EPERM)
        return attributes_answer(has)

    def _open(self, unique: int, inode: int, body: Body) -> Answer:
        md = self._tree.md(inode)
        if md is None:
            raise _os_error(errno.ENXIO)
        (flags,) = OPEN.unpack_from(body)
        alone = bool(flags & ALONE)
        md.opened_by(1, alone=alone)
        with self._lock:
            node = self._nodes.get(md)
            if node is None:
                node = self._nodes[md] = Node(md, self._mapper, self._channel, self._hands)
            node.opens += 1
            fh = next(self._handles)
            self.files[fh] = node
            if alone:
                self._alone.add(fh)
        if not self._channel.answer(unique, open_answer(fh, _FILE)):
            # Whoever opens it was killed meanwhile: nobody will close it.
            self._close(fh)
        return None

    def _release(self, _unique: int, _inode: int, body: Body) -> Answer:
        self._close(*FH.unpack_from(body))
        return b""

    def _fsync(self, unique: int, _inode: int, body: Body) -> Answer:
        self._node(*FH.unpack_from(body)).flush(unique)
        return None

    def _fallocate(self, unique: int, _inode: int, body: Body) -> Answer:
        fh, offset, length, mode, _ = FALLOCATE.unpack_from(body)
        self._node(fh).zero(unique, offset, length, mode)
        return None

    def _readdir(self, _unique: int, inode: int, body: Body) -> Answer:
        _, offset, size, *_ = READING.unpack_from(body)
        return self._tree.entries(offset, min(size, MAX_BYTES)) if inode == ROOT else b""

    def _interrupt(self, _unique: int, _inode: int, body: Body) -> Answer:
        self._interrupts.interrupt(*FH.unpack_from(body))
        return None

    # Files.

    def _node(self, fh: int) -> Node:
        node = self.files.get(fh)
        if node is None:
            raise _os_error(errno.EBADF)
        return node

    def _md(self, inode: int, fh: int | None) -> MappedDevice | None:
        """The md of an open file or of an inode; None for the folder."""
        if fh is not None:
            return self._node(fh).md
        if inode == ROOT:
            return None
        md = self._tree.md(inode)
        if md is not None:
            return md
        with self._lock:
            # One that is removed may still be open.
            md = next((each for each in self._nodes if inode_of(each) == inode), None)
        if md is None:
            raise _os_error(errno.ENOENT)
        return md

    def _close(self, fh: int) -> None:
        with self._lock:
            node = self.files.pop(fh, None)
            if node is None:
                return
            node.opens -= 1
            if not node.opens:
                del self._nodes[node.md]
            alone = fh in self._alone
            self._alone.discard(fh)
        md = node.md
        if md.deferred_remove:
            # A removal waits for I/O.
            self._hands.do(node, lambda: md.opened_by(-1, alone=alone))
        else:
            md.opened_by(-1, alone=alone)


def _refuse(_unique: int, _inode: int, _body: Body) -> Answer:
    raise _os_error(errno.EPERM)


def _unknown(_unique: int, _inode: int, _body: Body) -> Answer:
    raise _os_error(errno.ENOSYS)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
