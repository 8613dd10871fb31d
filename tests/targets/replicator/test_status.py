"""What status and table print of a replicator, word for word as the code of 2009 where that was right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.slink.words import read_limit, read_policy
from dmtable.targets.replicator.status import (
    CopyState,
    GroupState,
    Regions,
    Remarks,
    ShownCopy,
    ShownLink,
    SiteBacklog,
    Traffic,
    device_info,
    device_table,
    one_line_info,
    replicator_info,
    replicator_table,
)
from dmtable.targets.replicator.words import ReplicatorDevParams, ReplicatorParams

IDLE = SiteBacklog(False, 0, 0)
LOG = "ringbuffer 4 254:0 0 auto 4096 "
IOS = FallBehind(Measure.IOS, 100, 100)


def test_an_idle_group() -> None:
    assert replicator_info(GroupState([IDLE, IDLE], 4096)) == " A,0,0 A,0,0 0/0/4096 "


def test_a_busy_group_with_everything_on() -> None:
    group = GroupState(
        [SiteBacklog(False, 1, 8), SiteBacklog(True, 3, 24)],
        65536,
        " ring->start=16 r=1",
        Traffic(1, 2, 3, 4, 5, 6),
        Remarks(unknown=(7, 9), unordered=(1,), held=(1,), paused=(2,)),
    )
    assert replicator_info(group) == (
        "v=v0.028 r=1 w=2 rs=3 ws=4 nc=5 c=6  A,1,8 S,3,24 4/32/65536 ring->start=16 r=1 "
        "unknown=7,9 unordered=1 held=1 paused=2 "
    )


def test_a_device() -> None:
    copies = [CopyState("A"), CopyState("A", Regions(12, 100, True)), CopyState("RW", Regions(7, 7, False))]
    assert device_info("254:1", 0, copies) == "254:1 0 A,- A,12+/100 RW,7/7 "


def test_a_device_of_the_slides_says_both() -> None:
    assert one_line_info(GroupState([IDLE], 4096), "254:0", 3, [CopyState("A")]) == " A,0,0 0/0/4096 254:0 3 A,- "


def test_the_table_of_a_control_device() -> None:
    links = [ShownLink("blockdev", 0, Policy(), None), ShownLink("blockdev", 1, Policy(), IOS)]
    assert replicator_table(LOG, links) == (
        "ringbuffer 4 254:0 0 auto 4096 blockdev 2 0 asynchronous blockdev 4 1 asynchronous ios 100 "
    )


def test_the_table_of_a_device() -> None:
    copies = [(0, ShownCopy(0, "8:16")), (1, ShownCopy(0, "8:32", "disk 3 8:48 32768 nosync "))]
    assert device_table("254:1", 0, copies) == "254:1 0 0 1 8:16 nolog 0 1 1 8:32 disk 3 8:48 32768 nosync  "


def test_the_table_of_a_device_of_the_slides() -> None:
    links = [
        ShownLink("local", 0, Policy(), None, ShownCopy(2, "8:16")),
        ShownLink("local", 1, Policy(stall=True), IOS, ShownCopy(2, "8:32", "core 1 2048 ")),
    ]
    text = replicator_table(LOG, links)
    assert text == (
        "ringbuffer 4 254:0 0 auto 4096 local 2 0 asynchronous 2 2 8:16 - 0 "
        "local 3 1 asynchronous+stall ios=100 2 2 8:32 core 1 2048 "
    )
    params, findings = ReplicatorParams.inspect(text.split(), 0, 8192, None)
    assert findings == []
    assert params is not None
    assert params.words() == text.split()


@given(
    st.sampled_from(["async", "async+stall+epoch", "a+hold"]).map(read_policy),
    st.sampled_from([(), ("ios", "1"), ("size", "64k"), ("timeout", "3h")]).map(read_limit),
    st.booleans(),
)
def test_a_table_that_is_loaded_again_means_the_same(policy: Policy, limit: FallBehind | None, in_line: bool) -> None:
    copies = [ShownCopy(5, "8:16"), ShownCopy(5, "nbd://far/x", "core 2 2048 sync ")]
    links = [ShownLink("blockdev", site, policy, limit, copies[site] if in_line else None) for site in (0, 1)]
    params, findings = ReplicatorParams.inspect(replicator_table(LOG, links).split(), 0, 8192, None)
    assert params is not None
    assert {finding.rule.code for finding in findings} <= {"DM513"}
    assert [(site.policy, site.fall_behind) for site in params.sites] == [(policy, limit)] * 2
    device, findings = ReplicatorDevParams.inspect(device_table("254:1", 5, enumerate(copies)).split(), 0, 8192, None)
    assert findings == []
    assert device is not None
    assert [copy.device for _, copy in device.copies] == ["8:16", "nbd://far/x"]
