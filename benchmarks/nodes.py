"""Device nodes against the FUSE export of qemu-storage-daemon, for the same file, by fio: one job, direct I/O."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.measure import Row
from dmtable.core.device_mapper import DeviceMapper
from dmtable.errors import UsageError
from dmtable.io.file import FileDevice
from dmtable.nodes.nodes import Nodes

IMAGE_BYTES = 64 << 20
ROUNDS = 7
RUN_SECONDS = 0.5
GOAL = 1.0
_QEMU = "qemu-storage-daemon"
_KINDS = {
    "4 KiB random reads through a node": ("randread", 4 << 10),
    "4 KiB random writes through a node": ("randwrite", 4 << 10),
    "256 KiB reads through a node": ("read", 256 << 10),
    "256 KiB writes through a node": ("write", 256 << 10),
}


def rows() -> list[Row]:
    missing = [name for name in (_QEMU, "fio") if shutil.which(name) is None]
    missing += [path for path in ("/dev/fuse", "/dev/shm") if not os.path.exists(path)]
    if missing:
        print(f"nodes: skipped, for there is no {', no '.join(missing)}", file=sys.stderr)
        return []
    try:
        return _measured()
    except UsageError as error:
        print(f"nodes: skipped: {error}", file=sys.stderr)
        return []


def _measured() -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        image = folder / "image"
        image.write_bytes(os.urandom(1 << 20) * (IMAGE_BYTES >> 20))
        mapper = stack.enter_context(DeviceMapper())
        mapper.add(FileDevice(image), "/dev/loop0")
        mapper.create("vol", f"0 {IMAGE_BYTES >> 9} linear /dev/loop0 0")
        stack.enter_context(Nodes(mapper, folder / "mapper"))
        node, export = folder / "mapper" / "vol", stack.enter_context(_export(image, folder / "export"))
        ratios: dict[str, list[float]] = {what: [] for what in _KINDS}
        for _ in range(ROUNDS):
            for what, (kind, size) in _KINDS.items():
                ratios[what].append(_rate(node, kind, size) / _rate(export, kind, size))
        return [Row(what, _QEMU, statistics.median(found), GOAL, at_least=True) for what, found in ratios.items()]


@contextmanager
def _export(image: Path, mount_point: Path) -> Iterator[Path]:
    """The image as a file of QEMU's."""
    mount_point.touch()
    words = [_QEMU, "--blockdev", f"driver=raw,node-name=raw,file.driver=file,file.filename={image}"]
    words += ["--export", f"type=fuse,id=export,node-name=raw,mountpoint={mount_point},writable=on"]
    with subprocess.Popen(words) as daemon:
        try:
            while not mount_point.stat().st_size:
                if daemon.poll() is not None:
                    raise UsageError(f"{_QEMU} cannot export by FUSE")
                time.sleep(0.05)
            yield mount_point
        finally:
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _rate(path: Path, kind: str, size_bytes: int) -> float:
    """Requests a second."""
    words = ["fio", "--name=job", f"--filename={path}", "--ioengine=psync", "--direct=1", f"--rw={kind}"]
    words += [f"--bs={size_bytes}", f"--size={IMAGE_BYTES}", "--time_based", f"--runtime={RUN_SECONDS * 1000:.0f}ms"]
    words += ["--allow_file_create=0", "--output-format=json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    job = json.loads(done.stdout)["jobs"][0]
    return float(job["read" if "read" in kind else "write"]["iops"])
