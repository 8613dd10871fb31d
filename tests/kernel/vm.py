"""A Linux of its own in QEMU, to ask the real kernel: `record(cases)` plays cases there and returns its answers.

The machine is emulated in software, so that it runs wherever QEMU does. Its root is an initramfs of what Debian has
on this computer: the cloud kernel with its modules, busybox, dmsetup and Python. It takes some ten seconds to
boot, and a second a case.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("qemu-system-x86", "linux-image-cloud-amd64", "busybox-static", "dmsetup", "cpio", "kmod")
"""The Debian packages that this needs."""

_MODULES = (
    "virtio_blk", "loop", "dm-mod", "dm-mirror", "dm-zero", "dm-delay", "dm-flakey", "dm-dust", "dm-snapshot", "dm-log",
)  # fmt: skip
_TESTS = Path(__file__).parent
_SECONDS_TO_BOOT, _SECONDS_A_CASE = 300, 60
_LEFT_OUT = ("site-packages", "dist-packages", "test", "idlelib", "tkinter", "ensurepip", "config-*", "__pycache__")
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
for module in {modules}; do modprobe $module; done
mkdir -p /dev/mapper
export DM_DISABLE_UDEV=1 PYTHONHOME={home}
{python} /guest/guest.py /guest/cases.json > /dev/ttyS1
poweroff -f
"""


class VmError(Exception):
    """The virtual machine cannot run here, or did not answer."""


def record(cases: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The kernel's answers to the steps of each case. Raises VmError."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        kernel = _newest_kernel()
        root = work / "root"
        _Root(root).build(kernel.name.removeprefix("vmlinuz-"), cases)
        image = work / "initramfs"
        with open(image, "wb") as file:
            names = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=file, check=True)
        _boot(kernel, image, work, _SECONDS_TO_BOOT + _SECONDS_A_CASE * len(cases))
        lines = (work / "answers").read_text(errors="replace").splitlines()
        answers = [json.loads(line)["answers"] for line in lines if line.startswith("{")]
        if len(answers) != len(cases):
            console = (work / "console").read_text(errors="replace")[-3000:]
            raise VmError(f"{len(answers)} of {len(cases)} cases were answered; the end of the console:\n{console}")
        return answers


def _newest_kernel() -> Path:
    kernels = sorted(Path("/boot").glob("vmlinuz-*cloud*"))
    if not kernels or not shutil.which("qemu-system-x86_64"):
        raise VmError(f"the kernel runs in QEMU: apt-get install {' '.join(PACKAGES)}")
    return kernels[-1]


def _boot(kernel: Path, image: Path, work: Path, seconds: float) -> None:
    words = ["-machine", "q35,accel=tcg", "-cpu", "max", "-m", "2G", "-display", "none", "-no-reboot"]
    words += ["-kernel", str(kernel), "-initrd", str(image)]
    words += ["-append", "console=ttyS0 quiet loglevel=1 panic=-1 rdinit=/init"]
    words += ["-serial", f"file:{work}/console", "-serial", f"file:{work}/answers"]
    try:
        subprocess.run(["qemu-system-x86_64", *words], check=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except subprocess.SubprocessError as error:
        raise VmError(f"QEMU failed: {error}") from error


class _Root:
    """The files of the machine, copied to where they stand on this computer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, release: str, cases: Sequence[dict[str, Any]]) -> None:
        for name in ("bin", "sbin", "proc", "sys", "dev", "tmp", "guest"):
            (self._folder / name).mkdir(parents=True)
        self._copy(Path("/bin/busybox"))
        self._program(Path(shutil.which("dmsetup", path="/usr/sbin:/sbin") or "dmsetup"), Path("/bin/dmsetup"))
        python = self._python()
        self._modules(release)
        for name in ("guest.py", "patterns.py"):
            shutil.copy(_TESTS / name, self._folder / "guest")
        (self._folder / "guest/cases.json").write_text(json.dumps(cases))
        init = self._folder / "init"
        init.write_text(_INIT.format(modules=" ".join(_MODULES), home=sys.base_prefix, python=python))
        init.chmod(0o755)

    def _python(self) -> Path:
        python = Path(os.path.realpath(sys.executable))
        self._program(python, python)
        library = Path(sysconfig.get_path("stdlib"))
        shutil.copytree(library, self._under(library), ignore=shutil.ignore_patterns(*_LEFT_OUT), dirs_exist_ok=True)
        for extension in library.glob("lib-dynload/*.so"):
            self._libraries(extension)
        return python

    def _modules(self, release: str) -> None:
        for module in _MODULES:
            shown = subprocess.run(
                ["/sbin/modprobe", "-S", release, "--show-depends", module], capture_output=True, text=True
            )
            for line in shown.stdout.splitlines():
                if line.startswith("insmod"):
                    self._copy(Path(line.split()[1]))
        for index in Path("/lib/modules", release).glob("modules.*"):
            self._copy(index)
        subprocess.run(["/sbin/depmod", "-b", str(self._folder), release], check=True, stderr=subprocess.DEVNULL)

    def _program(self, program: Path, at: Path) -> None:
        self._copy(program, at)
        self._libraries(program)

    def _libraries(self, program: Path) -> None:
        needed = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
        for word in needed.split():
            if word.startswith("/") and not self._under(Path(word)).exists():
                self._copy(Path(word))

    def _copy(self, source: Path, at: Path | None = None) -> None:
        target = self._under(at or source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(source), target)

    def _under(self, path: Path) -> Path:
        return self._folder / path.relative_to("/")
