"""CopyObject, and copy sources in general (s3.md 7; sse.md 6.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace

from strongroom.messages import Response
from strongroom.s3.domain import ranges
from strongroom.s3.domain.checksums import KINDS
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.names import check_key, check_version
from strongroom.s3.domain.object_record import ChecksumRecord, ObjectMeta, unpack_tags
from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.ports import NoSuchVersion
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import acl, intake, locking, outflow, rotate
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.circumstances import requested_tags
from strongroom.s3.handlers.get import Found, checksum_of, find, open_found, reveal
from strongroom.s3.handlers.put import Draft, conditions, described, new_etag, tags_of, write_up, written_headers
from strongroom.s3.wire import object_headers as wire
from strongroom.s3.wire import xml
from strongroom.s3.wire.sse_headers import Operation

SOURCE = "x-amz-copy-source"
MAX_COPY = 5 * 1024**3  # bytes in one CopyObject
_OF_THE_COPY = ("x-amz-storage-class", "x-amz-website-redirect-location")  # never the source's
_CHANGES = re.compile(r"x-amz-(storage-class|website-redirect-location|server-side-encryption.*|checksum-algorithm)")


@dataclass(frozen=True, slots=True)
class Source:
    """What x-amz-copy-source names."""

    bucket: str
    key: str
    version_id: str | None


def parse_source(header: str) -> Source:
    """Return the address that a copy-source header names; raise Refused."""
    path, mark, version = header.partition("?versionId=")
    try:
        decoded = unquote_to_bytes(path.encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise Refused("InvalidArgument") from error
    bucket, slash, key = decoded.removeprefix("/").partition("/")
    if not bucket or not slash or not key:
        text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey."
        raise Refused("InvalidArgument", text)
    if mark and version:
        try:
            version = check_version(version)
        except Refused as error:
            raise NoSuchVersion("a copy source's version") from error
    return Source(bucket, key.removeprefix("/"), version if mark and version else None)


def directive(headers: Mapping[str, str], name: str) -> str:
    """Return COPY or REPLACE; raise Refused."""
    value = headers.get(f"x-amz-{name}-directive", "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise Refused("InvalidArgument", f"Unknown {name} directive.")
    return value


async def find_source(call: Call, source: Source, *, tags: bool = False) -> Found:
    """Return the source's version after its own access rules and conditions. tags: they are wanted as well."""
    record = await call.owned(source.bucket, "x-amz-source-expected-bucket-owner")
    action = "s3:GetObjectVersion" if source.version_id else "s3:GetObject"
    own = Call(
        call.box,
        call.request,
        call.body,
        call.request_id,
        source.bucket,
        source.key,
        call.pairs,
        call.args,
        call.signed,
    )
    await own.admit(action, record, source.version_id or None)
    check_key(source.key)
    found = await reveal(own, record, await find(own, record, source.key, source.version_id))
    if tags and found.version.tags:
        own.authorise(f"{action}Tagging", record)
    call.box.sealing.fits(found.info, call.headers, source=True)
    try:
        if ranges.not_modified(call.headers, found.etag, found.version.modified, f"{SOURCE}-"):
            raise Refused("PreconditionFailed")
    except Refused as refused:
        if refused.extra.get("Condition") == "If-Match":
            (await call.box.sealing.list_keys(record)).compare(found.version.etag)
        raise Refused(refused.code, extra=refused.extra, headers=found.headers) from None
    return found


