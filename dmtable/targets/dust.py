"""dust: a device with bad blocks, listed by messages (kernel: dm-dust.c, version 1.0.0)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from dmtable.core.bio import Bio, Op
from dmtable.core.devices import Lookup
from dmtable.core.target import Area, Context, DeviceRange, MapResult, Params, StatusKind, Target
from dmtable.core.words import device_findings, sector_findings
from dmtable.errors import IoctlError
from dmtable.language import rules
from dmtable.language.diagnostics import Finding, Refusal, refused
from dmtable.language.numbers import kstrtouint, scan_sector, scan_u32
from dmtable.units import SECTOR_BYTES, SECTOR_SHIFT

_LARGEST_BLOCK_SECTORS = 1 << 21
_MOST_WRITE_FAILURES = 255


@dataclass(frozen=True, slots=True)
class DustParams(Params):
    """`DEVICE OFFSET BLOCK`: the offset in sectors, the size of a block in bytes."""

    device: str
    offset: int
    block_bytes: int

    @classmethod
    def inspect(
        cls, words: Sequence[str], begin: int, length: int, lookup: Lookup | None
    ) -> tuple[Self | None, list[Finding]]:
        if len(words) != 3:
            what = f"dust takes a device, an offset and the size of a block, and not {len(words)} words"
            return None, [Finding(rules.UNREAD_WORDS, what, 0, refusal=_no("Invalid argument count"))]
        device, offset, block = words
        findings = [
            *_block_findings(block, length),
            *sector_findings(rules.FAULT_OFFSET, 1, offset, _no("Invalid device offset sector")),
            *device_findings(0, device, lookup, lambda _number: _no("Device lookup failed")),
        ]
        if any(finding.refusal for finding in findings):
            return None, findings
        return cls(device, scan_sector(offset) or 0, kstrtouint(block) or 0), findings

    def words(self) -> list[str]:
        return [self.device, str(self.offset), str(self.block_bytes)]

    def areas(self, length: int) -> Iterable[Area]:
        yield Area(0, self.offset, length)


class Dust(Target):
    """Sector s of the target is sector `offset` + s of the device, where its block is not a bad one.

    Blocks are counted from the device's beginning. Once failures are enabled, a bad block cannot be read; writing
    it mends it, after as many failed writes as it was added with. A flush concerns no block.
    """

    name = "dust"
    version = (1, 0, 0)
    params = DustParams

    def __init__(self, context: Context, begin: int, length: int, params: DustParams) -> None:
        super().__init__(context, begin, length)
        self._dm_dev = context.get_device(params.device)
        self._offset = params.offset
        self._block_bytes = params.block_bytes
        self.io_boundary = params.block_bytes >> SECTOR_SHIFT
        self._bad: dict[int, int] = {}
        """Bad blocks, and how many writes to each still fail."""
        self._lock = context.runtime.lock()
        self._fails = False
        self._quiet = False

    def map(self, bio: Bio) -> MapResult:
        bio.device = self._dm_dev.device
        if bio.op is Op.FLUSH:
            return MapResult.REMAPPED
        bio.sector += self._offset - self.begin
        if self._fails:
            block = bio.sector // self.io_boundary
            with self._lock:
                if block in self._bad and (bio.op is Op.READ or not self._mended(block)):
                    return MapResult.KILL
        return MapResult.REMAPPED

    def status(self, kind: StatusKind) -> str:
        if kind is StatusKind.TABLE:
            return f"{self._dm_dev.name} {self._offset} {self._block_bytes}"
        mode = "fail_read_on_bad_block" if self._fails else "bypass"
        return f"{self._dm_dev.name} {mode} {'quiet' if self._quiet else 'verbose'}"

    def message(self, args: Sequence[str]) -> str:
        """Of one word: enable, disable, quiet, countbadblocks, listbadblocks, clearbadblocks; with a block:
        addbadblock, removebadblock, queryblock; with the number of failing writes too: addbadblock.

        What is refused raises IoctlError (EINVAL), with what the kernel logs where it logs anything.
        """
        if not 1 <= len(args) <= 3:
            raise self._refused(f"invalid number of arguments '{len(args)}'")
        if len(args) == 1:
            return self._plain_message(args[0])
        block = scan_sector(args[1])
        failures = scan_u32(args[2]) if len(args) == 3 else 0
        if block is None or failures is None:
            raise IoctlError(errno.EINVAL, f"{' '.join(args[1:])} are no numbers")
        if failures > _MOST_WRITE_FAILURES:
            raise self._refused("selected write fail count out of range")
        if block > self._dm_dev.size_sectors // self.io_boundary:
            raise self._refused("selected block value out of range")
        return self._block_message(args, block, failures)

    def iterate_devices(self) -> Iterable[DeviceRange]:
        yield DeviceRange(self._dm_dev, self._offset, self.length)

    def _mended(self, block: int) -> bool:
        """Whether a write to a bad block succeeds; then it is no bad one any more."""
        if self._bad[block]:
            self._bad[block] -= 1
            return False
        del self._bad[block]
        # The kernel divides the number once more, which is its mistake and in everybody's logs.
        self._note(f"block {block // self.io_boundary} removed from badblocklist by write")
        return True

    def _plain_message(self, word: str) -> str:
        plain: dict[str, Callable[[], str]] = {
            "disable": lambda: self._enable(False),
            "enable": lambda: self._enable(True),
            "countbadblocks": lambda: f"countbadblocks: {len(self._bad)} badblock(s) found",
            "clearbadblocks": self._clear,
            "quiet": self._turn_quiet,
            "listbadblocks": self._list,
        }
        if word.lower() in ("addbadblock", "removebadblock", "queryblock"):
            raise self._refused(f"{word} requires an additional argument")
        if word.lower() not in plain:
            raise self._refused(f"unrecognized message '{word}' received")
        with self._lock:
            return plain[word.lower()]()

    def _block_message(self, args: Sequence[str], block: int, failures: int) -> str:
        word = args[0].lower()
        with self._lock:
            if word == "addbadblock":
                return self._add(block, failures)
            if word == "removebadblock" and len(args) == 2:
                return self._remove(block)
            if word == "queryblock" and len(args) == 2:
                found = "found" if block in self._bad else "not found"
                return f"dust_query_block: block {block} {found} in badblocklist"
        raise self._refused(f"unrecognized message '{args[0]}' received")

    def _enable(self, fails: bool) -> str:
        self._fails = fails
        self.context.log(f"dust: {'enabling' if fails else 'disabling'} read failures on bad sectors")
        return ""

    def _turn_quiet(self) -> str:
        self._quiet = not self._quiet
        return ""

    def _clear(self) -> str:
        had, self._bad = self._bad, {}
        return f"dust_clear_badblocks: {'badblocks cleared' if had else 'no badblocks found'}"

    def _list(self) -> str:
        return "".join(f"{block}\n" for block in sorted(self._bad)) or "No blocks in badblocklist"

    def _add(self, block: int, failures: int) -> str:
        if block in self._bad:
            raise self._refused_unless_quiet(f"dust_add_block: block {block} already in badblocklist")
        self._bad[block] = failures
        self._note(f"dust_add_block: badblock added at block {block} with write fail count {failures}")
        return ""

    def _remove(self, block: int) -> str:
        if block not in self._bad:
            raise self._refused_unless_quiet(f"dust_remove_block: block {block} not found in badblocklist")
        del self._bad[block]
        self._note(f"dust_remove_block: badblock removed at block {block}")
        return ""

    def _note(self, text: str) -> None:
        if not self._quiet:
            self.context.log(f"dust: {text}")

    def _refused_unless_quiet(self, text: str) -> IoctlError:
        return IoctlError(errno.EINVAL, text) if self._quiet else self._refused(text)

    def _refused(self, text: str) -> IoctlError:
        self.context.log(f"dust: {text}")
        return IoctlError(errno.EINVAL, text, [f"device-mapper: dust: {text}"])


def _no(text: str) -> Refusal:
    return refused("dust", errno.EINVAL, text)


def _block_findings(text: str, length: int) -> Iterator[Finding]:
    size = kstrtouint(text)
    if not size:
        refusal = _no("Invalid block size parameter")
    elif size < SECTOR_BYTES:
        refusal = _no("Block size must be at least 512")
    elif size & (size - 1):
        refusal = _no("Block size must be a power of 2")
    elif size >> SECTOR_SHIFT > min(length, _LARGEST_BLOCK_SECTORS):
        refusal = _no("Block size is too large")
    else:
        return
    yield Finding(rules.DUST_BLOCK, f"{text!r} is no size of a block on a line of {length} sectors", 2, refusal=refusal)
