"""A machine for one replication log, and a witness of what the log promised: lists and sets of numbers."""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dmtable.core.bio import Op
from dmtable.core.devices import DmDev
from dmtable.core.steps import Steps, carry_out
from dmtable.errors import DeviceLookupError
from dmtable.language.diagnostics import refused
from dmtable.replog.log import Entry, LogPlace, Member, Membership, ReplicationLog
from dmtable.runtime.runtime import Completion, Runtime
from dmtable.sim.cache import Image, blank
from dmtable.sim.disk import SimDisk
from dmtable.sim.world import World
from dmtable.units import SECTOR_BYTES

REFUSAL = refused("replicator", errno.EINVAL, "Cannot create replication log context")
AT = 2
SITES = (0, 1)
_ALL = sum(1 << site for site in SITES)

_T = TypeVar("_T")


class LogUnderTest(Protocol):
    """What of a contract the machine needs."""

    log_sectors: int
    small_sectors: int

    def make_disk(self, world: World, image: Image) -> SimDisk: ...

    def make(self, machine: ReplogMachine) -> ReplicationLog: ...

    def reopen(self, machine: ReplogMachine) -> ReplicationLog: ...

    def make_small(self, machine: ReplogMachine) -> ReplicationLog: ...

    def reopen_small(self, machine: ReplogMachine) -> ReplicationLog: ...


class ReplogMachine:
    """What logs are given: a runtime, the device /dev/log, a lock. A Context."""

    def __init__(self, contract: LogUnderTest, world: World, *, small: bool = False) -> None:
        self.contract = contract
        self.world = world
        self.small = small
        sectors = contract.small_sectors if small else contract.log_sectors
        self.disk = world.disks.get("log") or contract.make_disk(world, blank(sectors))
        self.lines: list[str] = []
        self.lock = world.runtime.lock()
        self._log_dev = DmDev((7, 3), "loop3", self.disk)

    @property
    def runtime(self) -> Runtime:
        return self.world.runtime

    @property
    def owner(self) -> object:
        return self

    @property
    def shared(self) -> dict[object, Any]:
        return {}

    def lookup(self, word: str) -> DmDev:
        if word not in ("/dev/log", "7:3"):
            raise DeviceLookupError(errno.ENODEV, f"{word} does not exist")
        return self._log_dev

    def get_device(self, word: str) -> DmDev:
        return self.lookup(word)

    def event(self) -> None:
        return

    def log(self, text: str) -> None:
        self.lines.append(text)

    def log_limited(self, form: str, *values: object) -> None:
        self.log(form.format(*values))

    def go(self, steps: Steps) -> None:
        """Carries them out. Raises what they raise."""
        carry_out(steps, self.runtime)

    def value(self, steps: Generator[Completion, None, _T]) -> _T:
        """Carries them out, and returns their value."""
        found: list[_T] = []

        def all_of_them() -> Steps:
            found.append((yield from steps))

        self.go(all_of_them())
        return found[0]

    def new(self) -> ReplicationLog:
        """A new log, recovered."""
        return self._recovered(self.contract.make_small(self) if self.small else self.contract.make(self))

    def again(self) -> ReplicationLog:
        """The log that is there, recovered."""
        return self._recovered(self.contract.reopen_small(self) if self.small else self.contract.reopen(self))

    def params(self, log_class: type[ReplicationLog], words: str) -> Any:
        params, findings = log_class.params.inspect(words.split(), LogPlace(AT, REFUSAL, self.lookup))
        assert params is not None, f"inspect refuses {words!r}: {[finding.what for finding in findings]}"
        return params

    def _recovered(self, log: ReplicationLog) -> ReplicationLog:
        self.go(log.recovering())
        return log


@dataclass(frozen=True, slots=True)
class Written:
    """An entry as it was appended."""

    device: int
    op: Op
    sector: int
    sectors: int
    content: bytes | None


