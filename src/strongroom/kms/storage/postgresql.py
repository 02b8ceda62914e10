"""Entries in PostgreSQL, for several servers of which one is active (settled.md, kms).

An advisory lock elects the active server; every write transaction also locks and checks the `term` row, because a lock
alone does not fence a server that was paused while another took over.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from strongroom.errors import BadSettings, Unavailable
from strongroom.kms.domain.ports import Done, Write
from strongroom.kms.storage.committer import Batches, Committer
from strongroom.kms.storage.memory import children

LOCK = 0x5374726F  # advisory lock number: "Stro"
HIGH = "\U0010ffff"
TIMEOUT_MS = 5000  # a statement that takes longer fails
LEADER_SECONDS = 8  # an active server that was not heard of for so long is none
OPTIONS = (
    f"-c statement_timeout={TIMEOUT_MS} -c lock_timeout={TIMEOUT_MS} -c tcp_keepalives_idle=2 "
    "-c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 -c synchronous_commit=on"
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS {table} (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE IF NOT EXISTS {table}_term (
    one integer PRIMARY KEY CHECK (one = 1), term bigint NOT NULL, address text NOT NULL, seen timestamptz NOT NULL);
INSERT INTO {table}_term VALUES (1, 0, '', now()) ON CONFLICT DO NOTHING;
"""


class Fenced(Unavailable):
    """Another server has become active since; nothing was written."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The active server: its term and the address that clients are sent to."""

    term: int
    address: str


def connect(url: str) -> "psycopg.Connection[Any]":
    """Open a connection; raise Unavailable. The message never holds the password."""
    try:
        return psycopg.connect(url, autocommit=True, options=OPTIONS, connect_timeout=5, application_name="strongroom")
    except psycopg.Error as error:
        raise Unavailable(f"PostgreSQL: {type(error).__name__}") from error


