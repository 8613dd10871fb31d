"""What a replication log promises, as checks: the docstrings of ReplicationLog, one by one."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.core.bio import Op
from dmtable.core.target import StatusKind
from dmtable.errors import CtrError, IoctlError
from dmtable.replog import kinds
from dmtable.replog.log import MAX_ENTRY_SECTORS, LogFullError, LogPlace, Membership, ReplicationLog
from dmtable.sim.cache import Image
from dmtable.sim.choices import Choices, Seeded, exhaustive
from dmtable.sim.disk import SimDisk
from dmtable.sim.faults import Call, Fault, Ill, every_call
from dmtable.sim.power import PowerLoss
from dmtable.sim.world import World
from dmtable.testing.contracts.properties import ANY_CLASS
from dmtable.testing.contracts.replog_bench import AT, REFUSAL, SITES, ReplogMachine, Witness
from dmtable.units import SECTOR_BYTES

Life = Callable[[Witness], None]


class ReplicationLogContract:
    """Checks of a kind of replication log. Inherit it in a class that pytest collects:

        class TestMyLog(ReplicationLogContract):
            kind = "mine"
            words = "/dev/log 0 create 4096"
            again = "/dev/log 0 open"
            persistent = True

    The words are those behind the log's name and count; they may name the device `/dev/log`. `make_small` and
    `reopen_small` make logs in which about three entries of one sector fit: the checks of power losses try every
    outcome there is, and in small logs all that can happen happens soon.
    """

    kind: str
    words: str
    again: str = ""
    """The words that open what `words` created, where they differ."""
    log_sectors: int = 8192
    """How large /dev/log is."""
    small_sectors: int = 72
    log_block_size: int = SECTOR_BYTES
    persistent: bool = False
    """Whether a log outlives a power loss."""
    refused: Sequence[str] = ("",)
    """Words that the log must refuse."""
    most_lives: int = 400
    """Of the outcomes of one power loss so many are tried, drawn by chance where there are more."""

    def log_class(self) -> type[ReplicationLog]:
        """The class under test: the one that is registered as `kind`."""
        found = kinds.KINDS.find(self.kind)
        assert found is not None, f"no replication log is registered as {self.kind!r}"
        return found

    def make_disk(self, world: World, image: Image) -> SimDisk:
        """/dev/log, with a content."""
        return world.disk("log", image=image, logical_block_size=self.log_block_size)

    def make(self, machine: ReplogMachine) -> ReplicationLog:
        """A new log, of `words`."""
        return self._construct(machine, self.words)

    def reopen(self, machine: ReplogMachine) -> ReplicationLog:
        """The log that is there."""
        return self._construct(machine, self.again or self.words)

    def make_small(self, machine: ReplogMachine) -> ReplicationLog:
        return self.make(machine)

    def reopen_small(self, machine: ReplogMachine) -> ReplicationLog:
        return self.reopen(machine)

    # Words

    def test_its_words_make_parameters_and_the_same_words_again(self) -> None:
        machine = ReplogMachine(self, World())
        for words in {self.words, self.again or self.words}:
            for lookup in (None, machine.lookup):
                params, findings = self.log_class().params.inspect(words.split(), LogPlace(AT, REFUSAL, lookup))
                assert params is not None, f"inspect refuses {words!r}: {[finding.what for finding in findings]}"
                assert params.words() == words.split(), f"words() makes {params.words()} of {words!r}"
                assert lookup is None or hash(params.key(machine)) == hash(params.key(machine)), "key() changes"

    def test_wrong_words_are_refused_where_they_stand(self) -> None:
        for text in self.refused:
            params, findings = self.log_class().params.inspect(text.split(), LogPlace(AT, REFUSAL))
            assert params is None, f"{text!r} makes parameters, and should be refused"
            assert any(finding.refusal for finding in findings), f"no finding of {text!r} has a refusal"
            for finding in findings:
                refusal = finding.refusal or REFUSAL
                assert (refusal.errno, refusal.text) == (REFUSAL.errno, REFUSAL.text), "a log refuses as the place says"
                assert finding.word is None or AT - 2 <= finding.word < AT + max(len(text.split()), 1), (
                    f"the finding {finding.what!r} points to word {finding.word} of the target; the log's begin at {AT}"
                )

    def test_its_table_status_is_its_words(self) -> None:
        told = ReplogMachine(self, World()).new().status(StatusKind.TABLE)
        name, count, *rest = told.split()
        assert (name, len(rest)) == (self.kind, int(count)), f"the status {told!r} counts its words wrongly"
        assert len(rest) == len(self.words.split()), f"the status {told!r} has other words than {self.words!r}"
        assert told.endswith(" "), "a log's table status ends in a blank: the target's words follow"

    def test_it_knows_no_message_of_others(self) -> None:
        log = ReplogMachine(self, World()).new()
        for args in ([], ["nonsense"], ["resize"], ["resize", "x"], ["statistics"]):
            with pytest.raises(IoctlError) as caught:
                log.message(args)
            assert caught.value.errno == errno.EINVAL

    # Entries

    def test_entries_are_numbered_and_kept_in_order(self) -> None:
        witness = self._witness()
        log = witness.log
        assert (log.head, log.last, log.committed, log.entries) == (1, 0, 0, {}), "a new log is empty"
        entries = [witness.append(f"{number}") for number in range(1, 4)]
        assert [entry.number for entry in entries] == [1, 2, 3], "entries are numbered from 1 on"
        assert (log.last, log.committed, list(log.entries)) == (3, 0, [1, 2, 3])
        assert log.commit_pending, "there are entries to commit, and commit_pending is false"
        witness.commit()
        assert (log.committed, [*log.entries.values()]) == (3, entries), "a commit takes all that was appended"

    def test_the_head_moves_over_what_is_owed_to_nobody(self) -> None:
        witness = self._witness()
        log = witness.log
        for number in range(1, 5):
            witness.append(f"{number}")
        witness.void(1)
        assert log.head == 1, "the head passes entries only when they are committed"
        witness.commit()
        assert log.head == 2, "entry 1 is committed and owed to nobody"
        witness.done(0, 2, 3, 4)
        witness.done(1, 3)
        assert log.head == 2, "entry 2 is still owed to site 1"
        witness.done(1, 2)
        assert (log.head, list(log.entries)) == (4, [4]), "entries 2 and 3 are owed to nobody"

    def test_a_full_log_refuses_and_changes_nothing(self) -> None:
        witness = self._witness()
        log = witness.log
        cost = log.cost_sectors(Op.WRITE, 1000)
        for lap in range(3):
            count = self._fill(witness, 1000)
            before = (log.last, log.free_sectors, list(log.entries))
            assert (count + 1) * cost > log.size_sectors // 2, f"only {count} entries of 1000 sectors fit"
            with pytest.raises(LogFullError):
                witness.append("one more", 1000)
            assert (log.last, log.free_sectors, list(log.entries)) == before, "an entry was refused, and left traces"
            witness.commit()
            for site in SITES:
                witness.done(site, *list(log.entries))
            if self.persistent:
                with pytest.raises(LogFullError):
                    witness.append("too early", 1000)
            assert log.commit_pending, "there is space to free, and commit_pending is false"
            witness.commit()
            assert self._fill(witness, 1000) >= count - 1, f"the space of lap {lap} did not come back"
            witness.commit()
            for site in SITES:
                witness.done(site, *list(log.entries))
            witness.commit()

    def test_an_empty_log_takes_the_largest_entry(self) -> None:
        witness = self._witness()
        for small in (2024, 1, 700, 8, 1999, 3):
            for sectors in (small, MAX_ENTRY_SECTORS):
                for _ in range(4):
                    try:
                        witness.append("x", sectors)
                        break
                    except LogFullError:
                        assert witness.log.commit_pending, "an empty log has no room, and no commit would make any"
                        witness.commit()
                else:
                    pytest.fail(f"an empty log never takes an entry of {sectors} sectors")
                witness.commit()
                for site in SITES:
                    witness.done(site, witness.log.last)
                witness.commit()

    def test_what_was_written_can_be_read_again(self) -> None:
        witness = self._witness()
        for number, sectors in enumerate((1, 8, 9, 300), 1):
            witness.append(f"content {number}", sectors).data = None if number % 2 and self.persistent else b""
            witness.log.entries[number].data = witness.written[number].content
        witness.commit()
        for number, entry in witness.log.entries.items():
            entry.data = None
            content = witness.machine.value(witness.log.reading(entry))
            assert content == witness.written[number].content, f"reading entry {number} gives something else"
            assert entry.data is None, "reading leaves the entry as it is"

    def test_settled_goes_by_what_is_durable(self) -> None:
        witness = self._witness()
        log = witness.log
        for number in range(1, 5):
            witness.append(f"{number}")
        witness.commit()
        assert [log.settled(site) for site in SITES] == [0, 0], "every entry is owed to both sites"
        witness.done(0, 1, 3)
        assert log.settled(0) == 0, "that site 0 holds entry 1 is not durable yet"
        assert log.marks_pending, "there are marks to store, and marks_pending is false"
        witness.commit(marks=True)
        assert [log.settled(site) for site in SITES] == [1, 0], "entry 1 is settled at site 0, and 2 is owed to it"
        witness.done(0, 2)
        witness.commit(marks=True)
        assert log.settled(0) == 3, "entries 2 and 3 are settled at site 0"
        witness.done(1, 1)
        assert log.settled(1) == 0, "the head that passed entry 1 is not durable yet"
        witness.commit()
        assert log.settled(1) == 1, "what the durable head passed cannot come back"

    def test_an_entry_that_is_given_up_is_owed_to_nobody(self) -> None:
        witness = self._witness()
        for number in range(1, 4):
            witness.append(f"{number}")
        witness.commit()
        witness.void(2)
        assert not witness.log.entries[2].owed
        witness.commit(marks=True)
        witness.done(0, 1)
        witness.commit(marks=True)
        assert witness.log.settled(0) == 2, "entry 2 was given up, and holds up those behind it"
        self._reopened(witness)

    def test_a_commit_of_nothing_does_nothing(self) -> None:
        witness = self._witness()
        witness.append("1")
        witness.commit()
        witness.done(0, 1)
        for _ in range(3):
            witness.commit(marks=True)
        pending = witness.log.commit_pending, witness.log.marks_pending
        assert pending == (False, False), "a commit leaves something to do, always"
        calls = witness.machine.world.power.calls
        witness.commit(marks=True)
        witness.commit()
        assert witness.machine.world.power.calls == calls, "a commit wrote though nothing had changed"

    def test_plain_calls_do_no_io(self) -> None:
        witness = self._witness()
        calls, events = witness.machine.world.power.calls, len(witness.machine.world.trace or ())
        witness.append("1")
        witness.append("", 4, Op.DISCARD)
        witness.void(1)
        witness.remember((1, 0), Membership.KNOWN)
        witness.log.settled(0)
        world = witness.machine.world
        assert (world.power.calls, len(world.trace or ())) == (calls, events), "only the steps do I/O"

    # What is remembered

    def test_members_are_remembered_and_forgotten(self) -> None:
        witness = self._witness()
        witness.remember((1, 0), Membership.KNOWN)
        witness.remember((1, 7), Membership.RESYNC_OWED)
        witness.remember((0, 0), Membership.KNOWN)
        witness.remember((0, 0), None)
        assert witness.log.commit_pending or not self.persistent, "nothing is stored of what is to be remembered"
        witness.commit()
        expected = {(1, 0): Membership.KNOWN, (1, 7): Membership.RESYNC_OWED}
        assert witness.log.members == expected
        if self.persistent:
            assert self._reopened(witness).members == expected, "what was remembered is forgotten"

    # What is durable

    def test_a_commit_flushes_once(self) -> None:
        self._needs_persistence()
        witness = self._witness()
        for number in range(5):
            witness.append(f"{number}")
        trace = witness.machine.world.trace
        assert trace is not None
        begin = len(trace)
        witness.commit()
        calls = [what for _, who, what in trace[begin:] if who == "log"]
        assert calls.index("flush") == len(calls) - 1, "a commit is writes, and one flush at the end"

    def test_a_log_opened_again_holds_what_was_committed(self) -> None:
        self._needs_persistence()
        witness = self._witness()
        for number in range(1, 7):
            witness.append(f"{number}", number, Op.WRITE_ZEROES if number == 4 else Op.WRITE)
        witness.commit()
        witness.done(0, 1, 2, 3)
        witness.done(1, 1)
        witness.commit(marks=True)
        witness.commit(marks=True)
        found = self._reopened(witness)
        assert (found.head, found.last) == (2, 6), "an orderly end leaves nothing open"
        assert [entry.owed for entry in found.entries.values()] == [2, 2, 3, 3, 3]

    def test_a_retired_log_refuses(self) -> None:
        self._needs_persistence()
        witness = self._witness()
        witness.append("1")
        witness.commit()
        witness.machine.go(witness.log.retiring())
        with pytest.raises(CtrError):
            self.reopen(ReplogMachine(self, witness.machine.world.after_power_loss()))

    def test_a_power_loss_leaves_a_new_log_where_nothing_lasts(self) -> None:
        if self.persistent:
            pytest.skip("persistent is True: power losses have checks of their own")
        witness = self._witness()
        witness.append("1")
        witness.commit()
        found = ReplogMachine(self, witness.machine.world.after_power_loss()).new()
        assert (found.head, found.last, found.entries) == (1, 0, {})

    def test_no_power_loss_breaks_a_promise(self) -> None:
        self._needs_persistence()
        for life in (_two_laps, _marks_out_of_order, _without_data, _members):
            self._cut_everywhere(life)

    def test_a_recovery_may_be_interrupted_anywhere(self) -> None:
        self._needs_persistence()
        for life in (_marks_out_of_order, _torn_batch):
            self._cut_everywhere(life, again=True)

    def test_nothing_that_a_recovery_left_comes_back(self) -> None:
        self._needs_persistence()
        # The batch of the first life may survive in part; the next life writes over the first of it.
        self._cut_everywhere(_torn_batch, then=_one_more)

    # Faults

    def test_a_log_whose_device_fails_has_failed(self) -> None:
        self._needs_persistence()
        for faults in every_call(Fault(Ill.ERROR), lambda _, call: call is not Call.READ):
            witness = self._witness(small=True)
            witness.machine.disk.faults = faults
            failed = False
            for life in (_marks_out_of_order, _members):
                try:
                    life(witness)
                except OSError:
                    failed = True
                    break
            assert failed is bool(faults.struck), "I/O of the log failed, and nobody was told"
            assert witness.log.failed is failed, "once I/O has failed the log has"
            witness.machine.disk.faults = None

    def test_a_recovery_that_cannot_read_says_so(self) -> None:
        self._needs_persistence()
        struck = 0
        for faults in every_call(Fault(Ill.ERROR, lasting=True)):
            witness = self._witness(small=True)
            _torn_batch(witness)
            machine = ReplogMachine(self, witness.machine.world.after_power_loss(), small=True)
            machine.disk.faults = faults
            try:
                machine.again()
            except (OSError, CtrError):
                assert faults.struck
            else:
                assert not faults.struck, "a recovery whose I/O failed says nothing of it"
            struck += len(faults.struck)
        assert struck

    # Any sequence

    @ANY_CLASS
    @given(data=st.data())
    def test_any_sequence_of_operations_keeps_the_promises(self, data: st.DataObject) -> None:
        witness = self._witness(traced=False)
        log = witness.log
        for kind, at in data.draw(_sequences()):
            live = list(log.entries)
            if kind == "append":
                try:
                    witness.append(f"{at}", at, Op.DISCARD if at % 7 == 3 else Op.WRITE)
                except LogFullError:
                    witness.commit()
            elif kind == "commit":
                witness.commit(marks=at % 2 == 0)
            elif kind == "again" and self.persistent:
                found = self._reopened(witness)
                for number in witness.owed:
                    entry = found.entries.get(number)
                    witness.owed[number] = entry.owed if entry else 0
                witness.log = log = found
            elif live and kind == "void":
                witness.void(live[at % len(live)])
            elif live and kind == "done" and live[at % len(live)] <= log.committed:
                witness.done(at % 2, *[number for number in live if number <= live[at % len(live)]])
            owed = {number: witness.owed[number] for number in log.entries}
            assert {number: entry.owed for number, entry in log.entries.items()} == owed, f"owed wrongly after {kind}"
            assert list(log.entries) == list(range(log.head, log.last + 1)), f"holes after {kind}"
            assert log.head > log.committed or log.entries[log.head].owed, f"the head lags after {kind}"
            for site in SITES:
                assert log.settled(site) >= witness.settled[site], f"settled goes back after {kind}"

    # Inside

    def _needs_persistence(self) -> None:
        if not self.persistent:
            pytest.skip("persistent is False: nothing is stored")

    def _construct(self, machine: ReplogMachine, words: str) -> ReplicationLog:
        log_class = self.log_class()
        return log_class.construct(machine, machine.params(log_class, words), machine.lock)

    def _witness(self, *, small: bool = False, traced: bool = True) -> Witness:
        machine = ReplogMachine(self, World(traced=traced), small=small)
        return Witness(machine, machine.new())

    def _fill(self, witness: Witness, sectors: int) -> int:
        count = 0
        while True:
            try:
                witness.append(f"{count}", sectors)
            except LogFullError:
                return count
            count += 1

    def _reopened(self, witness: Witness) -> ReplicationLog:
        """The log as another process would find it, and as it may be."""
        if not self.persistent:
            return witness.log
        machine = ReplogMachine(self, witness.machine.world, small=witness.machine.small)
        found = machine.again()
        witness.judge(machine, found, "opened again,")
        witness.committed = found.last
        witness.written = {number: written for number, written in witness.written.items() if number <= found.last}
        return found

    def _cut_everywhere(self, life: Life, *, again: bool = False, then: Life | None = None) -> None:
        """Leads a life with a power loss at each of its calls, and everything that this may leave on the device."""
        cut_at, cut = 1, True
        while cut:
            cut = False
            for count, choices in enumerate(exhaustive()):
                if count >= self.most_lives:
                    # Too many to try all: let chance choose.
                    for seed in range(self.most_lives):
                        self._lead(life, Seeded(seed), cut_at, again=again, then=then)
                    break
                cut |= self._lead(life, choices, cut_at, again=again, then=then)
            cut_at += 1

    def _lead(self, life: Life, choices: Choices, cut_at: int, *, again: bool, then: Life | None) -> bool:
        world = World(choices, traced=False)
        machine = ReplogMachine(self, world, small=True)
        witness = Witness(machine, machine.new())
        world.power.cut_at = world.power.calls + cut_at
        cut = False
        try:
            life(witness)
        except PowerLoss:
            cut = True
        after = world.after_power_loss()
        when = f"after a power loss at call {cut_at} of {life.__name__.strip('_').replace('_', ' ')}"
        if again:
            after = self._interrupted(after, choices)
            when += ", and another one in the recovery"
        machine = ReplogMachine(self, after, small=True)
        found = machine.again()
        witness.judge(machine, found, when)
        if then is not None:
            self._then(witness, found, machine, then, choices, when)
        return cut

    def _interrupted(self, world: World, choices: Choices) -> World:
        """The power goes again in the recovery, at a call that the choices take."""
        world.power.cut_at = 1 + choices.pick(8, "call of the recovery")
        with suppress(PowerLoss):
            ReplogMachine(self, world, small=True).again()
        return world.after_power_loss()

    def _then(
        self, old: Witness, found: ReplicationLog, machine: ReplogMachine, life: Life, choices: Choices, when: str
    ) -> None:
        """Another life on what the recovery found, and another power loss at any of its calls."""
        witness = Witness(machine, found)
        witness.written = {number: written for number, written in old.written.items() if number <= found.last}
        witness.owed = dict.fromkeys(witness.written, 0)
        witness.owed.update({number: entry.owed for number, entry in found.entries.items()})
        machine.world.power.cut_at = machine.world.power.calls + 1 + choices.pick(8, "call of the second life")
        with suppress(PowerLoss):
            life(witness)
        machine = ReplogMachine(self, machine.world.after_power_loss(), small=True)
        witness.judge(machine, machine.again(), f"{when}, and another one later,")


# Lives: each is written down by its witness.


def _two_laps(witness: Witness) -> None:
    for number in range(1, 6):
        witness.append(f"{number}")
        witness.commit()
        witness.done(0, number)
        witness.done(1, number)
        witness.commit()


def _marks_out_of_order(witness: Witness) -> None:
    for number in range(1, 4):
        witness.append(f"{number}")
    witness.commit()
    witness.done(0, 1, 2)
    witness.done(1, 1)
    witness.commit(marks=True)
    witness.done(0, 3)
    witness.done(1, 2)
    witness.append("4")
    witness.commit(marks=True)


def _torn_batch(witness: Witness) -> None:
    witness.append("1")
    witness.append("2")
    witness.commit()
    witness.append("3")


def _one_more(witness: Witness) -> None:
    witness.append("new")
    witness.commit()


def _without_data(witness: Witness) -> None:
    witness.append("1")
    witness.append("", 5, Op.DISCARD)
    witness.commit()
    witness.void(1)
    witness.done(0, 2)
    witness.append("", 9, Op.WRITE_ZEROES)
    witness.commit(marks=True)
    for site in SITES:
        witness.done(site, 2, 3)
    witness.commit(marks=True)
    witness.commit(marks=True)


def _members(witness: Witness) -> None:
    witness.remember((1, 0), Membership.RESYNC_OWED)
    witness.append("1")
    witness.commit()
    witness.remember((1, 0), Membership.KNOWN)
    witness.remember((1, 1), Membership.KNOWN)
    witness.commit()
    witness.remember((1, 1), None)
    witness.commit()


@cache
def _sequences() -> st.SearchStrategy[list[tuple[str, int]]]:
    kinds_of_steps = st.sampled_from(["append", "append", "commit", "done", "done", "void", "again"])
    return st.lists(st.tuples(kinds_of_steps, st.integers(1, 1500)), max_size=25)
