"""How the kernel cuts the parameters of a target, or a message, into words (dm_split_args in dm-table.c).

It works on bytes, so this does too: text goes through UTF-8, and bytes that are none travel as surrogates.
The kernel's isspace() also holds for byte 0xA0, the no-break space of Latin-1, in the middle of a UTF-8
character as anywhere else.
"""

from __future__ import annotations

import re

_WORD = re.compile(rb"(?:\\.|[^ \t\n\v\f\r\xa0])+", re.DOTALL)
_QUOTED = re.compile(rb"\\(.)", re.DOTALL)


def split_args(params: str) -> list[str]:
    """The words of a parameter string as a constructor gets them: a backslash quotes the next byte.

    A backslash at the very end stands for itself. A word may end up as no valid UTF-8; its odd bytes
    are surrogates then, as in file names.
    """
    data = params.encode("utf-8", "surrogateescape")
    words = _WORD.findall(data)
    if b"\\" in data:
        words = [_QUOTED.sub(rb"\1", word) for word in words]
    return [word.decode("utf-8", "surrogateescape") for word in words]


def quote_params(params: str) -> str:
    """What libdm makes of the parameters before it loads a table: every backslash doubled.

    So a backslash in a table's text is part of its word: `split_args(quote_params(text))` splits at
    blanks and nothing else.
    """
    return params.replace("\\", "\\\\")
