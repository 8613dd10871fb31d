"""Plays cases on the kernel that it runs on: `guest.py CASES.json`, an answer to each case as a line of JSON.

It is the only user of a virtual machine that vm.py boots; it runs there as root, with the standard library and
patterns.py beside it. The format is described in fixtures/kernel/README.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EAGAIN, EPIPE
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from patterns import SECTOR_BYTES, Runs, content, origin, payload, substitute  # type: ignore[import-not-found]

Answer = dict[str, Any]

_LOOP_SET_FD, _LOOP_CLR_FD = 0x4C00, 0x4C01
_PATIENCE_SECONDS = 4
_LOG_SECONDS = 0.01
"""How long the kernel's log may lag behind."""
_READ_SECTORS = 8
_DISKS = Path("/tmp/disks")


def main(cases: list[dict[str, Any]]) -> None:
    _DISKS.mkdir(exist_ok=True)
    log = KernelLog()
    for case in cases:
        with attached(case.get("disks", {})):
            log.read()
            answers = []
            for step in case["steps"]:
                answer = in_time(step)
                time.sleep(_LOG_SECONDS)
                if lines := log.read():
                    answer["klog"] = lines
                answers.append(answer)
            print(json.dumps({"id": case["id"], "answers": answers}), flush=True)
            remove_everything()


class KernelLog:
    """What device-mapper writes to the kernel's log."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> list[str]:
        """The lines since the last call."""
        lines: list[str] = []
        while True:
            try:
                record = os.read(self._fd, 8192)
            except OSError as error:
                if error.errno == EAGAIN:
                    return lines
                if error.errno == EPIPE:
                    continue  # Records were overwritten before we came.
                raise
            text = record.partition(b";")[2].partition(b"\n")[0].decode(errors="replace")
            if "device-mapper" in text:
                lines.append(text)


@contextmanager
def attached(disks: Mapping[str, int]) -> Iterator[None]:
    """The disks of a case, as loop devices over files in memory."""
    for name, sectors in disks.items():
        path = _DISKS / name
        path.write_bytes(content(name, sectors))
        with open(path, "r+b") as backing, open(f"/dev/loop{name[1:]}", "r+b", buffering=0) as loop:
            fcntl.ioctl(loop, _LOOP_SET_FD, backing.fileno())
    try:
        yield
    finally:
        for name in disks:
            with open(f"/dev/loop{name[1:]}", "r+b", buffering=0) as loop:
                fcntl.ioctl(loop, _LOOP_CLR_FD)


def remove_everything() -> None:
    """Whatever a case left; what is in use goes once its users are gone."""
    for words in (["remove_all", "--force"], ["remove_all"]) * 5:
        if "No devices found" in subprocess.run(["dmsetup", "ls"], capture_output=True, text=True).stdout:
            return
        in_time(["dmsetup", *words])


def in_time(step: list[Any]) -> Answer:
    """The answer of a step that a process of its own plays; it is killed where there is none in time."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=play_and_send, args=(step, sender), daemon=False)
    process.start()
    if not receiver.poll(_PATIENCE_SECONDS):
        process.kill()
        return {"blocked": True}
    answer: Answer = receiver.recv()
    process.join()
    return answer


def play_and_send(step: list[Any], sender: Connection) -> None:
    try:
        sender.send(play(*step))
    except Exception as error:
        sender.send({"exception": f"{type(error).__name__}: {error}"})


def play(kind: str, *words: Any) -> Answer:
    answer: Answer = _STEPS[kind](*words)
    return answer


def dmsetup(*words: Any) -> Answer:
    stdin = ""
    if words and isinstance(words[-1], dict):
        stdin = substitute(words[-1]["stdin"])
        words = words[:-1]
    done = subprocess.run(["dmsetup", *map(substitute, words)], input=stdin, capture_output=True, text=True)
    return {"rc": done.returncode, "out": done.stdout, "err": done.stderr}


def read_map(name: str) -> Answer:
    fd = os.open(f"/dev/mapper/{name}", os.O_RDONLY | os.O_DIRECT)
    sectors = os.lseek(fd, 0, os.SEEK_END) // SECTOR_BYTES
    page = mmap.mmap(-1, _READ_SECTORS * SECTOR_BYTES)
    runs = Runs()
    for at in range(0, sectors, _READ_SECTORS):
        count = min(_READ_SECTORS, sectors - at)
        try:
            os.preadv(fd, [memoryview(page)[: count * SECTOR_BYTES]], at * SECTOR_BYTES)
        except OSError:
            runs.add("error", 0, count)
            continue
        for begin in range(0, count * SECTOR_BYTES, SECTOR_BYTES):
            runs.add(*origin(page[begin : begin + SECTOR_BYTES]))
    return {"sectors": sectors, "runs": runs.runs}


def write(name: str, sector: int, count: int, seed: str) -> Answer:
    fd = os.open(f"/dev/mapper/{name}", os.O_RDWR | os.O_DIRECT)
    pages = mmap.mmap(-1, count * SECTOR_BYTES)
    pages[:] = payload(seed, count * SECTOR_BYTES)
    try:
        written = os.pwrite(fd, pages, sector * SECTOR_BYTES)
        os.fsync(fd)
    except OSError as error:
        return {"errno": error.errno, "error": os.strerror(error.errno or 0)}
    return {"written": written}


def digest(disk: str) -> Answer:
    return {"sha256": hashlib.sha256((_DISKS / disk).read_bytes()).hexdigest()}


def dump(disk: str, sector: int, count: int) -> Answer:
    begin = sector * SECTOR_BYTES
    return {"hex": (_DISKS / disk).read_bytes()[begin : begin + count * SECTOR_BYTES].hex()}


def sleep(seconds: float) -> Answer:
    time.sleep(seconds)
    return {}


_STEPS = {"dmsetup": dmsetup, "map": read_map, "write": write, "digest": digest, "dump": dump, "sleep": sleep}

if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main(json.loads(Path(sys.argv[1]).read_text()))
