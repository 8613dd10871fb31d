"""Who does what: the threads for calls that may wait, the leader's trust in a device, and whom a signal kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from dmtable.nodes.hands import Hands
from dmtable.nodes.interrupts import is_dying
from tests.nodes.conftest import Machine, until
from tests.nodes.devices import Disk


def test_calls_for_one_node_wait_for_one_another_and_for_nobody_else() -> None:
    hands, gate, done = Hands(), threading.Event(), []

    def wait(number: int) -> None:
        gate.wait()
        done.append(number)

    for number in range(20):
        hands.do("slow", partial(wait, number))
    other = threading.Event()
    hands.do("other", other.set)
    assert other.wait(60)
    at_work = [thread for thread in threading.enumerate() if thread.name == "dmtable node"]
    assert len(at_work) <= 9
    assert not done
    gate.set()
    until(lambda: sorted(done) == list(range(20)))
    hands.close()
    until(lambda: not any(thread.is_alive() for thread in at_work))


def test_a_call_that_raises_is_told_and_the_others_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    hands, gate, done = Hands(), threading.Event(), []

    def fail(number: int) -> None:
        gate.wait()
        done.append(number)
        raise ValueError(number)

    for number in range(20):
        hands.do("node", partial(fail, number))
    gate.set()
    until(lambda: sorted(done) == list(range(20)))
    until(lambda: len(told) == 8)
    assert set(told) == {ValueError}
    again = threading.Event()
    hands.do("node", again.set)
    assert again.wait(60)
    hands.close()


def test_calls_that_come_after_the_end_are_made_all_the_same() -> None:
    hands, done = Hands(), threading.Event()
    hands.close()
    hands.do("node", done.set)
    assert done.wait(60)


def test_a_device_that_hung_is_trusted_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    callers: list[str] = []
    read = Disk.pread_into

    def note(disk: Disk, buffer: bytearray | memoryview, offset: int) -> int:
        callers.append(threading.current_thread().name)
        return read(disk, buffer, offset)

    monkeypatch.setattr(Disk, "pread_into", note)
    machine.linear()
    fd = machine.open()

    def caller() -> str:
        os.pread(fd, 512, 0)
        return callers[-1]

    until(lambda: caller() == "dmtable nodes")
    machine.disk.hang()
    reader = threading.Thread(target=caller)
    reader.start()
    until(lambda: machine.disk.inside)
    machine.node().stat()
    machine.disk.let_go()
    reader.join()
    assert caller() == "dmtable node"
    until(lambda: caller() == "dmtable nodes")
    os.close(fd)


def test_no_thread_is_left(machine: Machine) -> None:
    machine.linear()
    fd = machine.open()
    os.pwrite(fd, b"part", 0)
    os.fsync(fd)
    os.close(fd)
    machine.close()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("dmtable node")])


@pytest.mark.parametrize(
    ("setting", "sent", "dying"),
    [
        ("SIG_DFL", signal.SIGTERM, True),
        ("SIG_DFL", signal.SIGQUIT, True),
        ("SIG_IGN", signal.SIGTERM, False),
        ("SIG_DFL", signal.SIGCHLD, False),
        ("SIG_DFL", signal.SIGWINCH, False),
    ],
)
def test_whom_a_signal_kills(setting: str, sent: signal.Signals, dying: bool) -> None:
    """Blocked signals stay pending, so that they can be looked at; whether they kill is told as if they were not."""
    code = f"""if True:
        import os, signal, sys
        sys.path[:0] = {sys.path!r}
        from dmtable.nodes import interrupts
        signal.signal({int(sent)}, signal.{setting})
        signal.pthread_sigmask(signal.SIG_BLOCK, [{int(sent)}])
        os.kill(os.getpid(), {int(sent)})
        assert not interrupts.is_dying(os.getpid())
        text = open("/proc/self/status", "rb").read()
        print(interrupts.kills(text.replace(b"SigBlk:\\t", b"Unblocked:\\t")))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{dying}\n"


def test_a_thread_that_is_gone_is_as_good_as_dying() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert is_dying(process.pid)
    assert is_dying(0)
    assert not is_dying(threading.get_native_id())
