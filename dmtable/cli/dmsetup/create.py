"""`create` and `load`: tables go in, from the command line, a file or standard input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dmtable.cli.dmsetup.info import show_if_verbose
from dmtable.cli.dmsetup.lifecycle import put_node
from dmtable.cli.dmsetup.nodes import NodeAttributes
from dmtable.cli.dmsetup.session import Session
from dmtable.cli.dmsetup.task import Device, Task
from dmtable.control.interface import NO_FLAGS, DmIoctl, Flag, TargetLine
from dmtable.core.numbers import DM_MAJOR
from dmtable.errors import DmsetupError
from dmtable.language.concise import read_concise
from dmtable.language.dmsetup_text import ON_STDIN, DmsetupTextError, TargetNameTooLong, read_dmsetup_text
from dmtable.language.kernel_words import quote_params
from dmtable.language.numbers import U32, atoi

_NOT_WITH_CONCISE = ("notable", "table", "minor", "uuid", "inactive")
_SPEC_BYTES = 40
_ALIGNMENT_BYTES = 8


@dataclass(frozen=True, slots=True)
class _New:
    """A device that shall be created: the words that name it, and how libdm has them."""

    name: str
    uuid: str
    device: Device
    lines: Sequence[TargetLine]
    is_read_only: bool

    @property
    def flags(self) -> Flag:
        return Flag.READONLY if self.is_read_only else NO_FLAGS


def create(session: Session, operands: Sequence[str]) -> None:
    options = session.options
    if "concise" in options:
        _create_concise(session, operands)
        return
    if not operands:
        raise DmsetupError("Please provide a name for the new device.")
    name, uuid = operands[0], options["uuid"]
    major, minor = options.number or (-1, -1)
    device = replace(session.libdm.new_device(name, uuid), major=major, minor=minor)
    lines = [] if "notable" in options else _read_table(session, operands[1:])
    _create(session, _New(name, uuid, device, lines, is_read_only="readonly" in options))


def load(session: Session, operands: Sequence[str]) -> None:
    if "notable" in session.options:
        raise DmsetupError("--notable only available when creating new device.")
    operand: str | None = None
    if not session.options.is_device_selected:
        if not operands:
            raise DmsetupError("Please specify device.")
        operand, operands = operands[0], operands[1:]
    elif len(operands) > 1:
        raise DmsetupError("Too many command line arguments.")
    libdm = session.libdm
    task = session.task("reload", session.device(operand), "readonly")
    lines = _read_table(session, operands)
    task = replace(task, payload_bytes=_payload_bytes(lines))
    show_if_verbose(session, libdm.run(task, lambda request: libdm.control.table_load(request, lines)))


def _create_concise(session: Session, operands: Sequence[str]) -> None:
    if len(operands) > 1:
        raise DmsetupError("dmsetup create --concise takes at most one argument")
    if any(option in session.options for option in _NOT_WITH_CONCISE):
        raise DmsetupError("--concise is incompatible with --[no]table, --minor, --uuid and --inactive.")
    libdm = session.libdm
    read_only = "readonly" in session.options
    for entry in read_concise(operands[0] if operands else session.stdin.read()):
        device = libdm.new_device(entry.name, entry.uuid)
        if entry.minor is not None:
            device = replace(device, minor=entry.minor)
        read_only = read_only or entry.read_only
        lines = _target_lines(session, entry.table, "")
        _create(session, _New(entry.name, entry.uuid, device, lines, read_only))
        read_only = False  # `-r` counts for the first device: the next has its own flags.


def _read_table(session: Session, files: Sequence[str]) -> list[TargetLine]:
    """The table of `--table`, else of a file, else of standard input. Raises DmsetupError."""
    if "table" in session.options:
        return _target_lines(session, session.options["table"], "")
    if not files:
        return _target_lines(session, session.stdin.read(), ON_STDIN)
    try:
        with open(files[0], "rb") as file:
            content = file.read()
    except IsADirectoryError:
        return []  # C opens a folder like any file, and reads nothing from it.
    except OSError as error:
        raise session.libdm.failed(f"Couldn't open '{files[0]}' for reading.") from error
    return _target_lines(session, content, files[0])


def _target_lines(session: Session, text: str | bytes, name: str) -> list[TargetLine]:
    try:
        lines = read_dmsetup_text(text, name)
    except DmsetupTextError as error:
        session.libdm.log.backtrace(4 if isinstance(error, TargetNameTooLong) else 2)
        raise
    return [TargetLine(line.start, line.length, line.target, quote_params(line.params)) for line in lines]


def _payload_bytes(lines: Sequence[TargetLine]) -> int:
    """What libdm reckons for a table in its buffer."""
    params = sum(len(line.params.encode("utf-8", "surrogateescape")) for line in lines)
    return params + len(lines) * (_SPEC_BYTES + 1 + _ALIGNMENT_BYTES)


def _create(session: Session, new: _New) -> None:
    """Creates, loads and resumes; without lines it only creates. What fails is undone, as far as libdm can."""
    libdm, device = session.libdm, new.device
    libdm.use_no_udev()
    if new.lines:
        reply = _create_with_table(session, new)
    else:
        task = session.task("create", _with_own_major(session, device), flags=new.flags)
        reply = libdm.run(task, libdm.control.dev_create)
        _put_created_node(session, device.name, reply)
        session.settle_nodes()
    show_if_verbose(session, reply)


def _create_with_table(session: Session, new: _New) -> DmIoctl:
    libdm = session.libdm
    libdm.new_device(new.name, new.uuid)  # libdm names it anew for each request, as its log shows.
    try:
        created = libdm.run(Task("create", _with_dm_major(session, new.device)), libdm.control.dev_create)
    except DmsetupError:
        libdm.log.backtrace()
        raise
    _put_created_node(session, new.device.name, created)
    try:
        reply = _load_and_resume(session, new, created)
    except DmsetupError as error:
        reasons = [str(error), *_revert(session, new.device)]
        libdm.log.backtrace()
        session.settle_nodes()
        raise DmsetupError("\n".join(reasons)) from error
    put_node(session, new.device.name, reply.dev, _attributes(session))
    session.settle_nodes()
    return reply


def _load_and_resume(session: Session, new: _New, created: DmIoctl) -> DmIoctl:
    # The table goes to the number that the kernel gave, the resume to the one that was asked for, if any.
    libdm, device = session.libdm, new.device
    assert created.dev is not None
    libdm.new_device(new.name)
    major, minor = created.dev
    numbered = Device(major=major, minor=minor)
    task = Task(
        "reload",
        numbered,
        new.flags,
        shown=replace(numbered, name=device.name),
        payload_bytes=_payload_bytes(new.lines),
    )
    libdm.run(task, lambda request: libdm.control.table_load(request, new.lines))
    named = replace(_with_own_major(session, device), uuid="")
    task = session.task("resume", named if named.minor < 0 else replace(named, name=""), flags=new.flags)
    return libdm.run(replace(task, shown=named, traced=False), libdm.control.dev_suspend)


def _with_own_major(session: Session, device: Device) -> Device:
    """The major that `--major` gives a number, be it what it may."""
    return device if "major" in session.options else _with_dm_major(session, device)


def _with_dm_major(session: Session, device: Device) -> Device:
    """The number with the major that every md has."""
    if device.minor < 0 or device.major == DM_MAJOR:
        return device
    session.libdm.log.line(f"Overriding major number of {device.major} with {DM_MAJOR} for persistent device.")
    return replace(device, major=DM_MAJOR)


def _revert(session: Session, device: Device) -> list[str]:
    """Removes what was created; messages where that fails, as it does for a device with a number of its own."""
    libdm = session.libdm
    try:
        task = replace(session.task("remove", replace(_with_own_major(session, device), uuid="")), traced=False)
        libdm.run(task, libdm.control.dev_remove)
    except DmsetupError as error:
        return [str(error), "Failed to revert device creation."]
    libdm.nodes.remove(device.name)
    return []


def _put_created_node(session: Session, name: str, reply: DmIoctl) -> None:
    if "addnodeoncreate" in session.options:
        assert reply.dev is not None
        session.libdm.nodes.add(name, reply.dev, _attributes(session))


def _attributes(session: Session) -> NodeAttributes:
    """What `--uid`, `--gid` and `--mode` ask for."""
    options, default = session.options, NodeAttributes()
    owner = atoi(options["uid"]) % U32 if "uid" in options else default.owner
    group = atoi(options["gid"]) % U32 if "gid" in options else default.group
    return NodeAttributes(owner, group, options.mode)
