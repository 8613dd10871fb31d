"""The copy service: regions copied and zeroed in the background, in bounded memory (kernel: dm-kcopyd.c).

It stands in core and not in io, since it speaks bios: an md below is reached without blocking.

One Worker does it all. What other threads have to say (a new job, a bio that is done) is put into its
inbox, so that nothing here needs a lock. Each step empties the inbox, and then makes one call to a
device: a query for holes, or one bio.

A job's source is looked at when its turn comes. What is written to it between the submission and the end
of a job may or may not be copied; who cannot have that holds such writes, as a mirror does. This holds for
holes as well: one is copied within the same two moments in which data would have been read and written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from dmtable.core.bio import Bio, Op, submit
from dmtable.core.regions import MAX_BIO_SECTORS, Region, RegionsRequest
from dmtable.errors import UsageError
from dmtable.io.device import BlockDevice
from dmtable.runtime.runtime import RunningWorker, Runtime, Worker
from dmtable.units import SECTOR_SHIFT

MAX_DESTINATIONS = 8
_ZEROES_SECTORS = 131_072
"""A hole is copied in pieces of at most 64 MiB: a device that must write its zeroes needs a while for them."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """How a job ended. `write_errors` has bit i set where destination i failed; a cancelled job is unfinished."""

    read_error: bool = False
    write_errors: int = 0
    cancelled: bool = False

    @property
    def ok(self) -> bool:
        return not (self.read_error or self.write_errors or self.cancelled)


OnDone = Callable[[CopyResult], None]


class CopyService:
    """Copies for its clients, in chunks of `chunk_sectors`, of which at most `chunks` are under way together.

    Their memory is all that it takes, and is kept until `close`. Clients have their turns chunk by chunk.
    """

    def __init__(self, runtime: Runtime, *, chunk_sectors: int = 1024, chunks: int = 8) -> None:
        if not 1 <= chunk_sectors <= MAX_BIO_SECTORS or chunks < 1:
            raise UsageError(f"a chunk is 1 to {MAX_BIO_SECTORS} sectors, and there is one at least")
        self.runtime = runtime
        self.chunk_sectors = chunk_sectors
        self.chunks = chunks
        self._copying = _Copying(runtime, chunk_sectors, chunks)

    @property
    def chunks_made(self) -> int:
        """How many chunks of memory were ever needed at once."""
        return self._copying.chunks_made

    def client(self, *, throttle: int = 100) -> CopyClient:
        """A new client; it copies for `throttle` per cent of the time (1 to 100)."""
        return CopyClient(self.runtime, self._copying, throttle)

    def close(self) -> None:
        """Closes all clients, and returns when nothing is in flight any more."""
        for client in self._copying.clients():
            client.close()
        self._copying.stop()


class CopyClient:
    """A queue of jobs. They may overlap in time, but are reported in the order of their submission.

    `on_done` is called on the service's Worker, so it must not block; it may submit jobs, and cancel.
    """

    def __init__(self, runtime: Runtime, copying: _Copying, throttle: int) -> None:
        """As CopyService.client does it."""
        self.throttle = throttle
        self.rests_until = 0.0
        """For the service: when the throttle lets the next chunk begin."""
        self.todo: deque[_Job] = deque()
        """For the service: the jobs of which some sectors are not under way yet."""
        self.in_flight = 0
        """For the service: pieces under way."""
        self._runtime = runtime
        self._copying = copying
        self._jobs: deque[_Job] = deque()
        self._closed = False
        self._ended = runtime.condition()
        copying.join(self)

    @property
    def throttle(self) -> int:
        """Per cent of the time that this client's chunks are under way; below 100 they go one by one."""
        return self._throttle

    @throttle.setter
    def throttle(self, percent: int) -> None:
        if not 1 <= percent <= 100:
            raise UsageError(f"a throttle is 1 to 100 per cent, and not {percent}")
        self._throttle = percent

    def copy(
        self, source: Region, destinations: Sequence[Region], on_done: OnDone, *, ignore_error: bool = False
    ) -> None:
        """Copies a region to 1 to 8 others of its length; holes stay holes where the devices tell of them.

        After an error nothing more of the job is begun. With `ignore_error` the rest is copied all the same, save
        what cannot be read: the destinations then keep what they have there. Nothing is flushed.
        """
        self._submit(_Job(self, source, source.sectors, destinations, on_done, ignore_error))

    def zero(self, destinations: Sequence[Region], on_done: OnDone, *, ignore_error: bool = False) -> None:
        """Makes 1 to 8 regions of one length read as zeroes, cheaply where the devices can."""
        sectors = destinations[0].sectors if destinations else 0
        self._submit(_Job(self, None, sectors, destinations, on_done, ignore_error))

    def cancel(self) -> None:
        """What is not under way is given up: the jobs end as cancelled when what is in flight has ended."""
        self._copying.tell(self._cancel)

    def close(self) -> None:
        """Cancels, and returns when every job is reported. Not to be called from `on_done`."""
        with self._ended:
            self._closed = True
        self.cancel()
        with self._ended:
            while self._jobs:
                self._ended.wait()
        self._copying.leave(self)

    def report(self) -> None:
        """For the service: reports the jobs that have ended, up to the first that has not."""
        while self._jobs and self._jobs[0].ended:
            job = self._jobs[0]
            try:
                job.on_done(CopyResult(job.read_error, job.write_errors, job.cancelled))
            finally:
                self._jobs.popleft()
                if self._closed:
                    with self._ended:
                        self._ended.notify_all()

    def _submit(self, job: _Job) -> None:
        count = len(job.destinations)
        if not 1 <= count <= MAX_DESTINATIONS:
            raise UsageError(f"a copy has 1 to {MAX_DESTINATIONS} destinations, and not {count}")
        if any(each.sectors != job.sectors for each in job.destinations):
            raise UsageError("the regions of a copy have one length")
        with self._ended:
            if self._closed:
                raise UsageError("the client is closed")
            self._jobs.append(job)
        self._copying.tell(partial(self._copying.take, job))

    def _cancel(self) -> None:
        while self.todo:
            job = self.todo.popleft()
            job.cancelled = True
            job.end()


