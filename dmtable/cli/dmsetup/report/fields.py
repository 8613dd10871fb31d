"""The fields that a report can have: their names, headings, widths, and how each value comes about.

Source: dmsetup 1.02.185.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from dmtable.cli.dmsetup.deptree import Node
from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.report.subject import SplitName, Subject
from dmtable.control.interface import DmIoctl, Flag
from dmtable.core.numbers import Number
from dmtable.errors import DmsetupError
from dmtable.language.mangling import NAME, UUID

Value = str | int
Part = TypeVar("Part")


class Kind(StrEnum):
    """What a field's values are, as help calls it."""

    STRING = "string"
    NUMBER = "number"
    SIZE = "size"


@dataclass(frozen=True, slots=True, eq=False)
class Section(Generic[Part]):
    """Fields that are filled from the same part of a subject. `PREFIX_all` means all of them."""

    title: str
    prefix: str
    part: Callable[[Subject], Part | None]


@dataclass(frozen=True, slots=True, eq=False)
class Field(Generic[Part]):
    """A field; its column is at least `width` bytes wide."""

    section: Section[Part]
    name: str
    kind: Kind
    heading: str
    width: int
    description: str
    of_part: Callable[[Libdm, Part], Value]

    def value(self, libdm: Libdm, subject: Subject) -> Value:
        """Raises DmsetupError where the subject has no such part, or the value cannot be told."""
        part = self.section.part(subject)
        if part is None:
            raise DmsetupError(f"_do_report_object: no data assigned to field {self.name}")
        try:
            return self.of_part(libdm, part)
        except DmsetupError as error:
            text = f"{error}\n_do_report_object: report function failed for field {self.name}"
            raise DmsetupError(text) from error


AnyField = Field[Any]
AnySection = Section[Any]
_Row = tuple[str, Kind, str, int, str, Callable[[Libdm, Part], Value]]


def _fields(section: Section[Part], *rows: _Row[Part]) -> list[AnyField]:
    return [Field(section, *row) for row in rows]


# How values come about.


def _number(reply: DmIoctl) -> Number:
    assert reply.dev is not None
    return reply.dev


def _with_colon(number: Number) -> str:
    return f"{number[0]}:{number[1]}"


def _block_name(libdm: Libdm, number: Number) -> str:
    name = libdm.block_name(number)
    if name is None:
        raise DmsetupError(f"Could not resolve block device name for {_with_colon(number)}.")
    return name


_ATTRIBUTES = (
    (Flag.ACTIVE_PRESENT, "L", "-"),
    (Flag.INACTIVE_PRESENT, "I", "-"),
    (Flag.SUSPEND, "s", "-"),
    (Flag.READONLY, "r", "w"),
)


def _attributes(reply: DmIoctl) -> str:
    return "".join(yes if flag in reply.flags else no for flag, yes, no in _ATTRIBUTES)


def _tables(reply: DmIoctl) -> str:
    live, inactive = Flag.ACTIVE_PRESENT in reply.flags, Flag.INACTIVE_PRESENT in reply.flags
    return "Both" if live and inactive else "Live" if live else "Inactive" if inactive else "None"


def _suspended(reply: DmIoctl) -> str:
    return "Suspended" if Flag.SUSPEND in reply.flags else "Active"


def _read_only(reply: DmIoctl) -> str:
    return "Read-only" if Flag.READONLY in reply.flags else "Writeable"


def _names(nodes: Sequence[Node]) -> str:
    return ",".join(node.name for node in nodes if node.name)


# The fields, in the order in which help lists them.

NAMES = Section("Mapped Device Name", "name", lambda subject: subject.reply)
INFO = Section("Mapped Device Information", "info", lambda subject: subject.reply)
DEPS = Section("Mapped Device Relationship Information", "deps", lambda subject: subject.deps)
TREE = Section("Mapped Device Relationship Information", "tree", lambda subject: subject.node)
SPLIT_NAME: Section[SplitName] = Section("Mapped Device Name Components", "splitname", lambda subject: subject.name)
STATS: Section[object] = Section("Mapped Device Statistics", "stats", lambda _subject: None)
REGIONS: Section[object] = Section("Mapped Device Statistics Region Information", "region", lambda _subject: None)
SPECIAL: Section[Subject] = Section("Special", "", lambda subject: subject)

SECTIONS: tuple[AnySection, ...] = (NAMES, INFO, DEPS, TREE, SPLIT_NAME, STATS, REGIONS)
"""Those that have fields which can be asked for all together."""

_STR, _NUM, _SIZ = Kind

