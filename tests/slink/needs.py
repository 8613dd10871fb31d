"""What of a machine the tests of NBD links need, and how they are left out without it."""

from __future__ import annotations

import ctypes
import shutil

import pytest


def _there_is_libnbd() -> bool:
    try:
        ctypes.CDLL("libnbd.so.0")
    except OSError:
        return False
    return True


needs_libnbd = pytest.mark.skipif(not _there_is_libnbd(), reason="there is no libnbd: install Debian's libnbd0")
needs_nbdkit = pytest.mark.skipif(
    not (_there_is_libnbd() and shutil.which("nbdkit")),
    reason="there is no nbdkit: install Debian's libnbd0 and nbdkit",
)
