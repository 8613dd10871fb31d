"""The `blockdev` site link, which the slides call `local`: devices as the tables of this machine name them."""

from __future__ import annotations

from typing import ClassVar

from dmtable.core.target import Context
from dmtable.errors import DeviceLookupError
from dmtable.io.device import BlockDevice
from dmtable.slink.link import SiteLink


class BlockdevLink(SiteLink):
    """Reaches devices by path or `major:minor`. How they come to this machine is not its affair."""

    kind: ClassVar[str] = "blockdev"

    def connect(self, context: Context, word: str) -> tuple[BlockDevice, str]:
        try:
            dm_dev = context.get_device(word)
        except DeviceLookupError as error:
            raise OSError(error.errno, error.text) from error
        return dm_dev.device, dm_dev.name
