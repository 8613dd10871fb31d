"""mirror: the same sectors on two or more legs (kernel: dm-raid1.c, version 1.14.0).

Reads of regions in sync, and writes to regions that the log already has marked, go straight to the legs on the
thread that asks; for all the rest there is `mirrord`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from dmtable.core.bio import Bio, Op
from dmtable.core.extents import Flatten, Shortcut
from dmtable.core.steps import Steps
from dmtable.core.target import Context, DeviceRange, MapResult, StatusKind, Target
from dmtable.dirtylog.kinds import KINDS
from dmtable.dirtylog.log import DirtyLog
from dmtable.targets.mirror_words import MirrorParams

_WRITES = (Op.WRITE, Op.WRITE_ZEROES)


class Mirror(Target):
    """Sector s of the target is sector `offset` + s of every leg."""

    name = "mirror"
    version = (1, 14, 0)
    params = MirrorParams

    def __init__(self, context: Context, begin: int, length: int, params: MirrorParams) -> None:
        # Imported here: whoever only checks tables does not need what runs a mirror.
        from dmtable.targets.mirror_legs import Leg, Legs
        from dmtable.targets.mirror_recovery import Recovery
        from dmtable.targets.mirrord import Mirrord

        super().__init__(context, begin, length)
        self._params = params
        log_kind = KINDS.find(params.log_kind)
        assert log_kind is not None
        self._log: DirtyLog = log_kind.construct(context, length, params.log, self._flush_legs)
        lock = context.runtime.lock()
        self._legs = Legs(
            [Leg(context.get_device(device), offset) for device, offset in params.legs],
            handle_errors=params.handle_errors,
            keep_log=params.keep_log,
            lock=lock,
            log=context.log,
            raise_event=self._raise_event,
        )
        words = params.words()
        self._uses = [
            DeviceRange(context.get_device(words[area.word]), area.start, area.length) for area in params.areas(length)
        ]
        # With nosync there is nothing to recover, and so no event to say that it is done.
        self._legs.in_sync = self._log.sync_count == self._log.region_count
        self.io_boundary = self._log.region_size
        self._recovery = Recovery(context, self._legs)
        self._mirrord = Mirrord(context, begin, length, self._log, self._legs, self._recovery, lock)

    @classmethod
    def construct(cls, context: Context, begin: int, length: int, params: MirrorParams) -> Self:
        return cls(context, begin, length, params)

    def dtr(self) -> None:
        self._recovery.close()
        self._mirrord.stop()
        self._log.dtr()

    def map(self, bio: Bio) -> MapResult:
        mirrord = self._mirrord
        if bio.op is Op.READ:
            return MapResult.SUBMITTED if mirrord.reads.read(bio) else MapResult.KILL
        if bio.op in _WRITES and (region := mirrord.begin_marked(self._region_of(bio))) is not None:
            mirrord.write_marked(bio, region)
        else:
            mirrord.queue_write(bio)
        return MapResult.SUBMITTED

    def status(self, kind: StatusKind) -> str:
        log, legs = self._log.status(kind), self._legs
        if kind is StatusKind.INFO:
            names = " ".join(leg.dm_dev.name for leg in legs)
            synced = f"{self._log.sync_count}/{self._log.region_count}"
            return f"{len(legs)} {names} {synced} 1 {legs.letters} {log}"
        words = [str(len(legs)), *(f"{leg.dm_dev.name} {leg.offset}" for leg in legs)]
        if features := self._params.features:
            words += [str(len(features)), *features]
        return log + " ".join(words)

    def measurement(self) -> str:
        legs = (
            f"mirror_device_{number}={leg.dm_dev.name},mirror_device_{number}_status={letter}"
            for number, (leg, letter) in enumerate(zip(self._legs, self._legs.letters, strict=True))
        )
        handle_errors, keep_log = ("yn"[not given] for given in (self._params.handle_errors, self._params.keep_log))
        features = f"handle_errors={handle_errors}", f"keep_log={keep_log}", "log_type_status="
        return self.measured(f"nr_mirrors={len(self._legs)}", *legs, *features)

    def presuspend(self) -> None:
        # Held writes first: a region that they keep busy could not be recovered, nor its recovery end.
        self._mirrord.release_holds()
        self._mirrord.stop_recovery()
        self._log.presuspend()
        self._mirrord.drain()

    def presuspend_undo(self) -> None:
        self._mirrord.go()

    def postsuspend(self) -> None:
        self._mirrord.clean_all()
        try:
            self._log.postsuspend()
        except OSError:
            self.context.log("raid1: log postsuspend failed")

    def resume(self) -> None:
        try:
            self._log.resume()
        except OSError:
            self.context.log("raid1: log resume failed")
        self._mirrord.go()

    def iterate_devices(self) -> Iterable[DeviceRange]:
        return self._uses

    def shortcut(self, flatten: Flatten) -> Shortcut | None:
        from dmtable.targets.mirror_shortcut import mirror_shortcut

        return mirror_shortcut(self._mirrord, self.context.runtime, self.length, flatten)

    def _region_of(self, bio: Bio) -> int:
        return (bio.sector - self.begin) // self._log.region_size

    def _flush_legs(self) -> Steps:
        return self._legs.flushing()

    def _raise_event(self) -> None:
        self._mirrord.raise_event()
