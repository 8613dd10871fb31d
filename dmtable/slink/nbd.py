"""The `nbd` site link: devices on another machine, each named by the URI of an NBD export."""

from __future__ import annotations

import errno
from typing import ClassVar

from dmtable.core.bio import Op
from dmtable.core.steps import DONE, Steps
from dmtable.core.target import Context
from dmtable.errors import CtrError, UsageError
from dmtable.io.device import BlockDevice
from dmtable.io.libnbd import load
from dmtable.io.nbd import NbdDevice
from dmtable.slink.link import FallBehind, PlainCalls, Policy, SiteLink
from dmtable.units import SECTOR_SHIFT


class NbdLink(SiteLink):
    """Reaches devices by `nbd://HOST:PORT/EXPORT` or `nbd+unix:///EXPORT?socket=PATH`.

    A connection that is lost is a device that fails; testing it connects anew, and nothing else does: between two
    connections what was not flushed may be lost, and nobody must take it for written.
    """

    kind: ClassVar[str] = "nbd"
    silence_seconds: ClassVar[float] = 10.0
    """A server that says nothing for so long is gone."""

    def __init__(self, number: int, policy: Policy, fall_behind: FallBehind | None) -> None:
        """Raises CtrError where there is no libnbd."""
        super().__init__(number, policy, fall_behind)
        try:
            load()
        except UsageError as error:
            raise CtrError(errno.ENOPKG, str(error)) from error

    def connect(self, context: Context, word: str) -> tuple[BlockDevice, str]:
        return NbdDevice(word, context.runtime, silence_seconds=self.silence_seconds), word

    def disconnect(self, device: BlockDevice) -> None:
        device.close()

    def opening(self, context: Context, number: int) -> Steps:
        at = self.devices.get(number)
        device = at.device if at is not None else None
        if isinstance(device, NbdDevice) and not device.connected:
            device.reconnect()
            yield DONE
        else:
            yield from super().opening(context, number)

    def plain_calls(self, number: int) -> PlainCalls | None:
        # A write that is to be durable takes one request, and not two.
        return None

    def writing(
        self, number: int, op: Op, sector: int, sectors: int, data: bytes | None, *, fua: bool = False
    ) -> Steps:
        device = self.opened(number)
        if fua and isinstance(device, NbdDevice) and device.can_fua:
            # One round trip, where a flush of its own would take two.
            if op is Op.WRITE:
                assert data is not None
                device.pwrite(data, sector << SECTOR_SHIFT, fua=True)
            else:
                device.write_zeroes(sector << SECTOR_SHIFT, sectors << SECTOR_SHIFT, fua=True)
            self.proved()
            yield DONE
        else:
            yield from super().writing(number, op, sector, sectors, data, fua=fua)
