"""Explain a rule, or find the rules that a message belongs to.

CODE is a rule's code, as DM101; its page is printed. Any other text is searched for in all pages, so that a
line of the kernel's log leads to what it means, whatever numbers and devices are in it. Without any, all rules
are listed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator

from dmtable.checks.pages import page
from dmtable.errors import UsageError
from dmtable.language.diagnostics import Rule
from dmtable.language.rules import all_rules, rule

_DIGITS = re.compile(r"[0-9]+")
_FEWEST_WORDS = 2
"""Of a part of a message that is searched for alone; single words are everywhere."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dmtable explain`."""
    parser.add_argument("codes", nargs="*", metavar="CODE", help="a rule's code, or a text to search for")


def run(arguments: argparse.Namespace) -> int:
    """Prints what was asked for. Raises UsageError for a text that no page has."""
    if not arguments.codes:
        print(_listed(all_rules()))
        return 0
    print("\n\n".join(_explained(code) for code in arguments.codes))
    return 0


def _explained(word: str) -> str:
    if found := rule(word):
        return f"{page(found.code).rstrip()}\n\nSeverity: {found.severity}.\nWhy: {found.why}.\nHow: {found.how}."
    matching = _matching(word)
    if not matching:
        raise UsageError(f"no rule and no page has {word!r}; `dmtable explain` lists all rules")
    return _listed(matching)


def _matching(text: str) -> list[Rule]:
    pages = [(each, f"{each.title}\n{page(each.code)}".lower()) for each in all_rules()]
    if found := [each for each, told in pages if text.lower() in told]:
        return found
    pages = [(each, _DIGITS.sub("0", told)) for each, told in pages]
    for part in _parts(_DIGITS.sub("0", text.lower())):
        if found := [each for each, told in pages if part in told]:
            return found
    return []


def _parts(text: str) -> Iterator[str]:
    """The text and ever less of it: a log line has its machine's own devices and targets before a colon, or last."""
    pieces = text.split(": ")
    for at in range(len(pieces)):
        part = ": ".join(pieces[at:])
        for each in (part, part.rpartition(" ")[0]):
            if len(each.split()) >= _FEWEST_WORDS and not each.endswith(":"):
                yield each


def _listed(rules: Iterable[Rule]) -> str:
    return "\n".join(f"{each.code}  {each.severity:<7}  {each.title}" for each in rules)
