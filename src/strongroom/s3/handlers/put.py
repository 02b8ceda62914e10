"""PutObject, and what all writes of objects share (s3.md 4)."""

import os

import msgspec
from msgspec.structs import replace

from strongroom.messages import Response
from strongroom.s3.domain import etags, ranges
from strongroom.s3.domain.aside import aside
from strongroom.s3.domain.checksums import KINDS
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import ChecksumRecord, ObjectMeta, pack_checksum, pack_meta, pack_tags
from strongroom.s3.domain.object_seal import ObjectSeal, Record
from strongroom.s3.domain.ports import Check, NoSuchKey
from strongroom.s3.domain.records import BucketRecord, NewVersion, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import SealInfo, describe, label
from strongroom.s3.handlers import acl, intake, locking
from strongroom.s3.handlers.bucket_documents import LIFECYCLE
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.lifecycle import expiration_header
from strongroom.s3.handlers.list_keys import EMPTY, ListKeys, coded
from strongroom.s3.handlers.sealing import Headers
from strongroom.s3.wire import object_headers as wire


def described(headers: Headers) -> ObjectMeta:
    """Return what a write's headers say about the object; raise Refused."""
    wire.check_internal(headers)
    return ObjectMeta(headers=wire.kept_headers(headers), user=wire.user_metadata(headers))


def tags_of(headers: Headers) -> bytes:
    """Return the tags of a write's x-amz-tagging header, as stored."""
    text = headers.get("x-amz-tagging")
    return pack_tags(wire.parse_tagging(text)) if text else b""


