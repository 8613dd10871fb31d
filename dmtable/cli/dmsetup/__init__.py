"""dmsetup's verbs, with dmsetup's output: each file one part of it, `main` the way in."""

from dmtable.cli.dmsetup.main import main

__all__ = ["main"]
