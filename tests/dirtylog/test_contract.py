"""Both kinds of dirty log keep the contract, and logs that were made to break it are found out."""

from __future__ import annotations

import pytest

from dmtable.dirtylog.log import DirtyLog
from dmtable.testing.contracts import DirtyLogContract
from tests.contracts import message_of
from tests.dirtylog.broken import BROKEN


class TestCoreLog(DirtyLogContract):
    kind = "core"
    words = "2"


class TestDiskLog(DirtyLogContract):
    kind = "disk"
    words = "/dev/log 2"
    persistent = True
    refused = ("", "/dev/log", "/dev/log 0", "/dev/log x", "/dev/log 2 never", "/dev/log 2 sync nosync")


class TestDiskLogOnLargeBlocks(TestDiskLog):
    log_block_size = 4096
    log_sectors = 24
    regions = 24_600


@pytest.mark.parametrize(("check", "says", "broken"), BROKEN, ids=lambda what: getattr(what, "__name__", ""))
def test_a_broken_log_is_found_out(check: str, says: str, broken: type[DirtyLog]) -> None:
    kept: type[DirtyLogContract] = TestDiskLog if broken.name == "disk" else TestCoreLog

    class Contract(kept):  # type: ignore[misc, valid-type]
        def log_class(self) -> type[DirtyLog]:
            return broken

    assert says in message_of(Contract(), check)
