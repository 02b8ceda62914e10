"""Rows of index.db as records, and the part table. Format: docs/formats/store.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from strongroom.errors import Tampered
from strongroom.s3.domain.records import NULL_VERSION, Listed, ObjectVersion, PartRecord, UploadRecord

Row: TypeAlias = tuple[Any, ...]

PARTS_VERSION = 1
EAGER_BODY = 8 * 1024  # bytes: a body up to this size is read with its row, larger ones when they are opened

VERSION = "seq, key, version, marker, size, stored, modified, etag, tags, lock, file, parts, meta, crc, sealed_by"
VERSION_AND_BODY = f"{VERSION}, CASE WHEN stored <= {EAGER_BODY} THEN body END"
LISTED = "key, seq, version, marker, modified, size, etag"
UPLOAD = "key, upload, started, meta"
PART = "number, size, stored, etag, modified, meta"

# The newest row of a key. Written as a range: for `key = ? ORDER BY seq DESC` SQLite plans anew on every binding,
# which takes 6 of then 7.5 microseconds.
OF_NEWEST = "FROM versions WHERE key >= ?1 AND key <= ?1 ORDER BY key, seq DESC LIMIT 1"

_decoder = msgspec.msgpack.Decoder(tuple[int, list[tuple[int, int, int, bytes, int, bytes, str | None, int]]])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version's bytes are.

    body   the inline bytes, when they were read with the row
    files  one name per part (None: inline), or the one file of a body in one piece; empty: inline
    crc    CRC-32C of the stored bytes of a body in one piece
    crcs   the same of each part
    """

    seq: int
    body: bytes | None = field(default=None, repr=False)
    files: tuple[str | None, ...] = ()
    crc: int = 0
    crcs: tuple[int, ...] = ()


def id_to_column(version_id: str) -> str | None:
    """Return the column's value for a version id."""
    return None if version_id == NULL_VERSION else version_id


def version(row: Row, *, latest: bool) -> ObjectVersion:
    """Make the record of a VERSION (or VERSION_AND_BODY) row."""
    seq, key, version_id, marker, size, stored, modified, etag, tags, lock, file, packed, meta, crc, sealed_by = row[
        :15
    ]
    parts: tuple[PartRecord, ...] = ()
    crcs: tuple[int, ...] = ()
    files: tuple[str | None, ...] = () if file is None else (file,)
    if packed is not None:
        parts, files, crcs = unpack_parts(packed)
    return ObjectVersion(
        key,
        version_id or NULL_VERSION,
        modified,
        size,
        stored,
        etag,
        latest,
        marker != 0,
        meta,
        tags,
        lock,
        parts,
        Place(seq, row[15] if len(row) > 15 else None, files, crc, crcs),
        sealed_by,
    )


def listed(row: Row, *, latest: bool) -> Listed:
    """Make the record of a LISTED row."""
    key, _, version_id, marker, modified, size, etag = row
    return Listed(key, version_id or NULL_VERSION, modified, size, etag, latest, marker != 0)


def upload(row: Row) -> UploadRecord:
    """Make the record of an UPLOAD row."""
    return UploadRecord(*row)


def part(row: Row) -> PartRecord:
    """Make the record of a PART row."""
    return PartRecord(*row)


def pack_parts(parts: Sequence[PartRecord], place: Place) -> bytes:
    """Return the part table of a multipart object."""
    table = [
        (p.number, p.size, p.stored, p.etag, p.modified, p.meta, file, crc)
        for p, file, crc in zip(parts, place.files, place.crcs, strict=True)
    ]
    return msgspec.msgpack.encode((PARTS_VERSION, table))


def unpack_parts(packed: bytes) -> tuple[tuple[PartRecord, ...], tuple[str | None, ...], tuple[int, ...]]:
    """Read a part table: the parts, their files and their CRC-32Cs; raise Tampered when it is not one."""
    try:
        number, table = _decoder.decode(packed)
    except msgspec.DecodeError as error:
        raise Tampered(f"part table: {error}") from error
    if number != PARTS_VERSION:
        raise Tampered(f"part table version {number}")
    parts = tuple(PartRecord(*entry[:6]) for entry in table)
    return parts, tuple(entry[6] for entry in table), tuple(entry[7] for entry in table)
