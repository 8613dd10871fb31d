"""`info -c`: a report in columns. Its fields are those that one look at a device can fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.options import Options
from dmtable.control.interface import DmIoctl, Flag
from dmtable.errors import DmsetupError

DEFAULT_FIELDS = "name,major,minor,attr,open,segments,events,uuid"


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its heading, its least width, which way its values lean, and how one comes about."""

    heading: str
    width: int
    right: bool
    value: Callable[[Libdm, DmIoctl], str]


class Report:
    """Rows of fields. Columns are as wide as their widest value unless a separator stands between them."""

    def __init__(self, libdm: Libdm, fields: list[tuple[str, Field]], separator: str | None, *, headings: bool) -> None:
        self._libdm = libdm
        self._fields = fields
        self._separator = separator
        self._headings = headings
        self._rows: list[list[str]] = []

    def add(self, reply: DmIoctl) -> None:
        """Adds a device. Raises DmsetupError where a field cannot be filled; then it has no row."""
        row = []
        for name, field in self._fields:
            try:
                row.append(field.value(self._libdm, reply))
            except DmsetupError as error:
                text = f"{error}\n_do_report_object: report function failed for field {name}"
                raise DmsetupError(text) from error
        self._rows.append(row)

    def text(self) -> str:
        """The whole report; nothing where there is no row."""
        if not self._rows:
            return ""
        headings = [field.heading for _, field in self._fields]
        rows = [headings, *self._rows] if self._headings else self._rows
        if self._separator is not None:
            return "".join(self._separator.join(row) + "\n" for row in rows)
        columns = zip(*self._rows, strict=True)
        widths = [
            max(field.width, len(field.heading), *map(_size, column))
            for (_, field), column in zip(self._fields, columns, strict=True)
        ]
        lines = [" ".join(map(str.ljust, headings, widths))]
        lines += [" ".join(map(_aligned, self._fields, row, widths)) for row in self._rows]
        return "".join(line + "\n" for line in lines)


def _size(value: str) -> int:
    """Bytes: dmsetup does not know that some make one character."""
    return len(value.encode("utf-8", "surrogateescape"))


def _aligned(field: tuple[str, Field], value: str, width: int) -> str:
    blanks = " " * (width - _size(value))
    return blanks + value if field[1].right else value + blanks


def make_report(options: Options, libdm: Libdm) -> Report | None:
    """The report that the options ask for, None where one of its fields is not in FIELDS."""
    fields: list[tuple[str, Field]] = []
    for name in _field_names(options):
        group = _GROUPS.get(name, (name,))
        if not FIELDS.keys() >= set(group):
            return None
        fields += [(each, FIELDS[each]) for each in group]
    headings = "noheadings" not in options
    separator = ":" if "separator" not in options and not headings else options.values.get("separator")
    return Report(libdm, fields, separator, headings=headings)


def _field_names(options: Options) -> list[str]:
    """The names that `-o` lists, written out: case and underlines do not count, nor commas but at the end."""
    text = options.get("options", DEFAULT_FIELDS)
    if text.startswith("+"):
        text = f"{DEFAULT_FIELDS},{text[1:]}"
    whole = {_bare(name): name for name in (*FIELDS, *_GROUPS)}
    names = [whole.get(_bare(word), word) for word in text.split(",") if word]
    return [*names, ""] if text.endswith(",") else names


def _bare(name: str) -> str:
    return name.lower().replace("_", "")


def _number(reply: DmIoctl) -> tuple[int, int]:
    assert reply.dev is not None
    return reply.dev


def _attributes(_libdm: Libdm, reply: DmIoctl) -> str:
    flags = reply.flags
    return (
        ("L" if Flag.ACTIVE_PRESENT in flags else "-")
        + ("I" if Flag.INACTIVE_PRESENT in flags else "-")
        + ("s" if Flag.SUSPEND in flags else "-")
        + ("r" if Flag.READONLY in flags else "w")
    )


def _tables(_libdm: Libdm, reply: DmIoctl) -> str:
    live, inactive = Flag.ACTIVE_PRESENT in reply.flags, Flag.INACTIVE_PRESENT in reply.flags
    return "Both" if live and inactive else "Live" if live else "Inactive" if inactive else "None"


def _block_name(libdm: Libdm, reply: DmIoctl) -> str:
    major, minor = _number(reply)
    name = libdm.dev.block_name((major, minor))
    if name is None:
        raise DmsetupError(f"Could not resolve block device name for {major}:{minor}.")
    return name


FIELDS = {
    "name": Field("Name", 16, False, lambda libdm, reply: libdm.shown_name(reply.name)),
    "uuid": Field("UUID", 32, False, lambda libdm, reply: libdm.shown_uuid(reply.uuid)),
    "read_ahead": Field("RAhead", 6, True, lambda libdm, reply: str(libdm.read_ahead(reply) or 0)),
    "blkdevname": Field("BlkDevName", 16, False, _block_name),
    "attr": Field("Stat", 4, False, _attributes),
    "tables_loaded": Field("Tables", 6, False, _tables),
    "suspended": Field(
        "Suspended", 9, False, lambda _, reply: "Suspended" if Flag.SUSPEND in reply.flags else "Active"
    ),
    "readonly": Field(
        "Read-only", 9, False, lambda _, reply: "Read-only" if Flag.READONLY in reply.flags else "Writeable"
    ),
    "devno": Field("DevNo", 5, False, lambda _, reply: "{}:{}".format(*_number(reply))),
    "major": Field("Maj", 3, True, lambda _, reply: str(_number(reply)[0])),
    "minor": Field("Min", 3, True, lambda _, reply: str(_number(reply)[1])),
    "open": Field("Open", 4, True, lambda _, reply: str(reply.open_count)),
    "segments": Field("Targ", 4, True, lambda _, reply: str(reply.target_count)),
    "events": Field("Event", 6, True, lambda _, reply: str(reply.event_nr)),
}
_GROUPS = {"info_all": tuple(FIELDS)[tuple(FIELDS).index("blkdevname") :]}
