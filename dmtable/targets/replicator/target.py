"""The targets `replicator` and `replicator-dev`: what the core of device-mapper sees of a group.

A `replicator` line of the slides is a device of its group; one of 2009 is the group's control device, which reads as
zeroes and swallows what is written. A `replicator-dev` line is a device of its control device's group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import ClassVar

from dmtable.core.bio import Bio, Op
from dmtable.core.extents import Flatten, Shortcut
from dmtable.core.target import Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.errors import DeviceLookupError
from dmtable.targets.replicator import orders, report
from dmtable.targets.replicator.groups import SharedGroup
from dmtable.targets.replicator.member import Member
from dmtable.targets.replicator.messages import read_device_message, read_replicator_message
from dmtable.targets.replicator.parts import CopyWords
from dmtable.targets.replicator.running import RunningGroup
from dmtable.targets.replicator.shortcut import member_shortcut
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

_VERSION = (1, 0, 0)


class _OfGroup(Target):
    """What both have in common: a group, and the device that the line brings into it, if it does."""

    version: ClassVar[tuple[int, int, int]] = _VERSION
    _shared: SharedGroup
    _member: Member | None = None

    def __init__(self, context: Context, begin: int, length: int, params: Params) -> None:
        super().__init__(context, begin, length)
        self._line = params

    @property
    def running(self) -> RunningGroup:
        """The group at work."""
        return self._shared.running

    def _join(self, number: int, copies: Sequence[tuple[int, CopyWords]]) -> None:
        self._member = Member(self.context, self._shared.running, number, self.length, copies)
        self.io_boundary = self._member.io_boundary

    def dtr(self) -> None:
        if self._member is not None:
            self._member.dtr()
        self._shared.release(self.context)

    def map(self, bio: Bio) -> MapResult:
        if self._member is None:
            if bio.op is Op.READ and bio.data is not None:
                bio.data[:] = bytes(len(bio.data))
            bio.complete()
        else:
            bio.sector -= self.begin
            self._member.submit(bio)
        return MapResult.SUBMITTED

    def preresume(self) -> None:
        if self._member is not None:
            self._member.preresume()

    def resume(self) -> None:
        if self._member is not None:
            self._member.resume()

    def presuspend(self) -> None:
        if self._member is not None:
            self._member.presuspend()

    def presuspend_undo(self) -> None:
        if self._member is not None:
            self._member.presuspend_undo()

    def postsuspend(self) -> None:
        if self._member is not None:
            self._member.postsuspend()

    def iterate_devices(self) -> Iterable[DeviceRange]:
        words = self._line.words()
        for area in self._line.areas(self.length):
            # A device that cannot be opened belongs to the line all the same.
            with suppress(DeviceLookupError):
                yield DeviceRange(self.context.get_device(words[area.word]), area.start, area.length)

    def shortcut(self, flatten: Flatten) -> Shortcut | None:
        return None if self._member is None else member_shortcut(self.running, self._member, self.length, flatten)


class Replicator(_OfGroup):
    """A group's control device, or in the slides' dialect one of its devices."""

    name = "replicator"
    params = ReplicatorParams

    def __init__(self, context: Context, begin: int, length: int, params: ReplicatorParams) -> None:
        super().__init__(context, begin, length, params)
        self._words = params
        self._shared = SharedGroup.of_log(context, params.log)
        added: list[int] = []
        try:
            added = self._shared.add_sites(context, params.sites)
            copies = [(site.number, site.copy) for site in params.sites if site.copy is not None]
            if copies:
                self._join(copies[0][1].number, copies)
            else:
                self._shared.add_control(context)
        except BaseException:
            self._shared.remove_sites(added)
            self._shared.release(context)
            raise

    def dtr(self) -> None:
        if self._member is None:
            self._shared.remove_control(self.context)
        super().dtr()

    def status(self, kind: StatusKind) -> str:
        return report.replicator(self._shared.running, self._words, self._member, kind)

    def message(self, args: Sequence[str]) -> str:
        return orders.obey(read_replicator_message(args), self._shared, self._member, self.context)


class ReplicatorDev(_OfGroup):
    """A device of a group that has a control device."""

    name = "replicator-dev"
    params = ReplicatorDevParams

    def __init__(self, context: Context, begin: int, length: int, params: ReplicatorDevParams) -> None:
        super().__init__(context, begin, length, params)
        self._control = context.get_device(params.control)
        self._shared = SharedGroup.of_control(context, self._control.device)
        try:
            self._join(params.number, params.copies)
        except BaseException:
            self._shared.release(context)
            raise

    def status(self, kind: StatusKind) -> str:
        assert self._member is not None
        return report.replicator_dev(self._shared.running, self._control.name, self._member, kind)

    def message(self, args: Sequence[str]) -> str:
        assert self._member is not None
        request = read_device_message(args, self._member.number, self.length, self.context.get_device)
        return orders.obey_device(request, self._shared.running, self._member)
