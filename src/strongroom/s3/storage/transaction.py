"""One transaction on a bucket: its state read at the start, its totals written at the end, files to unlink after."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import apsw

from strongroom.s3.domain.ports import Check, NoSuchBucket
from strongroom.s3.domain.records import NULL_VERSION, OBJECT_LOCK, VERSIONING, BucketRecord, BucketUsage, ObjectVersion
from strongroom.s3.storage import rows, settings
from strongroom.s3.storage.rows import Row

STATE = (
    "name, uuid, created, versioning, object_lock, deleted, revision, next_seq, "
    "objects, versions, markers, size, stored, uploads, upload_stored"
)
TOTALS = ("objects", "versions", "markers", "size", "stored", "uploads", "upload_stored")
_SAVE = f"UPDATE bucket SET next_seq = ?, {', '.join(f'{name} = ?' for name in TOTALS)}"  # noqa: S608
_COUNT_SEAL = (
    "INSERT INTO seals VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
    "versions = versions + excluded.versions, size = size + excluded.size, objects = objects + excluded.objects"
)
_NEWEST = f"SELECT {rows.VERSION} {rows.OF_NEWEST}"
_BY_ID = f"SELECT {rows.VERSION} FROM versions WHERE key = ? AND version IS ? LIMIT 1"  # noqa: S608


@dataclass(slots=True)
class Known:
    """A bucket's configuration as of a revision, kept between transactions."""

    revision: int = 0
    record: BucketRecord = field(default_factory=lambda: BucketRecord("", "", 0))


def read_record(connection: apsw.Connection, known: Known) -> tuple[Row, bool]:
    """Read the bucket row and bring known up to date; return the row and whether the bucket is deleted."""
    state: Row = connection.execute(f"SELECT {STATE} FROM bucket").get  # noqa: S608
    if state[6] != known.revision:
        documents: list[Row] = connection.execute("SELECT name, value FROM config").fetchall()
        name, uuid_text, created, versioning, object_lock = state[:5]
        config: dict[str, bytes] = dict(documents)
        known.record = BucketRecord(name, uuid_text, created, versioning, bool(object_lock), config)
        known.revision = state[6]
    return state, bool(state[5])


def usage(state: Row) -> BucketUsage:
    """Return the totals of a bucket row."""
    return BucketUsage(*state[8:])


