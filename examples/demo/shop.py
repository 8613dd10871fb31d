"""The application: a shop that writes a receipt into a file, then the sale into its database. One after the other.

SQLite opens the nodes themselves: `db` is its database, and beside it lies `db-journal`, where it looks for its
rollback journal. With `synchronous=FULL` a commit has returned when both are durable.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

from examples.demo.failure import DemoError
from examples.demo.files import Files

SCHEMA = "CREATE TABLE sale (number INTEGER PRIMARY KEY, receipt TEXT, digest TEXT)"
_PAUSE_SECONDS = 0.02
_PATIENCE_SECONDS = 30.0


def make_database(node: Path, elsewhere: Path) -> None:
    """An empty database on a node. SQLite makes it in a file of its own, for a node cannot grow."""
    with closing(sqlite3.connect(elsewhere)) as connection:
        connection.execute(SCHEMA)
    with open(node, "r+b") as file:
        file.write(elsewhere.read_bytes())
    elsewhere.unlink()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that never deletes its journal: a node stays where it is.

    In the exclusive mode that holds from the first access on, which may roll back what a power loss interrupted.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = PERSIST")
        connection.execute("PRAGMA synchronous = FULL")
        yield connection


class Shop(Thread):
    """Sells until it is closed, or its machine fails. `files` is None where there are no receipts (any more)."""

    def __init__(self, database: Path, files: Files | None) -> None:
        super().__init__(name="shop", daemon=True)
        self._database = database
        self._closing = False
        self.files = files
        self.found = 0
        """The newest sale that the database had when it was opened."""
        self.committed = 0
        """The newest sale whose commit has returned."""
        self.commit_times: list[float] = []
        """As `time.monotonic` has them."""
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            with opened(self._database) as database:
                self.found = self.committed = newest_sale(database)
                while not self._closing:
                    self._sell(database, self.committed + 1)
                    time.sleep(_PAUSE_SECONDS)
        except (OSError, sqlite3.Error, DemoError) as error:
            self.failure = error

    def _sell(self, database: sqlite3.Connection, number: int) -> None:
        name, digest = "", ""
        if self.files is not None:
            name, content = f"receipt-{number}", receipt(number)
            self.files.put(name, content)
            digest = hashlib.sha256(content).hexdigest()
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO sale VALUES (?, ?, ?)", (number, name, digest))
        database.execute("COMMIT")
        self.committed = number
        self.commit_times.append(time.monotonic())

    def close(self) -> None:
        """Ends with the sale under way. Raises DemoError where that does not end."""
        self._closing = True
        self.join(_PATIENCE_SECONDS)
        if self.is_alive():
            raise DemoError("the shop does not close: a write still waits")


def newest_sale(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT coalesce(max(number), 0) FROM sale").fetchone()[0])


def receipt(number: int) -> bytes:
    """What was sold, and then noise, as of a scanned page; the same each time."""
    return f"receipt {number}\n".encode() + random.Random(number).randbytes(24 << 10)
