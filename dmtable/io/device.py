"""The interface of everything that blocks can be read from and written to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from dmtable.units import SECTOR_BYTES

Buffer = bytes | bytearray | memoryview


class BlockDevice(ABC):
    """A random-access array of bytes, addressed in bytes, in multiples of `logical_block_size`.

    Failures are OSErrors, as of a real disk: EIO, EROFS, ENOSPC. A caller stays within `size_bytes`;
    a device that is asked for more raises EIO and changes nothing.
    """

    read_only: bool = False
    logical_block_size: int = SECTOR_BYTES

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """The size now. It may change where the device below does."""

    @abstractmethod
    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> int:
        """Fills the buffer from byte `offset` on; returns its length."""

    @abstractmethod
    def pwrite(self, data: Buffer, offset: int) -> int:
        """Writes all of data at byte `offset`; returns its length. Durable after the next `flush`."""

    @abstractmethod
    def flush(self) -> None:
        """Returns when every write that returned before is durable."""

    @abstractmethod
    def discard(self, offset: int, length: int) -> None:
        """Gives the bytes up; what they read as afterwards is the device's affair. May do nothing."""

    @abstractmethod
    def write_zeroes(self, offset: int, length: int) -> None:
        """Makes the bytes read as zeroes, by whatever means is cheapest."""

    @abstractmethod
    def close(self) -> None:
        """Gives up what the device holds. Nothing else may be called afterwards; closing twice is harmless."""

    def claim(self) -> None:  # noqa: B027 (most devices are nobody's alone)
        """A mapped device begins to use this one; each does so once, and ends it with `release`.

        Raises OSError EBUSY where somebody has the device for himself alone (kernel: bd_prepare_to_claim).
        """

    def release(self) -> None:  # noqa: B027
        """A mapped device uses this one no more."""

    def pread(self, length: int, offset: int) -> bytes:
        """`length` bytes from byte `offset` on."""
        buffer = bytearray(length)
        self.pread_into(buffer, offset)
        return bytes(buffer)

    def data_ranges(self, offset: int, length: int) -> Iterable[tuple[int, int]]:
        """(offset, length) of what may hold anything in a range, in order; what lies between reads as zeroes.

        None of them is empty, and none overlaps the next or reaches beyond what was asked for.

        The answer holds for the moment in which it is given. A device that knows no holes says: all of it.
        """
        if length:
            yield offset, length

    def fileno(self) -> int | None:
        """A descriptor on which os.pread and os.pwrite do what the methods here do; None where there is more to it.

        The system calls may move fewer bytes than asked; a caller then goes on with the methods. The number
        is another file's, or nobody's, once the device is closed.
        """
        return None
