"""What each write on multipart uploads does inside a transaction."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from strongroom.s3.domain.ports import Check, NoSuchPart, NoSuchUpload
from strongroom.s3.domain.records import NewVersion, ObjectVersion, PartRecord, UploadRecord
from strongroom.s3.storage import rows, writes
from strongroom.s3.storage.rows import Place, Row
from strongroom.s3.storage.transaction import Transaction
from strongroom.s3.storage.writes import Stored

_STORED_PART = f"{rows.PART}, file, seq, crc"
_PART_BY_NUMBER = f"SELECT {_STORED_PART} FROM parts WHERE upload = ? AND number = ?"  # noqa: S608
_ALL_PARTS = f"SELECT {_STORED_PART} FROM parts WHERE upload = ? ORDER BY number"  # noqa: S608


def create(tx: Transaction, key: str, meta: bytes) -> UploadRecord:
    """Begin an upload."""
    record = UploadRecord(key, uuid.uuid4().hex, tx.now(), meta)
    tx.execute(
        "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", (tx.take_seqs(), key, record.upload_id, record.started, meta)
    )
    tx.uploads += 1
    return record


def _seq(tx: Transaction, upload: UploadRecord) -> int:
    row = tx.execute("SELECT seq FROM uploads WHERE key = ? AND upload = ?", (upload.key, upload.upload_id)).fetchone()
    if row is None:
        raise NoSuchUpload(upload.upload_id)
    return int(row[0])


def put_part(tx: Transaction, upload: UploadRecord, part: PartRecord, stored: Stored) -> PartRecord:
    """Store a part in place of an earlier one of its number."""
    seq = _seq(tx, upload)
    tx.check_quota(part.size)
    old = tx.execute(_PART_BY_NUMBER, (seq, part.number)).fetchone()
    if old is not None:
        _remove_part(tx, old)
    kept = replace(part, stored=stored.size, modified=tx.now())
    tx.execute(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(tx.take_seqs(), seq, part.number, part.size, stored.size, part.etag, kept.modified, part.meta),
            *(stored.crc, stored.name, stored.body),
        ),
    )
    tx.keep_file(stored.name, stored.size)
    tx.upload_stored += stored.size
    return kept


def _remove_part(tx: Transaction, row: Row) -> None:
    tx.execute("DELETE FROM parts WHERE seq = ?", (row[7],))
    tx.forget_file(row[6])
    tx.upload_stored -= row[2]


def complete(
    tx: Transaction,
    upload: UploadRecord,
    numbers: Sequence[int | PartRecord],
    new: NewVersion,
    check: Check | None,
) -> ObjectVersion:
    """Publish parts as one object: their files change hands, inline ones are joined in the object's row."""
    seq = _seq(tx, upload)
    stored: dict[int, Row] = {int(row[0]): row for row in tx.rows(_ALL_PARTS, (seq,))}
    chosen = [_chosen(stored, wanted) for wanted in numbers]
    parts = tuple(rows.part(row[:6]) for row in chosen)
    files = tuple(row[6] for row in chosen)
    place = Place(0, _inline_bytes(tx, chosen), files, 0, tuple(row[8] for row in chosen))
    version = writes.publish(tx, new, sum(p.stored for p in parts), check, place, parts)
    taken = {row[7] for row in chosen}
    for row in stored.values():
        if row[7] not in taken:
            _remove_part(tx, row)
        else:
            tx.upload_stored -= row[2]
    tx.execute("DELETE FROM parts WHERE upload = ?", (seq,))
    tx.execute("DELETE FROM uploads WHERE seq = ?", (seq,))
    tx.uploads -= 1
    return version


def _chosen(stored: dict[int, Row], wanted: int | PartRecord) -> Row:
    number = wanted if isinstance(wanted, int) else wanted.number
    row = stored.get(number)
    if row is None or (isinstance(wanted, PartRecord) and rows.part(row[:6]) != wanted):
        raise NoSuchPart(f"part {number}")
    return row


def _inline_bytes(tx: Transaction, chosen: Sequence[Row]) -> bytes | None:
    inline = [row for row in chosen if row[6] is None]
    if not inline:
        return None
    return b"".join(tx.execute("SELECT body FROM parts WHERE seq = ?", (row[7],)).get for row in inline)


def abort(tx: Transaction, upload: UploadRecord) -> None:
    """Remove an upload and its parts."""
    seq = _seq(tx, upload)
    for row in tx.rows(_ALL_PARTS, (seq,)):
        _remove_part(tx, row)
    tx.execute("DELETE FROM uploads WHERE seq = ?", (seq,))
    tx.uploads -= 1
