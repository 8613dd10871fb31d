"""What a document shows is what happens: its files are written, its commands and programs are run, its tests pass.

A block ```` ```LANGUAGE file=NAME ```` is a file. A `console` block has commands behind `$ ` and what they print. A
`python` block without a file is a program; one in a file `test_*.py` is for pytest. Commands and programs of a page
are run in its order, in one folder. Blocks in the languages of `SHOWN` are only to be looked at.

    python -m tests.documents

lists what is run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmtable.cli.main import main
from dmtable.control.folder import MachineFolder
from dmtable.daemon.stopping import stop
from tests.exec.labs import PATH, lacking, needs

ROOT = Path(__file__).parent.parent
SHOWN = ("text", "yaml")
"""Formats and pieces of files: nothing that could be run."""

_BLOCK = re.compile(r"^```(?P<language>[\w{}-]*)(?: file=(?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FOR_A_SHELL = re.compile(r"[|<>;&*$`]")
_SHIM = """\
#!/bin/sh
PYTHONPATH={root} exec {python} {module} "$@"
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and what it is shown to print; a line of `…` stands for any lines."""

    line: str
    output: str

    def __str__(self) -> str:
        return self.line

    def run(self, document: Document) -> None:
        """Runs it and compares: dmtable and Python in this process, what needs a shell in one."""
        if self.line.startswith("dmtable exec "):
            self._needs()
        words = [] if _FOR_A_SHELL.search(self.line) else shlex.split(self.line)
        printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        if words[:1] in (["dmtable"], ["python"]) and words[1] != "exec":
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                if words[0] == "dmtable":
                    main(words[1:])
                else:
                    runpy.run_path(words[1], run_name="__main__")
            printed.seek(0)
            self._compare(printed.read())
        else:
            done = subprocess.run(self.line, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self._compare(done.stdout)

    def _needs(self) -> None:
        """Skips what is left of a page where this computer cannot run a program under `dmtable exec`."""
        if reason := lacking():
            pytest.skip(reason)
        words = shlex.split(self.line)
        needs(words[words.index("--") + 1])

    def _compare(self, printed: str) -> None:
        wanted = [re.escape(part.strip("\n")) for part in re.split(r"^…$", self.output, flags=re.MULTILINE)]
        if not re.fullmatch(".*".join(wanted), printed.strip("\n"), re.DOTALL):
            assert printed.strip("\n") == self.output.strip("\n"), f"$ {self.line}"


@dataclass(frozen=True, slots=True)
class Program:
    """A block of Python that stands for itself."""

    text: str

    def __str__(self) -> str:
        return next(line for line in self.text.splitlines() if line and not line.startswith(("import ", "from ", "#")))

    def run(self, document: Document) -> None:
        """Runs it as it stands: in a process of its own where the page installs something, which is looked for once."""
        if document.installs:
            environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.getcwd()}"}
            subprocess.run([sys.executable, "-c", self.text], env=environment, check=True)
            return
        exec(compile(self.text, str(document.path), "exec"), {"__name__": "__main__"})


class Document:
    """A Markdown file and its blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.files: dict[str, str] = {}
        self.steps: list[Command | Program] = []
        """In the order of the page."""
        self.left_out: list[str] = []
        """The languages of blocks that nobody runs, and should."""
        for match in _BLOCK.finditer(path.read_text()):
            self._take(match["language"], match["name"], match["text"])

    def _take(self, language: str, name: str | None, text: str) -> None:
        if name:
            self.files[name] = text
        elif language == "console":
            parts = (part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:])
            self.steps += [Command(line, output) for line, _, output in parts]
        elif language == "python":
            self.steps.append(Program(text))
        elif language not in SHOWN and not language.startswith("{"):
            self.left_out.append(language)

    @property
    def installs(self) -> bool:
        """Whether it shows a package, which is then there as if pip had installed it."""
        return "pyproject.toml" in self.files

    @property
    def tests(self) -> list[str]:
        """The files that are for pytest."""
        return [name for name in self.files if Path(name).name.startswith("test_")]

    def write(self, folder: Path) -> None:
        """Writes its files. What a `pyproject.toml` among them would install is installed there."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if self.installs:
            _install(tomllib.loads(self.files["pyproject.toml"])["project"], folder)

    @contextlib.contextmanager
    def unpacked(self, folder: Path) -> Iterator[None]:
        """Its files are in the folder, which is the current one, and the first to import from."""
        self.write(folder)
        before = {*sys.modules}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.syspath_prepend(folder)
            patch.setenv("LC_ALL", "C.UTF-8")
            patch.setenv("DMTABLE_DIR", str(folder.parent / "machine"))
            patch.setenv("PATH", f"{_shims(folder.parent / 'bin')}:{PATH}")
            try:
                yield
            finally:
                stop(MachineFolder(str(folder.parent / "machine")))
        # Another document may show another file of the same name.
        for name in {*sys.modules} - before:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{folder}/"):
                del sys.modules[name]


def documents() -> list[Document]:
    """Every page for people that may show something."""
    pages = [*ROOT.glob("*.md"), *(page for part in ("docs", "examples") for page in (ROOT / part).rglob("*.md"))]
    return [Document(path) for path in sorted(pages)]


def _install(project: dict[str, dict[str, dict[str, str]]], folder: Path) -> None:
    """Leaves the entry points as pip does, where whoever imports from the folder finds them."""
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    points = (
        f"[{group}]\n" + "".join(f"{name} = {path}\n" for name, path in members.items())
        for group, members in project.get("entry-points", {}).items()
    )
    (info / "entry_points.txt").write_text("".join(points))


def _shims(folder: Path) -> Path:
    """A folder of programs: `dmtable` and `python`, for a shell."""
    folder.mkdir(exist_ok=True)
    for name, module in (("dmtable", "-m dmtable"), ("python", "")):
        (folder / name).write_text(_SHIM.format(root=ROOT, python=sys.executable, module=module))
        (folder / name).chmod(0o755)
    return folder


if __name__ == "__main__":
    for each in documents():
        print(f"{each.name}: {len(each.files)} files, {len(each.steps)} commands and programs, {len(each.tests)} tests")
        for step in each.steps:
            print(f"  {'$ ' if isinstance(step, Command) else 'python: '}{step}")
        for test in each.tests:
            print(f"  pytest: {test}")
