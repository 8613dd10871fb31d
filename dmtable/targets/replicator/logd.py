"""The log's Worker: recovers the log, makes entries durable in groups, and lets in what waited for space."""

from __future__ import annotations

from dmtable.core.steps import IDLE, Steps, StepsWorker
from dmtable.errors import DmtableError
from dmtable.replog.log import UNLISTED, Entry, Membership
from dmtable.runtime.runtime import Timer
from dmtable.targets.replicator.group import Group
from dmtable.targets.replicator.reads import Reads
from dmtable.targets.replicator.takeover import GRACE_SECONDS, Takeover

TIDY_SECONDS = 0.2
"""So long after the last commit the log is brought up to date, if nobody asked before."""


class LogWorker:
    """Carries out all steps of the group's log."""

    def __init__(self, group: Group, reads: Reads) -> None:
        self.recovery_wanted = False
        self._group = group
        self._log = group.log
        self._reads = reads
        self._takeover = Takeover(group)
        self._tidy = False
        self._begun = self._ended = 0
        """How many commits."""
        self._timer: Timer | None = None
        self._worker = StepsWorker("replicator log", group.start_worker, self._run())
        group.wake_log = self._worker.wake

    def stop(self) -> None:
        self._disarm()
        self._worker.stop()

    # These block, and are not for Workers.

    def recover(self) -> None:
        """Returns when the log is recovered, or failed."""
        group = self._group
        self.recovery_wanted = True
        group.wake_log()
        with group.lock:
            while not (group.recovered or group.log.failed):
                group.lock.wait()

    def store(self) -> None:
        """Returns when everything that is known of the entries is durable, or the log failed."""
        group, log = self._group, self._log
        with group.lock:
            while not log.failed and (log.commit_pending or log.marks_pending):
                group.want_commit(marks=True)
                group.lock.wait()
            # Now a commit has all of it, which may be under way.
            begun = self._begun
            while not log.failed and self._ended < begun:
                group.lock.wait()

    # The steps.

    def _run(self) -> Steps:
        while not self.recovery_wanted:
            yield IDLE
        try:
            yield from self._recover()
            while True:
                yield from self._round()
        except (OSError, DmtableError) as error:
            self._group.fail(str(error))
        except Exception as error:
            # A mistake of ours: nobody shall wait for a Worker that is no more.
            self._group.fail(repr(error))
            raise

    def _recover(self) -> Steps:
        group, log = self._group, self._log
        group.known_before = dict(log.members)
        yield from log.recovering()
        yield from self._owe_resyncs()
        with group.lock:
            for entry in list(log.entries.values()):
                entry.after = group.footprint.add(entry)
                for number, site in group.sites.items():
                    if entry.owed >> number & 1:
                        site.queued(entry, group.runtime.now())
                # Where the application flushed between them nobody knows any more.
                group.boundaries.add(entry.number)
            for number, entry in self._owed_to_strangers():
                # Nobody will ever ask for it.
                log.mark_done(number, entry)
            group.recovered = True
            group.lock.notify_all()
        for damage in log.report.damage:
            group.say(f"replicator: entry {damage.number} is lost: {damage.what}")
        group.wake_all()

    def _owe_resyncs(self) -> Steps:
        """What was lost makes the sites differ: of the devices that it was of, or of all where that is not known. And
        a site that is no more lacks what it is owed, should it come back."""
        group, log = self._group, self._log
        damage = log.report.damage
        lost = {each.device for each in damage}
        with group.lock:
            for site, device in list(log.members):
                if site and (log.report.everything_suspect or device in lost):
                    log.remember((site, device), Membership.RESYNC_OWED)
            if log.report.everything_suspect:
                # There may have been more members than the log remembers.
                log.remember(UNLISTED, Membership.RESYNC_OWED)
            group.owe_resyncs({(site, entry.device) for site, entry in self._owed_to_strangers()})
            if damage:
                log.damage_handled()
        if log.commit_pending:
            yield from log.committing()

    def _owed_to_strangers(self) -> list[tuple[int, Entry]]:
        """Sites that no table has, and entries that they are owed."""
        found: list[tuple[int, Entry]] = []
        known = sum(1 << number for number in self._group.sites)
        for entry in self._log.entries.values():
            if strange := entry.owed & ~known:
                found += [(number, entry) for number in range(strange.bit_length()) if strange >> number & 1]
        return found

    def _round(self) -> Steps:
        group, log = self._group, self._log
        with group.lock:
            acknowledged = group.admit_queued()
        for bio in acknowledged:
            bio.complete()
        yield from self._reads.serving()
        with group.lock:
            marks = (group.marks_wanted or self._tidy) and log.marks_pending
            wanted = log.last > log.committed or marks
            wanted = wanted or (log.commit_pending and bool(group.commit_wanted or self._tidy or group.queue))
        if wanted:
            yield from self._commit(marks)
            return
        with group.lock:
            if log.last > log.committed:
                return
            group.marks_wanted = self._tidy = False
            group.lock.notify_all()
            group.log_rests = not group.queue
        if not group.queue:
            self._takeover.release()
        elif (yield from self._takeover.make_room()):
            return
        with group.lock:
            stuck = group.take_stuck()
        if stuck:
            group.runtime.sometimes("replicator: a bio is given back")
            for bio in stuck:
                bio.give_back()
            return
        self._arm()
        yield IDLE

    def _commit(self, marks: bool) -> Steps:
        group, log = self._group, self._log
        with group.lock:
            begun, taken_bytes = log.committed, group.uncommitted_bytes
            # Whoever needs more will see, and ask again.
            group.commit_wanted = False
            group.marks_wanted &= not marks
            self._begun += 1
        yield from log.committing(marks=marks)
        with group.lock:
            self._ended += 1
            done = group.on_committed(taken_bytes)
            if log.committed > begun + 1:
                group.runtime.sometimes("replicator: group commit")
            group.release_content(log.entries[n] for n in range(begun + 1, log.committed + 1) if n in log.entries)
            group.lock.notify_all()
        for bio in done:
            bio.complete()
        for site in list(group.sites.values()):
            site.wake()

    # Time.

    def _arm(self) -> None:
        group, log = self._group, self._log
        with group.lock:
            if self._timer is not None:
                return
            if group.queue:
                self._timer = group.runtime.call_later(GRACE_SECONDS, self._due)
            elif log.marks_pending or log.commit_pending:
                self._timer = group.runtime.call_later(TIDY_SECONDS, self._due)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _due(self) -> None:
        with self._group.lock:
            self._timer = None
        self._tidy = True
        self._group.wake_log()
