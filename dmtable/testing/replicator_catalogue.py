"""Kinds of damage to replicator lines, as those of `catalogue`: counts, sites, dirty logs, and groups of lines."""

from __future__ import annotations

from hypothesis import strategies as st

from dmtable.testing.draft import LENGTH, START, Draft, damage, paths


def _miscount(draw: st.DrawFn, draft: Draft, index: int) -> None:
    right = int(draft.row[index])
    draft.row[index] = str(draw(st.sampled_from([right + 1, right + 7, max(right - 1, 0) if right else 2])))


@damage("DM451", on="replicator")
def _count_of_the_log_off(draw: st.DrawFn, draft: Draft) -> None:
    _miscount(draw, draft, 4)


@damage("DM452", on="replicator")
def _count_of_a_site_off(draw: st.DrawFn, draft: Draft) -> None:
    _miscount(draw, draft, 6 + int(draft.row[4]))


@damage("DM453", on="replicator")
def _count_of_a_device_off(draw: st.DrawFn, draft: Draft) -> None:
    site = 6 + int(draft.row[4])
    _miscount(draw, draft, site + 1 + int(draft.row[site]))


@damage("DM454", on="replicator")
def _sites_missing(draw: st.DrawFn, draft: Draft) -> None:
    del draft.row[5 + int(draft.row[4]) :]


def _first_site(draft: Draft) -> int:
    """Where the first site's kind stands."""
    return 5 + int(draft.row[4])


def _first_device(draft: Draft) -> int:
    """Where the count of the first site's device stands."""
    site = _first_site(draft)
    return site + 2 + int(draft.row[site + 1])


def _remote_site(draft: Draft, limit: str, *dirty_log: str) -> None:
    """Puts a remote site in the place of all that follow the first."""
    device = _first_device(draft)
    words = ["async", *limit.split()]
    del draft.row[device + 5 :]
    site = ["blockdev", str(1 + len(words)), "1", *words]
    draft.row.extend([*site, "2", *draft.row[device + 1 : device + 3], *dirty_log])


_REGIONS = "core", "1", "2"


@damage("DM455", "DM205", "DM465", on="replicator")
def _region_size_before_the_device(draw: st.DrawFn, draft: Draft) -> None:
    _remote_site(draft, "ios=8", "disk", "2", "2", draw(paths(draft.devices)))


@damage("DM456", on="replicator")
def _kind_of_a_site_unknown(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[_first_site(draft)] = draw(st.sampled_from(["locale", "iscsi", "BLOCKDEV"]))


@damage("DM457", "DM459", on="replicator")
def _first_site_not_local(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[_first_site(draft) + 2] = draw(st.sampled_from(["9", "2047", "2048"]))


@damage("DM458", on="replicator")
def _policies_at_odds(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[_first_site(draft) + 3] = draw(st.sampled_from(["sync+async", "asynchronous+sy"]))


@damage("DM459", on="replicator")
def _remote_site_without_a_dirty_log(draw: st.DrawFn, draft: Draft) -> None:
    _remote_site(draft, "ios=8", draw(st.sampled_from(["-", "nolog"])), "0")


def _again(draft: Draft, step: int = 1) -> None:
    """Repeats the line behind itself, for the device of its group whose number is `step` higher."""
    row = list(draft.row)
    row[START] = str(int(row[START]) + draft.length)
    for other in draft.rows[draft.at + 1 :]:
        other[START] = str(int(other[START]) + draft.length)
    draft.at += 1
    draft.rows.insert(draft.at, row)
    row[4 : _first_site(draft)] = "3", *row[5:7], "open"
    for at in range(len(row) - 2):
        if row[at] == "2" and row[at + 1].isdigit() and row[at + 2].startswith("/"):
            row[at + 1] = str(int(row[at + 1]) + step)


@damage("DM471", on="replicator")
def _site_of_a_group_differs(draw: st.DrawFn, draft: Draft) -> None:
    _again(draft)
    device, site = _first_device(draft), _first_site(draft)
    words = draw(st.sampled_from([["async", "ios=7"], ["async+stall", "size=7k"]]))
    draft.row[site + 1 : device] = [str(1 + len(words)), "0", *words]


@damage("DM472", on="replicator")
def _log_of_a_group_created_again(draw: st.DrawFn, draft: Draft) -> None:
    _again(draft)
    draft.row[4:8] = "4", *draft.row[5:7], draw(st.sampled_from(["create", "c"])), "8192"


@damage("DM473", on="replicator")
def _device_number_twice(_draw: st.DrawFn, draft: Draft) -> None:
    _again(draft, 0)


@damage("DM511", on="replicator")
def _stall_though_synchronous(draw: st.DrawFn, draft: Draft) -> None:
    device, site = _first_device(draft), _first_site(draft)
    draft.row[site + 1 : device] = ["2", "0", draw(st.sampled_from(["sync+stall", "stall+synchronous"]))]


@damage("DM512", "DM205", "DM465", on="replicator")
def _first_state_of_a_disk_log(draw: st.DrawFn, draft: Draft) -> None:
    state = draw(st.sampled_from(["sync", "nosync"]))
    _remote_site(draft, "ios=8", "disk", "3", draw(paths(draft.devices)), "2", state)


@damage("DM513", on="replicator")
def _small_log_without_a_limit(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[4 : _first_site(draft)] = ["4", *draft.row[5:7], "auto", "8192"]
    _remote_site(draft, draw(st.sampled_from(["", "ios=0"])), *_REGIONS)


@damage("DM514", "DM101", "DM102", "DM205", on="replicator", place="last")
def _hardly_any_regions(draw: st.DrawFn, draft: Draft) -> None:
    region = 1 << draw(st.integers(12, 15))
    draft.row[LENGTH] = str(region * draw(st.integers(1, 3)))
    _remote_site(draft, "ios=8", "core", "1", str(region))


@damage("DM515", on="replicator")
def _timeout_in_seconds(draw: st.DrawFn, draft: Draft) -> None:
    _remote_site(draft, f"timeout={draw(st.integers(1, 999))}", *_REGIONS)


@damage("DM516", "DM205", on="replicator")
def _log_on_its_own_device(draw: st.DrawFn, draft: Draft) -> None:
    draft.row[4 : _first_site(draft)] = ["4", *draft.row[5:7], "auto", "8192"]
    draft.row[_first_device(draft) + 2] = draft.row[5]
