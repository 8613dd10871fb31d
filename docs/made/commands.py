"""The reference of all commands, from the parsers of their arguments."""

from __future__ import annotations

import argparse
import re

from dmtable.cli.commands import parsers

_EXAMPLE = re.compile(r"(?:^    .*\n?)+", re.MULTILINE)


def commands() -> str:
    """A section for each command."""
    return "\n\n".join(map(_section, parsers()))


def _section(parser: argparse.ArgumentParser) -> str:
    """What the command is for, how it is called, and what each argument means."""
    told = (parser.description or "").strip()
    usage = parser.format_usage().removeprefix("usage: ")
    arguments = parser.format_help().removeprefix(parser.format_usage()).strip().removeprefix(told).strip()
    level = "##" if parser.prog.count(" ") == 1 else "###"
    return "\n\n".join(
        [
            f"{level} `{parser.prog}`",
            _EXAMPLE.sub(lambda example: _shown(_undented(example[0], 4)) + "\n", told),
            _shown(_undented(usage, len("usage: ")) + f"\n\n{arguments}"),
        ]
    )


def _shown(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _undented(text: str, most: int) -> str:
    """Lines without what they are indented by, as far as that goes."""
    return "\n".join(line[min(most, len(line) - len(line.lstrip())) :] for line in text.rstrip().splitlines())
