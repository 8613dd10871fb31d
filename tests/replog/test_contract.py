"""Both kinds of replication log keep the contract, and logs that were made to break it are found out."""

from __future__ import annotations

import pytest

from dmtable.replog.log import ReplicationLog
from dmtable.replog.ringbuffer import RingBufferLog
from dmtable.testing.contracts.replog import ReplicationLogContract
from dmtable.testing.contracts.replog_bench import ReplogMachine
from tests.contracts import message_of
from tests.replog.broken import BROKEN, REFUSED


class TestMemoryLog(ReplicationLogContract):
    kind = "memory"
    words = "4096"
    refused = ("", "x", "4095", "4096 4096")


class TestRingBufferLog(ReplicationLogContract):
    kind = "ringbuffer"
    words = "/dev/log 0 create 4096"
    again = "/dev/log 0 open"
    persistent = True
    refused = (
        "",
        "/dev/log",
        "/dev/log x",
        "/dev/log 0 never 4096",
        "/dev/log 0 create",
        "/dev/log 0 auto",
        "/dev/log 0 open 4096",
        "/dev/log 0 create 4095",
        "/dev/log 0 create x",
        "/dev/log 0 create 4096 4096",
    )

    def make_small(self, machine: ReplogMachine) -> ReplicationLog:
        return self._ring_class().create(machine, machine.lock, machine.disk, 0, self.small_sectors)

    def reopen_small(self, machine: ReplogMachine) -> ReplicationLog:
        found = self._ring_class().open(machine, machine.lock, machine.disk, 0)
        assert found is not None
        return found

    def _ring_class(self) -> type[RingBufferLog]:
        found = self.log_class()
        assert issubclass(found, RingBufferLog)
        return found


class TestRingBufferLogOnLargeBlocks(TestRingBufferLog):
    log_block_size = 4096
    words = "/dev/log 8 auto 4096"
    again = "/dev/log 8 open"
    most_lives = 50


def contract_of(broken: type[ReplicationLog]) -> ReplicationLogContract:
    kept: type[ReplicationLogContract] = TestMemoryLog if broken.name == "memory" else TestRingBufferLog

    class Contract(kept):  # type: ignore[misc, valid-type]
        def log_class(self) -> type[ReplicationLog]:
            return broken

    return Contract()


@pytest.mark.parametrize(("check", "says", "broken"), BROKEN, ids=lambda what: getattr(what, "__name__", ""))
def test_a_broken_log_is_found_out(check: str, says: str, broken: type[ReplicationLog]) -> None:
    assert says in message_of(contract_of(broken), check)


@pytest.mark.parametrize(("check", "broken"), REFUSED, ids=lambda what: getattr(what, "__name__", ""))
def test_a_log_that_should_refuse_is_found_out(check: str, broken: type[ReplicationLog]) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        getattr(contract_of(broken), check)()
