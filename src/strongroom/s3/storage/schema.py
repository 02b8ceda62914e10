"""The tables of the object store and how its databases are opened. Format: docs/formats/store.md, version 1."""

import contextlib
import ctypes
import os
from pathlib import Path

import apsw

from strongroom.errors import BadSettings

FORMAT = 1
APPLICATION_ID = 0x53524D31  # "SRM1"
BUSY_MILLISECONDS = 10_000  # how long SQLite itself waits; turns (turns.py) make it rare
CACHE_KIB = 8 * 1024  # page cache of one connection
HEAP = 48 * 1024 * 1024  # bytes of SQLite in this process above which connections reuse their own cached pages

LOG_LIMIT = 64 * 1024 * 1024  # bytes that a log keeps when it starts anew; the last connection leaves it empty

PRAGMAS = (
    ("page_size", 4096),
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("wal_autocheckpoint", 0),
    ("journal_size_limit", LOG_LIMIT),
    ("cache_size", -CACHE_KIB),
    ("temp_store", "MEMORY"),
    ("trusted_schema", "OFF"),
)

SYSTEM = """
CREATE TABLE buckets(
    name TEXT PRIMARY KEY, uuid TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE generations(number INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, ended INTEGER);
"""

# A body is the last column: reading the ones before it touches no overflow page. The listing index covers a whole
# page of S3's listing (architecture.md 4b: 1.7 ms cold, against 14-84 ms with the rows).
BUCKET = """
CREATE TABLE bucket(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL, uuid TEXT NOT NULL, created INTEGER NOT NULL,
    versioning TEXT NOT NULL, object_lock INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, revision INTEGER NOT NULL DEFAULT 1, next_seq INTEGER NOT NULL DEFAULT 1,
    objects INTEGER NOT NULL DEFAULT 0, versions INTEGER NOT NULL DEFAULT 0, markers INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0, stored INTEGER NOT NULL DEFAULT 0,
    uploads INTEGER NOT NULL DEFAULT 0, upload_stored INTEGER NOT NULL DEFAULT 0);
CREATE TABLE config(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE versions(
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL, version TEXT, marker INTEGER NOT NULL,
    size INTEGER NOT NULL, stored INTEGER NOT NULL, modified INTEGER NOT NULL, etag BLOB NOT NULL,
    tags BLOB NOT NULL, lock BLOB NOT NULL, file TEXT, parts BLOB,
    crc INTEGER NOT NULL, sealed_by TEXT NOT NULL, meta BLOB NOT NULL, body BLOB);
CREATE UNIQUE INDEX listing ON versions(key, seq DESC, version, marker, size, modified, etag);
CREATE TABLE uploads(
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL, upload TEXT NOT NULL, started INTEGER NOT NULL, meta BLOB NOT NULL);
CREATE UNIQUE INDEX uploads_by_key ON uploads(key, seq);
CREATE TABLE parts(
    seq INTEGER PRIMARY KEY, upload INTEGER NOT NULL, number INTEGER NOT NULL,
    size INTEGER NOT NULL, stored INTEGER NOT NULL, etag BLOB NOT NULL, modified INTEGER NOT NULL,
    meta BLOB NOT NULL, crc INTEGER NOT NULL, file TEXT, body BLOB);
CREATE UNIQUE INDEX parts_by_number ON parts(upload, number);
CREATE TABLE seals(
    name TEXT PRIMARY KEY, versions INTEGER NOT NULL, size INTEGER NOT NULL, objects INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files(name TEXT PRIMARY KEY, stored INTEGER NOT NULL) WITHOUT ROWID;
"""


def connect(path: Path, *, create: bool = False, vfs: str | None = None) -> apsw.Connection:
    """Open a database that exists, or make an empty one; raise apsw.CantOpenError.

    Checkpoints are the caller's (checkpoints.py): automatic ones make one commit in a thousand 10 times slower.
    """
    if create:
        _make(path)
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs, statementcachesize=300)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    for name, value in PRAGMAS:
        connection.pragma(name, value)
    _keep_log(connection)
    return connection


def _keep_log(connection: apsw.Connection) -> None:
    """Leave the log's files where they are, empty, at the last close: making them is most of what opening costs.

    100 buckets are opened in 11 ms instead of 50.
    """
    on = ctypes.c_int(1)
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(on))


def _make(path: Path) -> None:
    """Make an empty file that nobody else can read, whatever the folder's mode; its log gets the same mode.

    One that is there is not touched: closing any descriptor of it would drop the locks that SQLite holds.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def limit_memory() -> None:
    """Bound what the caches of all connections take: 60 busy buckets had 1 GB without it, 130 MB with it."""
    apsw.soft_heap_limit(HEAP)


def create_tables(connection: apsw.Connection, tables: str) -> None:
    """Lay out an empty database, all or nothing."""
    connection.execute(
        f"BEGIN IMMEDIATE; {tables}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT"
    )


def check_format(connection: apsw.Connection, path: Path) -> None:
    """Raise BadSettings when the database is not ours or newer than this program."""
    if connection.pragma("application_id") != APPLICATION_ID:
        raise BadSettings(f"{path} is not a database of strongroom s3")
    if connection.pragma("user_version") != FORMAT:
        found = connection.pragma("user_version")
        raise BadSettings(f"{path} has format {found}, this program knows {FORMAT}: use a newer strongroom")
