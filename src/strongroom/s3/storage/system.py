"""system.db: bucket names, generations and the server's own entries; and the counter of changes that workers share."""

import fcntl
import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import apsw

from strongroom.errors import NotFound
from strongroom.s3.domain.ports import BucketExists
from strongroom.s3.storage import order, schema
from strongroom.s3.storage.folders import sync_folder
from strongroom.s3.storage.rows import Row

_COUNTER = struct.Struct("<Q")


class ChangeCounter:
    """Eight bytes mapped by every worker process. Reading them is a load from memory."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._descriptor).st_size < _COUNTER.size:
            os.ftruncate(self._descriptor, _COUNTER.size)
        self._map = mmap.mmap(self._descriptor, _COUNTER.size)
        self._using = threading.Lock()

    def value(self) -> int:
        """Return the counter."""
        number: int = _COUNTER.unpack_from(self._map)[0]
        return number

    def bump(self) -> None:
        """Add one, for all processes."""
        with self._using:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                _COUNTER.pack_into(self._map, 0, self.value() + 1)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Named:
    """What a bucket name means: a folder, and how often its configuration has changed."""

    uuid: str
    changed: int


class SystemDb:
    """The database of a server. Every method may block for a moment, and may come from any thread."""

    def __init__(self, folder: Path) -> None:
        """Open or make DIR/system.db; raise BadSettings for a format we do not know."""
        path = folder / "system.db"
        new = not path.exists()
        self._connection = schema.connect(path, create=True)
        if new or self._connection.pragma("user_version") == 0:
            schema.create_tables(self._connection, schema.SYSTEM)
            sync_folder(folder)
        schema.check_format(self._connection, path)
        self._connection.pragma("wal_autocheckpoint", 1000)  # writes are rare here
        self._using = threading.Lock()
        self._changes = ChangeCounter(folder / "changes")

    def changes(self) -> int:
        """Return the counter of changes."""
        return self._changes.value()

    def bump(self) -> None:
        """Raise the counter of changes."""
        self._changes.bump()

    def _write(self, statement: str, values: tuple[str | int | bytes | None, ...]) -> int:
        """Run one statement durably; return the rows it changed. Raise apsw.Error."""
        with self._using:
            before = self._connection.total_changes()
            self._connection.execute(statement, values)
            return self._connection.total_changes() - before

    def _read(self, statement: str, values: tuple[str | int | bytes, ...] = ()) -> list[Row]:
        with self._using:
            return self._connection.execute(statement, values).fetchall()

    # Generations

    def begin_generation(self) -> int:
        """Take a number that no process had before."""
        with self._using:
            self._connection.execute("INSERT INTO generations(started) VALUES (?)", (time.time_ns(),))
            return self._connection.last_insert_rowid()

    def end_generations(self, numbers: list[int]) -> None:
        """Note that nothing of these generations is left to clean up."""
        for number in numbers:
            self._write("UPDATE generations SET ended = ? WHERE number = ?", (time.time_ns(), number))

    def open_generations(self) -> list[int]:
        """Return the generations that have not ended in order: running ones, and those that crashed."""
        return [int(row[0]) for row in self._read("SELECT number FROM generations WHERE ended IS NULL ORDER BY number")]

    # Buckets

    def touch_bucket(self, name: str) -> None:
        """Note that a bucket's configuration has changed."""
        self._write("UPDATE buckets SET changed = changed + 1 WHERE name = ?", (name,))
        self.bump()

    def touch_all(self) -> None:
        """Note that any bucket may have changed: a process may have crashed before it could say so."""
        self._write("UPDATE buckets SET changed = changed + 1", ())
        self.bump()

    def add_bucket(self, name: str, uuid: str, created: int) -> None:
        """Give a name to a folder; raise BucketExists."""
        try:
            self._write("INSERT INTO buckets VALUES (?, ?, ?, 0)", (name, uuid, created))
        except apsw.ConstraintError as error:
            raise BucketExists(name) from error
        self.bump()

    def remove_bucket(self, name: str, uuid: str) -> None:
        """Take the name away, if it still means this folder."""
        self._write("DELETE FROM buckets WHERE name = ? AND uuid = ?", (name, uuid))
        self.bump()

    def buckets(self) -> dict[str, Named]:
        """Return all names, in order, and what they mean."""
        found: list[Row] = self._read("SELECT name, uuid, changed FROM buckets ORDER BY name")
        return {name: Named(uuid, changed) for name, uuid, changed in found}

    # Entries

    def load(self, name: str) -> bytes:
        """Return an entry; raise NotFound."""
        with self._using:
            row = self._connection.execute("SELECT value FROM entries WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFound(name)
        value: bytes = row[0]
        return value

    def save(self, name: str, value: bytes) -> None:
        """Store an entry."""
        self._write("INSERT OR REPLACE INTO entries VALUES (?, ?)", (name, bytes(value)))
        self.bump()

    def remove(self, name: str) -> None:
        """Forget an entry."""
        self._write("DELETE FROM entries WHERE name = ?", (name,))
        self.bump()

    def names(self, prefix: str) -> list[str]:
        """Return the names that start with prefix, in byte order."""
        end = order.successor(prefix)
        statement = "SELECT name FROM entries WHERE name >= ? AND name < ? ORDER BY name"
        return [row[0] for row in self._read(statement, (prefix, b"" if end is None else end))]

    def close(self) -> None:
        """Let go of the database."""
        with self._using:
            self._connection.close()
            self._changes.close()