class Transaction:
    """What the writes of one group share. Their functions refuse (raise) before they change anything."""

    def __init__(self, connection: apsw.Connection, known: Known, now: Callable[[], int] = time.time_ns) -> None:
        """Read the state; raise NoSuchBucket when the bucket has been deleted."""
        state, deleted = read_record(connection, known)
        if deleted:
            raise NoSuchBucket(known.record.name)
        self.execute = connection.execute
        self.connection = connection
        self.now = now
        self.known = known
        self.unlink: list[str] = []  # files that no row needs any more, once this is committed
        self._seals: dict[str, tuple[int, int, int]] = {}  # changes of the table
        self._next_seq: int = state[7]
        self.objects, self.versions, self.markers, self.size, self.stored, self.uploads, self.upload_stored = state[8:]
        self._before = state[7:]

    @property
    def record(self) -> BucketRecord:
        """The bucket as this transaction sees it."""
        return self.known.record

    def take_seqs(self, count: int = 1) -> int:
        """Return the first of count fresh positions in commit order."""
        first = self._next_seq
        self._next_seq += count
        return first

    def save(self) -> None:
        """Write the totals back, when they changed."""
        after = (self._next_seq, *(getattr(self, name) for name in TOTALS))
        if after != self._before:
            self.execute(_SAVE, after)
        for name, counts in self._seals.items():
            self.execute(_COUNT_SEAL, (name, *counts))
            if counts[0] < 0:
                self.execute("DELETE FROM seals WHERE name = ? AND versions = 0", (name,))

    def count_seal(self, name: str, versions: int, size: int, objects: int = 0) -> None:
        """Count what a key protects; objects: versions that became, or were until now, the newest of their key."""
        if name:
            before = self._seals.get(name, (0, 0, 0))
            self._seals[name] = (before[0] + versions, before[1] + size, before[2] + objects)

    def new_id(self) -> str:
        """Return the id that the next version gets under the bucket's versioning."""
        return str(uuid.uuid4()) if self.record.versioning == "Enabled" else NULL_VERSION

    def rows(self, statement: str, values: Row) -> list[Row]:
        """Return all rows of a SELECT."""
        return self.execute(statement, values).fetchall()

    def newest(self, key: str) -> Row | None:
        """Return the VERSION row of the newest version or marker of key."""
        return self.execute(_NEWEST, (key,)).fetchone()

    def find(self, key: str, version_id: str) -> Row | None:
        """Return the VERSION row of this version."""
        return self.execute(_BY_ID, (key, rows.id_to_column(version_id))).fetchone()

    def check(self, check: Check | None, row: Row | None, *, latest: bool = True) -> None:
        """Let the caller refuse, by the version that row is (None: nothing, or a delete marker)."""
        if check is not None:
            check(None if row is None else rows.version(row, latest=latest))

    def check_quota(self, added: int) -> None:
        """Raise QuotaExceeded when added plaintext bytes do not fit."""
        settings.check_quota(self.record.config, self.size, added)

    def remove(self, row: Row, newest: Row | None) -> None:
        """Delete the version of a VERSION row; newest is the newest row of its key before this."""
        seq, key, _, marker, size, stored = row[:6]
        files = [row[10]] if row[11] is None else rows.unpack_parts(row[11])[1]  # refuses before anything is changed
        self.execute("DELETE FROM versions WHERE seq = ?", (seq,))
        for name in files:
            self.forget_file(name)
        if marker:
            self.markers -= 1
        else:
            self.versions -= 1
            self.size -= size
            self.stored -= stored
            self.count_seal(row[14], -1, -size)
        if newest is None or newest[0] != seq:
            return
        self.objects -= not marker
        self.count_seal(row[14], 0, 0, -1)
        older = self.newest(key)
        if older is not None and not older[3]:
            self.objects += 1
            self.count_seal(older[14], 0, 0, 1)

    def forget_file(self, name: str | None) -> None:
        """Take a file out of the table; it is unlinked after the commit."""
        if name is not None:
            self.execute("DELETE FROM files WHERE name = ?", (name,))
            self.unlink.append(name)

    def keep_file(self, name: str | None, stored: int) -> None:
        """Say that a file belongs to a row."""
        if name is not None:
            self.execute("INSERT INTO files VALUES (?, ?)", (name, stored))

    def insert(self, version: ObjectVersion, packed: bytes | None, newest: Row | None) -> ObjectVersion:
        """Add a version (or marker) and count it; newest is the one before it, or above it when it is not latest."""
        place = version.place
        assert isinstance(place, rows.Place)
        self.execute(INSERT, insert_values(version, place, packed))
        if version.delete_marker:
            self.markers += 1
        else:
            self.versions += 1
            self.size += version.size
            self.stored += version.stored
            self.count_seal(version.sealed_by, 1, version.size, int(version.latest))
        if not version.latest:
            return version
        if newest is not None:
            self.count_seal(newest[14], 0, 0, -1)
        self.objects += (not version.delete_marker) - (newest is not None and not newest[3])
        return version

    def configure(self, changes: Mapping[str, bytes | None]) -> BucketRecord:
        """Set or remove configuration documents; raise Malformed."""
        record = settings.changed(self.record, changes)
        for name, value in changes.items():
            if name in (VERSIONING, OBJECT_LOCK):
                continue
            if value is None:
                self.execute("DELETE FROM config WHERE name = ?", (name,))
            else:
                self.execute("INSERT OR REPLACE INTO config VALUES (?, ?)", (name, value))
        self.execute(
            "UPDATE bucket SET versioning = ?, object_lock = ?, revision = revision + 1",
            (record.versioning, record.object_lock),
        )
        read_record(self.connection, self.known)
        return record


COLUMNS = f"{rows.VERSION}, body"
INSERT = f"INSERT INTO versions({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608


def insert_values(v: ObjectVersion, place: rows.Place, packed: bytes | None) -> Row:
    """Return the values of INSERT for a version."""
    version_id = rows.id_to_column(v.version_id)
    marker = int(v.delete_marker)
    file = place.files[0] if place.files and packed is None else None
    head = (place.seq, v.key, version_id, marker, v.size, v.stored, v.modified, v.etag)
    return (*head, v.tags, v.lock, file, packed, v.meta, place.crc, v.sealed_by, place.body)
