"""What the kernel's kmirrord does: one Worker for the log, the recovery, and every bio that cannot go straight on.

A round takes what is queued and goes through the kernel's order: regions that ended, recovery, reads, writes,
failures. It is written as a generator that yields behind each device call, and where it has to wait for one.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.regions import RegionsRequest
from dmtable.core.target import Context
from dmtable.dirtylog.log import DirtyLog
from dmtable.runtime.runtime import Completion, Timer, Worker
from dmtable.targets.mirror_legs import LegError, Legs
from dmtable.targets.mirror_reads import Reads
from dmtable.targets.mirror_recovery import Recovery
from dmtable.targets.region_hash import HashedRegion, RegionHash, RegionState

SWEEP_SECONDS = 0.2
"""How often regions are looked for that nobody writes to any more."""

_BATCH_SECTORS = 16_384
"""So much is recovered by one copy, or one region where that is more: writes to it wait meanwhile."""

_Round = Iterator[Completion | None]
"""What is yielded is to be waited for."""


class Mirrord(Worker):
    """The Worker of one mirror, and the queues that it serves."""

    name = "kmirrord"

    def __init__(
        self,
        context: Context,
        begin: int,
        length: int,
        log: DirtyLog,
        legs: Legs,
        recovery: Recovery,
        lock: AbstractContextManager[object],
    ) -> None:
        self.log_failed = False
        """A mark could not be stored, some time: only a new table forgets that."""
        self.legs = legs
        self.regions = RegionHash(log, lock)
        self._context = context
        self._begin = begin
        self._length = length
        self._log = log
        self._recovery = recovery
        self.reads = Reads(context, begin, legs, self.regions, self.queue_read)
        self._lock = lock
        self._idle = context.runtime.condition()
        self._reads: list[Bio] = []
        self._writes: list[Bio] = []
        self._failures: list[Bio] = []
        self._holds: list[Bio] = []
        self._suspended = True
        self._entered: dict[Bio, HashedRegion] = {}
        """The writes that are counted in their regions."""
        self._events = False
        self._sweep = False
        self._sweep_wholly = False
        self._timer: Timer | None = None
        self._wanted = False
        self._round: _Round | None = None
        self._waits_for: Completion | None = None
        self._running = context.runtime.start(self)

    # For all threads.

    def queue_read(self, bio: Bio) -> None:
        with self._lock:
            self._reads.append(bio)
        self.wake()

    def queue_write(self, bio: Bio) -> None:
        with self._lock:
            self._writes.append(bio)
        self.wake()

    def wake(self) -> None:
        """There is something for a round to do."""
        self._wanted = True
        self._running.wake()

    def raise_event(self) -> None:
        """The md's event counter is raised in the next round: whoever completes a bio must not block."""
        self._events = True
        self.wake()

    def begin_marked(self, number: int) -> HashedRegion | None:
        """A write begins that needs neither this Worker nor the log; None where it needs one of them."""
        with self._lock:
            region = self.regions.enter_marked(number)
            self._arm()
            return region

    def mark_at_once(self, number: int) -> HashedRegion | None:
        """A clean region, marked, where its log stores nothing; else None."""
        with self._lock:
            region = self.regions.mark_at_once(number)
            self._arm()
            return region

    def write_marked(self, bio: Bio, region: HashedRegion) -> None:
        """Sends a write that `begin_marked` let through to all legs."""
        self._entered[bio] = region
        sending = self._request(bio)
        while sending.left:
            sending.submit_next()

    def quick_write_failed(self, region: HashedRegion, failed: int) -> Bio:
        """A write without a bio failed on the legs of these bits, or nobody knows where, if there are none.

        The bio that comes back stands in for it and ends as it would; it is done when the failure is dealt with.
        """
        bio = Bio(Op.WRITE, self._begin + region.number * self._log.region_size, 0)
        with self._lock:
            region.pending += 1
            self._entered[bio] = region
        self._write_failed(bio, failed)
        return bio

    # Life. These block, and are not for the Worker.

    def release_holds(self) -> None:
        """The mirror suspends: what is held back is given back, and nothing is held any more."""
        with self._lock:
            self._suspended = True
            holds, self._holds = self._holds, []
        for bio in holds:
            self._give_back(bio)

    def stop_recovery(self) -> None:
        """Returns when no region is being recovered; none is until `go`."""
        self.regions.stop_recovering()
        with self._idle:
            while self.regions.recovering:
                self._idle.wait()

    def drain(self) -> None:
        """Returns when everything that was queued is on its way."""
        with self._idle:
            while self._wanted or self._round is not None:
                self._idle.wait()

    def clean_all(self) -> None:
        """No write is under way: every region that was marked is called clean, and the log is flushed."""
        self._disarm()
        self._sweep = self._sweep_wholly = True
        self.wake()
        self.drain()

    def go(self) -> None:
        """The mirror resumes: writes may be held, and regions recovered."""
        self._suspended = False
        self.regions.may_recover = True
        self.wake()

    def stop(self) -> None:
        """Ends the Worker."""
        self._disarm()
        self._running.stop()

    # A round.

    def step(self) -> bool:
        if self._waits_for is not None:
            if not self._waits_for.done:
                return False
            self._waits_for = None
        if self._round is None:
            if not self._wanted:
                with self._idle:
                    self._idle.notify_all()
                return False
            self._wanted = False
            self._round = self._one_round()
        try:
            self._waits_for = next(self._round)
        except StopIteration:
            self._round = None
        if self._waits_for is not None and not self._waits_for.done:
            self._waits_for.on_done(self._running.wake)
        return True

    def _one_round(self) -> _Round:
        with self._lock:
            reads, self._reads = self._reads, []
            writes, self._writes = self._writes, []
        if self._events:
            self._events = False
            self._context.event()
        yield from self._tell_log()
        self._recover()
        for bio in reads:
            self.reads.read_queued(bio)
            yield None
        if writes:
            yield from self._write(writes)
        with self._lock:
            failures, self._failures = self._failures, []
        for bio in failures:
            self._settle_failure(bio)
        if failures:
            # Another round: these kept the legs from being forgiven.
            self._wanted = True

    def _tell_log(self) -> _Round:
        """The log hears of regions that are recovered, or clean (kernel: dm_rh_update_states)."""
        if self.regions.recovering:
            self._recovery_may_end(self.regions.settle(errors_handled=self.legs.handle_errors))
        if self._sweep:
            self._sweep = False
            self.regions.sweep(wholly=self._sweep_wholly)
            self._sweep_wholly = False
            with self._lock:
                self._arm()
        try:
            yield from self._log.flushing()
        except OSError:
            # As the kernel: it is tried again, and whoever needs it to succeed looks then.
            self._context.runtime.sometimes("mirror: the log does not hear of clean regions")

    def _recovery_may_end(self, delayed: list[Bio]) -> None:
        if not self.regions.recovering:
            with self._lock:
                self._writes += delayed
            self._wanted = True
            with self._idle:
                self._idle.notify_all()

    # Recovery.

    def _recover(self) -> None:
        size = self._log.region_size
        regions = self.regions.next_to_recover(max(1, _BATCH_SECTORS // size))
        if regions:
            first = regions[0].number
            ends = (min((first + number) * size, self._length) for number in range(1, len(regions) + 1))
            self._recovery.recover(first * size, tuple(ends), self._recovered)
        legs = self.legs
        with self._lock:
            # The kernel forgives too what no region was told of yet: failures in the queue, and those of flushes.
            all_in_sync = self._log.sync_count == self._log.region_count
            if legs.in_sync or not all_in_sync or self._failures or self.regions.flush_failed:
                return
            legs.forgive()
        self._context.event()

    def _recovered(self, each: Sequence[bool]) -> None:
        self.regions.recovered(each)
        self.wake()

    # Writes.

    def _write(self, writes: list[Bio]) -> _Round:
        everywhere: list[Bio] = []
        default_only: list[Bio] = []
        for bio in writes:
            if bio.op in (Op.FLUSH, Op.DISCARD):
                everywhere.append(bio)
                continue
            number = self._region_of(bio)
            state = self.regions.state(number)
            if state is RegionState.RECOVERING and self.regions.delay(bio, number):
                continue
            (default_only if state is RegionState.NOSYNC else everywhere).append(bio)
            self._entered[bio] = self.regions.enter(number)
        with self._lock:
            self._arm()
        try:
            yield from self._log.flushing()
        except OSError:
            self.log_failed = True
            self.regions.unmark_all()
        if not self.log_failed:
            self.regions.all_marked()
        if self.log_failed and self.legs.handle_errors:
            with self._lock:
                self._failures += everywhere
            self.wake()
        else:
            for bio in everywhere:
                sending = self._request(bio)
                while sending.left:
                    sending.submit_next()
                    yield None
        for bio in default_only:
            if self.legs.any_failed and self.legs.handle_errors and not self.legs.keep_log:
                with self._lock:
                    self._failures.append(bio)
                self.wake()
            else:
                self._write_default(bio)
                yield None

    def _request(self, bio: Bio) -> RegionsRequest:
        regions = self.legs.regions(bio.sector - self._begin, bio.sectors)
        return RegionsRequest(bio.op, regions, bio.data, fua=bio.fua, on_done=partial(self._was_written, bio))

    def _was_written(self, bio: Bio, failed: int) -> None:
        if not failed:
            self._end(bio)
        elif bio.op is Op.DISCARD:
            self._end(bio, errno.EOPNOTSUPP)
        else:
            self._write_failed(bio, failed)

    def _write_failed(self, bio: Bio, failed: int) -> None:
        # Together, or the leg might be forgiven between.
        with self._lock:
            for bit, leg in enumerate(self.legs):
                if failed >> bit & 1:
                    self.legs.fail(leg, LegError.WRITE)
            self._failures.append(bio)
        self.wake()

    def _write_default(self, bio: Bio) -> None:
        leg = self.legs.default
        below = Bio(bio.op, leg.offset + bio.sector - self._begin, bio.sectors, bio.data, fua=bio.fua)
        below.on_done(lambda: self._end(bio, below.error))
        submit(leg.dm_dev.device, below)

    def _settle_failure(self, bio: Bio) -> None:
        """Decides what becomes of a write that is not on all legs (kernel: do_failures)."""
        legs = self.legs
        if not self.log_failed:
            legs.in_sync = False
            if bio.op is Op.FLUSH:
                self.regions.flush_failed = True
            elif bio.op is not Op.DISCARD:
                self._recovery_may_end(self.regions.mark_nosync(self._region_of(bio)))
        if legs.intact() is None or (legs.keep_log and self.log_failed):
            self._end(bio, errno.EIO)
        elif legs.handle_errors and not legs.keep_log:
            self._hold(bio)
        else:
            self._end(bio)

    def _hold(self, bio: Bio) -> None:
        """Keeps a write until the mirror suspends: a new table may know what to do with it."""
        with self._lock:
            if not self._suspended:
                self._holds.append(bio)
                return
        self._give_back(bio)

    def _end(self, bio: Bio, error: int = 0) -> None:
        self._leave(bio)
        bio.complete(error)

    def _give_back(self, bio: Bio) -> None:
        self._leave(bio)
        bio.give_back()

    def _leave(self, bio: Bio) -> None:
        region = self._entered.pop(bio, None)
        if region is None:
            return
        with self._lock:
            recovers = self.regions.leave(region)
        if recovers:
            self.wake()

    def _region_of(self, bio: Bio) -> int:
        return (bio.sector - self._begin) // self._log.region_size

    # Time.

    def _arm(self) -> None:
        if self._timer is None and self.regions.dirty:
            self._timer = self._context.runtime.call_later(SWEEP_SECONDS, self._sweep_is_due)

    def _disarm(self) -> None:
        # In one step: the timer itself takes it away too, on its own thread.
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _sweep_is_due(self) -> None:
        self._timer = None
        self._sweep = True
        self.wake()
