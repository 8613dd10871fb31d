"""A site behind an NBD server."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from dmtable.runtime.runtime import Runtime
from dmtable.runtime.threads import ThreadRuntime
from dmtable.testing.contracts import SiteBench
from tests.slink.server import NbdServer


class NbdSite(SiteBench):
    """Its disk is an export; taken away, the server is."""

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        self._threads = ThreadRuntime()
        self._plain = plain
        self._folder = tempfile.mkdtemp()
        self._path = Path(self._folder, "nbd")
        self.word = f"nbd+unix:///?socket={self._path}"
        self.server = self._serve()

    @property
    def runtime(self) -> Runtime:
        return self._threads

    def take_away(self) -> None:
        self.server.stop()
        self._path.unlink(missing_ok=True)

    def give_back(self) -> None:
        super().give_back()
        if not self._path.exists():
            self.server = self._serve()

    def close(self) -> None:
        super().close()
        self.take_away()
        self._threads.close()
        shutil.rmtree(self._folder)

    def _serve(self) -> NbdServer:
        return NbdServer(self.disk, str(self._path), plain=self._plain)
