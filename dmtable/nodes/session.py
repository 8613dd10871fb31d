"""A connection being served, and what keeps that from standing still.

One thread, the leader, takes the requests. Should it wait in a call that was to be quick, because a device hangs,
another thread becomes the leader; the one that waits ends when it has answered. Handing each request to another
thread would be simpler, and cost more than most requests do.
"""

from __future__ import annotations

import threading
from itertools import count

from dmtable.core.device_mapper import DeviceMapper
from dmtable.nodes.channel import Channel
from dmtable.nodes.hands import Hands
from dmtable.nodes.interrupts import Interrupts
from dmtable.nodes.leader import Leader
from dmtable.nodes.requests import Requests
from dmtable.runtime.threads import spawn

_LOOK_SECONDS = 0.005
"""So often the leader is looked at: one that has not come on since the last look waits."""
_SURVIVORS_EVERY = 20
"""So many looks later those are looked at again that a signal did not kill."""


class Session:
    """Serves the mds of a device-mapper over a connection until it is closed, here or by the kernel."""

    def __init__(self, mapper: DeviceMapper, fd: int) -> None:
        self.over = threading.Event()
        """Set when the connection has ended, by whomever."""
        self._channel = Channel(fd)
        self._hands = Hands()
        self._interrupts = Interrupts(self._channel)
        self._requests = Requests(mapper, self._channel, self._hands, self._interrupts)
        self._baton = threading.Lock()
        self._awake = threading.Event()
        self._leader = self._new_leader()
        spawn("dmtable nodes watch", self._watch)

    def close(self) -> None:
        """Ends it, whatever is open, blocked or under way; nothing waits for that."""
        self._channel.stop()
        with self._baton:
            self._channel.close()
        self._end()
        self._hands.close()

    def _end(self) -> None:
        self.over.set()
        self._awake.set()
        self._requests.close()

    def _new_leader(self) -> Leader:
        leader = Leader(self._channel, self._requests, self._baton, self._wake)
        spawn("dmtable nodes", self._lead, leader)
        return leader

    def _lead(self, leader: Leader) -> None:
        try:
            ended = leader.lead()
        except BaseException:
            # A defect ends its thread, and nothing else.
            with self._baton:
                self._depose(leader)
            raise
        if ended:
            self._end()

    def _depose(self, leader: Leader) -> None:
        """Makes another thread the leader. The caller has the baton."""
        if not leader.deposed:
            leader.deposed = True
            self._leader = self._new_leader()

    # The watch sleeps while the leader does.

    def _watch(self) -> None:
        last: tuple[Leader, int] | None = None
        for look in count():
            if self.over.is_set():
                return
            if not look % _SURVIVORS_EVERY:
                self._interrupts.look()
            leader = self._leader
            if leader.asleep and not self._interrupts.survivors:
                self._awake.clear()
                # It may have woken up just before that line, and seen no need to say so.
                if leader.asleep:
                    self._awake.wait()
            self.over.wait(_LOOK_SECONDS)
            if last == (leader, leader.turn) and not leader.asleep:
                self._help(leader, leader.turn)
            last = leader, leader.turn

    def _wake(self) -> None:
        if not self._awake.is_set():
            self._awake.set()

    def _help(self, leader: Leader, turn: int) -> None:
        """Replaces a leader that is still in its last turn; whoever has the baton is not, but receives."""
        if not self._baton.acquire(blocking=False):
            return
        try:
            if leader.turn == turn:
                if leader.node is not None:
                    leader.node.hangs()
                self._depose(leader)
        finally:
            self._baton.release()
