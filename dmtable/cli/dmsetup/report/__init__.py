"""Reports, as `info -c` and `splitname` print them: fields of devices in rows, chosen, selected, sorted, laid out."""

from dmtable.cli.dmsetup.report.report import Report, make_report, show_field_help

__all__ = ["Report", "make_report", "show_field_help"]
