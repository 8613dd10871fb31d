"""Tokyo's disks as somebody there would find them: copies are looked at, so that nothing is changed."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from examples.demo.failure import DemoError
from examples.demo.measures import Measures
from examples.demo.programs import run
from examples.demo.shop import newest_sale, opened

_CLEAN_OR_MENDED = (0, 1)


@dataclass(frozen=True, slots=True)
class Found:
    """Sales 1 to `sales` are in the database, and the receipts of so many are whole."""

    sales: int
    receipts: int


def look(disks: Path, place: Path, measures: Measures, *, has_files: bool) -> Found:
    """Raises DemoError where the file system or the database is damaged, or where one lacks what the other implies."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    files = place / "files"
    files.mkdir()
    if has_files:
        _look_at_files(disks / "vol0", place / "vol0", files)
    sales = _look_at_database(disks / "vol1", place, measures)
    receipts = [(name, digest) for _, name, digest in sales if name and has_files]
    for name, digest in receipts:
        path = files / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise DemoError(f"{name} is in the database, but not whole in the file system")
    return Found(len(sales), len(receipts))


def _look_at_files(disk: Path, copy: Path, files: Path) -> None:
    shutil.copyfile(disk, copy)
    # As at boot after a power loss: the journal is replayed, and nothing that takes a decision is mended.
    run("e2fsck", "-p", copy, fine=_CLEAN_OR_MENDED)
    run("e2fsck", "-fn", copy)
    run("debugfs", "-R", f"rdump / {files}", copy)


def _look_at_database(disk: Path, place: Path, measures: Measures) -> list[tuple[int, str, str]]:
    image = disk.read_bytes()
    end = (measures.volume - measures.journal) << 9
    (place / "db").write_bytes(image[:end])
    (place / "db-journal").write_bytes(image[end:])
    with opened(place / "db") as database:
        [(verdict,)] = database.execute("PRAGMA integrity_check").fetchall()
        if verdict != "ok":
            raise DemoError(f"SQLite's integrity_check says: {verdict}")
        sales = database.execute("SELECT number, receipt, digest FROM sale ORDER BY number").fetchall()
        if [number for number, _, _ in sales] != list(range(1, newest_sale(database) + 1)):
            raise DemoError("sales are missing in the middle")
        return sales
