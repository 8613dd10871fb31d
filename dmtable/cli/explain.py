"""Explain a rule, or find the rules that a message belongs to.

CODE is a rule's code, as DM101; its page is printed. Any other text is searched for in all pages, so that a
line of the kernel's log leads to what it means. Without any, all rules are listed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from dmtable.checks.pages import page
from dmtable.errors import UsageError
from dmtable.language.diagnostics import Rule
from dmtable.language.rules import all_rules, rule


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
    matching = [each for each in all_rules() if word.lower() in f"{each.title}\n{page(each.code)}".lower()]
    if not matching:
        raise UsageError(f"no rule and no page has {word!r}; `dmtable explain` lists all rules")
    return _listed(matching)


def _listed(rules: Iterable[Rule]) -> str:
    return "\n".join(f"{each.code}  {each.severity:<7}  {each.title}" for each in rules)
