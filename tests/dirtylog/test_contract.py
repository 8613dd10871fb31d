"""Both kinds of dirty log keep the contract, and logs that were made to break it are found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, is_hypothesis_test, settings
from hypothesis import strategies as st

from dmtable.dirtylog.log import DirtyLog
from dmtable.testing.contracts import DirtyLogContract
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


def message_of(contract: object, check: str) -> str:
    """What a check says of something broken."""
    run: Callable[..., None] = getattr(type(contract), check)
    if is_hypothesis_test(run):
        # One example that fails is enough; there is no need for the simplest.
        unshrunk = settings(phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
        run = unshrunk(given(data=st.data())(run.hypothesis.inner_test))  # type: ignore[attr-defined]
    with pytest.raises(AssertionError) as caught:
        run(contract)
    return str(caught.value)


@pytest.mark.parametrize(("check", "says", "broken"), BROKEN, ids=lambda what: getattr(what, "__name__", ""))
def test_a_broken_log_is_found_out(check: str, says: str, broken: type[DirtyLog]) -> None:
    kept: type[DirtyLogContract] = TestDiskLog if broken.name == "disk" else TestCoreLog

    class Contract(kept):  # type: ignore[misc, valid-type]
        def log_class(self) -> type[DirtyLog]:
            return broken

    assert says in message_of(Contract(), check)