class Witness:
    """Uses a log, and writes down what it promised; afterwards it is asked what another log, read from the same
    device, may say."""

    def __init__(self, machine: ReplogMachine, log: ReplicationLog) -> None:
        self.machine = machine
        self.log = log
        self.written: dict[int, Written] = {}
        self.owed: dict[int, int] = {}
        """By number: the sites that were not yet marked done."""
        self.voided: set[int] = set()
        self.committed = log.committed
        self.settled = dict.fromkeys(SITES, 0)
        self.members: dict[Member, set[Membership | None]] = defaultdict(lambda: {None})
        """What may be remembered of each: what is durable, and what was asked for since."""

    def append(self, content: str, sectors: int = 1, op: Op = Op.WRITE, owed: int = _ALL) -> Entry:
        """Raises LogFullError."""
        data = content.encode().ljust(SECTOR_BYTES, b".") * sectors if op is Op.WRITE else None
        entry = Entry(len(self.written) % 2, op, 8 * len(self.written), sectors, data, owed, 1.5)
        # Before: the power may fail at any time.
        with self.machine.lock:
            self.log.append(entry)
        self.written[entry.number] = Written(entry.device, op, entry.sector, sectors, data)
        self.owed[entry.number] = owed
        return entry

    def commit(self, *, marks: bool = False) -> None:
        before, members = self.log.last, {member: {*states} for member, states in self.members.items()}
        now = dict(self.log.members)
        self.machine.go(self.log.committing(marks=marks))
        self.committed = max(before, self.committed)
        for member in members:
            self.members[member] = {now.get(member)}
        for site in SITES:
            self.settled[site] = max(self.settled[site], self.log.settled(site))

    def done(self, site: int, *numbers: int) -> None:
        for number in numbers:
            entry = self.log.entries.get(number)
            if entry is not None:
                self.owed[number] &= ~(1 << site)
                with self.machine.lock:
                    self.log.mark_done(site, entry)

    def void(self, number: int) -> None:
        self.owed[number] = 0
        self.voided.add(number)
        with self.machine.lock:
            self.log.void(self.log.entries[number])

    def remember(self, member: Member, membership: Membership | None) -> None:
        self.members[member].add(membership)
        with self.machine.lock:
            self.log.remember(member, membership)

    def judge(self, machine: ReplogMachine, found: ReplicationLog, when: str) -> None:
        """What another log found is what may be there. Raises AssertionError."""
        report = found.report
        assert not report.damage, f"{when} there is damage, and there is none: {report.damage[0].what}"
        numbers = list(found.entries)
        assert numbers == list(range(found.head, found.last + 1)), f"{when} there are holes among the entries {numbers}"
        assert found.committed == found.last, f"{when} what was recovered is not committed"
        assert found.last >= self.committed, f"{when} entry {self.committed} was committed, and is lost"
        assert found.last <= max(self.written, default=0), f"{when} there is an entry {found.last} that nobody wrote"
        passed = [number for number in range(1, found.head) if self.owed.get(number)]
        assert not passed, f"{when} the head passed entry {passed[:1]}, which is owed to a site"
        self._judge_owed(found, when)
        for member, states in self.members.items():
            assert found.members.get(member) in states, f"{when} the member {member} is {found.members.get(member)}"
        for number, entry in found.entries.items():
            self._judge_entry(machine, found, number, entry, when)

    def _judge_owed(self, found: ReplicationLog, when: str) -> None:
        for site in SITES:
            owed = [number for number, entry in found.entries.items() if entry.owed >> site & 1]
            lost = [number for number in found.entries if self.owed[number] >> site & 1 and number not in owed]
            assert not lost, f"{when} entry {lost[:1]} is not owed to site {site} any more, which lacks it"
            back = [number for number in owed if number <= self.settled[site]]
            assert not back, f"{when} entry {back[:1]} is owed to site {site} again, and was settled"
            skipped = [number for number in found.entries if owed and number > owed[0] and number not in owed]
            skipped = [number for number in skipped if number not in self.voided]
            assert not skipped, f"{when} site {site} is owed entry {owed[0]} and not {skipped[0]}, which comes later"

    def _judge_entry(self, machine: ReplogMachine, found: ReplicationLog, number: int, entry: Entry, when: str) -> None:
        content = machine.value(found.reading(entry)) if entry.op is Op.WRITE else None
        is_there = Written(entry.device, entry.op, entry.sector, entry.sectors, content)
        assert is_there == self.written[number], f"{when} entry {number} is not what was written"
        assert entry.time == 1.5, f"{when} entry {number} has another time"
