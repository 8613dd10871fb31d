"""The kinds of replication logs by name: `ringbuffer`, which the slides call `default` and `replog`, and `memory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmtable.core.plugins import Plugins

if TYPE_CHECKING:
    from dmtable.replog.log import ReplicationLog

ENTRY_POINT_GROUP = "dmtable.replogs"
_RING = "dmtable.replog.ringbuffer:RingBufferLog"

KINDS: Plugins[type[ReplicationLog]] = Plugins(
    "replication log",
    ENTRY_POINT_GROUP,
    {"ringbuffer": _RING, "default": _RING, "replog": _RING, "memory": "dmtable.replog.memory:MemoryLog"},
)
