"""The tables of the slides at work: image files in a folder, two mds on them, I/O, and a picture.

python examples/slides.py [FOLDER]; `make demo` shows it where volumes cannot be files.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import dmtable
from dmtable.cli.main import main as command

# "maps sectors 0-1023 of md to /dev/sda1 at offset sector 40 … and sectors 1024-3071 onto 2 stripes"
LINEAR_STRIPED = """\
0 1024 linear /dev/sda1 40
1024 2048 striped 2 64 /dev/sda1 1064 /dev/sdb1 0
"""
ZERO_ERROR = """\
0 1024 zero
1024 1000 error
"""
IMAGE_BYTES = 2 << 20


def main(folder: Path) -> int:
    root = folder / "root"
    for disk in ("sda1", "sdb1"):
        path = root / "dev" / disk
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as image:
            image.truncate(IMAGE_BYTES)
    tables = {"data": LINEAR_STRIPED, "holes": ZERO_ERROR}
    for name, text in tables.items():
        (folder / f"{name}.dm").write_text(text)
    print(f"Two image files stand in for the disks: {root}/dev/sda1 and sdb1.\n")

    with dmtable.DeviceMapper(root=root) as dm:
        data, holes = (dm.create(name, text) for name, text in tables.items())
        message = b"written through linear and both stripes\n".ljust(512, b".")
        for sector in (0, 1023, 1024, 1088, 3071):
            data.pwrite(message, sector * 512)
        data.flush()
        print(
            f"{data.name}: {data.size_bytes // 512} sectors; wrote and read back "
            f"{sum(data.pread(512, s * 512) == message for s in (0, 1023, 1024, 1088, 3071))} of 5 sectors"
        )
        print(f"{holes.name}: sector 0 reads as {'zeroes' if not any(holes.pread(512, 0)) else 'data'}", end="; ")
        try:
            holes.pread(512, 1024 * 512)
        except OSError as error:
            print(f"sector 1024 fails: {error.strerror}")

    print("\nWhere sector 1088 of `data` lies, and the mapping as a tree:\n")
    sources = [f"{name}={folder}/{name}.dm" for name in tables]
    run("where", "--root", str(root), *sources, "data", "1088")
    print()
    run("graph", "--root", str(root), *sources)
    picture = folder / "mapping.svg"
    with picture.open("w") as file, contextlib.redirect_stdout(file):
        run("graph", "--format", "svg", "--root", str(root), *sources)
    print(f"\nThe same as a picture: {picture}")
    return 0


def run(*argv: str) -> None:
    if (status := command(argv)) != 0:
        sys.exit(status)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
