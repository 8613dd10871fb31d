"""Whose folder it is: made for its owner alone, and never one that others can change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dmtable.control.folder import MachineFolder, machine_folder
from dmtable.errors import UsageError
from tests.daemon.machines import TestedMachine


def mode(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_all_is_the_owners_alone(machine: TestedMachine) -> None:
    machine.start()
    folder = machine.folder
    assert mode(folder.path) == 0o700
    assert {mode(path) for path in (folder.socket, folder.pid, folder.log)} == {0o600}


@pytest.mark.parametrize("bits", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_change_is_refused(tmp_path: Path, bits: int) -> None:
    os.chmod(tmp_path, bits)
    with pytest.raises(UsageError, match="must be a folder that you alone can change"):
        MachineFolder(str(tmp_path)).make()
    assert os.listdir(tmp_path) == []


def test_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir(0o700)
    (tmp_path / "link").symlink_to(mine)
    folder = machine_folder(str(tmp_path / "link"))
    with pytest.raises(UsageError, match="must be a folder that you alone can change"):
        folder.make()
    assert os.listdir(mine) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(0o700)
    os.chown(theirs, 65534, 65534)
    with pytest.raises(UsageError, match="must be a folder that you alone can change"):
        MachineFolder(str(theirs)).exists()


def test_where_it_is_unless_told() -> None:
    uid = os.geteuid()
    own = "/run/dmtable" if uid == 0 else f"/tmp/dmtable-{uid}"
    assert machine_folder(None, {}).path == os.path.realpath(own)
    assert machine_folder(None, {"XDG_RUNTIME_DIR": "/x"}).path == "/x/dmtable"
    assert machine_folder(None, {"XDG_RUNTIME_DIR": "/x", "DMTABLE_DIR": "/y/z"}).path == "/y/z"
    assert machine_folder("/t", {"DMTABLE_DIR": "/y/z"}).path == "/t"
