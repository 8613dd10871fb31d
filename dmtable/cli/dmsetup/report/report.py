"""A report: what it asks of each device, and the rows that it keeps until it is printed.

Source: dmsetup 1.02.185 and libdm's reports, recorded in fixtures/kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dmtable.cli.dmsetup.deptree import Node, gather
from dmtable.cli.dmsetup.libdm import Libdm
from dmtable.cli.dmsetup.options import Options
from dmtable.cli.dmsetup.report.columns import Column, Columns, Row
from dmtable.cli.dmsetup.report.fields import DEPS, HELP, REGIONS, SELECTED, SPLIT_NAME, STATS, TREE
from dmtable.cli.dmsetup.report.help import alone, field_help, selection_help
from dmtable.cli.dmsetup.report.layout import Layout, layout_of
from dmtable.cli.dmsetup.report.selection import Selection, read_selection
from dmtable.cli.dmsetup.report.subject import SplitName, Subject, split_name, subsystem_of
from dmtable.cli.dmsetup.task import Task
from dmtable.control.interface import DmIoctl
from dmtable.core.numbers import Number
from dmtable.errors import DmsetupError

_DEFAULT_FIELDS = "name,major,minor,attr,open,segments,events,uuid"
_DEFAULT_FIELDS_OF_NAME = "vg_name,lv_name,lv_layer"


@dataclass(slots=True)
class Report:
    """Rows of fields under way."""

    libdm: Libdm
    columns: Columns
    layout: Layout
    selection: Selection | None
    showed_help: bool
    """Then it has no rows."""
    tree: dict[Number, Node]
    rows: list[Row] = field(default_factory=list)

    def add_device(self, reply: DmIoctl, deps: Task) -> bool:
        """Adds a device, whose dependencies the task would ask for. Returns whether it is selected.

        Raises DmsetupError where a field cannot be filled; then it has no row.
        """
        sections = self.columns.sections
        subject = Subject(reply)
        assert reply.dev is not None
        if TREE in sections:
            if reply.dev not in self.tree:
                raise DmsetupError("Cannot find node {}:{}.".format(*reply.dev))
            subject = replace(subject, node=self.tree[reply.dev])
        if DEPS in sections:
            subject = replace(subject, deps=self._deps(reply.dev, deps))
        if SPLIT_NAME in sections:
            name = self.libdm.shown_name(reply.name)
            subject = replace(subject, name=split_name(name, subsystem_of(self.libdm.shown_uuid(reply.uuid))))
        if sections & {STATS, REGIONS}:
            return False  # There are no statistics: each region of them would have a row.
        with self.columns.handing_on():
            return self._add(subject)

    def add_name(self, name: SplitName) -> None:
        """Adds a row about a name alone. Raises DmsetupError where a field wants more."""
        self._add(Subject(name=name))

    def take_text(self) -> str:
        """The report as it stands; it begins anew."""
        rows, self.rows = self.rows, []
        for column, is_down in reversed(self.columns.sort_keys):
            rows = _sorted(rows, column, is_down)
        return self.layout.text(self.columns.shown, rows)

    def _add(self, subject: Subject) -> bool:
        if self.showed_help:
            return True
        row = {column: column.field.value(self.libdm, subject) for column in self.columns.all}
        is_selected = self.selection is None or self.selection.selects(row)
        marks = [column for column in self.columns.shown if column.field is SELECTED]
        if marks and not is_selected:
            row[marks[-1]] = 0
        if is_selected or marks:
            self.rows.append(row)
        return is_selected

    def _deps(self, dev: Number, task: Task) -> list[Number]:
        try:
            return self.libdm.run(task, self.libdm.control.table_deps)[1]
        except DmsetupError as error:
            raise DmsetupError(f"{error}\nCannot get deps for {dev[0]}:{dev[1]}.") from error


def make_report(options: Options, verb: str, libdm: Libdm, out: Callable[[str], object]) -> Report:
    """The report that the options ask a verb for; help goes to stderr. Raises DmsetupError with what is wrong."""
    if verb in ("status", "table") and "sort" in options:
        raise DmsetupError("--sort is not yet supported with status and table.")
    is_of_name = verb == "splitname"
    columns = Columns(libdm.complain, libdm.log.backtrace, own_section=SPLIT_NAME if is_of_name else None)
    default = _DEFAULT_FIELDS_OF_NAME if is_of_name else _DEFAULT_FIELDS
    with columns.handing_on():
        columns.ask_for(_words(options, default), options["sort"])
        shows_help = any(column.field in HELP for column in columns.all)
        if shows_help:
            libdm.complain(alone(field_help()))
        selection = None
        if options["select"].lower() in ("help", "?"):
            shows_help = True
            libdm.complain(alone(field_help(kinds=True), selection_help()))
        else:
            selection = read_selection(options["select"], columns)
    return Report(libdm, columns, layout_of(options), selection, shows_help, _tree(columns, libdm, out))


def show_field_help(options: Options, libdm: Libdm, out: Callable[[str], object]) -> None:
    """What `help -c` adds: the report is made that `-o help` asks for, but for its order."""
    values = {option: value for option, value in options.values.items() if option != "sort"}
    try:
        make_report(replace(options, values={**values, "options": "help"}), "help", libdm, out)
    except DmsetupError as error:
        libdm.complain(str(error))


def _words(options: Options, default: str) -> str:
    words = options.get("options", default)
    return f"{default},{words[1:]}" if words.startswith("+") else words


def _tree(columns: Columns, libdm: Libdm, out: Callable[[str], object]) -> dict[Number, Node]:
    if TREE not in columns.sections:
        return {}
    tree = gather(libdm)
    if not tree:
        out("No devices found\n")
    return tree


def _sorted(rows: list[Row], column: Column, is_down: bool) -> list[Row]:
    """Rows with the same value stay in their order, whatever the direction."""

    def key(row: Row) -> int | bytes:
        value = row[column]
        return value if isinstance(value, int) else value.encode("utf-8", "surrogateescape")

    return sorted(rows, key=key, reverse=is_down)