_DEVICE_FIELDS = [
    *_fields(
        NAMES,
        ("name", _STR, "Name", 16, "Name of mapped device.", lambda libdm, reply: libdm.shown_name(reply.name)),
        (
            "mangled_name", _STR, "MangledName", 16, "Mangled name of mapped device.",
            lambda libdm, reply: libdm.mangled_again(libdm.shown_name(reply.name), NAME),
        ),
        (
            "unmangled_name", _STR, "UnmangledName", 16, "Unmangled name of mapped device.",
            lambda libdm, reply: libdm.unmangled_at_last(libdm.shown_name(reply.name)),
        ),
        (
            "uuid", _STR, "UUID", 32, "Unique (optional) identifier for mapped device.",
            lambda libdm, reply: libdm.shown_uuid(reply.uuid),
        ),
        (
            "mangled_uuid", _STR, "MangledUUID", 32, "Mangled unique (optional) identifier for mapped device.",
            lambda libdm, reply: libdm.mangled_again(libdm.shown_uuid(reply.uuid), UUID),
        ),
        (
            "unmangled_uuid", _STR, "UnmangledUUID", 32, "Unmangled unique (optional) identifier for mapped device.",
            lambda libdm, reply: libdm.unmangled_at_last(libdm.shown_uuid(reply.uuid)),
        ),
        ("read_ahead", _NUM, "RAhead", 6, "Read ahead value.", lambda libdm, reply: libdm.read_ahead(reply) or 0),
    ),
    *_fields(
        INFO,
        (
            "blkdevname", _STR, "BlkDevName", 16, "Name of block device.",
            lambda libdm, reply: _block_name(libdm, _number(reply)),
        ),
        (
            "attr", _STR, "Stat", 4, "(L)ive, (I)nactive, (s)uspended, (r)ead-only, read-(w)rite.",
            lambda _, reply: _attributes(reply),
        ),
        (
            "tables_loaded", _STR, "Tables", 6, "Which of the live and inactive table slots are filled.",
            lambda _, reply: _tables(reply),
        ),
        (
            "suspended", _STR, "Suspended", 9, "Whether the device is suspended.",
            lambda _, reply: _suspended(reply),
        ),
        (
            "readonly", _STR, "Read-only", 9, "Whether the device is read-only or writeable.",
            lambda _, reply: _read_only(reply),
        ),
        ("devno", _STR, "DevNo", 5, "Device major and minor numbers", lambda _, reply: _with_colon(_number(reply))),
        ("major", _NUM, "Maj", 3, "Block device major number.", lambda _, reply: _number(reply)[0]),
        ("minor", _NUM, "Min", 3, "Block device minor number.", lambda _, reply: _number(reply)[1]),
        (
            "open", _NUM, "Open", 4, "Number of references to open device, if requested.",
            lambda _, reply: reply.open_count,
        ),
        (
            "segments", _NUM, "Targ", 4, "Number of segments in live table, if present.",
            lambda _, reply: reply.target_count,
        ),
        ("events", _NUM, "Event", 6, "Number of most recent event.", lambda _, reply: reply.event_nr),
    ),
    *_fields(
        DEPS,
        ("device_count", _NUM, "#Devs", 5, "Number of devices used by this one.", lambda _, deps: len(deps)),
    ),
    *_fields(
        TREE,
        (
            "devs_used", _STR, "DevNamesUsed", 16, "List of names of mapped devices used by this one.",
            lambda _, node: _names(node.below),
        ),
    ),
    *_fields(
        DEPS,
        (
            "devnos_used", _STR, "DevNosUsed", 16, "List of device numbers of devices used by this one.",
            lambda _, deps: ",".join(map(_with_colon, deps)),
        ),
        (
            "blkdevs_used", _STR, "BlkDevNamesUsed", 16, "List of names of block devices used by this one.",
            lambda libdm, deps: ",".join(_block_name(libdm, number) for number in deps),
        ),
    ),
    *_fields(
        TREE,
        (
            "device_ref_count", _NUM, "#Refs", 5, "Number of mapped devices referencing this one.",
            lambda _, node: len(node.above),
        ),
        (
            "names_using_dev", _STR, "RefNames", 8, "List of names of mapped devices using this one.",
            lambda _, node: _names(node.above),
        ),
        (
            "devnos_using_dev", _STR, "RefDevNos", 9, "List of device numbers of mapped devices using this one.",
            lambda _, node: ",".join(_with_colon(above.number) for above in node.above),
        ),
    ),
    *_fields(
        SPLIT_NAME,
        (
            "subsystem", _STR, "Subsys", 6, "Userspace subsystem responsible for this device.",
            lambda _, name: name.subsystem,
        ),
        ("vg_name", _STR, "VG", 4, "LVM Volume Group name.", lambda _, name: name.vg_name),
        ("lv_name", _STR, "LV", 4, "LVM Logical Volume name.", lambda _, name: name.lv_name),
        ("lv_layer", _STR, "LVLayer", 7, "LVM device layer.", lambda _, name: name.lv_layer),
    ),
]  # fmt: skip


