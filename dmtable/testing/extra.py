"""What is said to whoever has not installed pytest or Hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs_extra(what: str) -> Iterator[None]:
    """Within it a missing pytest or Hypothesis ends in a ModuleNotFoundError that names the extra to install.

    `what` is what needs it, in the plural.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("pytest", "hypothesis"):
            raise
        text = f"{what} need {error.name}: pip install 'dmtable[testing]'"
        raise ModuleNotFoundError(text, name=error.name) from error
