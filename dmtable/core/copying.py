"""The work of the copy service: one Worker copies for all queues.

What other threads have to say (a new job, a bio that is done) is put into its inbox, so that nothing here
needs a lock. Each step empties the inbox, and then makes one call to a device: a query for holes, or one bio.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.copy_jobs import CopyJob, CopyQueue
from dmtable.core.regions import Region, RegionsRequest
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import RunningWorker, Runtime, Worker
from dmtable.units import SECTOR_SHIFT

_ZEROES_SECTORS = 131_072
"""A hole is copied in pieces of at most 64 MiB: a device that must write its zeroes needs a while for them."""


@dataclass(slots=True, eq=False)
class _Piece:
    """Some sectors of a job under way, with the memory that they pass through, or without it for a hole."""

    queue: CopyQueue
    job: CopyJob
    at: int
    sectors: int
    memory: memoryview | None
    begun: float
    surveyed: int = 0
    """So many destinations of a hole were asked for holes of their own."""
    zeroed: list[tuple[int, Region]] = field(default_factory=list)
    """(number of the destination, what of it is to be zeroed)."""


class Copying(Worker):
    """The Worker of a service, started by its first job. Its state is its own, save the inbox."""

    name = "kcopyd"

    def __init__(self, runtime: Runtime, chunk_sectors: int, chunks: int) -> None:
        self.chunks_made = 0
        self._runtime = runtime
        self._chunk_sectors = chunk_sectors
        self._chunks = chunks
        self._inbox: deque[Callable[[], None]] = deque()
        self._turns: deque[CopyQueue] = deque()
        """Whose turn it is, and who comes after; a queue with nothing to begin drops out."""
        self._memory: list[memoryview] = []
        self._in_flight = 0
        self._surveying: deque[_Piece] = deque()
        self._writing: deque[RegionsRequest] = deque()
        self._running: RunningWorker | None = None
        self._starting = runtime.lock()

    # For other threads.

    def take(self, queue: CopyQueue, job: CopyJob) -> None:
        """A new job, which is in the queue already."""
        self._tell(partial(self._take, queue, job))

    def cancel(self, queue: CopyQueue) -> None:
        """The jobs taken so far end as cancelled."""
        self._tell(partial(self._cancel, queue))

    def stop(self) -> None:
        """Every queue is empty."""
        if self._running is not None:
            self._running.stop()

    def _tell(self, message: Callable[[], None]) -> None:
        """The message is run in a step of the Worker; it calls no device."""
        self._inbox.append(message)
        if self._running is None:
            with self._starting:
                if self._running is None:
                    self._running = self._runtime.start(self)
        self._running.wake()

    # In its own steps.

    def step(self) -> bool:
        told = bool(self._inbox)
        while self._inbox:
            self._inbox.popleft()()
        if self._writing:
            # Before new pieces: only what is written gives memory back.
            request = self._writing[0]
            if request.left == 1:
                self._writing.popleft()
            request.submit_next()
        elif self._surveying:
            self._survey()
        else:
            return self._begin() or told
        return True

    def _take(self, queue: CopyQueue, job: CopyJob) -> None:
        if job.all_begun:
            self._report(queue)
            return
        queue.todo.append(job)
        if queue not in self._turns:
            self._turns.append(queue)

    def _cancel(self, queue: CopyQueue) -> None:
        queue.cancel()
        self._report(queue)

    def _report(self, queue: CopyQueue) -> None:
        """Reports the jobs that have ended, up to the first that has not.

        Each has a message of its own, so that a callback that raises keeps no other job from its report.
        """
        if queue.first_ended:
            self._tell(partial(self._report, queue))
            queue.report_first()

    def _begin(self) -> bool:
        """Begins a piece of the next queue whose turn it is; False where none can have one."""
        if self._in_flight == self._chunks:
            self._runtime.sometimes("kcopyd: all chunks under way")
            return False
        for _ in range(len(self._turns)):
            queue = self._turns.popleft()
            if not queue.todo:
                continue
            self._turns.append(queue)
            if not self._throttled(queue):
                job = queue.todo[0]
                if job.source is None:
                    self._begin_hole(queue, job, min(job.sectors - job.at, _ZEROES_SECTORS))
                elif job.data_until > job.at:
                    self._begin_data(queue, job, job.source)
                else:
                    self._look(queue, job, job.source)
                return True
        return False

    def _throttled(self, queue: CopyQueue) -> bool:
        return queue.throttle < 100 and (queue.in_flight > 0 or queue.rests_until > self._runtime.now())

    def _look(self, queue: CopyQueue, job: CopyJob, source: Region) -> None:
        """Whether the source goes on with data or with a hole, as far as one piece of a hole may reach.

        What was a hole a while ago need not be one now, so that one is begun at once; data is read in any case.
        """
        sectors = min(job.sectors - job.at, _ZEROES_SECTORS)
        start, data = next(_data(source.part(job.at, sectors)), (sectors, 0))
        if start:
            self._begin_hole(queue, job, start)
        job.data_until = job.at + data

    def _begin_data(self, queue: CopyQueue, job: CopyJob, source: Region) -> None:
        memory = self._memory.pop() if self._memory else self._make_memory()
        piece = self._new_piece(queue, job, min(self._chunk_sectors, job.data_until - job.at), memory)
        bio = Bio(Op.READ, source.sector + piece.at, piece.sectors, memory[: piece.sectors << SECTOR_SHIFT])
        bio.on_done(lambda: self._tell(partial(self._was_read, piece, bio)))
        submit(source.device, bio)

    def _begin_hole(self, queue: CopyQueue, job: CopyJob, sectors: int) -> None:
        self._surveying.append(self._new_piece(queue, job, sectors, None))

    def _new_piece(self, queue: CopyQueue, job: CopyJob, sectors: int, memory: memoryview | None) -> _Piece:
        piece = _Piece(queue, job, job.at, sectors, memory, self._runtime.now())
        job.at += sectors
        if job.all_begun:
            queue.todo.popleft()
        job.in_flight += 1
        queue.in_flight += 1
        self._in_flight += 1
        return piece

    def _make_memory(self) -> memoryview:
        self.chunks_made += 1
        return memoryview(bytearray(self._chunk_sectors << SECTOR_SHIFT))

    def _was_read(self, piece: _Piece, bio: Bio) -> None:
        if bio.error:
            self._ended(piece, read_error=True)
            return
        regions = [each.part(piece.at, piece.sectors) for each in piece.job.destinations]
        self._write(piece, Op.WRITE, regions, range(len(regions)))

    def _survey(self) -> None:
        """Looks where one destination of a hole must be zeroed; where it is a hole itself it need not."""
        piece = self._surveying[0]
        index = piece.surveyed
        piece.surveyed += 1
        destination = piece.job.destinations[index].part(piece.at, piece.sectors)
        piece.zeroed += ((index, destination.part(start, sectors)) for start, sectors in _data(destination))
        if piece.surveyed == len(piece.job.destinations):
            self._surveying.popleft()
            if piece.zeroed:
                owners = [owner for owner, _ in piece.zeroed]
                self._write(piece, Op.WRITE_ZEROES, [region for _, region in piece.zeroed], owners)
            else:
                self._ended(piece)

    def _write(self, piece: _Piece, op: Op, regions: Sequence[Region], owners: Sequence[int]) -> None:
        """Region i belongs to destination owners[i]."""

        def done(bits: int) -> None:
            self._tell(partial(self._ended, piece, write_errors=_owned(bits, owners)))

        self._writing.append(RegionsRequest(op, regions, piece.memory, on_done=done))

    def _ended(self, piece: _Piece, *, read_error: bool = False, write_errors: int = 0) -> None:
        job, queue = piece.job, piece.queue
        if piece.memory is not None:
            self._memory.append(piece.memory)
        self._in_flight -= 1
        queue.in_flight -= 1
        job.in_flight -= 1
        job.read_error |= read_error
        job.write_errors |= write_errors
        if queue.throttle < 100:
            self._rest(queue, piece)
        if (read_error or write_errors) and not job.ignore_error and not job.all_begun:
            queue.todo.remove(job)
            job.begin_no_more()
        if job.ended:
            self._report(queue)

    def _rest(self, queue: CopyQueue, piece: _Piece) -> None:
        now = self._runtime.now()
        seconds = (now - piece.begun) * (100 - queue.throttle) / queue.throttle
        queue.rests_until = now + seconds
        if seconds:
            self._runtime.call_later(seconds, lambda: self._tell(_nothing))


def _data(region: Region) -> Iterator[tuple[int, int]]:
    """(first sector, sectors), counted from the region's beginning, of what is not a hole."""
    device: BlockDevice = region.device
    begin = region.sector << SECTOR_SHIFT
    try:
        for offset, length in device.data_ranges(begin, region.sectors << SECTOR_SHIFT):
            yield (offset - begin) >> SECTOR_SHIFT, length >> SECTOR_SHIFT
    except OSError:
        # It cannot say; reading and writing will tell what is wrong.
        yield 0, region.sectors


def _owned(bits: int, owners: Sequence[int]) -> int:
    owned = 0
    for index, owner in enumerate(owners):
        if bits >> index & 1:
            owned |= 1 << owner
    return owned


def _nothing() -> None:
    """Time has passed: the step looks again for itself."""