def _uncounted(section: Section[object], *rows: tuple[str, Kind, str]) -> list[AnyField]:
    """Fields of statistics: of those there are none, so no row ever has such a value."""
    return [Field(section, name, kind, "", 0, description, lambda *_: "") for name, kind, description in rows]


_STATISTICS = [
    *_uncounted(
        STATS,
        ("read_count", _NUM, "Count of reads completed."),
        ("reads_merged_count", _NUM, "Count of read requests merged."),
        ("read_sector_count", _NUM, "Count of sectors read."),
        ("read_time", _NUM, "Accumulated duration of all read requests (ns)."),
        ("write_count", _NUM, "Count of writes completed."),
        ("writes_merged_count", _NUM, "Count of write requests merged."),
        ("write_sector_count", _NUM, "Count of sectors written."),
        ("write_time", _NUM, "Accumulated duration of all writes (ns)."),
        ("in_progress_count", _NUM, "Count of requests currently in progress."),
        ("io_ticks", _NUM, "Nanoseconds spent servicing requests."),
        ("queue_ticks", _NUM, "Total nanoseconds spent in queue."),
        ("read_ticks", _NUM, "Nanoseconds spent servicing reads."),
        ("write_ticks", _NUM, "Nanoseconds spent servicing writes."),
        ("reads_merged_per_sec", _NUM, "Read requests merged per second."),
        ("writes_merged_per_sec", _NUM, "Write requests merged per second."),
        ("reads_per_sec", _NUM, "Reads per second."),
        ("writes_per_sec", _NUM, "Writes per second."),
        ("read_size_per_sec", _NUM, "Size of data read per second."),
        ("write_size_per_sec", _NUM, "Size of data written per second."),
        ("avg_request_size", _NUM, "Average request size."),
        ("queue_size", _NUM, "Average queue size."),
        ("await", _NUM, "Averate wait time."),
        ("read_await", _NUM, "Averate read wait time."),
        ("write_await", _NUM, "Averate write wait time."),
        ("throughput", _NUM, "Throughput."),
        ("service_time", _NUM, "Service time."),
        ("util", _NUM, "Utilization."),
        ("hist_count", _STR, "Latency histogram counts."),
        ("hist_count_bounds", _STR, "Latency histogram counts with bin boundaries."),
        ("hist_count_ranges", _STR, "Latency histogram counts with bin ranges."),
        ("hist_percent", _STR, "Relative latency histogram."),
        ("hist_percent_bounds", _STR, "Relative latency histogram with bin boundaries."),
        ("hist_percent_ranges", _STR, "Relative latency histogram with bin ranges."),
        ("interval_ns", _NUM, "Sampling interval in nanoseconds."),
        ("interval", _NUM, "Sampling interval."),
    ),
    *_uncounted(
        REGIONS,
        ("region_id", _NUM, "Region ID."),
        ("region_start", _SIZ, "Region start."),
        ("region_len", _SIZ, "Region length."),
        ("area_id", _NUM, "Area ID."),
        ("area_start", _SIZ, "Area offset from start of device."),
        ("area_len", _SIZ, "Area length."),
        ("area_offset", _SIZ, "Area offset from start of region."),
        ("area_count", _NUM, "Area count."),
        ("group_id", _NUM, "Group ID."),
        ("program_id", _STR, "Program ID."),
        ("user_data", _STR, "Auxiliary data."),
        ("precise", _STR, "Set if nanosecond precision counters are enabled."),
        ("hist_bins", _STR, "The number of histogram bins configured."),
        ("hist_bounds", _STR, "Latency histogram bin boundaries."),
        ("hist_ranges", _STR, "Latency histogram bin ranges."),
        ("stats_name", _STR, "Stats name of current object."),
        ("obj_type", _STR, "Type of stats object being reported."),
    ),
]

FIELDS: tuple[AnyField, ...] = (*_DEVICE_FIELDS, *_STATISTICS)

SELECTED: AnyField = Field(
    SPECIAL, "selected", _NUM, "Selected", 8, "Set if item passes selection criteria.", lambda *_: 1
)
HELP: tuple[AnyField, ...] = tuple(
    Field(SPECIAL, name, _NUM, "Help", 8, "Show help.", lambda *_: "") for name in ("help", "?")
)
"""Fields that make the report show help; no selection can compare them."""
SPECIAL_FIELDS = (SELECTED, *HELP)
