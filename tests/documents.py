"""What a document shows is what happens: its files are written, its commands, programs and tests are run.

A block ```` ```LANGUAGE file=NAME ```` is a file. A `console` block has commands behind `$ ` and what they print. A
`python` block without a file is a program; one in a file `test_*.py` is for pytest.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmtable.cli.main import main

_BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and what it is shown to print; a line of `…` stands for any lines."""

    line: str
    output: str

    def run(self) -> None:
        """Runs it in this process and compares."""
        words = shlex.split(self.line)
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            if words[0] == "python":
                runpy.run_path(words[1], run_name="__main__")
            else:
                assert words[0] == "dmtable", f"nobody here knows how to run {self.line}"
                main(words[1:])
        printed.seek(0)
        self._compare(printed.read())

    def _compare(self, printed: str) -> None:
        wanted = [re.escape(part.strip("\n")) for part in re.split(r"^…$", self.output, flags=re.MULTILINE)]
        if not re.fullmatch(".*".join(wanted), printed.strip("\n"), re.DOTALL):
            assert printed.strip("\n") == self.output.strip("\n")


class Document:
    """A Markdown file and its blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        blocks = [(match[1], match[2], match[3]) for match in _BLOCK.finditer(path.read_text())]
        self.files = {name: text for _, name, text in blocks if name}
        self.programs = [text for language, name, text in blocks if language == "python" and not name]
        self.tests = [name for name in self.files if name.startswith("test_")]
        self.commands = [
            Command(line, output)
            for language, _, text in blocks
            if language == "console"
            for line, _, output in (part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:])
        ]

    def write(self, folder: Path) -> None:
        """Writes its files."""
        for name, text in self.files.items():
            (folder / name).write_text(text)

    @contextlib.contextmanager
    def unpacked(self, folder: Path) -> Iterator[None]:
        """Its files are in the folder, which is the current one, and the first to import from."""
        self.write(folder)
        before = {*sys.modules}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.syspath_prepend(folder)
            patch.setenv("LC_ALL", "C.UTF-8")
            yield
        # Another document may show another file of the same name.
        for name in {*sys.modules} - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{folder}/"):
                del sys.modules[name]

    def run_program(self, text: str) -> None:
        """Runs a block as it stands."""
        exec(compile(text, str(self.path), "exec"), {"__name__": "__main__"})
