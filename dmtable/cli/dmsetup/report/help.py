"""The help of reports: all fields, and the language of selections. Both go to stderr, before what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from dmtable.cli.dmsetup.report.fields import FIELDS, HELP, SECTIONS, SPECIAL, SPECIAL_FIELDS, AnyField

_BETWEEN = "\n \n"
"""A line that looks empty, but holds a blank."""


def field_help(*, kinds: bool = False) -> str:
    """All fields in their sections: with the groups of fields that `-o` takes, or the kinds that `-S` compares."""
    fields = (*FIELDS, *SPECIAL_FIELDS)
    width = max(*(len(field.name) for field in fields), *(len(f"{section.prefix}_all") for section in SECTIONS))
    sections = []
    for title, group in groupby(fields, lambda field: field.section.title):
        lines = [f"{title} Fields", "-" * len(f"{title} Fields")]
        lines += (f"  {name:{width}} - {description}" for name, description in _described(list(group), kinds))
        sections.append("\n".join(lines))
    return _BETWEEN.join(sections)


def selection_help() -> str:
    """What `-S` can be made of."""
    return _BETWEEN.join(_SELECTION)


def before(help_text: str, message: str) -> str:
    """Help, and below it what is wrong."""
    return f"{help_text}{_BETWEEN}{message}"


def alone(*help_texts: str) -> str:
    """Help that was asked for: each ends in a line that looks empty."""
    return "\n".join(f"{text}\n " for text in help_texts)


def _described(fields: list[AnyField], kinds: bool) -> Iterator[tuple[str, str]]:
    section = fields[0].section
    if not kinds and section is not SPECIAL:
        yield f"{section.prefix}_all", "All fields in this section."
    for field in fields:
        kind = f" [{'unselectable ' if field in HELP else ''}{field.kind}]" if kinds else ""
        yield field.name, field.description + kind


_SELECTION = (
    """\
Selection operands
------------------
  field               - Reporting field.
  number              - Non-negative integer value.
  size                - Floating point value with units, 'm' unit used by default if not specified.
  percent             - Non-negative integer with or without % suffix.
  string              - Characters quoted by ' or " or unquoted.
  string list         - Strings enclosed by [ ] or { } and elements delimited by either
                        "all items must match" or "at least one item must match" operator.
  regular expression  - Characters quoted by ' or " or unquoted.""",
    """\
Selection operators
-------------------
  Comparison operators:
        =~  - Matching regular expression. [regex]
        !~  - Not matching regular expression. [regex]
         =  - Equal to. [number, size, percent, string, string list, time]
        !=  - Not equal to. [number, size, percent, string, string_list, time]
        >=  - Greater than or equal to. [number, size, percent, time]
         >  - Greater than. [number, size, percent, time]
        <=  - Less than or equal to. [number, size, percent, time]
         <  - Less than. [number, size, percent, time]
     since  - Since specified time (same as '>='). [time]
     after  - After specified time (same as '>'). [time]
     until  - Until specified time (same as '<='). [time]
    before  - Before specified time (same as '<'). [time]""",
    """\
  Logical and grouping operators:
      &&  - All fields must match
       ,  - All fields must match
      ||  - At least one field must match
       #  - At least one field must match
       !  - Logical negation
       (  - Left parenthesis
       )  - Right parenthesis
       [  - List start
       ]  - List end
       {  - List subset start
       }  - List subset end""",
)
