"""`mknodes`: the nodes of devices are put in order."""

from __future__ import annotations

from dmtable.cli.dmsetup.nodes import NodeAttributes
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Task
from dmtable.control.interface import Flag
from dmtable.errors import DmsetupError


def mknodes(session: Session, operand: str | None, several: bool) -> None:
    make_nodes(session, operand)


def make_nodes(session: Session, name: str | None) -> None:
    """Adds the node of a device, or removes it where there is no such device; without a name, all of them."""
    libdm = session.libdm
    libdm.open()
    if name is not None:
        _make_node(session, name)
        return
    # The youngest comes first, as the kernel lists them.
    for node in reversed(list(libdm.dev.nodes)):
        try:
            _make_node(session, node)
        except DmsetupError as error:
            session.complain(error)
    failed = False
    for shown_name, _dev in libdm.devices():
        try:
            _make_node(session, shown_name)
        except DmsetupError as error:
            session.complain(error)
            failed = True
    if failed:
        raise DmsetupError("")


def _make_node(session: Session, name: str) -> None:
    libdm = session.libdm
    device = libdm.by_name(name, backtraces=0)
    reply = libdm.existing(Task("mknodes", device, Flag.SKIP_BDGET, traced=False), libdm.control.dev_status)
    if reply is None:
        libdm.nodes.remove(device.name)
    else:
        assert reply.dev is not None
        # The name as it is shown: libdm forgets that the node's is mangled.
        libdm.nodes.add(libdm.shown_name(reply.name), reply.dev, NodeAttributes())
