"""Run an unmodified program, such as the stock dmsetup or LVM, against the emulated machine.

    dmtable exec -- dmsetup create vol --table "0 2048 linear /dev/loop0 0"
    dmtable exec --disk a.img --disk b.img -- vgcreate vg /dev/loop0 /dev/loop1

The program and all that it starts see the machine's /dev, its devices in /proc and /sys, and its
device-mapper; nothing else changes for them, and no root is needed. Their system calls are answered by
seccomp user notification: Linux 5.19 or later, on x86-64 or arm64. Exit status: the program's.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from dmtable.errors import UsageError

if TYPE_CHECKING:
    from dmtable.control.folder import MachineFolder

RUNS_A_PROGRAM = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="the machine's folder (default: $DMTABLE_DIR, else your own)")
    parser.add_argument(
        "--disk",
        metavar="FILE[=NAME]",
        action="append",
        default=[],
        help="attach an image file as the next /dev/loopN, and as /dev/NAME; once for each disk",
    )
    parser.add_argument("--as-root", action="store_true", help="let the program believe that it is root")
    parser.add_argument("command", metavar="COMMAND …", nargs=argparse.REMAINDER, help="the program and its arguments")


def run(args: argparse.Namespace) -> int:
    from dmtable.control.exec.environment import environment, outer_machine
    from dmtable.control.folder import machine_folder

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("which program? `dmtable exec -- COMMAND …`")
    folder = machine_folder(args.dir)
    folder.exists()  # Refuses what is somebody else's.
    outer = outer_machine(os.environ)
    if outer is None:
        _see_to_daemon(folder)
    elif outer != folder:
        raise UsageError(f"this runs under `dmtable exec` of {outer.path} already, and can use no other machine")
    for disk in args.disk:
        file, _, name = (disk, "", "") if os.path.exists(disk) else disk.rpartition("=")
        _attach(folder, file or disk, name if file else "")
    from dmtable.control.exec.launch import become, launch

    environ = environment(folder, os.environ)
    if outer is not None:
        return become(command, environ)
    return launch(folder, command, environ, as_root=args.as_root)


def _see_to_daemon(folder: MachineFolder) -> None:
    """Most often one is there, and no more than that is to be known."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(folder.socket)
            return
        except OSError:
            from dmtable.cli.machine import ensure_daemon

            ensure_daemon(folder)


def _attach(folder: MachineFolder, file: str, name: str) -> None:
    from dmtable.control.calls import CallError, Calls
    from dmtable.control.wire import SocketTransport

    with SocketTransport(folder.socket) as transport:
        try:
            disk = Calls(transport).attach(file)
        except CallError as error:
            raise UsageError(f"{file} cannot be a disk: {error}") from error
    if name:
        if "/" in name or name in (".", ".."):
            raise UsageError(f"{name!r} cannot be the name of a node in /dev")
        link = f"{folder.dev}/{name}"
        if os.path.islink(link):
            os.unlink(link)
        elif os.path.lexists(link):
            raise UsageError(f"/dev/{name} is there already")
        os.symlink(disk.kernel_name, link)
