"""What each write on objects does inside a transaction. A refusal is raised before anything is changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from strongroom.s3.domain.ports import BucketNotEmpty, Check, NoSuchKey, NoSuchVersion
from strongroom.s3.domain.records import BucketRecord, Deleted, NewVersion, ObjectVersion, PartRecord
from strongroom.s3.storage import rows
from strongroom.s3.storage.rows import Place, Row
from strongroom.s3.storage.transaction import Transaction

Change: TypeAlias = Callable[[ObjectVersion], ObjectVersion]


def visible(row: Row | None) -> Row | None:
    """Return row unless it is a delete marker."""
    return None if row is None or row[3] else row


@dataclass(frozen=True, slots=True)
class Stored:
    """A body that is ready to get its row: inline, or in the published file of this name. crc: its CRC-32C."""

    size: int
    crc: int
    body: bytes | None
    name: str | None


def put(tx: Transaction, new: NewVersion, stored: Stored, check: Check | None) -> ObjectVersion:
    """Publish a body as the newest version of its key."""
    files = () if stored.name is None else (stored.name,)
    version = publish(tx, new, stored.size, check, Place(0, stored.body, files, stored.crc))
    tx.keep_file(stored.name, stored.size)
    return version


def publish(
    tx: Transaction,
    new: NewVersion,
    stored: int,
    check: Check | None,
    place: Place,
    parts: tuple[PartRecord, ...] = (),
) -> ObjectVersion:
    """Insert a version in place of one of the same id, if any; the caller keeps its files."""
    if new.in_place:
        return _exchange(tx, new, stored, check, place, parts)
    newest = tx.newest(new.key)
    tx.check(check, visible(newest))
    version_id = new.version_id or tx.new_id()
    replaced = _same_id(tx, new, version_id, newest)
    tx.check_quota(new.size - (replaced[4] if replaced else 0))
    if replaced is not None:
        tx.remove(replaced, newest)
        newest = tx.newest(new.key) if newest is not None and replaced[0] == newest[0] else newest
    version = _version(tx, new, version_id, stored, replace(place, seq=tx.take_seqs()), parts)
    return tx.insert(version, rows.pack_parts(parts, place) if parts else None, newest)


def _version(
    tx: Transaction, new: NewVersion, version_id: str, stored: int, place: Place, parts: tuple[PartRecord, ...]
) -> ObjectVersion:
    return ObjectVersion(
        new.key,
        version_id,
        tx.now() if new.modified is None else new.modified,
        new.size,
        stored,
        new.etag,
        True,
        False,
        new.meta,
        new.tags,
        new.lock,
        parts,
        place,
        new.sealed_by,
    )


def _exchange(
    tx: Transaction, new: NewVersion, stored: int, check: Check | None, place: Place, parts: tuple[PartRecord, ...]
) -> ObjectVersion:
    """Put another body and record in the place of a version: position in its key's history, id and size stay."""
    row = tx.find(new.key, new.version_id or "")
    if row is None or row[3]:
        raise NoSuchVersion(f"{new.key} {new.version_id}")
    newest = tx.newest(new.key)
    latest = newest is not None and newest[0] == row[0]
    tx.check(check, row, latest=latest)
    if new.size > row[4]:
        tx.check_quota(new.size - row[4])
    tx.remove(row, newest)
    version = _version(tx, new, new.version_id or "", stored, replace(place, seq=row[0]), parts)
    packed = rows.pack_parts(parts, place) if parts else None
    if latest:
        return tx.insert(version, packed, tx.newest(new.key))
    return tx.insert(replace(version, latest=False), packed, newest)


def _same_id(tx: Transaction, new: NewVersion, version_id: str, newest: Row | None) -> Row | None:
    """Return the row that a version of this id replaces. A fresh id needs no search, a plain bucket has one row."""
    if newest is None or (new.version_id is None and tx.record.versioning == "Enabled"):
        return None
    if newest[2] == rows.id_to_column(version_id):
        return newest
    return tx.find(new.key, version_id)


def delete(tx: Transaction, key: str, version_id: str | None, check: Check | None) -> Deleted:
    """Remove a version for good, or without an id do what the bucket's versioning says."""
    if version_id is not None:
        return _delete_version(tx, key, version_id, check)
    newest = tx.newest(key)
    tx.check(check, visible(newest))
    if not tx.record.versioning:
        if newest is not None:
            tx.remove(newest, newest)
        return Deleted(found=newest is not None)
    marker = NewVersion(key, 0, b"", b"")
    version_id = tx.new_id()
    replaced = _same_id(tx, marker, version_id, newest)
    before = newest
    if replaced is not None:
        tx.remove(replaced, newest)
        before = tx.newest(key) if newest is not None and replaced[0] == newest[0] else newest
    place = Place(tx.take_seqs(), None)
    record = ObjectVersion(key, version_id, tx.now(), 0, 0, b"", latest=True, delete_marker=True, place=place)
    tx.insert(record, None, before)
    return Deleted(version_id, True, newest is not None)


def _delete_version(tx: Transaction, key: str, version_id: str, check: Check | None) -> Deleted:
    row = tx.find(key, version_id)
    newest = None if row is None else tx.newest(key)
    tx.check(check, row, latest=row is not None and newest is not None and row[0] == newest[0])
    if row is None:
        return Deleted(version_id, found=False)
    tx.remove(row, newest)
    return Deleted(version_id, bool(row[3]))


def amend(tx: Transaction, key: str, version_id: str | None, change: Change) -> ObjectVersion:
    """Replace what may change of a version: meta, tags, lock, etag."""
    newest = tx.newest(key)
    row = newest if version_id is None else tx.find(key, version_id)
    if row is None and version_id is not None:
        raise NoSuchVersion(f"{key} {version_id}")
    if row is None or row[3]:  # a delete marker has nothing to change
        raise NoSuchKey(key, None if row is None else rows.version(row, latest=True))
    old = rows.version(row, latest=newest is not None and newest[0] == row[0])
    new = change(old)
    tx.execute(
        "UPDATE versions SET etag = ?, tags = ?, lock = ?, meta = ?, sealed_by = ? WHERE seq = ?",
        (new.etag, new.tags, new.lock, new.meta, new.sealed_by, row[0]),
    )
    if new.sealed_by != old.sealed_by:
        tx.count_seal(old.sealed_by, -1, -old.size, -old.latest)
        tx.count_seal(new.sealed_by, 1, old.size, old.latest)
    return replace(old, meta=new.meta, tags=new.tags, lock=new.lock, etag=new.etag, sealed_by=new.sealed_by)


def drop(tx: Transaction, force: bool) -> BucketRecord:
    """Mark the bucket deleted for every process that has it open; raise BucketNotEmpty.

    Force does not count in a bucket with object lock: its versions may have to be kept.
    """
    if (tx.versions or tx.markers) and not (force and not tx.record.object_lock):
        raise BucketNotEmpty(tx.record.name)
    tx.execute("UPDATE bucket SET deleted = 1")
    return tx.record
