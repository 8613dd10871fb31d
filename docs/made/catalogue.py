"""Every diagnostic: a table of all, and the page of each, as `dmtable explain` prints it."""

from __future__ import annotations

import re
from itertools import groupby

from dmtable.checks.pages import page
from dmtable.language import rules as catalogue
from dmtable.language.diagnostics import Rule

_GROUP = re.compile(r"(DM\d) (.+?)(?: ·|\.\n|\.$)", re.DOTALL)
_CODE = re.compile(r"\bDM\d{3}\b")
_BLOCK = re.compile(r"(^```.*?^```$|`[^`]*`)", re.MULTILINE | re.DOTALL)
_LABELS = {"bad": "Found in", "good": "Not found in"}


def rules() -> str:
    """All rules, by the groups that the catalogue names."""
    titles = {group: " ".join(title.split()) for group, title in _GROUP.findall(catalogue.__doc__ or "")}
    parts = []
    for group, members in groupby(catalogue.all_rules(), lambda rule: rule.code[:3]):
        found = list(members)
        parts += [f"## {group}: {titles[group]}", _table(found), *map(_told, found)]
    return "\n\n".join(parts)


def _table(found: list[Rule]) -> str:
    rows = (f"| [{rule.code}](#{rule.code}) | {rule.severity} | {rule.title} |" for rule in found)
    return "\n".join(["| code | severity | |", "|---|---|---|", *rows])


def _told(rule: Rule) -> str:
    title, _, rest = page(rule.code).strip().partition("\n")
    rest = re.sub(r"^```dm (\w+)", lambda kind: f"{_LABELS[kind[1]]}:\n\n```dm", rest, flags=re.MULTILINE)
    sentences = f"**{rule.severity.capitalize()}.** *Why:* {rule.why}. *How to mend it:* {rule.how}."
    return f"({rule.code})=\n### {title.lstrip('# ')}\n\n{_linked(sentences, rule)}\n{_linked(rest, rule)}"


def _linked(text: str, rule: Rule) -> str:
    """The text with links from the codes of other rules, code aside."""
    parts = _BLOCK.split(text)
    parts[::2] = [_CODE.sub(lambda code: _link(code[0], rule), part) for part in parts[::2]]
    return "".join(parts)


def _link(code: str, rule: Rule) -> str:
    return code if code == rule.code or catalogue.rule(code) is None else f"[{code}](#{code})"
