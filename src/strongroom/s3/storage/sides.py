"""Reading, for a check, what ETags vouch for: versions of one bucket with their tags, locks and records."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.storage import rows, schema
from strongroom.s3.storage.transaction import Known, read_record

_VERSIONS = f"SELECT {rows.VERSION} FROM versions WHERE NOT marker ORDER BY key, seq"  # noqa: S608


@dataclass(frozen=True, slots=True)
class BucketRows:
    """A bucket of a folder, and its versions when they are asked for."""

    record: BucketRecord
    path: Path

    def versions(self) -> Iterator[ObjectVersion]:
        """Yield every version, without its body."""
        connection = schema.connect(self.path)
        try:
            for row in connection.execute(_VERSIONS):
                yield rows.version(row, latest=False)
        finally:
            connection.close()


def buckets(folder: Path) -> Iterator[BucketRows]:
    """Yield the buckets of a server's folder, by name."""
    system = schema.connect(folder / "system.db")
    try:
        found = system.execute("SELECT uuid FROM buckets ORDER BY name").fetchall()
    finally:
        system.close()
    for (uuid,) in found:
        path = folder / "buckets" / str(uuid) / "index.db"
        connection = schema.connect(path)
        try:
            known = Known()
            read_record(connection, known)
        finally:
            connection.close()
        yield BucketRows(known.record, path)
