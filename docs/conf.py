"""How `make docs` builds these pages. Nothing is fetched; what is made from the code is in docs/made."""

import re
import sys
from pathlib import Path

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Text
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import dmtable  # noqa: E402
from docs.made import filled_in  # noqa: E402

project = "dmtable"
author = "the authors of dmtable"
version = release = dmtable.__version__
extensions = ["myst_parser"]
exclude_patterns = ["made"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nitpicky = True
smartquotes = False

html_theme = "furo"
html_title = f"dmtable {version}"
html_static_path = ["static"]
html_css_files = ["dmtable.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

_FILE = re.compile(r"^```(\w+) file=(\S+)\n", re.MULTILINE)
_FENCED = "```{code-block} %s\n:caption: %s\n\n"


class TableLexer(RegexLexer):
    """Colours of a table: `start length target words…`."""

    name = "device-mapper table"
    aliases = ("dm", "table")
    tokens = {  # noqa: RUF012 - as Pygments has it
        "root": [
            (r"#.*$", Comment),
            (r"(?<=\d )[a-z][\w-]*", Keyword),
            (r"/[^\s]+|\d+:\d+", Name.Variable),
            (r"\d+", Number),
            (r"\s+", Text),
            (r"\S+", Text),
        ]
    }


def prepare(app: Sphinx, name: str, source: list[str]) -> None:
    """A page as Sphinx shall see it: its parts are made, and files are named above their blocks."""
    source[0] = _FILE.sub(lambda block: _FENCED % block.groups(), filled_in(source[0]))


def setup(app: Sphinx) -> None:
    app.add_lexer("dm", TableLexer)
    app.add_lexer("table", TableLexer)
    app.connect("source-read", prepare)
