"""Messages to a replicator: what they mean, and what is said to those that mean nothing."""

from __future__ import annotations

import errno
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.errors import IoctlError
from dmtable.slink.link import FallBehind, Measure, Policy
from dmtable.targets.replicator.messages import (
    AddCopy,
    AddLink,
    BeginResync,
    DeleteCopy,
    DeleteLink,
    DeviceRequest,
    ForgetDevice,
    Pause,
    Request,
    ResizeLog,
    Resume,
    SetFallBehind,
    SetLogStatistics,
    SetPolicy,
    SetStatistics,
    Start,
    Stop,
    Switch,
    read_device_message,
    read_replicator_message,
)
from dmtable.targets.replicator.parts import CopyWords, DirtyLogWords, SiteWords


def _device(text: str) -> DeviceRequest:
    return read_device_message(text.split(), 3, 8192, None)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("start", Start()),
        ("s", Start()),
        ("sta", Start()),
        ("r", Start()),
        ("start all", Start(True)),
        ("sto", Stop()),
        ("su a", Stop(True)),
        ("postsuspend", Stop()),
        ("stat on", SetStatistics(Switch.ON)),
        ("statistics of", SetStatistics(Switch.OFF)),
        ("statistics r", SetStatistics(Switch.RESET)),
        ("sl a blockdev 3 2 async ios=5", AddLink(SiteWords("blockdev", 2, Policy(), FallBehind(Measure.IOS, 5, 5)))),
        ("slink add nbd 1 2", AddLink(SiteWords("nbd", 2))),
        ("slink del 2", DeleteLink(2)),
        ("slink message 1 fallbehind size=2m", SetFallBehind(1, FallBehind(Measure.SIZE, 4096, 2, "m"))),
        ("slink m 1 FALL ios=0", SetFallBehind(1, FallBehind(Measure.IOS, 0, 0))),
        ("slink message 0 Policy sync", SetPolicy(0, Policy(synchronous=True))),
        ("slink pause 1", Pause(1)),
        ("slink resume 1", Resume(1)),
        ("slink r 1", Resume(1)),
        ("slink resy 1", BeginResync(1)),
        ("replog statistics off", SetLogStatistics(Switch.OFF)),
        ("rep STAT ON", SetLogStatistics(Switch.ON)),
        ("replog RESIZE 4096", ResizeLog(4096)),
        ("replog forget 7", ForgetDevice(7)),
    ],
)
def test_what_a_message_means(text: str, request_: Request) -> None:
    assert read_replicator_message(text.split()) == request_


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("resume", Start()),
        ("stop", Stop()),
        ("d d 1", DeleteCopy(1)),
        ("device add 1 1 /dev/far nolog 0", None),
        ("device add 1 1 nbd://far/x - 0", None),
    ],
)
def test_what_a_message_to_a_device_means(text: str, request_: DeviceRequest | None) -> None:
    if request_ is not None:
        assert _device(text) == request_
        return
    with pytest.raises(IoctlError, match="needs a dirty log"):
        _device(text)


def test_a_device_is_added_with_its_words() -> None:
    request = _device("device add 1 1 nbd://far/x core 1 2048")
    assert isinstance(request, AddCopy)
    assert (request.site, request.copy.device) == (1, "nbd://far/x")
    assert request.copy == CopyWords(3, "nbd://far/x", DirtyLogWords("core", request.copy.dirty_log.params))


@pytest.mark.parametrize(
    ("text", "number", "says"),
    [
        ("", errno.EINVAL, "there are resume, start, suspend, postsuspend, stop, slink, statistics, replog"),
        ("Start", errno.EINVAL, "Start: unknown message"),
        ("start some", errno.EINVAL, "start takes nothing, or all"),
        ("slink", errno.EINVAL, "there are add, del, message, pause, resume, resync"),
        ("slink del", errno.EINVAL, "write slink del NUMBER"),
        ("slink del 0", errno.EPERM, "site 0 is the local one"),
        ("slink del 2048", errno.EINVAL, "no number from 0 to 2047"),
        ("slink add blockdev 1 0", errno.EPERM, "a number from 1 to 2047"),
        ("slink add tape 1 1", errno.ENOENT, "no type of site link"),
        ("slink add blockdev 2 1", errno.EINVAL, "declares 2 words and has 1"),
        ("slink add blockdev 1 1 2 0 /dev/a - 0", errno.EINVAL, "one word too many"),
        ("slink add blockdev", errno.EINVAL, "the line ends where"),
        ("slink message 1", errno.EINVAL, "there are fallbehind, policy"),
        ("slink message", errno.EINVAL, "write slink message NUMBER"),
        ("slink message 1 policy fast", errno.EINVAL, "'fast' is no policy"),
        ("slink message 1 fallbehind ios 5", errno.EINVAL, "write slink message NUMBER fallbehind KIND=VALUE"),
        ("slink message 1 fallbehind ios=x", errno.EINVAL, "is no limit"),
        ("replog", errno.EINVAL, "there are statistics, resize, forget"),
        ("replog resize 4095", errno.EINVAL, "at least 4096 sectors"),
        ("statistics", errno.EINVAL, "write statistics on|off|reset"),
        ("statistics maybe", errno.EINVAL, "there are on, off, reset"),
    ],
)
def test_what_means_nothing_is_told_what_there_is(text: str, number: int, says: str) -> None:
    with pytest.raises(IoctlError) as caught:
        read_replicator_message(text.split())
    assert caught.value.errno == number
    assert says in caught.value.text


@pytest.mark.parametrize(
    ("text", "number"), [("start all", errno.EINVAL), ("device add 0 1 /dev/a - 0", errno.EINVAL),
                         ("device del 0", errno.EPERM), ("slink del 1", errno.EINVAL), ("device", errno.EINVAL)]
)  # fmt: skip
def test_what_a_device_does_not_understand(text: str, number: int) -> None:
    with pytest.raises(IoctlError) as caught:
        _device(text)
    assert caught.value.errno == number


_WORDS = "start slink add del message policy 1 0 blockdev 2 ios=1 async replog resize device core 4096 x".split()  # noqa: SIM905


@given(st.lists(st.sampled_from(_WORDS), max_size=7))
def test_no_words_upset_it(words: list[str]) -> None:
    for read in (read_replicator_message, lambda words: read_device_message(words, 0, 64, None)):
        with suppress(IoctlError):
            read(words)
