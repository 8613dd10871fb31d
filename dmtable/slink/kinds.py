"""The kinds of site links by name: `blockdev`, which the slides call `local`, and `nbd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmtable.core.plugins import Plugins

if TYPE_CHECKING:
    from dmtable.slink.link import SiteLink

ENTRY_POINT_GROUP = "dmtable.slinks"
_BLOCKDEV = "dmtable.slink.blockdev:BlockdevLink"

KINDS: Plugins[type[SiteLink]] = Plugins(
    "site link",
    ENTRY_POINT_GROUP,
    {"blockdev": _BLOCKDEV, "local": _BLOCKDEV, "nbd": "dmtable.slink.nbd:NbdLink"},
)
