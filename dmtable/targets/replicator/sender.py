"""A site's Worker: takes the site's entries from the log, in their order, and sends them over its link.

A remote site is flushed behind each entry, so that its own power loss keeps the order; the local one is written in
batches, for the log restores its order. An entry that overlaps one that the site got, and that a replay could send
again, waits until it cannot.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from dmtable.core.bio import Bio, Op
from dmtable.core.kcopyd import CopyService
from dmtable.core.steps import DONE, IDLE, Steps, StepsWorker
from dmtable.core.target import Context
from dmtable.errors import CorruptLogError
from dmtable.replog.log import MAX_ENTRY_SECTORS, Entry
from dmtable.runtime.runtime import Completion, Timer
from dmtable.slink.link import DeviceError
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.resync import Resync
from dmtable.targets.replicator.site import Site, is_whole
from dmtable.units import SECTOR_SHIFT

_BATCH = 64
"""So many entries are taken from the log at once."""
_TELL_SECONDS = 0.005
"""At least so often it is told what a site got: writers may wait for the space."""
_LOOK_SECONDS = 0.02
"""After so long it is seen whether the sites that a site waits for have moved."""
_PATIENCE = 1024
"""So many entries ahead of the last site, a site does not wait for it."""


class Sender:
    """Sends entries to a site, tests its devices while one has failed, and carries its resync on."""

    def __init__(self, group: Group, site: Site, copies: CopyService, context: Context) -> None:
        self._group = group
        self._site = site
        self._context = context
        self._resync = Resync(group, site, copies)
        self._touched = 0
        """The device that something is being done to."""
        self._together = False
        """Whether the site is flushed behind the batch, and not behind each entry of it."""
        self._sent = 0
        """How many of the batch the site has."""
        self._seen: tuple[int, list[int], float] = (0, [], 0.0)
        """An entry that has to be settled, where the sites were that it waits for, and since when."""
        self._looks_again = False
        self._test_due = False
        self._timer: Timer | None = None
        self._worker = StepsWorker(f"replicator site {site.number}", group.start_worker, self._run())
        site.wake = self._worker.wake

    def stop(self) -> None:
        """Ends the Worker; what it had under way is still owed."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._worker.stop()
        self._resync.close()

    def _run(self) -> Steps:
        group, site = self._group, self._site
        try:
            while True:
                stays = group.stopped or group.log.failed or site.link.paused or not group.recovered
                ended = yield from self._resync.wind_up(rests=bool(stays or site.held or site.link.errors))
                if ended:
                    continue
                if site.held:
                    if not site.rests:
                        site.rests = True
                        group.wake_log()
                    yield IDLE
                elif stays:
                    yield IDLE
                elif site.link.errors:
                    yield from self._test()
                else:
                    at = site.at
                    batch = self._take()
                    if batch:
                        yield from self._send(batch)
                    # Behind each batch, or under a steady load no region would ever be copied.
                    resynced = yield from self._resync.going_on()
                    if not (batch or resynced or site.at != at):
                        if group.leaving:
                            # They may wait for this site.
                            group.wake_log()
                        yield IDLE
        except _LogUnreadable as error:
            group.fail(str(error))
        except Exception as error:
            # A mistake of ours: nobody shall wait for a Worker that is no more.
            group.fail(repr(error))
            raise

    # What may be sent.

    def _take(self) -> list[Entry]:
        """The next entries that may be sent now; they are under way from here on."""
        group, site, log = self._group, self._site, self._group.log
        batch: list[Entry] = []
        released: list[Bio] = []
        with group.lock:
            settled = log.settled(site.number)
            if not site.number:
                group.footprint.forget(min(map(log.settled, group.sites)), log.last)
            at = max(site.at, log.head)
            stays = site.held or site.link.paused or group.stopped
            until = min(log.committed, at + _BATCH - 1) if not stays else 0
            bit, epoch, ready = 1 << site.number, site.link.policy.epoch, self._ready()
            self._together = epoch or not site.number
            entries = log.entries
            while at <= until:
                entry = entries[at]
                if entry.owed & bit:
                    if entry.device not in ready and not self._may_go(entry, released):
                        break
                    if entry.owed & bit:
                        if entry.after > settled:
                            group.runtime.sometimes("replicator: an entry waits for marks")
                            group.want_commit(marks=self._needs_marks(entry.after))
                            break
                        batch.append(entry)
                # Where a bit was dropped the head may have passed some that nobody is owed.
                at = max(at + 1, log.head)
                if epoch and batch and entry.number in group.boundaries:
                    break
            site.at = at
            site.batch = batch
        for bio in released:
            bio.complete()
        if len(batch) > 1 and site.number:
            group.runtime.sometimes("replicator: a site falls behind")
        return batch

    def _needs_marks(self, number: int) -> bool:
        """Whether it takes marks to settle an entry. Soon the log's head may have passed it, which costs less: unless
        somebody waits for this site, or the sites behind it do not move."""
        group, log = self._group, self._group.log
        entry = log.entries.get(number)
        if entry is None:
            return False
        lagging = [site for site in group.sites.values() if entry.owed >> site.number & 1]
        now, places = group.runtime.now(), [site.done_upto for site in lagging]
        if (number, places) != self._seen[:2]:
            self._seen = (number, places, now)
        stands_still = now - self._seen[2] >= _LOOK_SECONDS
        if not self._looks_again:
            self._looks_again = True
            group.runtime.call_later(_LOOK_SECONDS, self._look_again)
        ahead = self._site.at - log.head > _PATIENCE
        return stands_still or ahead or group.somebody_waits or not all(site.link.accessible for site in lagging)

    def _look_again(self) -> None:
        self._looks_again = False
        self._worker.wake()

    def _ready(self) -> set[int]:
        """The devices whose entries may go without another question."""
        group, link = self._group, self._site.link
        if any(site.copy is not None for site in group.sites.values()):
            return set()
        return {
            number
            for number, at in link.devices.items()
            if is_whole(at) and (device := group.devices.get(number)) is not None and not device.suspended
        }

    def _may_go(self, entry: Entry, released: list[Bio]) -> bool:
        """Whether the site can be done with the entry now: it is sent, or its bit is dropped here."""
        group, site = self._group, self._site
        device = group.devices.get(entry.device)
        if device is None or device.suspended:
            group.runtime.sometimes("replicator: an entry waits for its device")
            return False
        at = site.link.devices.get(entry.device)
        if at is not None:
            if group.is_copied(entry, site.number):
                return False
            if site.covers(at, entry):
                return True
            # The region will be copied, when the local device holds the entry.
            if entry.owed & 1:
                return False
        released += group.on_done(site, (entry,))
        return True

    # Sending.

    def _send(self, batch: list[Entry]) -> Steps:
        site = self._site
        self._sent = 0
        try:
            if self._together:
                yield from self._write_together(batch)
            else:
                yield from self._write_one_by_one(batch)
        except OSError as error:
            self._group.runtime.sometimes("replicator: link down")
            with self._group.lock:
                site.link.failed(self._touched, DeviceError.WRITE)
            self._group.say(f"replicator: site {site.number}: device {self._touched}: {error}; it will be tried again")
        finally:
            self._end(batch[self._sent :])
        if site.link.errors:
            self._group.event()
            # Others may have waited for this site.
            self._group.wake_all()

    def _write_one_by_one(self, batch: list[Entry]) -> Steps:
        """Each is durable at the site before the next is sent."""
        group, site, link = self._group, self._site, self._site.link
        plain = {number: link.plain_calls(number) for number in {entry.device for entry in batch}}
        told, told_at = 0, group.runtime.now()
        try:
            for entry in batch:
                if site.held or link.paused or group.stopped:
                    # Somebody waits for the batch to end; on a slow link that could take minutes.
                    return
                self._touched = entry.device
                calls, data = plain[entry.device], entry.data
                if calls is None or data is None:
                    if data is None:
                        data = yield from self._content(entry)
                    yield from link.writing(entry.device, entry.op, entry.sector, entry.sectors, data, fua=True)
                else:
                    calls.write(data, entry.sector << SECTOR_SHIFT)
                    yield DONE
                    calls.flush()
                    yield DONE
                self._sent += 1
                if group.somebody_waits or group.runtime.now() - told_at >= _TELL_SECONDS:
                    self._done(batch[told : self._sent])
                    told, told_at = self._sent, group.runtime.now()
                    if group.queue:
                        group.wake_log()
        finally:
            self._done(batch[told : self._sent])

    def _write_together(self, batch: list[Entry]) -> Steps:
        """Writes a batch, neighbours in one go, and flushes behind it."""
        link = self._site.link
        devices = dict.fromkeys(entry.device for entry in batch)
        plain = {number: link.plain_calls(number) for number in devices}
        for first, sectors, run in _runs(batch):
            self._touched = first.device
            calls, data = plain[first.device], first.data
            if len(run) > 1 or data is None:
                data = yield from self._joined(run)
            if calls is None or data is None:
                yield from link.writing(first.device, first.op, first.sector, sectors, data)
            else:
                calls.write(data, first.sector << SECTOR_SHIFT)
                yield DONE
        for device in devices:
            self._touched = device
            yield from link.flushing(device)
        self._sent = len(batch)
        self._done(batch)

    def _joined(self, run: list[Entry]) -> Generator[Completion, None, bytes | None]:
        """The content of neighbours, or of one; None for zeroes."""
        contents: list[bytes] = []
        for entry in run:
            content = yield from self._content(entry)
            if content is not None:
                contents.append(content)
        return b"".join(contents) if contents else None

    def _content(self, entry: Entry) -> Generator[Completion, None, bytes | None]:
        """What the entry wrote; None for zeroes."""
        data = entry.data
        if data is not None or entry.op is not Op.WRITE:
            return data
        try:
            return (yield from self._group.log.reading(entry))
        except (OSError, CorruptLogError) as error:
            raise _LogUnreadable(str(error)) from error

    def _done(self, entries: Sequence[Entry]) -> None:
        group, site = self._group, self._site
        bit = 1 << site.number
        if entries:
            site.link.proved()
        with group.lock:
            bios = group.on_done(site, [entry for entry in entries if entry.owed & bit])
        for bio in bios:
            bio.complete()

    def _end(self, unsent: list[Entry]) -> None:
        """The batch is over; what was not sent will be, once more."""
        group, site = self._group, self._site
        with group.lock:
            site.batch = []
            if unsent:
                site.at = unsent[0].number
            group.lock.notify_all()
        group.wake_log()
        if not site.number:
            # What waited for the local device: regions to be copied, entries to be dropped.
            for other in list(group.sites.values()):
                if not other.ordered:
                    other.wake()

    # Failed devices.

    def _test(self) -> Steps:
        """Waits until a test is due, and tests."""
        group = self._group
        if not self._test_due:
            with group.lock:
                if self._timer is None:
                    self._timer = group.runtime.call_later(self._site.link.next_test_seconds(), self._due)
            yield IDLE
            return
        self._test_due = False
        try:
            yield from self._site.link.testing(self._context)
        except OSError:
            return
        group.runtime.sometimes("replicator: a site comes back")
        group.say(f"replicator: site {self._site.number} can be reached again")
        group.event()
        group.wake_all()

    def _due(self) -> None:
        with self._group.lock:
            self._timer = None
        self._test_due = True
        self._worker.wake()


class _LogUnreadable(Exception):
    """The content of an entry cannot be had: the log's failure, and not the site's."""


_Run = tuple[Entry, int, list[Entry]]
"""The first entry, the sectors of all, and all."""


def _runs(batch: list[Entry]) -> Iterator[_Run]:
    """Neighbours that one write may take, together; the others each alone."""
    at = 0
    while at < len(batch):
        first = batch[at]
        end, until = first.sector + first.sectors, at + 1
        while until < len(batch) and first.op is Op.WRITE:
            entry = batch[until]
            joins = entry.sector == end and entry.device == first.device and entry.op is Op.WRITE
            if not joins or end + entry.sectors - first.sector > MAX_ENTRY_SECTORS:
                break
            end += entry.sectors
            until += 1
        yield first, end - first.sector, batch[at:until]
        at = until
