"""ioctl() on /dev/mapper/control, as the kernel enters it: which check comes first, and what is copied back.

Source: ctl_ioctl of dm-ioctl.c in Linux 6.1, and what that kernel answered to every sort of buffer.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmtable.control import codec
from dmtable.control.codec import HEADER_BYTES, IOCTL_TYPE, LEAST_BYTES, Command, Payload, version_bytes
from dmtable.control.interface import CLEARED_ON_ENTRY, DRIVER_VERSION, Control, DmIoctl, Flag, TargetLine
from dmtable.errors import DmtableError, IoctlError

Answer = tuple[int, bytes]
"""errno or 0, and the bytes to write at the begin of the caller's buffer, whatever the errno."""

Transport = Callable[[int, bytes], Answer]
"""(request number, buffer) -> Answer: an open /dev/mapper/control, wherever it is."""

_MOST_BYTES = 1 << 30
_VERSION_BYTES = 12


@dataclass(frozen=True, slots=True)
class _Call:
    """A request past the checks that all share. `param` is the kernel's copy of the buffer."""

    control: Control
    log: Callable[[str], None]
    param: bytearray

    @property
    def asked(self) -> DmIoctl:
        return codec.decode_header(self.param)

    @property
    def room(self) -> int:
        """How many bytes of payload the buffer takes."""
        return max(len(self.param) - HEADER_BYTES, 0)

    def reply(self, reply: DmIoctl, payload: Payload | None = None) -> bytes:
        return codec.encode_reply(self.param, reply, payload)

    def reply_if_fits(self, reply: DmIoctl, data: bytes, needed: int = 0) -> bytes:
        """The payload as a whole, or none of it."""
        full = self.room < max(len(data), needed)
        return self.reply(reply, Payload(None if full else data, full=full))

    def refusal(self, text: str, number: int = errno.EINVAL) -> IoctlError:
        self.log(f"ioctl: {text}")
        return IoctlError(number, text)


def answer(control: Control, log: Callable[[str], None], command: int, buffer: bytes) -> Answer:
    """What ioctl(2) does with a request number and a buffer. `log` takes the lines of the entry itself."""
    if command >> 8 & 0xFF != IOCTL_TYPE:
        return errno.ENOTTY, b""
    if len(buffer) < _VERSION_BYTES:
        return errno.EFAULT, b""
    ours = version_bytes(DRIVER_VERSION)
    number = command & 0xFF
    theirs = codec.version_of(buffer)
    if theirs[0] != DRIVER_VERSION[0] or theirs[1] > DRIVER_VERSION[1]:
        versions = f"kernel({_dotted(DRIVER_VERSION)}), user({_dotted(theirs)})"
        log(f"ioctl: ioctl interface mismatch: {versions}, cmd({number})")
        return errno.EINVAL, ours
    if number == Command.VERSION:
        return 0, ours
    if number not in _SERVED:
        log(f"ioctl: dm_ctl_ioctl: unknown command 0x{command & 0xFFFFFFFF:x}")
        return errno.ENOTTY, ours
    if len(buffer) < LEAST_BYTES:
        return errno.EFAULT, ours
    size = codec.sizes_of(buffer)[0]
    if not LEAST_BYTES <= size <= _MOST_BYTES:
        log(f"ioctl: Invalid data size in the ioctl structure: {size}")
        return errno.EINVAL, ours
    if number in _WITHOUT_PARAMS:
        size = LEAST_BYTES
    if len(buffer) < size:
        return errno.EFAULT, ours
    # The caller's secrets are wiped as soon as they are copied, and what is written back goes over the zeros.
    wiped = bytes(size) if Flag.SECURE_DATA in codec.decode_header(buffer).flags else b""
    try:
        call = _Call(control, log, codec.entered(buffer, size, DRIVER_VERSION, CLEARED_ON_ENTRY))
        _check_names(call, number)
        reply = _SERVED[number](call) or (b"" if wiped else ours)
    except IoctlError as error:
        return error.errno, wiped or ours
    except DmtableError as error:
        # Nothing that the kernel knows, as a target of another package that does not load.
        log(f"ioctl: {error}")
        return errno.EINVAL, wiped or ours
    except InterruptedError:
        return errno.EINTR, wiped or ours
    return 0, reply + wiped[len(reply) :]


def _dotted(version: codec.Version) -> str:
    return ".".join(map(str, version))


def _check_names(call: _Call, number: int) -> None:
    if number in _WITHOUT_NAMES:
        return
    if number == Command.DEV_CREATE:
        if not codec.has_name(call.param):
            raise call.refusal("name not supplied when creating device")
    elif codec.has_name(call.param) and codec.has_uuid(call.param):
        raise call.refusal(f"only supply one of name or uuid, cmd({number})")
    codec.end_names(call.param)


def _remove_all(call: _Call) -> bytes:
    call.control.remove_all(call.asked)
    return b""


