"""Threads for calls that may wait."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from queue import SimpleQueue

from dmtable.runtime.threads import spawn

Call = Callable[[], object]

_MOST_FOR_ONE = 8
"""So many calls for the same node may be under way: the others wait for those, and keep nobody else waiting."""
_MOST_IDLE = 4


class Hands:
    """Carries calls out, in their order for each node as long as none of them waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: Counter[object] = Counter()
        self._waiting: dict[object, deque[Call]] = {}
        self._idle: list[SimpleQueue[tuple[object, Call] | None]] = []
        self._closed = False

    def do(self, node: object, call: Call) -> None:
        """Returns at once. A call that raises ends its thread, which Python tells, when the others are done."""
        with self._lock:
            if self._at_work[node] >= _MOST_FOR_ONE:
                self._waiting.setdefault(node, deque()).append(call)
                return
            self._at_work[node] += 1
            orders = self._idle.pop() if self._idle else None
        if orders is None:
            orders = SimpleQueue()
            spawn("dmtable node", self._work, orders)
        orders.put((node, call))

    def close(self) -> None:
        """Idle threads end now, the others when their calls do; what waits for those is done first."""
        with self._lock:
            self._closed = True
            for orders in self._idle:
                orders.put(None)
            self._idle.clear()

    def _work(self, orders: SimpleQueue[tuple[object, Call] | None]) -> None:
        while (order := orders.get()) is not None:
            node, call = order
            failed: BaseException | None = None
            following: Call | None = call
            while following is not None:
                try:
                    following()
                except BaseException as error:
                    failed = error
                following = self._next(node)
            if failed is not None:
                raise failed
            with self._lock:
                if self._closed or len(self._idle) >= _MOST_IDLE:
                    return
                self._idle.append(orders)

    def _next(self, node: object) -> Call | None:
        """The node's next call; None where there is none, and one thread fewer works for it."""
        with self._lock:
            if waiting := self._waiting.get(node):
                return waiting.popleft()
            self._waiting.pop(node, None)
            self._at_work[node] -= 1
            if not self._at_work[node]:
                del self._at_work[node]
            return None
