"""The copy service: regions copied and zeroed in the background, in bounded memory (kernel: dm-kcopyd.c).

It stands in core and not in io, since it speaks bios: an md below is reached without blocking.

A job's source is looked at when its turn comes. What is written to it between the submission and the end
of a job may or may not be copied; who cannot have that holds such writes, as a mirror does. This holds for
holes as well: one is copied within the same two moments in which data would have been read and written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dmtable.core.copy_jobs import CopyJob, CopyQueue, OnDone
from dmtable.core.copy_jobs import CopyResult as CopyResult
from dmtable.core.copying import Copying
from dmtable.core.regions import MAX_BIO_SECTORS, Region
from dmtable.errors import UsageError
from dmtable.runtime.runtime import Runtime

MAX_DESTINATIONS = 8


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
        self._copying = Copying(runtime, chunk_sectors, chunks)
        self._clients: set[CopyClient] = set()

    @property
    def chunks_made(self) -> int:
        """How many chunks of memory were ever needed at once."""
        return self._copying.chunks_made

    def client(self, *, throttle: int = 100) -> CopyClient:
        """A new client; it copies for `throttle` per cent of the time (1 to 100)."""
        client = CopyClient(self._copying, CopyQueue(self.runtime, throttle), self._clients.discard)
        self._clients.add(client)
        return client

    def close(self) -> None:
        """Closes all clients, and returns when nothing is in flight any more."""
        for client in list(self._clients):
            client.close()
        self._copying.stop()


class CopyClient:
    """A queue of jobs. They may overlap in time, but are reported in the order of their submission.

    `on_done` is called on the service's Worker, so it must not block; it may submit jobs, and cancel. What it
    raises comes out of the Worker's step; the job is reported all the same, and the others go on.
    """

    def __init__(self, copying: Copying, queue: CopyQueue, on_close: Callable[[CopyClient], None]) -> None:
        """As CopyService.client does it."""
        self._copying = copying
        self._queue = queue
        self._on_close = on_close

    @property
    def throttle(self) -> int:
        """Per cent of the time that this client's chunks are under way; below 100 they go one by one."""
        return self._queue.throttle

    @throttle.setter
    def throttle(self, percent: int) -> None:
        self._queue.throttle = percent

    def copy(
        self, source: Region, destinations: Sequence[Region], on_done: OnDone, *, ignore_error: bool = False
    ) -> None:
        """Copies a region to 1 to 8 others of its length; holes stay holes where the devices tell of them.

        After an error nothing more of the job is begun. With `ignore_error` the rest is copied all the same, save
        what cannot be read: the destinations then keep what they have there. Nothing is flushed.
        """
        self._submit(CopyJob(source, source.sectors, destinations, on_done, ignore_error))

    def zero(self, destinations: Sequence[Region], on_done: OnDone, *, ignore_error: bool = False) -> None:
        """Makes 1 to 8 regions of one length read as zeroes, cheaply where the devices can."""
        sectors = destinations[0].sectors if destinations else 0
        self._submit(CopyJob(None, sectors, destinations, on_done, ignore_error))

    def cancel(self) -> None:
        """What is not under way is given up: the jobs end as cancelled when what is in flight has ended."""
        if not self._queue.empty:
            self._copying.cancel(self._queue)

    def close(self) -> None:
        """Cancels, and returns when every job is reported. Not to be called from `on_done`."""
        self._queue.close()
        self.cancel()
        self._queue.wait_empty()
        self._on_close(self)

    def _submit(self, job: CopyJob) -> None:
        count = len(job.destinations)
        if not 1 <= count <= MAX_DESTINATIONS:
            raise UsageError(f"a copy has 1 to {MAX_DESTINATIONS} destinations, and not {count}")
        if any(each.sectors != job.sectors for each in job.destinations):
            raise UsageError("the regions of a copy have one length")
        self._queue.add(job)
        self._copying.take(self._queue, job)
