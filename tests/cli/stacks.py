"""Tables as files, for the commands that look through stacks of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

STACK = {
    "lv": "0 4096 striped 2 16 /dev/sda 0 /dev/sdb 128\n",
    "top": "0 1024 linear /dev/mapper/lv 8\n1024 8 zero\n1032 100 crypt aes k 0 /dev/sda 0\n",
}


def written(folder: Path, tables: Mapping[str, str]) -> list[str]:
    """The paths of files NAME.table with these texts, in the order of the mapping."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, text in tables.items():
        path = folder / f"{name}.table"
        path.write_text(text)
        paths.append(str(path))
    return paths


def disks(folder: Path, **sectors: int) -> Path:
    """A root folder with image files /dev/NAME of these sizes."""
    (folder / "dev").mkdir(parents=True)
    for name, count in sectors.items():
        (folder / "dev" / name).write_bytes(bytes(count * 512))
    return folder
