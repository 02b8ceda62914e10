"""Encrypts a plain object where it lies: other bytes, the same object (docs/reference/s3-encryption.md).

Version id, time, ETag, checksums, parts, tags and locks stay; so it is allowed for objects under retention.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from strongroom.crypto.dare import sealed_size
from strongroom.errors import Conflict, Error
from strongroom.s3.domain.aside import aside
from strongroom.s3.domain.encryption import Encryption
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta, unpack_meta
from strongroom.s3.domain.object_seal import ObjectSeal, Record
from strongroom.s3.domain.ports import Check, DataKeys, NoSuchUpload, ObjectStore, Staged
from strongroom.s3.domain.records import BucketRecord, NewVersion, ObjectVersion, PartRecord
from strongroom.s3.domain.seal_metadata import SealInfo, label
from strongroom.s3.domain.sealing import new_seal
from strongroom.s3.handlers import outflow
from strongroom.s3.handlers.list_keys import ListKeys

IN_PLACE = "x-strongroom-in-place"  # among what an upload's creation said: the version that it is for
THREAD_SIZE = 256 * 1024  # bytes from which a body is sealed in a thread


class GetListKeys(Protocol):
    """Returns a bucket's list keys; make: there must be one to hide new ETags with."""

    def __call__(self, record: BucketRecord, /, *, make: bool) -> Awaitable[ListKeys]: ...


async def encrypt_in_place(
    store: ObjectStore,
    keys: DataKeys,
    list_keys: GetListKeys,
    bucket: str,
    version: ObjectVersion,
    want: Encryption,
    *,
    bucket_keys: bool,
) -> SealInfo:
    """Exchange a plain version for a sealed one of the same content; return what it is sealed under.

    Raises Conflict when it was replaced meanwhile, Error when its tags, lock or access control list were changed just
    now (try again), NoSuchVersion, and what the key service raises.
    """
    current = await store.get(bucket, version.key, version.version_id)
    if current.modified != version.modified:
        raise Conflict("replaced meanwhile")
    record = await store.bucket(bucket)
    seal = await new_seal(want, bucket, current.key, keys, multipart=bool(current.parts), bucket_keys=bucket_keys)
    listing = await list_keys(record, make=True)
    hide = _hider(listing, current.key)
    meta = _sealed_meta(unpack_meta(current.meta), seal, bucket, current)
    beside = aside(meta, current.tags, current.lock)
    new = NewVersion(
        current.key,
        current.size,
        listing.vouch(current.etag.decode(), current.key, beside, hidden=True),
        pack_meta(meta),
        current.tags,
        current.lock,
        current.version_id,
        current.modified + 1,  # a nanosecond: whoever has the old row must not read the new body
        label(seal.info),
        in_place=True,
    )
    if current.parts:
        await _exchange_parts(store, bucket, current, seal, hide, new)
    else:
        await _exchange_body(store, bucket, current, seal, new)
    return seal.info


def _hider(keys: ListKeys, key: str) -> Callable[[bytes], bytes]:
    return lambda etag: keys.hide(etag.decode(), key)


def _sealed_meta(meta: ObjectMeta, seal: ObjectSeal, bucket: str, version: ObjectVersion) -> ObjectMeta:
    parts = tuple([(part.number, part.size) for part in version.parts])
    seal.authenticate(Record(bucket, version.key, version.size, meta.headers, meta.user, parts, True))
    checksum = seal.seal_checksum(meta.checksum) if meta.checksum else b""
    return replace(meta, seal=dict(seal.metadata), checksum=checksum)


def _unchanged(version: ObjectVersion) -> Check:
    """Return the check of the commit."""

    def check(current: ObjectVersion | None) -> None:
        if current is None or current.modified != version.modified:
            raise Conflict("replaced meanwhile")
        if (current.meta, current.tags, current.lock) != (version.meta, version.tags, version.lock):
            raise Error("tags, lock or access control list were changed just now")

    return check


async def _exchange_body(
    store: ObjectStore, bucket: str, version: ObjectVersion, seal: ObjectSeal, new: NewVersion
) -> None:
    staged = store.stage(bucket, sealed_size(version.size))
    try:
        await _seal(store, bucket, version, seal, None, (0, version.size), staged)
        await store.put(bucket, new, staged, _unchanged(version))
    except BaseException:
        staged.discard()
        raise


async def _exchange_parts(
    store: ObjectStore,
    bucket: str,
    version: ObjectVersion,
    seal: ObjectSeal,
    hide: Callable[[bytes], bytes],
    new: NewVersion,
) -> None:
    """Seal each part by itself, through an upload that lives as long as this takes.

    It has the record of the object: should a client complete it, that makes an object that can be read.
    """
    mine = {IN_PLACE: version.version_id}
    await _abort_left(store, bucket, version.key, mine)
    upload = await store.create_upload(bucket, version.key, pack_meta(replace(unpack_meta(new.meta), asked=mine)))
    try:
        done: list[PartRecord] = []
        start = 0
        for part in version.parts:
            staged = store.stage(bucket, sealed_size(part.size))
            try:
                await _seal(store, bucket, version, seal, part.number, (start, start + part.size), staged)
                kept = seal.seal_checksum(part.meta) if part.meta else b""
                sealed = PartRecord(part.number, part.size, staged.stored, hide(part.etag), meta=kept)
                done.append(await store.put_part(bucket, upload, sealed, staged))
            except BaseException:
                staged.discard()
                raise
            start += part.size
        await store.complete_upload(bucket, upload, done, new, _unchanged(version))
    except BaseException:
        await store.abort_upload(bucket, upload)
        raise


async def _abort_left(store: ObjectStore, bucket: str, key: str, asked: dict[str, str]) -> None:
    """Abort what an attempt on the same version has left that a crash ended."""
    page = await store.uploads(bucket, key, "", "", "", 1000)
    for upload in page.uploads:
        if upload.key == key and unpack_meta(upload.meta).asked == asked:
            with contextlib.suppress(NoSuchUpload):
                await store.abort_upload(bucket, upload)


async def _seal(
    store: ObjectStore,
    bucket: str,
    version: ObjectVersion,
    seal: ObjectSeal,
    part: int | None,
    extent: tuple[int, int],
    staged: Staged,
) -> None:
    start, stop = extent
    sealer = seal.sealer(part, stop - start)

    def run() -> None:
        for piece in pieces:
            if sealed := sealer.feed(memoryview(piece)):
                staged.write(sealed)

    if start < stop:
        pieces = outflow.Pieces(store.open(bucket, version), version, None, start, stop)
        try:
            if stop - start > THREAD_SIZE:
                await asyncio.to_thread(run)
            else:
                run()
        finally:
            pieces.close()
    if rest := sealer.finish():
        staged.write(rest)