async def copy_object(call: Call) -> Response:
    """Copy an object: opened under its own keys, sealed anew under the destination's."""
    check_key(call.key)
    headers = call.headers
    source = parse_source(headers[SOURCE])
    metadata, tagging = directive(headers, "metadata"), directive(headers, "tagging")
    record = await call.enter("s3:PutObject")
    found = await find_source(call, source, tags=tagging == "COPY")
    if tagging == "COPY" and found.version.tags:
        call.told = requested_tags(unpack_tags(found.version.tags))
        call.authorise("s3:PutObjectTagging", record)
    _check_self(call, source, found, record, metadata, tagging)
    if found.version.size > MAX_COPY:
        raise Refused("InvalidRequest", "The specified copy source is larger than the maximum allowable size: 5 GiB")
    meta = _meta(call, found, metadata)
    tags = found.version.tags if tagging == "COPY" else tags_of(headers)
    lock, meta = locking.for_write(call, record), acl.described(headers, record, meta)
    check = await conditions(call, record)
    opened = await open_found(call, found, source=True)
    if _onto_itself(call, source) and metadata == tagging == "COPY" and rotate.applies(call, found, record):
        turned = await rotate.customer_key(call, found, opened, record)
        call.used = turned.seal.info
        checksum = checksum_of(found.meta, opened)
        answer = written_headers(call, record, turned.version, found.etag, turned.seal, checksum)
        return _copied(found, answer, turned.version, found.etag, checksum)
    seal = await call.box.sealing.begin(headers, record, call.key, Operation.COPY)
    call.used = seal.info if seal is not None else None
    draft = Draft(record, call.key, meta, tags, lock, seal)
    kind = _checksum_kind(headers, checksum_of(found.meta, opened))
    made = intake.Plan(found.version.size, checksum=wire.WantedChecksum(KINDS[kind]) if kind else None)
    staged = call.box.store.stage(call.bucket, made.stored(seal is not None))
    try:
        sealer = seal.sealer(None, made.size) if seal is not None else None
        target = intake.Intake(made, staged, sealer, want_md5=draft.wants_md5)
        received = await transfer(call, found, opened, 0, found.version.size, target)
        etag = new_etag(seal, received.md5)
        checksum = ChecksumRecord(received.checksum.kind, received.checksum.value) if received.checksum else None
        new = await write_up(call, draft, received.size, etag, checksum)
        version = await call.box.store.put(call.bucket, new, staged, check)
    except BaseException:
        staged.discard()
        raise
    answer = written_headers(call, record, version, etag, seal, checksum)
    return _copied(found, answer, version, etag, checksum)


def _copied(
    found: Found,
    answer: list[tuple[str, str]],
    version: ObjectVersion,
    etag: str,
    checksum: ChecksumRecord | None,
) -> Response:
    if found.record.versioning:
        answer.append(("x-amz-copy-source-version-id", found.version.version_id))
    answer.append(("Content-Type", "application/xml"))
    items: list[xml.Item] = [("LastModified", wire.iso_time(version.modified)), ("ETag", f'"{etag}"')]
    return Response(200, answer, xml.document("CopyObjectResult", items + checksum_items(checksum)))


async def transfer(
    call: Call, found: Found, opened: ObjectSeal | None, start: int, stop: int, target: intake.Intake
) -> intake.Received:
    """Read the plaintext bytes [start, stop) of an object of ours into an intake."""
    if start >= stop:
        return target.finish()
    try:
        body = call.box.store.open(found.record.name, found.version)
    except NoSuchVersion:  # replaced or removed between reading the row and opening the file
        raise Refused("SlowDown", "The source was replaced while it was read, please try again.") from None
    pieces = outflow.Pieces(body, found.version, opened, start, stop, call.box.reads)
    try:
        return await intake.pump(pieces, stop - start, target)
    finally:
        pieces.close()


def checksum_items(checksum: ChecksumRecord | None) -> list[xml.Item]:
    """Return a checksum as elements of a result."""
    if checksum is None:
        return []
    return [(f"Checksum{checksum.kind}", wire.checksum_text(checksum)), ("ChecksumType", checksum.type)]


def _onto_itself(call: Call, source: Source) -> bool:
    return (source.bucket, source.key) == (call.bucket, call.key) and source.version_id is None


def _wanted_kind(call: Call, record: BucketRecord) -> Kind | None:
    wanted = call.box.sealing.wanted(call.headers, record, call.key, Operation.COPY)
    return wanted.kind if wanted is not None else None


def _check_self(call: Call, source: Source, found: Found, record: BucketRecord, metadata: str, tagging: str) -> None:
    """Refuse a copy that changes nothing. One of or to an encrypted object seals it anew, which is a change."""
    if not _onto_itself(call, source) or found.meta.seal or _wanted_kind(call, record) is not None:
        return
    if metadata == "REPLACE" or tagging == "REPLACE" or any(_CHANGES.fullmatch(name) for name in call.headers):
        return
    text = (
        "This copy request is illegal because it is trying to copy an object to itself without changing the "
        "object's metadata, storage class, website redirect location or encryption attributes."
    )
    raise Refused("InvalidRequest", text)


def _meta(call: Call, found: Found, metadata: str) -> ObjectMeta:
    if metadata == "REPLACE":
        return described(call.headers)
    asked = described(call.headers)
    kept = {name: value for name, value in found.meta.headers.items() if name not in _OF_THE_COPY}
    kept |= {name: asked.headers[name] for name in _OF_THE_COPY if name in asked.headers}
    return replace(asked, headers=kept, user=dict(found.meta.user))


def _checksum_kind(headers: Mapping[str, str], source: ChecksumRecord | None) -> str:
    asked = headers.get("x-amz-checksum-algorithm", "").upper()
    if asked:
        if asked not in KINDS:
            raise Refused("InvalidArgument", "Invalid checksum provided.")
        return asked
    return source.kind if source is not None and source.kind in KINDS else "CRC64NVME"
