"""How one region of a mirror is recovered: copied from the default leg to all others (kernel: recover)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dmtable.core.kcopyd import CopyResult, CopyService
from dmtable.core.regions import Region
from dmtable.core.target import Context
from dmtable.targets.mirror_legs import Leg, LegError, Legs

_PAGE_SECTORS = 8

_OnDone = Callable[[bool], None]


class Recovery:
    """Copies regions, and knows which leg to blame where that fails."""

    def __init__(self, context: Context, legs: Legs) -> None:
        self._legs = legs
        self._log_limited = context.log_limited
        self._service = CopyService(context.runtime)
        self._client = self._service.client()

    def close(self) -> None:
        """Ends what is under way."""
        self._service.close()

    def recover(self, begin: int, ends: Sequence[int], on_done: Callable[[Sequence[bool]], None]) -> None:
        """Copies adjoining regions, from sector `begin` up to each of the ends.

        `on_done` hears of each whether it went well, on the service's Worker.
        """
        outcomes: list[bool] = []

        def one_more(ok: bool) -> None:
            outcomes.append(ok)
            one_by_one()

        def one_by_one() -> None:
            count = len(outcomes)
            if count == len(ends):
                on_done(outcomes)
            else:
                first = ends[count - 1] if count else begin
                self._recover_one(first, ends[count] - first, one_more)

        def copied_all(result: CopyResult) -> None:
            # What went wrong is found out region by region, as the kernel goes.
            if result.ok or result.cancelled:
                on_done([result.ok] * len(ends))
            else:
                one_by_one()

        if len(ends) > 1:
            sectors = ends[-1] - begin
            source, others = self._legs.to_recover()
            self._client.copy(source.region(begin, sectors), _regions(others, begin, sectors), copied_all)
        else:
            one_by_one()

    def _recover_one(self, sector: int, sectors: int, on_done: _OnDone) -> None:
        source, others = self._legs.to_recover()
        on_copied = partial(self._copied, source, others, sector, sectors, on_done)
        self._copy(source, others, sector, sectors, on_copied)

    def _copied(
        self, source: Leg, others: Sequence[Leg], sector: int, sectors: int, on_done: _OnDone, result: CopyResult
    ) -> None:
        if result.read_error:
            self._log_limited("raid1: Unable to read primary mirror during recovery")
            self._legs.fail(source, LegError.SYNC)
        if result.write_errors:
            self._log_limited("raid1: Write error during recovery (error = {:#x})", result.write_errors)
            for bit, leg in enumerate(others):
                if result.write_errors >> bit & 1:
                    self._legs.fail(leg, LegError.SYNC)
        if result.read_error and not (self._legs.handle_errors or result.cancelled):
            self._salvage_from(sector, sector + sectors, on_done)
        else:
            on_done(result.ok)

    # Where nobody handles errors, the kernel copies on. A read that fails leaves zeroes in its buffer, from the first
    # sectors that cannot be read to the end of the chunk, and these are written too: so it is recorded.

    def _salvage_from(self, at: int, end: int, on_done: _OnDone) -> None:
        """Copies the rest of the region chunk by chunk."""
        if at >= end:
            on_done(False)
            return
        until = min(at + self._service.chunk_sectors, end)

        def copied(result: CopyResult) -> None:
            if result.cancelled:
                on_done(False)
            elif result.read_error:
                self._salvage_chunk(at, until, lambda: self._salvage_from(until, end, on_done))
            else:
                self._salvage_from(until, end, on_done)

        self._copy(*self._legs.to_recover(), at, until - at, copied)

    def _salvage_chunk(self, at: int, until: int, on_done: Callable[[], None]) -> None:
        """Copies a chunk page by page up to the first that cannot be read, and zeroes the rest."""
        sectors = min(_PAGE_SECTORS, until - at)

        def copied(result: CopyResult) -> None:
            if result.read_error:
                _, others = self._legs.to_recover()
                self._client.zero(_regions(others, at, until - at), lambda _: on_done(), ignore_error=True)
            else:
                self._salvage_chunk(at + sectors, until, on_done)

        if sectors:
            self._copy(*self._legs.to_recover(), at, sectors, copied)
        else:
            on_done()

    def _copy(
        self, source: Leg, others: Sequence[Leg], sector: int, sectors: int, on_done: Callable[[CopyResult], None]
    ) -> None:
        ignore_error = not self._legs.handle_errors
        destinations = _regions(others, sector, sectors)
        self._client.copy(source.region(sector, sectors), destinations, on_done, ignore_error=ignore_error)


def _regions(legs: Sequence[Leg], sector: int, sectors: int) -> list[Region]:
    return [leg.region(sector, sectors) for leg in legs]