class PostgresStore:
    """An EntryStore in one table, with the lock and term that elect the active server.

    Reads run in the caller's thread over one connection (some 0.2 ms on one machine; the cache above answers most).
    """

    kind = "postgresql"

    def __init__(self, url: str, table: str = "strongroom_kms") -> None:
        if not table.isidentifier():
            raise BadSettings(f"storage postgresql: table {table!r} is not a plain name")
        self._url, self._table = url, table
        self._reader = connect(url)
        with psycopg.connect(url, autocommit=True, options=OPTIONS) as connection:
            connection.execute("SELECT pg_advisory_lock(%s, 2)", (LOCK,))  # two servers may start at once
            connection.execute(SCHEMA.format(table=table))
        self._writer: psycopg.Connection[Any] | None = None
        self._lock: psycopg.Connection[Any] | None = None
        self._guard = threading.Lock()
        self.term = 0
        self._committer = Committer(self._commit, "kms-committer")

    def _rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        for last in (False, True):
            try:
                return self._reader.execute(sql.format(table=self._table), values).fetchall()
            except psycopg.Error as error:
                if last or not self._reader.broken:
                    raise Unavailable(f"PostgreSQL: {type(error).__name__}") from error
                self._reader = connect(self._url)
        return []

    def get(self, key: str) -> bytes | None:
        """Return the value, None if there is none; raise Unavailable."""
        rows = self._rows("SELECT value FROM {table} WHERE key=%s", (key,))
        return bytes(rows[0][0]) if rows else None

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        """Return up to limit keys below prefix after `after`, in byte order."""
        sql = "SELECT key FROM {table} WHERE key>=%s AND key<%s AND key>%s ORDER BY key LIMIT %s"
        return [row[0] for row in self._rows(sql, (prefix, prefix + HIGH, after, limit))]

    def names(self, prefix: str) -> list[str]:
        """Return the names directly below prefix; what lies below a folder is skipped, not read."""
        found: list[str] = []
        after = prefix
        while page := self.keys(prefix, after, 256):
            found += children(page, prefix)
            head, slash, _ = page[-1][len(prefix) :].partition("/")
            after = prefix + head + "/" + HIGH if slash else page[-1]
        return sorted(set(found), key=str.encode)

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Yield every entry of one moment, over a connection of its own."""
        try:
            with psycopg.connect(self._url) as connection, connection.cursor("strongroom_dump") as cursor:
                cursor.execute(self._sql("SELECT key, value FROM {table}"))
                for key, value in cursor:
                    yield key, bytes(value)
        except psycopg.Error as error:
            raise Unavailable(f"PostgreSQL: {type(error).__name__}") from error

    def submit(self, writes: Sequence[Write], done: Done) -> None:
        """Queue one atomic batch; it fails with Fenced unless this server is active."""
        self._committer.submit(writes, done)

    def _commit(self, batches: Batches) -> BaseException | None:
        try:
            if self._writer is None or self._writer.broken:
                self._writer = connect(self._url)
            with self._writer.transaction(), self._writer.pipeline():
                term = self._writer.execute(self._sql("SELECT term FROM {table}_term WHERE one=1 FOR SHARE")).fetchone()
                if not self.term or term is None or term[0] != self.term:
                    raise Fenced("another server is active")
                for writes in batches:
                    for write in writes:
                        self._apply(self._writer, write)
        except (psycopg.Error, Unavailable) as error:
            return error if isinstance(error, Unavailable) else Unavailable(f"PostgreSQL: {type(error).__name__}")
        return None

    def _sql(self, text: str) -> Any:
        return text.format(table=self._table)

    def _apply(self, connection: "psycopg.Connection[Any]", write: Write) -> None:
        if write.value is None:
            connection.execute(self._sql("DELETE FROM {table} WHERE key=%s"), (write.key,))
        else:
            sql = "INSERT INTO {table} VALUES (%s,%s) ON CONFLICT (key) DO UPDATE SET value=excluded.value"
            connection.execute(self._sql(sql), (write.key, write.value))

    def acquire(self, address: str) -> bool:
        """Try to become the active server under a new term; False while another one is. Raises Unavailable."""
        with self._guard:
            try:
                if self._lock is None or self._lock.broken:
                    self._lock = connect(self._url)
                row = self._lock.execute("SELECT pg_try_advisory_lock(%s, 1)", (LOCK,)).fetchone()
                if row is None or not row[0]:
                    return False
                sql = "UPDATE {table}_term SET term=term+1, address=%s, seen=now() WHERE one=1 RETURNING term"
                row = self._lock.execute(self._sql(sql), (address,)).fetchone()
                self.term = int(row[0]) if row is not None else 0
                return bool(self.term)
            except psycopg.Error as error:
                self._drop()
                raise Unavailable(f"PostgreSQL: {type(error).__name__}") from error

    def beat(self) -> bool:
        """Say that this server is still active; False when the lock or the term is lost."""
        with self._guard:
            if self._lock is None or not self.term:
                return False
            try:
                sql = "UPDATE {table}_term SET seen=now() WHERE one=1 AND term=%s"
                if self._lock.execute(self._sql(sql), (self.term,)).rowcount == 1:
                    return True
            except psycopg.Error:
                self._drop()
            self.term = 0
            return False

    def release(self) -> None:
        """Be active no longer."""
        with self._guard:
            self.term = 0
            self._drop()

    def _drop(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def leader(self) -> Leader | None:
        """Return the active server, None when none was heard of lately."""
        sql = "SELECT term, address FROM {table}_term WHERE one=1 AND term>0 AND seen>now()-%s*interval '1 second'"
        rows = self._rows(sql, (LEADER_SECONDS,))
        return Leader(int(rows[0][0]), rows[0][1]) if rows and rows[0][1] else None

    def close(self) -> None:
        """Commit what is queued, give the lock back, close the connections."""
        self._committer.close()
        self.release()
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
