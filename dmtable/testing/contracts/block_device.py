"""What a block device promises, as checks: the docstrings of BlockDevice, one by one."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from errno import EIO, EROFS
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtable.io.device import BlockDevice
from dmtable.testing.contracts.data_ranges import check_data_ranges
from dmtable.testing.contracts.properties import ANY_CLASS
from dmtable.testing.contracts.requests import BUFFERS, WRITES, check_refused, data_of, requests, sequences
from dmtable.units import SECTOR_BYTES

_THREADS = 4
_ROUNDS = 32


class BlockDeviceContract:
    """Checks of a block device. Inherit it in a class that pytest collects, and override `make`:

        class TestMyDevice(BlockDeviceContract):
            def make(self) -> BlockDevice:
                return MyDevice(self.size_bytes)

    Each check makes devices of its own and closes them. Where a device rightly does something else, override
    the check and say why.
    """

    size_bytes: int = 64 << 10
    """How large `make` makes them: at least 16 logical blocks."""
    discard_zeroes: bool = False
    """Whether discarded bytes read as zeroes. Where not, nothing is asked of them."""
    threads_share: bool = True
    """Whether threads may use the device at once, as those do that use an md."""

    def make(self) -> BlockDevice:
        """A new, writable device of `size_bytes`, whatever it holds; two of them share nothing."""
        raise NotImplementedError("override make(): it returns a new, writable device of self.size_bytes")

    def make_read_only(self) -> BlockDevice | None:
        """A new device of `size_bytes` that cannot be written; None where there is no such thing."""
        return None

    def reopen(self, device: BlockDevice) -> BlockDevice | None:
        """Closes the device and opens it anew; None where nothing outlives a close."""
        return None

    def reads_as(self, written: bytes) -> bytes:
        """What written bytes are read as: themselves, unless the device forgets, as the zero target does."""
        return written

    # Shape

    def test_its_size_is_of_whole_blocks(self) -> None:
        with closing(self.make()) as device:
            block = device.logical_block_size
            assert block >= SECTOR_BYTES, f"a logical block is never smaller than a sector, and this one has {block}"
            assert block & (block - 1) == 0, f"a logical block is a power of two, and not {block} bytes"
            assert device.size_bytes == self.size_bytes, "make() is to return a device of self.size_bytes"
            assert device.size_bytes % block == 0, "a part of a block at the end is not part of the device"
            assert device.size_bytes >= 16 * block, "the checks need a device of at least 16 logical blocks"
            assert not device.read_only, "make() is to return a device that can be written"

    def test_closing_twice_is_harmless(self) -> None:
        device = self.make()
        device.close()
        device.close()

    # Reading and writing

    def test_it_can_be_written_and_read_whole(self) -> None:
        with closing(self.make()) as device:
            data = data_of(1, device.size_bytes)
            count = device.pwrite(data, 0)
            assert count == len(data), f"pwrite returned {count}: it writes all {len(data)} bytes, or raises"
            self._check_content(device, bytearray(data), "after a write of the whole device")

    def test_what_was_written_is_read_back(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            for number, (first, blocks) in enumerate(((0, 1), (3, 5), (4, 1), (15, 1), (0, 16)), 1):
                at, data = first * block, data_of(number, blocks * block)
                count = device.pwrite(data, at)
                assert count == len(data), f"pwrite returned {count}: it writes all {len(data)} bytes, or raises"
                model[at : at + len(data)] = data
                self._check_content(device, model, f"after a write of {blocks} blocks at block {first}")
            device.flush()
            self._check_content(device, model, "after a flush")

    def test_pread_and_pread_into_agree(self) -> None:
        with closing(self.make()) as device:
            block, _model = device.logical_block_size, _fill(device)
            for first, blocks in ((0, 1), (5, 4), (0, 16)):
                read = device.pread(blocks * block, first * block)
                assert isinstance(read, bytes), f"pread returns bytes, and not {type(read).__name__}"
                assert len(read) == blocks * block, f"pread returned {len(read)} of {blocks * block} bytes"
                buffer = bytearray(b"?" * (blocks * block))
                count = device.pread_into(buffer, first * block)
                assert count == len(buffer), f"pread_into returned {count}: it fills all {len(buffer)} bytes, or raises"
                assert buffer == read, "pread and pread_into return different bytes"

    def test_a_request_of_no_bytes_does_nothing(self) -> None:
        with closing(self.make()) as device:
            model = _fill(device)
            for offset in (0, device.logical_block_size, device.size_bytes):
                assert device.pread(0, offset) == b"", "reading nothing returns nothing, at the end too"
                assert device.pread_into(bytearray(), offset) == 0, "reading nothing returns 0"
                assert device.pwrite(b"", offset) == 0, "writing nothing returns 0"
                device.write_zeroes(offset, 0)
                device.discard(offset, 0)
            self._check_content(device, model, "after requests of no bytes")

    def test_every_kind_of_buffer_is_written(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            for number, (name, make_buffer) in enumerate(BUFFERS.items(), 1):
                data = data_of(number, 2 * block)
                count = device.pwrite(make_buffer(data), block)
                assert count == len(data), f"pwrite of a {name} returned {count}: it counts bytes, here {len(data)}"
                model[block : 3 * block] = data
                self._check_content(device, model, f"after a write of a {name}")

    def test_every_kind_of_buffer_is_filled(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            expected = self.reads_as(bytes(model[block : 3 * block]))
            for name, make_buffer in BUFFERS.items():
                buffer = make_buffer(b"?" * (2 * block))
                if isinstance(buffer, bytes) or memoryview(buffer).readonly:
                    continue
                count = device.pread_into(buffer, block)
                assert count == 2 * block, f"pread_into a {name} returned {count}: it counts bytes, here {2 * block}"
                assert bytes(buffer) == expected, f"pread_into filled a {name} with something else"

    def test_a_strided_view_is_served_or_refused(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            every_other = memoryview(data_of(1, 2 * block))[::2]
            try:
                device.pwrite(every_other, block)
            except (TypeError, ValueError, BufferError):
                pass
            else:
                model[block : 2 * block] = bytes(every_other)
            self._check_content(device, model, "after a write of every other byte of a buffer (memoryview[::2])")

    def test_buffers_stay_the_callers(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            data = bytearray(data_of(1, block))
            device.pwrite(data, 0)
            model[:block] = data
            data[:] = b"!" * block
            self._check_content(device, model, "after the caller changed the buffer that it had written from")
            buffer = bytearray(block)
            device.pread_into(buffer, 0)
            buffer[:] = b"!" * block
            self._check_content(device, model, "after the caller changed the buffer that it had read into")

    def test_a_request_of_no_whole_blocks_is_served_or_refused(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            for offset, length in ((block, block // 2), (block // 2, block), (block + 1, 2 * block - 1)):
                data = data_of(offset, length)
                try:
                    device.pwrite(data, offset)
                except OSError:
                    pass
                else:
                    model[offset : offset + length] = data
                self._check_content(device, model, f"after a write of {length} bytes at {offset}, not whole blocks")
                try:
                    read = device.pread(length, offset)
                except OSError:
                    continue
                expected = self.reads_as(bytes(model[offset : offset + length]))
                assert read == expected, "a read of no whole blocks is refused with an OSError, or right"

    # What is refused

    def test_more_than_there_is_ends_in_eio_and_changes_nothing(self) -> None:
        with closing(self.make()) as device:
            size, block = device.size_bytes, device.logical_block_size
            model = _fill(device)
            for offset, length in (
                (size - block, 2 * block),
                (size, block),
                (size + 64 * block, block),
                (0, size + block),
            ):
                for name, request in requests(device, offset, length):
                    what = f"{name} of {length} bytes at {offset} of a device of {size}"
                    check_refused(request, what, EIO, "a device that is asked for more than it has raises EIO")
                    self._check_content(device, model, f"after a {what}")
                    assert device.size_bytes == size, f"the {what} has changed the device's size"

    def test_nothing_lies_before_the_beginning(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            for offset in (-block, -2 * block):
                for name, request in requests(device, offset, 2 * block):
                    what = f"{name} at {offset}"
                    check_refused(request, what, None, "an offset below 0 is refused, and never counts from the end")
                    self._check_content(device, model, f"after a {what}")

    def test_a_read_only_device_takes_no_writes(self) -> None:
        read_only = self.make_read_only()
        if read_only is None:
            pytest.skip("make_read_only() returns None: there is no such device")
        with closing(read_only) as device:
            assert device.read_only, "a device that cannot be written says so: read_only is True"
            block = device.logical_block_size
            before = device.pread(device.size_bytes, 0)
            for name, request in requests(device, block, 2 * block):
                if name in WRITES:
                    check_refused(request, name, EROFS, "a read-only device refuses with EROFS what would change it")
            device.flush()
            assert device.pread(device.size_bytes, 0) == before, "a request changed a read-only device"

    # Zeroes, discards, flushes

    def test_zeroes_are_written_where_they_belong(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            for first, blocks in ((2, 1), (5, 7), (15, 1), (0, 16)):
                device.write_zeroes(first * block, blocks * block)
                model[first * block : (first + blocks) * block] = bytes(blocks * block)
                self._check_content(device, model, f"after write_zeroes of {blocks} blocks at block {first}")
            assert device.size_bytes == self.size_bytes, "write_zeroes has changed the device's size"

    def test_a_discard_concerns_its_own_bytes_only(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            for first, blocks in ((2, 1), (5, 7), (15, 1)):
                self._discard(device, model, first * block, blocks * block)
                self._check_content(device, model, f"after a discard of {blocks} blocks at block {first}")
            assert device.size_bytes == self.size_bytes, "a discard has changed the device's size"
            data = data_of(1, 4 * block)
            device.pwrite(data, 4 * block)
            model[4 * block : 8 * block] = data
            self._check_content(device, model, "after a write where something was discarded")

    def test_what_is_called_a_hole_reads_as_zeroes(self) -> None:
        with closing(self.make()) as device:
            block, size = device.logical_block_size, device.size_bytes
            device.write_zeroes(0, size)
            model = bytearray(size)
            blocks = size // block
            middle = blocks // 2
            asked = ((0, blocks), (0, 1), (1, middle), (middle + 1, 3), (blocks - 1, 1), (2, 0))
            for number, written in enumerate((0, middle, middle + 1, blocks - 1), 1):
                device.pwrite(data := data_of(number, block), written * block)
                model[written * block : (written + 1) * block] = data
                when = f"after a write of block {written}"
                self._check_content(device, model, when)
                for first, count in asked:
                    check_data_ranges(device, first * block, count * block, when)

    def test_what_was_flushed_outlives_a_close(self) -> None:
        device = self.make()
        model = _fill(device)
        device.flush()
        device.flush()
        reopened = self.reopen(device)
        if reopened is None:
            device.close()
            pytest.skip("reopen() returns None: nothing outlives a close")
        with closing(reopened):
            assert reopened.size_bytes == self.size_bytes, "the device came back with another size"
            self._check_content(reopened, model, "after flush, close and opening again")

    # Other ways to the same bytes

    def test_the_descriptor_leads_to_the_same_bytes(self) -> None:
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            descriptor = device.fileno()
            if descriptor is None:
                return
            assert os.pread(descriptor, 4 * block, 3 * block) == model[3 * block : 7 * block], (
                "os.pread on fileno() reads something else than pread; return None where there is more to a read"
            )
            data = data_of(1, 2 * block)
            assert os.pwrite(descriptor, data, 8 * block) == len(data), "os.pwrite on fileno() wrote less"
            model[8 * block : 10 * block] = data
            self._check_content(
                device, model, "after os.pwrite on fileno(); return None where there is more to a write"
            )

    def test_threads_do_not_disturb_one_another(self) -> None:
        if not self.threads_share:
            pytest.skip("threads_share is False")
        with closing(self.make()) as device:
            block, model = device.logical_block_size, _fill(device)
            # The first one would be done before the last one begins.
            together = Barrier(_THREADS)

            def work(thread: int) -> None:
                mine = range(thread * block, 16 * block, _THREADS * block)
                together.wait()
                for number in range(_ROUNDS):
                    data = data_of(thread * _ROUNDS + number, block)
                    for at in mine:
                        device.pwrite(data, at)
                        model[at : at + block] = data
                    for at in mine:
                        read = device.pread(block, at)
                        assert read == self.reads_as(data), "a thread read other bytes than it had just written"

            interval = sys.getswitchinterval()
            sys.setswitchinterval(1e-6)
            try:
                with ThreadPoolExecutor(_THREADS) as pool:
                    for done in [pool.submit(work, thread) for thread in range(_THREADS)]:
                        done.result()
            finally:
                sys.setswitchinterval(interval)
            self._check_content(device, model, "after threads wrote blocks of their own")

    @ANY_CLASS
    @given(data=st.data())
    def test_any_sequence_of_requests_equals_a_bytearray(self, data: st.DataObject) -> None:
        device = self.make()
        try:
            block, model = device.logical_block_size, _fill(device)
            for number, (kind, first, blocks) in enumerate(data.draw(sequences(device.size_bytes // block)), 1):
                at, length = first * block, blocks * block
                if kind == "read":
                    assert device.pread(length, at) == self.reads_as(bytes(model[at : at + length])), (
                        f"pread of {length} bytes at {at} returns other bytes than should be there"
                    )
                elif kind == "read into":
                    buffer = bytearray(length)
                    device.pread_into(buffer, at)
                    assert buffer == self.reads_as(bytes(model[at : at + length])), (
                        f"pread_into of {length} bytes at {at} returns other bytes than should be there"
                    )
                elif kind == "write":
                    device.pwrite(model_data := data_of(number, length), at)
                    model[at : at + length] = model_data
                elif kind == "zero":
                    device.write_zeroes(at, length)
                    model[at : at + length] = bytes(length)
                elif kind == "discard":
                    self._discard(device, model, at, length)
                else:
                    device.flush()
                    if kind == "reopen":
                        device = self.reopen(device) or device
            self._check_content(device, model, "after all requests")
            check_data_ranges(device, 0, len(model), "after all requests")
        finally:
            device.close()

    # Inside

    def _check_content(self, device: BlockDevice, model: bytearray, when: str) -> None:
        """The device's first bytes are those of the model."""
        read, expected = device.pread(len(model), 0), self.reads_as(bytes(model))
        if read == expected:
            return
        assert len(read) == len(expected), f"{when}, pread returned {len(read)} of {len(expected)} bytes"
        at = next(at for at, (mine, right) in enumerate(zip(read, expected, strict=True)) if mine != right)
        raise AssertionError(
            f"{when}, the bytes from {at} on (sector {at // SECTOR_BYTES}) are {read[at : at + 16]!r}, "
            f"and should be {expected[at : at + 16]!r}"
        )

    def _discard(self, device: BlockDevice, model: bytearray, offset: int, length: int) -> None:
        device.discard(offset, length)
        now = device.pread(length, offset)
        if self.discard_zeroes:
            assert now == bytes(length), "discard_zeroes is set, and discarded bytes are not read as zeroes"
        # What a discard leaves is the device's affair.
        model[offset : offset + length] = now


def _fill(device: BlockDevice) -> bytearray:
    """Writes the device full; returns what it now holds."""
    data = data_of(0, device.size_bytes)
    device.pwrite(data, 0)
    return bytearray(data)