class _Job:
    """One request. The pieces before `at` are under way or done."""

    __slots__ = (
        "at",
        "cancelled",
        "client",
        "data_until",
        "destinations",
        "ended",
        "ignore_error",
        "in_flight",
        "on_done",
        "read_error",
        "sectors",
        "source",
        "write_errors",
    )

    def __init__(
        self,
        client: CopyClient,
        source: Region | None,
        sectors: int,
        destinations: Sequence[Region],
        on_done: OnDone,
        ignore_error: bool,
    ) -> None:
        self.client = client
        self.source = source
        self.sectors = sectors
        self.destinations = destinations
        self.on_done = on_done
        self.ignore_error = ignore_error
        self.at = 0
        self.data_until = 0
        self.in_flight = 0
        self.read_error = False
        self.write_errors = 0
        self.cancelled = False
        self.ended = False

    def end(self) -> None:
        """Nothing more is begun; the job is over when nothing is in flight."""
        self.at = self.sectors
        if not self.in_flight:
            self.ended = True
            self.client.report()


class _Piece:
    """Some sectors of a job under way, with the memory that they pass through, or without it for a hole."""

    __slots__ = ("at", "begun", "job", "memory", "sectors", "surveyed", "zeroed")

    def __init__(self, job: _Job, sectors: int, memory: memoryview | None, begun: float) -> None:
        self.job = job
        self.at = job.at
        self.sectors = sectors
        self.memory = memory
        self.begun = begun
        self.surveyed = 0
        self.zeroed: list[tuple[int, Region]] = []


