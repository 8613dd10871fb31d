"""libnbd, the C library of NBD clients, as far as it is used here: its functions, typed for ctypes."""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import Any

from dmtable.errors import UsageError

FUA = 1
"""Flag of a command (LIBNBD_CMD_FLAG_FUA)."""
SMALLEST_BLOCK, LARGEST_BLOCK = 0, 2
"""What nbd_get_block_size is asked for (LIBNBD_SIZE_MINIMUM, LIBNBD_SIZE_MAXIMUM)."""


@cache
def load() -> Any:
    """The library. Raises UsageError, which names the package, where there is none."""
    import ctypes

    try:
        library: Any = ctypes.CDLL("libnbd.so.0")
    except OSError as error:
        raise UsageError(f"NBD needs libnbd, Debian's package libnbd0: {error}") from error

    class Completion(ctypes.Structure):
        """Who is told of a command's end; nobody, for it is asked after."""

        _fields_ = (("callback", ctypes.c_void_p), ("user_data", ctypes.c_void_p), ("free", ctypes.c_void_p))

    handle, memory, text = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p
    number, size, flags = ctypes.c_int, ctypes.c_uint64, ctypes.c_uint32
    result = ctypes.c_int64
    for name, answer, arguments in (
        ("create", handle, ()),
        ("close", None, (handle,)),
        ("get_error", text, ()),
        ("get_errno", number, ()),
        ("set_request_structured_replies", number, (handle, ctypes.c_bool)),
        ("set_pread_initialize", number, (handle, ctypes.c_bool)),
        ("aio_connect_uri", number, (handle, text)),
        ("aio_disconnect", number, (handle, flags)),
        ("aio_is_ready", number, (handle,)),
        ("aio_command_completed", number, (handle, size)),
        ("poll", number, (handle, number)),
        ("get_size", result, (handle,)),
        ("get_block_size", result, (handle, number)),
        ("is_read_only", number, (handle,)),
        ("can_flush", number, (handle,)),
        ("can_fua", number, (handle,)),
        ("can_trim", number, (handle,)),
        ("can_zero", number, (handle,)),
        ("aio_pread", result, (handle, memory, ctypes.c_size_t, size, Completion, flags)),
        ("aio_pwrite", result, (handle, memory, ctypes.c_size_t, size, Completion, flags)),
        ("aio_flush", result, (handle, Completion, flags)),
        ("aio_trim", result, (handle, size, size, Completion, flags)),
        ("aio_zero", result, (handle, size, size, Completion, flags)),
    ):
        function = getattr(library, f"nbd_{name}")
        function.restype, function.argtypes = answer, arguments
    library.nobody = Completion()
    return library


def last_error(where: str) -> OSError:
    """What the last call of this thread failed with."""
    library = load()
    number = library.nbd_get_errno() or errno.EIO
    text = (library.nbd_get_error() or b"").decode(errors="replace")
    return OSError(number, f"{where}: {text or os.strerror(number)}")
