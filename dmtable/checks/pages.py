"""The page of each rule: what it looks like, where it comes from, a table that breaks it and one that does not."""

from __future__ import annotations

from importlib.resources import files


def page(code: str) -> str:
    """The page of a rule in Markdown, by its code as the catalogue has it."""
    return files("dmtable.checks").joinpath("explain", f"{code}.md").read_text(encoding="utf-8")