class _Copying(Worker):
    """The Worker of a service; its state is touched in its own steps only, save the inbox."""

    name = "kcopyd"

    def __init__(self, runtime: Runtime, chunk_sectors: int, chunks: int) -> None:
        self.chunks_made = 0
        self._runtime = runtime
        self._chunk_sectors = chunk_sectors
        self._chunks = chunks
        self._inbox: deque[Callable[[], None]] = deque()
        self._open: set[CopyClient] = set()
        self._clients: deque[CopyClient] = deque()
        self._memory: list[memoryview] = []
        self._in_flight = 0
        self._surveying: deque[_Piece] = deque()
        self._writing: deque[RegionsRequest] = deque()
        self._running: RunningWorker | None = None
        self._starting = runtime.lock()

    # For other threads.

    def tell(self, message: Callable[[], None]) -> None:
        """The message is run in a step of the Worker; it calls no device."""
        self._inbox.append(message)
        if self._running is None:
            with self._starting:
                if self._running is None:
                    self._running = self._runtime.start(self)
        self._running.wake()

    def join(self, client: CopyClient) -> None:
        self._open.add(client)

    def leave(self, client: CopyClient) -> None:
        """The client has no more jobs, and will have none."""
        self._open.discard(client)
        self.tell(partial(self._forget, client))

    def clients(self) -> list[CopyClient]:
        """Those that are not closed."""
        return list(self._open)

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()

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

    def take(self, job: _Job) -> None:
        """A new job."""
        client = job.client
        if not job.sectors:
            job.end()
            return
        client.todo.append(job)
        if client not in self._clients:
            self._clients.append(client)

    def _forget(self, client: CopyClient) -> None:
        if client in self._clients:
            self._clients.remove(client)

    def _begin(self) -> bool:
        """Begins a piece of the next client whose turn it is; False where none can have one."""
        if self._in_flight == self._chunks:
            self._runtime.sometimes("kcopyd: all chunks under way")
            return False
        for _ in range(len(self._clients)):
            client = self._clients[0]
            self._clients.rotate(-1)
            if client.todo and not self._throttled(client):
                job = client.todo[0]
                if job.source is None:
                    self._begin_hole(job, min(job.sectors - job.at, _ZEROES_SECTORS))
                elif job.data_until > job.at:
                    self._begin_data(job)
                else:
                    self._look(job)
                return True
        return False

    def _throttled(self, client: CopyClient) -> bool:
        return client.throttle < 100 and (client.in_flight > 0 or client.rests_until > self._runtime.now())

    def _look(self, job: _Job) -> None:
        """Whether the source goes on with data or with a hole, as far as one piece of a hole may reach.

        What was a hole a while ago need not be one now, so that one is begun at once; data is read in any case.
        """
        assert job.source is not None
        sectors = min(job.sectors - job.at, _ZEROES_SECTORS)
        start, data = next(_data(job.source.part(job.at, sectors)), (sectors, 0))
        if start:
            self._begin_hole(job, start)
        job.data_until = job.at + data

    def _begin_data(self, job: _Job) -> None:
        memory = self._memory.pop() if self._memory else self._make_memory()
        piece = self._new_piece(job, min(self._chunk_sectors, job.data_until - job.at), memory)
        source = job.source
        assert source is not None
        bio = Bio(Op.READ, source.sector + piece.at, piece.sectors, memory[: piece.sectors << SECTOR_SHIFT])
        bio.on_done(lambda: self.tell(partial(self._was_read, piece, bio)))
        submit(source.device, bio)

    def _begin_hole(self, job: _Job, sectors: int) -> None:
        self._surveying.append(self._new_piece(job, sectors, None))

    def _new_piece(self, job: _Job, sectors: int, memory: memoryview | None) -> _Piece:
        piece = _Piece(job, sectors, memory, self._runtime.now())
        job.at += sectors
        if job.at == job.sectors:
            job.client.todo.popleft()
        job.in_flight += 1
        job.client.in_flight += 1
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
            self.tell(partial(self._ended, piece, write_errors=_owned(bits, owners)))

        self._writing.append(RegionsRequest(op, regions, piece.memory, on_done=done))

    def _ended(self, piece: _Piece, *, read_error: bool = False, write_errors: int = 0) -> None:
        job, client = piece.job, piece.job.client
        if piece.memory is not None:
            self._memory.append(piece.memory)
        self._in_flight -= 1
        client.in_flight -= 1
        job.in_flight -= 1
        job.read_error |= read_error
        job.write_errors |= write_errors
        if client.throttle < 100:
            self._rest(client, piece)
        if (read_error or write_errors) and not job.ignore_error and job.at < job.sectors:
            client.todo.remove(job)
            job.at = job.sectors
        if job.at == job.sectors:
            job.end()

    def _rest(self, client: CopyClient, piece: _Piece) -> None:
        now = self._runtime.now()
        seconds = (now - piece.begun) * (100 - client.throttle) / client.throttle
        client.rests_until = now + seconds
        if seconds:
            self._runtime.call_later(seconds, lambda: self.tell(_nothing))


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