async def conditions(call: Call, record: BucketRecord) -> Check | None:
    """Return the check of If-Match and If-None-Match for the commit, None without them; look once before the body."""
    headers = call.headers
    if "if-match" not in headers and "if-none-match" not in headers:
        return None
    keys = await call.box.sealing.list_keys(record)

    def check(current: ObjectVersion | None) -> None:
        etag = None if current is None else keys.reveal(current.etag, current.key)
        try:
            ranges.check_write(headers, etag)
        except Refused as refused:
            if current is None:
                raise
            if refused.extra.get("Condition") == "If-Match":
                keys.compare(current.etag)
            shown = [("ETag", f'"{etag}"'), ("Last-Modified", wire.http_date(current.modified // 1_000_000_000))]
            raise Refused(refused.code, extra=refused.extra, headers=shown) from None

    check(await newest(call))
    return check


async def newest(call: Call) -> ObjectVersion | None:
    """Return the version that a write would replace, None for nothing or a delete marker."""
    try:
        return await call.box.store.get(call.bucket, call.key)
    except NoSuchKey:
        return None


def new_etag(seal: ObjectSeal | None, md5: bytes | None) -> str:
    """Return the ETag that clients will see: the MD5, or for SSE-KMS and SSE-C something random (sse.md 4)."""
    if etags.needs_md5(seal.kind if seal is not None else None):
        return (md5 or b"").hex()
    return os.urandom(16).hex()


class Draft(msgspec.Struct, frozen=True):
    """What is known about an object before its bytes."""

    record: BucketRecord
    key: str
    meta: ObjectMeta
    tags: bytes
    lock: bytes
    seal: ObjectSeal | None

    @property
    def info(self) -> SealInfo:
        """How the object is sealed; of an upload that is being completed without its key, too."""
        return describe(self.meta.seal) if self.seal is None else self.seal.info

    @property
    def wants_md5(self) -> bool:
        """Whether the ETag needs the content's MD5."""
        return etags.needs_md5(self.seal.kind if self.seal is not None else None)


async def write_up(
    call: Call,
    draft: Draft,
    size: int,
    etag: str,
    checksum: ChecksumRecord | None,
    parts: tuple[tuple[int, int], ...] = (),
) -> NewVersion:
    """Return the version that a draft and its bytes make: checksum and record sealed, ETag hidden where it is a digest.

    parts: (number, plaintext size) of a multipart object.
    """
    return written(call, draft, await vouching(call, draft), size, etag, checksum, parts)


async def vouching(call: Call, draft: Draft) -> ListKeys:
    """Return the list keys that a version will need."""
    kind = draft.info.kind
    return EMPTY if kind is None else await call.box.sealing.vouching(draft.record, kind)


def written(
    call: Call,
    draft: Draft,
    keys: ListKeys,
    size: int,
    etag: str,
    checksum: ChecksumRecord | None,
    parts: tuple[tuple[int, int], ...] = (),
) -> NewVersion:
    """As `write_up`, with the list keys of `vouching`."""
    meta, seal = draft.meta, draft.seal
    packed = pack_checksum(checksum)
    text = coded(etag, checksum)
    kept = text.encode()
    if seal is not None:
        seal.authenticate(Record(call.bucket, draft.key, size, meta.headers, meta.user, parts, keys.known > 0))
        meta = replace(meta, seal=dict(seal.metadata), checksum=seal.seal_checksum(packed) if packed else b"")
    elif packed:
        meta = replace(meta, checksum=packed)
    if keys.known:
        kept = keys.vouch(
            text, draft.key, aside(meta, draft.tags, draft.lock), hidden=seal is not None and draft.wants_md5
        )
    sealed_by = label(draft.info)
    return NewVersion(draft.key, size, kept, pack_meta(meta), draft.tags, draft.lock, sealed_by=sealed_by)


async def put_object(call: Call) -> Response:
    """Store an object."""
    check_key(call.key)
    headers = call.headers
    if headers.get("x-amz-meta-snowball-auto-extract") == "true":
        raise Refused("NotImplemented")  # rather than an archive stored as it is
    made = intake.plan(call)
    if made.checksum is None and call.box.settings.checksum:
        made = replace(made, checksum=wire.WantedChecksum(KINDS[call.box.settings.checksum]))
    meta, tags = described(headers), tags_of(headers)
    record = await call.enter("s3:PutObject")
    lock, meta = locking.for_write(call, record), acl.described(headers, record, meta)
    check = await conditions(call, record)
    seal = await call.box.sealing.begin(headers, record, call.key)
    call.used = seal.info if seal is not None else None
    draft = Draft(record, call.key, meta, tags, lock, seal)
    store = call.box.store
    staged = store.stage(call.bucket, made.stored(seal is not None))
    small = seal is not None and intake.is_small(call.body, made)
    sealer = None if seal is None else intake.Whole() if small else seal.sealer(size=made.size)
    try:
        received = await intake.receive(call.body, intake.Intake(made, staged, sealer, want_md5=draft.wants_md5))
        etag = new_etag(seal, received.md5)
        checksum = ChecksumRecord(received.checksum.kind, received.checksum.value) if received.checksum else None
        keys = await vouching(call, draft)

        def make() -> NewVersion:
            if seal is not None and isinstance(sealer, intake.Whole):
                staged.write(seal.seal_small(sealer.content))
            return written(call, draft, keys, received.size, etag, checksum)

        if small:
            version = await store.put_made(call.bucket, make, staged, check)
        else:
            version = await store.put(call.bucket, make(), staged, check)
    except BaseException:
        staged.discard()
        raise
    return Response(200, written_headers(call, record, version, etag, seal, checksum))


_CREATED = {"PostObject": "Post", "CopyObject": "Copy", "CompleteMultipartUpload": "CompleteMultipartUpload"}


def written_headers(
    call: Call,
    record: BucketRecord,
    version: ObjectVersion,
    etag: str,
    seal: ObjectSeal | None,
    checksum: ChecksumRecord | None,
) -> list[tuple[str, str]]:
    """Return the headers of a write's answer."""
    call.happened(f"Created:{_CREATED.get(call.operation, 'Put')}", version, etag)
    headers = [("ETag", f'"{etag}"')]
    if record.versioning == "Enabled":
        headers.append(("x-amz-version-id", version.version_id))
    if seal is not None:
        headers += call.box.sealing.shown(seal.info, call.headers)
    if LIFECYCLE.name in record.config:
        headers += expiration_header(record, version, call.box.settings.day)
    return headers + wire.checksum_headers(checksum)
