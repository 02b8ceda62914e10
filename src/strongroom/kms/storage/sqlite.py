"""Entries in one SQLite file, kms.db: WAL, synchronous=FULL, group commit by a committer thread.

Deleting with `erase` leaves no byte of the entry in the files: secure_delete overwrites the cell, and the WAL is
checkpointed and truncated before the batch is called durable (what a disk may still keep: docs/security/limitations).
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw

from strongroom.errors import BadSettings, Unavailable
from strongroom.kms.domain.ports import Done, Write
from strongroom.kms.storage.committer import Batches, Committer
from strongroom.kms.storage.memory import children

FILE = "kms.db"
FOREIGN = ("core", "sys", "logical")  # folders of another program's file storage (settled.md, kms)
CHECKPOINT_PAGES = 4000  # WAL pages after which the committer checkpoints (architecture.md 4c)
FIRST_PAGE, LARGE_PAGE = 64, 4096  # keys of a page: where folders may be skipped, among plain names
ROWS = 100  # rows in one statement at most
PUT = ("INSERT INTO entries VALUES ", "(?,?)", " ON CONFLICT DO UPDATE SET value=excluded.value")
DELETE = ("DELETE FROM entries WHERE key IN (", "?", ")")
HIGH = "\U0010ffff"


def open_folder(path: Path) -> Path:
    """Make the folder (0700) and return kms.db's path in it; raise BadSettings when it is another program's store."""
    found = [name for name in FOREIGN if (path / name).is_dir()]
    if found:
        raise BadSettings(f"{path} holds another program's store ({found[0]}/); use `kms import` to copy from it")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(f"storage path {path}: {error.strerror}") from error
    return path / FILE


def connect(path: Path) -> apsw.Connection:
    """Open kms.db with the settings that durability and erasure rest on; raise BadSettings."""
    try:
        _make(path)
        connection = apsw.Connection(str(path))
        connection.setbusytimeout(5000)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA journal_size_limit=0")
        return connection
    except (OSError, apsw.Error) as error:
        raise BadSettings(f"storage file {path}: {error}") from error


def _make(path: Path) -> None:
    """Make an empty file that is ours alone. One that is there is not touched: closing any descriptor of a file drops
    the locks that SQLite holds on it, and the next visitor who closes the database would remove its log under us."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


class SqliteStore:
    """An EntryStore in one file; a single process owns it."""

    def __init__(self, path: Path, kind: str = "sqlite") -> None:
        self.kind = kind
        self.path = path
        self._reader = connect(path)
        self._lock()
        self._writer = connect(path)
        self._writer.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
        self._broken: BaseException | None = None
        self._dumping = threading.Lock()
        self._erasing = False  # an erasure could not truncate the WAL yet
        self._committer = Committer(self._commit, "kms-committer")

    def _lock(self) -> None:
        """Keep a second server off the file; the lock goes with the process."""
        import fcntl

        self._lock_file = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_file)
            self._reader.close()
            raise BadSettings(f"{self.path} is in use by another server") from error

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none; raise Unavailable."""
        try:
            row = self._reader.execute("SELECT value FROM entries WHERE key=?", (key,)).fetchone()
        except apsw.Error as error:
            raise Unavailable(f"storage: {error}") from error
        return None if row is None else bytes(row[0])

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return up to limit keys below prefix after `after`, in byte order."""
        # one lower bound: of two SQLite seeks to the first and walks, so that n pages would cost n * n
        sql = f"SELECT key FROM entries WHERE key{'>' if after >= prefix else '>='}? AND key<? ORDER BY key LIMIT ?"  # noqa: S608
        try:
            return [row[0] for row in self._reader.execute(sql, (max(after, prefix), prefix + HIGH, limit))]
        except apsw.Error as error:
            raise Unavailable(f"storage: {error}") from error

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below prefix: one index seek per name, whatever lies below a folder."""
        names: set[str] = set()
        after, size = prefix, FIRST_PAGE
        while page := self.keys(prefix, after, size):
            names.update(children(page, prefix))
            last = page[-1]
            head, slash, _ = last[len(prefix) :].partition("/")
            after, size = (prefix + head + "/" + HIGH, FIRST_PAGE) if slash else (last, LARGE_PAGE)
        return sorted(names, key=str.encode)

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Yield every entry of one moment, over a connection of its own."""
        with self._dumping:
            connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                for key, value in connection.execute("SELECT key, value FROM entries"):
                    yield key, bytes(value)
            finally:
                connection.close()

    def submit(self, writes: Sequence[Write], done: Done) -> None:
        """Queue one atomic batch for the committer."""
        self._committer.submit(writes, done)

    def close(self) -> None:
        """Commit what is queued, checkpoint, close both connections."""
        self._committer.close()
        with contextlib.suppress(apsw.Error):  # the WAL is read again at the next start
            self._checkpoint("TRUNCATE")
        for connection in (self._reader, self._writer):
            connection.close()
        os.close(self._lock_file)

    def _commit(self, batches: Batches) -> BaseException | None:
        """Apply the batches in one transaction; after a failure nothing is written any more (a lost fsync)."""
        if self._broken is not None:
            return self._broken
        last = {write.key: write for writes in batches for write in writes}  # one transaction: the last one counts
        try:
            with self._writer:
                self._apply([write for write in last.values() if write.value is not None], PUT)
                self._apply([write for write in last.values() if write.value is None], DELETE)
            erase = any(write.erase for writes in batches for write in writes)
            if erase or self._erasing:
                self._erase()
            elif self._pages() > CHECKPOINT_PAGES:
                self._checkpoint("PASSIVE")
        except (apsw.Error, OSError) as error:
            self._broken = error
            return error
        return None

    def _apply(self, writes: list[Write], sql: tuple[str, str, str]) -> None:
        """Run one statement for many rows: each statement lets go of the interpreter's lock and waits for it again."""
        head, row, tail = sql
        for start in range(0, len(writes), ROWS):
            part = writes[start : start + ROWS]
            values = [
                value for write in part for value in ((write.key, write.value) if row == "(?,?)" else (write.key,))
            ]
            self._writer.execute(head + ",".join([row] * len(part)) + tail, values)

    def _pages(self) -> int:
        size = os.stat(f"{self.path}-wal").st_size
        return size // 4096

    def _erase(self) -> None:
        """Truncate the WAL. A backup that runs is waited for; a foreign reader leaves the rest to the next commit."""
        with self._dumping:
            self._erasing = not self._checkpoint("TRUNCATE")

    def _checkpoint(self, mode: str) -> bool:
        """Move the WAL into the database; True when nothing kept it from all of it."""
        row = self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return row is not None and not row[0]