def _list_devices(call: _Call) -> bytes:
    payload = codec.encode_names(call.control.list_devices(call.asked))
    # An empty list has one number in it all the same, which is not copied.
    return call.reply_if_fits(call.asked, payload, needed=8)


def _dev_create(call: _Call) -> bytes:
    return call.reply(call.control.dev_create(call.asked))


def _dev_remove(call: _Call) -> bytes:
    return call.reply(call.control.dev_remove(call.asked))


def _dev_rename(call: _Call) -> bytes:
    new = codec.text_payload(call.param)
    if new is None:
        raise call.refusal("Invalid new mapped device name or uuid string supplied.")
    return call.reply(call.control.dev_rename(call.asked, new))


def _dev_suspend(call: _Call) -> bytes:
    return call.reply(call.control.dev_suspend(call.asked))


def _dev_status(call: _Call) -> bytes:
    return call.reply(call.control.dev_status(call.asked))


def _dev_wait(call: _Call) -> bytes:
    return _status(call, *call.control.dev_wait(call.asked))


def _table_load(call: _Call) -> bytes:
    return call.reply(call.control.table_load(call.asked, _lines(call)))


def _lines(call: _Call) -> Iterator[TargetLine]:
    try:
        yield from codec.decode_lines(call.param, call.asked.target_count)
    except IoctlError as error:
        if error.errno == errno.EINVAL:
            raise call.refusal(error.text) from error
        raise


def _table_clear(call: _Call) -> bytes:
    return call.reply(call.control.table_clear(call.asked))


def _table_deps(call: _Call) -> bytes:
    reply, devs = call.control.table_deps(call.asked)
    if not reply.target_count:
        return call.reply(reply)
    return call.reply_if_fits(reply, codec.encode_deps(devs))


def _table_status(call: _Call) -> bytes:
    return _status(call, *call.control.table_status(call.asked))


def _status(call: _Call, reply: DmIoctl, lines: list[TargetLine]) -> bytes:
    if not lines:
        return call.reply(reply)
    return call.reply(reply, codec.encode_status(lines, call.room))


def _list_versions(call: _Call) -> bytes:
    return call.reply_if_fits(call.asked, codec.encode_versions(call.control.list_versions()))


def _target_version(call: _Call) -> bytes:
    return call.reply_if_fits(call.asked, codec.encode_versions([call.control.target_version(call.asked)]))


def _target_message(call: _Call) -> bytes:
    message = codec.message_payload(call.param)
    if message is None:
        call.control.dev_status(call.asked)
        raise call.refusal("Invalid target message parameters.")
    reply, text = call.control.target_message(call.asked, *message)
    if text is None:
        return call.reply(reply, Payload(None))
    data = codec.bytes_of(text)
    # What fills the buffer to the last byte may have been cut, for all that the kernel knows.
    return call.reply_if_fits(reply, data, needed=len(data) + 1)


def _set_geometry(call: _Call) -> bytes:
    geometry = codec.text_payload(call.param)
    if geometry is None:
        call.control.dev_status(call.asked)
        raise call.refusal("Invalid geometry supplied.")
    call.control.set_geometry(call.asked, geometry)
    return b""


def _arm_poll(call: _Call) -> bytes:
    # Which number is waited for is the open file's affair: it asks for `event_number()` now.
    return call.reply(call.asked)


_SERVED: dict[int, Callable[[_Call], bytes]] = {
    Command.REMOVE_ALL: _remove_all,
    Command.LIST_DEVICES: _list_devices,
    Command.DEV_CREATE: _dev_create,
    Command.DEV_REMOVE: _dev_remove,
    Command.DEV_RENAME: _dev_rename,
    Command.DEV_SUSPEND: _dev_suspend,
    Command.DEV_STATUS: _dev_status,
    Command.DEV_WAIT: _dev_wait,
    Command.TABLE_LOAD: _table_load,
    Command.TABLE_CLEAR: _table_clear,
    Command.TABLE_DEPS: _table_deps,
    Command.TABLE_STATUS: _table_status,
    Command.LIST_VERSIONS: _list_versions,
    Command.TARGET_MSG: _target_message,
    Command.DEV_SET_GEOMETRY: _set_geometry,
    Command.DEV_ARM_POLL: _arm_poll,
    Command.GET_TARGET_VERSION: _target_version,
}
_WITHOUT_NAMES = {Command.REMOVE_ALL, Command.LIST_DEVICES, Command.LIST_VERSIONS}
"""What is said of a device is not looked at, and need not make sense."""
_WITHOUT_PARAMS = {
    Command.REMOVE_ALL,
    Command.DEV_CREATE,
    Command.DEV_REMOVE,
    Command.DEV_SUSPEND,
    Command.DEV_STATUS,
    Command.TABLE_CLEAR,
    Command.DEV_ARM_POLL,
}
"""Of these the kernel reads 305 bytes, however many there are."""
