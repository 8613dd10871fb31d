"""What an earlier demo left in its folder, should it have been killed: taken away before a new one begins."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from examples.demo.failure import DemoError
from examples.demo.primary import Primary
from examples.demo.programs import find, run

_OURS = ("disks", "tables", "machine", "files", "found", "timeline.svg")


def clear(folder: Path, primary: Primary) -> None:
    """Ends daemon, mounts and loop devices of the folder, and deletes what the demo makes there, and nothing else."""
    if folder.is_dir():
        primary.lose_power()
        files = folder / "files"
        if files.is_mount():
            run("umount", files)
        for loop in _loops_on(folder):
            run("losetup", "--detach", loop)
        primary.switch_off()
        if Path(primary.machine.mapper).is_mount():
            raise DemoError(f"{primary.machine.mapper} is still mounted, and in use")
        for name in _OURS:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


def _loops_on(folder: Path) -> list[str]:
    if find("losetup") is None:
        return []
    with suppress(DemoError, ValueError):
        listed = run("losetup", "--list", "--json", "--output", "NAME,BACK-FILE")
        devices = json.loads(listed)["loopdevices"] if listed else []
        return [each["name"] for each in devices if str(each["back-file"]).startswith(f"{folder}/machine/")]
    return []
